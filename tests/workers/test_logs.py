"""Log lines, and what must not be in them."""

import io
import logging

import orjson
import pytest

from workers.logs import MASK, LibraryHandler, LogEvent, configure


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _line(stream: io.StringIO) -> dict[str, object]:
    (line,) = stream.getvalue().splitlines()
    parsed: dict[str, object] = orjson.loads(line)
    return parsed


def test_a_line_is_one_json_object() -> None:
    """Event, level, time and fields, each under its key."""
    stream = io.StringIO()
    configure("json", "info", stream=stream).warning(LogEvent.ROUTE_FAILED, route="chat", n=3)
    line = _line(stream)
    assert str(line.pop("ts")).endswith("Z")
    assert line == {"event": "route_failed", "level": "warning", "route": "chat", "n": 3}


def test_lines_below_the_level_are_not_written() -> None:
    """At warning, info is silent."""
    stream = io.StringIO()
    logger = configure("json", "warning", stream=stream)
    logger.info(LogEvent.STARTED)
    logger.debug(LogEvent.STARTED)
    assert stream.getvalue() == ""


def test_auto_is_for_people_on_a_terminal_and_for_machines_elsewhere() -> None:
    """A terminal gets colours, a file gets JSON."""
    terminal, file = _Terminal(), io.StringIO()
    configure("auto", "info", stream=terminal).info(LogEvent.STARTED, lanes=["code"])
    configure("auto", "info", stream=file).info(LogEvent.STARTED, lanes=["code"])
    assert "\x1b[" in terminal.getvalue()
    assert "worker_started" in terminal.getvalue()
    assert _line(file)["lanes"] == ["code"]


@pytest.mark.parametrize("format_", ["json", "console"])
def test_secrets_are_masked_wherever_they_stand(format_: str) -> None:
    """By the look of the key, by their value, nested, in an address and in an exception."""
    stream = io.StringIO()
    logger = configure(format_, "info", secrets=["s3cret-value", "s3cret-value-2"], stream=stream)
    number = "s3cret-value-2"
    try:
        int(number)
    except ValueError:
        logger.exception(
            LogEvent.KAFKA_ERROR,
            api_key="abc-of-key",
            client={"sasl.password": "abc-of-map", "sasl.username": "assay"},
            headers=[{"Authorization": "abc-of-header"}, "x s3cret-value x"],
            url="https://user:abc-of-url@judge.example/v1",
        )
    text = stream.getvalue()
    assert "s3cret" not in text
    assert "abc-of" not in text
    assert text.count(MASK) == 6
    assert "assay" in text
    assert "judge.example" in text
    assert "ValueError" in text


def test_numbers_of_tokens_are_no_secrets() -> None:
    """`input_tokens` looks like a secret to a careless pattern."""
    stream = io.StringIO()
    configure("json", "info", secrets=["key"], stream=stream).info(
        "x", input_tokens=7, monkey="key"
    )
    assert _line(stream).items() >= {"input_tokens": 7, "monkey": "key"}.items()


def test_any_value_can_be_logged() -> None:
    """What JSON cannot hold is shown as text."""
    stream = io.StringIO()
    configure("json", "info", stream=stream).info("x", a="\ud800", b={1: object}, c={2.5}, d=None)
    line = _line(stream)
    assert (line["a"], line["b"], line["c"], line["d"]) == ("?", {"1": str(object)}, [2.5], None)


def test_a_library_is_heard_without_its_arguments() -> None:
    """A warning arrives as a line of ours; what it was about may be judged text."""
    stream = io.StringIO()
    handler = LibraryHandler(configure("json", "info", stream=stream))
    logger = logging.Logger("library")  # noqa: LOG001  one that no other test knows
    logger.addHandler(handler)
    logger.info("silent")
    logger.warning("could not send %s", "judged text")
    line = _line(stream)
    assert line["event"] == "library_message"
    assert line["library"] == "library"
    assert line["template"] == "could not send %s"
    logger.error("finished: judged text")
    assert "judged text" not in stream.getvalue()
