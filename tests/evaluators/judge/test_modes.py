"""Learning what an endpoint understands."""

import pytest

from evaluators.judge.modes import Mode, Modes
from schemas.events import Event

from .test_limiter import Clock

SCHEMA = {"type": "object"}


def modes(clock: Clock | None = None, told: list[Event] | None = None) -> Modes:
    """Nothing learnt yet."""
    return Modes("m@h", "m", ([] if told is None else told).append, clock or Clock())


@pytest.mark.parametrize(
    ("param", "text", "dropped"),
    [
        ("temperature", "Unsupported value", "temperature"),
        (None, "body.temperature Extra inputs are not permitted", "temperature"),
        (None, '"llama3" does not support thinking', "reasoning_effort"),
        ("max_completion_tokens", "Unrecognized request argument", "max_completion_tokens"),
        ("response_format", "is not supported", "json_schema"),
        (None, "grammar cannot be compiled", "json_schema"),
        (None, "This model's maximum context length is 10. max_completion_tokens is 20", None),
        (None, "messages must alternate", None),
    ],
)
def test_only_what_the_error_names_is_dropped(
    param: str | None, text: str, dropped: str | None
) -> None:
    """A parameter or mode goes because the server names it, and for nothing else."""
    learnt = modes()

    assert learnt.adapt(learnt.parameters(SCHEMA, 10), param, text) == dropped


def test_max_tokens_is_used_where_the_new_name_is_unknown() -> None:
    """The token limit is always sent, under a name that the server knows."""
    learnt = modes()
    learnt.adapt(learnt.parameters(SCHEMA, 10), "max_completion_tokens", "")

    parameters = learnt.parameters(SCHEMA, 10)
    assert parameters["max_tokens"] == 10
    assert "max_completion_tokens" not in parameters


def test_calls_in_flight_teach_one_thing_once() -> None:
    """Many rejections of one parameter are told once and take one step."""
    told: list[Event] = []
    learnt = modes(told=told)
    sent = learnt.parameters(SCHEMA, 10)
    for _ in range(5):
        assert learnt.adapt(sent, "response_format", "") == "json_schema"

    assert learnt.mode is Mode.JSON_OBJECT
    assert len(told) == 1


def test_two_bad_answers_of_five_step_down() -> None:
    """One bad answer among good ones is an accident, two of five are a habit."""
    learnt = modes()
    seen = []
    for valid in (False, True, True, True, True, False, False):
        learnt.answered(Mode.JSON_SCHEMA, valid=valid)
        seen.append(learnt.mode)

    assert seen == [Mode.JSON_SCHEMA] * 6 + [Mode.JSON_OBJECT]


def test_text_is_the_last_mode() -> None:
    """However bad the answers, there is nothing below text."""
    learnt = modes()
    for mode in Mode:
        for _ in range(3):
            learnt.answered(mode, valid=False)

    assert learnt.mode is Mode.TEXT
    assert learnt.adapt(learnt.parameters(SCHEMA, 10), None, "response_format") is None


def test_what_was_learnt_is_forgotten_after_a_day() -> None:
    """A server that was upgraded gets the strict mode again."""
    clock = Clock()
    learnt = modes(clock)
    learnt.adapt(learnt.parameters(SCHEMA, 10), "response_format", "")
    clock.now += 24 * 3600 + 1

    assert learnt.mode is Mode.JSON_SCHEMA
