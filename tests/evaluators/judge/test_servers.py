"""Servers that differ in what they understand: each gives a verdict, and is learnt once."""

import json
from collections.abc import Callable

import pytest
from support.judge_server import Action, Call, Status, Text, decide_by_word

from .conftest import Rig


def _rejects(**messages: str) -> Callable[[Call], Action]:
    """A server that answers 400 to each of these parameters, in its own words."""

    def script(call: Call) -> Action:
        for name, message in messages.items():
            if name in call.body:
                return Status(400, {"error": {"message": message, "type": "invalid_request_error"}})
        return None

    return script


def _only_json_object(call: Call) -> Action:
    if call.mode == "json_schema":
        message = "This response_format type is unavailable now"
        return Status(400, {"error": {"message": message, "code": "invalid_request_error"}})
    return None


def _only_prose(call: Call) -> Action:
    if call.mode == "tool":
        return Status(400, {"error": {"message": "tools are not supported by this model"}})
    if call.mode != "text":
        return Status(400, {"error": {"message": "response_format is not supported"}})
    return _ignores_the_mode(call)


def _ignores_the_mode(call: Call) -> Action:
    answer = json.dumps(call.answer(decide_by_word), indent=2)
    return Text(f"Let me look at it.\n\n```json\n{answer}\n```\n\nTell me if you need more.")


def _answers_in_its_reasoning(call: Call) -> Action:
    answer = json.dumps(call.answer(decide_by_word))
    return Text("", message={"reasoning_content": f"First the facts.\n</think>\n{answer}"})


def _forbids_extras(call: Call) -> Action:
    """A server whose own validator lists each parameter that it does not know, by place."""
    unknown = [name for name in ("reasoning_effort", "max_completion_tokens") if name in call.body]
    if not unknown:
        return None
    faults = [{"loc": ["body", name], "msg": "Extra inputs are not permitted"} for name in unknown]
    return Status(422, {"detail": faults})


def _knows_nothing(call: Call) -> Action:
    for name in ("temperature", "reasoning_effort", "max_completion_tokens", "response_format"):
        if name in call.body:
            return Status(400, {"error": {"message": "unsupported", "param": name}})
    if "tools" in call.body:
        return Status(400, {"error": {"message": "unsupported", "param": "tools"}})
    return None


SERVERS: dict[str, tuple[Callable[[Call], Action], int, str]] = {
    "accepts only json_object": (_only_json_object, 2, "json_object"),
    "rejects response_format": (
        _rejects(response_format="Unknown field: response_format"), 3, "tool"
    ),
    "rejects temperature": (
        _rejects(temperature="Unsupported value: 'temperature' does not support 0."),
        2,
        "json_schema",
    ),
    "does not think": (
        _rejects(reasoning_effort='"tiny" does not support thinking'), 2, "json_schema"
    ),
    "text with prose alone": (_only_prose, 4, "text"),
    "ignores the mode": (_ignores_the_mode, 1, "json_schema"),
    "answers in its reasoning": (_answers_in_its_reasoning, 1, "json_schema"),
    "knows max_tokens alone": (
        _rejects(max_completion_tokens="Unrecognized argument: max_completion_tokens"),
        2,
        "json_schema",
    ),
    "knows max_completion_tokens alone": (
        _rejects(max_tokens="'max_tokens' is not supported, use 'max_completion_tokens'"),
        1,
        "json_schema",
    ),
    "is a reasoning model": (
        _rejects(
            temperature="Unsupported parameter: 'temperature' is not supported with this model.",
            max_tokens="'max_tokens' is not supported, use 'max_completion_tokens'",
        ),
        2,
        "json_schema",
    ),
    "forbids extra fields": (_forbids_extras, 3, "json_schema"),
    "knows nothing": (_knows_nothing, 7, "text"),
}  # fmt: skip
"""What a server does, the calls to its first verdict, and the mode that is learnt."""


@pytest.mark.parametrize(("script", "calls", "mode"), SERVERS.values(), ids=SERVERS)
async def test_each_server_gives_a_verdict_and_is_learnt_once(
    rig: Rig, script: Callable[[Call], Action], calls: int, mode: str
) -> None:
    """The first question takes a few calls, each later one a single call in the learnt mode."""
    rig.server.script = script
    client = rig.client()

    first = await rig.ask(client)
    assert rig.server.count == calls
    again = await rig.ask(client)

    assert first.answers == again.answers == {"answers": True, "harmful": True}
    assert rig.server.count == calls + 1
    assert rig.record.mode == mode
