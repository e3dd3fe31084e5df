"""Giant texts are cut, and the span says so; all others are left as they are."""

from support.samples import span

from schemas.limits import TEXT_CHARS
from schemas.span import Message, ToolCall
from schemas.texts import within_limit

_GIANT = "x" * (TEXT_CHARS + 1)


def test_every_text_of_a_giant_span_is_cut() -> None:
    """Messages, answer, tool calls, documents and attributes, however deep."""
    giant = span(
        size_bytes=20 * TEXT_CHARS,
        output_text=_GIANT,
        messages_in=(Message("user", _GIANT, (ToolCall("find", {"a": [_GIANT]}),)),),
        tool_calls=(ToolCall("find", _GIANT),),
        other_choices=(_GIANT,),
        documents=(_GIANT,),
        tool_arguments={"a": _GIANT},
        tool_result=_GIANT,
        attributes={"a": _GIANT, "b": [_GIANT], "c": 7, "d": _GIANT.encode()},
    )
    cut = within_limit(giant)
    kept = _GIANT[:TEXT_CHARS]
    assert cut.truncated
    assert cut.output_text == cut.tool_result == kept
    assert cut.messages_in == (Message("user", kept, (ToolCall("find", {"a": [kept]}),)),)
    assert cut.tool_calls == (ToolCall("find", kept),)
    assert cut.other_choices == cut.documents == (kept,)
    assert cut.tool_arguments == {"a": kept}
    assert cut.attributes == {"a": kept, "b": [kept], "c": 7, "d": kept.encode()}


def test_a_span_of_many_ordinary_texts_is_left_alone() -> None:
    """Its size alone cuts nothing."""
    one = span(size_bytes=20 * TEXT_CHARS, output_text="fine", attributes={"a": "b"})
    assert within_limit(one) is one
    assert not one.truncated
