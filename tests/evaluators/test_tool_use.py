"""The `tool_use` evaluator: unknown tools, arguments against the schema, loops, errors."""

# ruff: noqa: E501  a case is easier to read on one line

import json
from typing import Any

import pytest
from support.documented import check_documented

from evaluators import Message, Score, Settings, Subject, ToolCall
from evaluators.judged.tool_use import ToolUse
from evaluators.testing import ScriptedJudge, make_span, run
from evaluators.tool_definitions import tools_of

_SCHEMA = {
    "type": "object",
    "properties": {"order": {"type": "integer"}, "speed": {"enum": ["slow", "fast"]}},
    "required": ["order"],
    "additionalProperties": False,
}
_TOOLS = json.dumps([{"type": "function", "function": {"name": "ship", "parameters": _SCHEMA}}])
_OFFERED = {"gen_ai.tool.definitions": _TOOLS}
_GOOD = [{"order": 1}, {"order": 2, "speed": "fast"}]
_BAD: list[Any] = [
    {},
    {"order": "1"},
    {"order": 1, "speed": "warp"},
    {"order": 1, "x": 2},
    "{broken",
]


def _result(
    *calls: ToolCall, turn: tuple[Message, ...] = (), judge: ScriptedJudge | None = None
) -> Score:
    messages = (Message("user", "Ship it."), *turn)
    span = make_span(answer=None, messages_in=messages, tool_calls=calls, attributes=_OFFERED)
    evaluator = ToolUse(Settings("tool_use", has_judge=judge is not None))
    result = run(evaluator, Subject(span, judge=judge))
    assert isinstance(result, Score)
    return result


def test_made_calls() -> None:
    """Calls that fit pass; each kind of fault fails under its own label."""
    faults = [("unknown_tool", _result(ToolCall("shipp", {"order": 1})))]
    faults += [("bad_arguments", _result(ToolCall("ship", arguments))) for arguments in _BAD]
    call = ToolCall("ship", {"order": 1})
    again = (Message("assistant", None, (call,)), Message("tool", "sent")) * 2
    faults += [("repeated", _result(call, turn=again))]
    failing = tuple(
        message
        for number in (3, 4)
        for message in (
            Message("assistant", None, (ToolCall("ship", {"order": number}),)),
            Message("tool", '{"error": "no such order"}'),
        )
    )
    faults += [("errors", _result(call, turn=failing))]
    for label, result in faults:
        assert (result.value, result.label) == (0.0, label)
    good = [_result(ToolCall("ship", arguments)) for arguments in _GOOD]
    good += [_result(ToolCall("ship", {"order": 3}), turn=again)]
    assert [(result.value, result.label) for result in good] == [(1.0, "ok")] * len(good)
    check_documented("tool_use", len(faults) + len(good), 1.0, 1.0)


def test_the_judge_decides_about_calls_of_the_right_form() -> None:
    """Right form, wrong value: only the judge can tell; a fault of the form it never sees."""
    judge = ScriptedJudge({"arguments_supported": False})
    assert _result(ToolCall("ship", {"order": 9}), judge=judge).label == "fail"
    assert len(judge.asked) == 1
    assert _result(ToolCall("nope", {}), judge=judge).label == "unknown_tool"
    assert len(judge.asked) == 1


@pytest.mark.parametrize(
    "attributes",
    [
        _OFFERED,
        {"gen_ai.tool.definitions": json.loads(_TOOLS)},
        {"llm.tools.0.tool.json_schema": json.dumps({"name": "ship", "input_schema": _SCHEMA})},
        {"llm.request.functions.0.name": "ship", "llm.request.functions.0.parameters": json.dumps(_SCHEMA)},
        {"ai.prompt.tools": [json.dumps({"type": "function", "name": "ship", "inputSchema": _SCHEMA})]},
        {"model_request_parameters": json.dumps({"function_tools": [{"name": "ship", "parameters_json_schema": _SCHEMA}]})},
    ],
)  # fmt: skip
def test_definitions_are_read_from_every_convention(attributes: dict[str, Any]) -> None:
    """However a library records the tools, name and schema are found."""
    assert tools_of(make_span(attributes=attributes)) == {"ship": _SCHEMA}


def test_without_definitions_names_are_not_judged() -> None:
    """What was offered is unknown: no name is called unknown."""
    span = make_span(answer=None, tool_calls=(ToolCall("anything", {"x": 1}),))
    result = run(ToolUse(Settings("tool_use")), Subject(span))
    assert isinstance(result, Score)
    assert (result.label, result.items["definitions"]) == ("ok", 0)
