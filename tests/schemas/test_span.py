"""Tests of what a span leaves unread until somebody asks for it."""

import pickle
from dataclasses import replace
from functools import partial
from typing import Any

from schemas.span import Message, Span, SpanKind

FIELDS: dict[str, Any] = {
    "trace_id": "1" * 32,
    "span_id": "2" * 16,
    "parent_span_id": None,
    "name": "chat",
    "kind": SpanKind.LLM,
    "convention": "gen_ai",
    "scope": "",
    "start_unix_nano": 0,
    "end_unix_nano": 1,
    "attributes": {},
    "resource": {},
}


def content() -> dict[str, Any]:
    """Give what stands for a span's messages."""
    return {"messages_in": (Message("user", "hi"),), "output_text": "hello"}


def test_content_is_read_once_and_when_it_is_asked_for() -> None:
    """Routing by service or error reads no messages; who asks for one has all."""
    calls = []

    def read() -> dict[str, Any]:
        calls.append(1)
        return content()

    span = Span.made(dict(FIELDS), read)
    assert (span.service, span.error, span.duration_s) == (None, False, 1e-9)
    assert not calls
    assert span.output_text == "hello"
    assert span.messages_in == (Message("user", "hi"),)
    assert (span.tool_calls, span.finish_reason, span.truncated) == ((), None, False)
    assert len(calls) == 1


def test_unread_content_is_part_of_what_a_span_is() -> None:
    """Compared, copied or sent to another process, an unread span is the one that was read."""
    read = Span(**FIELDS, **content())
    assert Span.made(dict(FIELDS), content) == read
    assert replace(Span.made(dict(FIELDS), content), service="shop").output_text == "hello"
    unread = Span.made(dict(FIELDS), partial(dict, content()))
    assert pickle.loads(pickle.dumps(unread)) == read  # noqa: S301  our own


def test_given_content_needs_no_reading() -> None:
    """A span made without a reader has the defaults of what it was not given."""
    span = Span.made({**FIELDS, "output_text": "hello"})
    assert (span.output_text, span.messages_in, span.content_setting) == ("hello", (), None)
