"""One call of a model, several spans: a framework's and its client's, an SDK's own, a stream's.

The spans of one call must be evaluated, counted and priced once. They are told by the response's
id where there is one, even across traces; else by nesting; else by a sibling of another library
that says the same at the same time, or by a request without an answer that a sibling with the
answer follows, as Logfire records a stream; a failed call also by its time.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, islice
from typing import Any

from .span import Span, SpanKind

_Key = tuple[str, str]

_MAX_DEPTH = 64
"""How far up a parent is looked for: parents in a circle must not hang a worker."""

_VENDOR = re.compile(r"(?:[a-z-]+\.)+")
"""What stands before a model's name on Bedrock: its vendor, maybe a region (`eu.anthropic.`)."""

_HOLES = (
    "provider",
    "request_model",
    "response_model",
    "response_id",
    "input_tokens",
    "output_tokens",
    "cached_input_tokens",
    "cache_creation_input_tokens",
    "reasoning_tokens",
    "cost_usd",
    "finish_reason",
    "output_text",
    "messages_in",
    "tool_calls",
    "session_id",
    "user_id",
    "prompt_name",
    "prompt_version",
)


def mark_duplicates(spans: Sequence[Span]) -> list[Span]:
    """Mark all spans of each call but one, the primary, as its duplicates.

    The primary is the span with the most content; what it does not know, such as tokens, is taken
    from the others. The others only get `duplicate_of`. Order and number of spans stay.

    Args:
        spans: The spans of one message or trace, of any kind and in any order.
    """
    calls = {
        _key(span): span for span in reversed(spans) if span.kind is SpanKind.LLM and span.is_call
    }
    if _are_strangers(calls.values()):
        return list(spans)
    groups = _Groups(calls)
    _join_response_ids(groups)
    _join_nested(groups, {_key(span): span for span in spans})
    _join_twins(groups)
    _join_answers(groups)
    _join_lost(groups)
    changed: dict[_Key, Span] = {}
    for members in groups.alike():
        primary, *copies = sorted(members, key=_rank, reverse=True)
        changed[_key(primary)] = _fill(primary, copies)
        for copy in copies:
            changed[_key(copy)] = replace(copy, duplicate_of=primary.span_id)
    return [changed.get(_key(span), span) for span in spans]


def _are_strangers(calls: Collection[Span]) -> bool:
    """Whether no two of them can be one call: quickly told of calls of so many traces."""
    response_ids = [span.response_id for span in calls if span.response_id is not None]
    lost = [span for span in calls if span.error and not span.response_id]
    return (
        len({span.trace_id for span in calls}) == len(calls)
        and len(set(response_ids)) == len(response_ids)
        and len(lost) < 2  # noqa: PLR2004  it takes two to be alike
    )


def _key(span: Span) -> _Key:
    return span.trace_id, span.span_id


@dataclass(slots=True, eq=False)
class _Group:
    """Spans of one call, as far as it is known, and the response id that any of them knows."""

    members: list[Span]
    response_id: str | None


class _Groups:
    """Calls joined into groups; two calls with different response ids are never joined."""

    def __init__(self, calls: dict[_Key, Span]) -> None:
        self.calls = calls
        self._group = {key: _Group([s], s.response_id or None) for key, s in calls.items()}

    def join(self, one: Span, other: Span) -> None:
        """Make one group of two, unless their response ids say that they are two calls."""
        found = [self._group[_key(one)], self._group[_key(other)]]
        small, large = sorted(found, key=lambda group: len(group.members))
        if small is large or len({small.response_id, large.response_id} - {None}) > 1:
            return
        large.response_id = large.response_id or small.response_id
        large.members += small.members
        for span in small.members:
            self._group[_key(span)] = large

    def alike(self) -> Iterator[list[Span]]:
        """Give each group of more than one."""
        for group in dict.fromkeys(self._group.values()):
            if len(group.members) > 1:
                yield group.members


def _join_response_ids(groups: _Groups) -> None:
    known: dict[str, Span] = {}
    for span in groups.calls.values():
        if span.response_id is not None:
            groups.join(known.setdefault(span.response_id, span), span)


def _join_nested(groups: _Groups, spans: dict[_Key, Span]) -> None:
    """Join a call with the call around it.

    One that holds several calls (a client that answers tool calls itself) has the last one's
    answer, so it is joined with the last; joining it with all would lose calls.
    """
    inner: dict[_Key, list[Span]] = {}
    for span in groups.calls.values():
        outer = _outer_call(span, spans, groups.calls)
        if outer is not None and _same_model(outer, span) and _overlap(outer, span):
            inner.setdefault(_key(outer), []).append(span)
    for key, candidates in inner.items():
        outer = groups.calls[key]
        groups.join(outer, max(candidates, key=_begin))


def _outer_call(span: Span, spans: dict[_Key, Span], calls: dict[_Key, Span]) -> Span | None:
    """Give the nearest call above a span; an agent or tool between them makes them two calls."""
    current = span
    for _ in range(_MAX_DEPTH):
        if current.parent_span_id is None:
            return None
        key = (current.trace_id, current.parent_span_id)
        if key in calls:
            return calls[key]
        above = spans.get(key)
        if above is None or above.kind in (SpanKind.AGENT, SpanKind.TOOL):
            return None
        current = above
    return None


def _join_twins(groups: _Groups) -> None:
    """Join siblings of two libraries that say the same at the same time.

    A client's wrapper that does not make its span the current one, as Langfuse's, has the span of
    the instrumentation below it beside its own.
    """
    for family in _families(groups, lambda span: span.parent_span_id):
        if len({span.scope for span in family}) == 1:
            continue  # nearly all: their content is not read for this
        alike: dict[Any, list[Span]] = {}
        for span in family:
            alike.setdefault(_texts(span), []).append(span)
        for spans in alike.values():
            _join_alike(groups, _ByBegin(spans))


def _join_alike(groups: _Groups, siblings: "_ByBegin") -> None:
    joined: set[_Key] = set()
    for inner in siblings.spans:
        for outer in siblings.around(inner.start_unix_nano, inner.start_unix_nano):
            if _key(outer) not in joined and _is_twin(outer, inner):
                joined |= {_key(outer), _key(inner)}
                groups.join(outer, inner)
                break


def _families(groups: _Groups, parent: Callable[[Span], Any]) -> Iterable[list[Span]]:
    """Give the calls with the same trace and `parent`; None: the call is in no family."""
    families: dict[Any, list[Span]] = {}
    for span in groups.calls.values():
        if (key := parent(span)) is not None:
            families.setdefault((span.trace_id, key), []).append(span)
    return families.values()


class _ByBegin:
    """Spans in the order of their begin: of thousands only a few are looked at for each."""

    def __init__(self, spans: Iterable[Span]) -> None:
        self.spans = sorted(spans, key=_begin)
        self._begins = [span.start_unix_nano for span in self.spans]
        ends = (span.end_unix_nano for span in self.spans)
        self._last_ends = list(accumulate(ends, max))
        """The latest end of a span and of all before it."""

    def around(self, begin: int, end: int) -> Iterator[Span]:
        """Give those that begin at `begin` or before, and end at `end` or after; the last first."""
        for index in range(bisect_right(self._begins, begin) - 1, -1, -1):
            if self._last_ends[index] < end:
                return
            if self.spans[index].end_unix_nano >= end:
                yield self.spans[index]


def _begin(span: Span) -> tuple[int, str]:
    return span.start_unix_nano, span.span_id


def _asked(span: Span) -> Any:
    """Of what was asked that by which it can be looked up."""
    return tuple([(message.role, message.content) for message in span.messages_in])


def _texts(span: Span) -> Any:
    """Of what was said that by which it can be looked up."""
    return _asked(span), (span.output_text or "").strip(), len(span.tool_calls), span.error


def _is_twin(outer: Span, inner: Span) -> bool:
    """Whether siblings that say the same at the same time are one call; their ends may cross."""
    return (
        outer.scope != inner.scope
        and _called(outer) == _called(inner)
        and _same_model(outer, inner)
    )


def _called(span: Span) -> Any:
    return [(call.name, call.arguments) for call in span.tool_calls]


def _join_answers(groups: _Groups) -> None:
    """Join a request that has no answer with the sibling that has it and starts after it."""
    for family in _families(groups, lambda span: (span.parent_span_id, span.scope)):
        if len(family) > 1:  # an only child's content is not read for this
            _join_family(groups, sorted(family, key=lambda span: span.start_unix_nano))


def _join_family(groups: _Groups, family: Sequence[Span]) -> None:
    asked: dict[Any, list[Span]] = {}
    for span in family:
        if not span.messages_in:
            continue
        same = asked.setdefault(_asked(span), [])
        if not _has_answer(span):
            if not span.error:
                same.append(span)
            continue
        for request in reversed(same):
            if (
                request.messages_in == span.messages_in
                and request.start_unix_nano < span.start_unix_nano
                and _same_model(request, span)
            ):
                same.remove(request)
                groups.join(request, span)
                break


def _join_lost(groups: _Groups) -> None:
    """Join an SDK's own span of a failed call, which lost its parent, with the call around it.

    A failed call has no response id, and context is lost where a library does not make its span the
    current one. Time alone joins them, so there must be exactly one call that it can be.
    """
    failed = [span for span in groups.calls.values() if span.error and not span.response_id]
    places: dict[str | None, dict[str, list[Span]]] = {}
    for span in failed:
        places.setdefault(span.service, {}).setdefault(span.scope, []).append(span)
    sorted_places = {
        service: {scope: _ByBegin(spans) for scope, spans in scopes.items()}
        for service, scopes in places.items()
        if len(scopes) > 1  # else nothing of another library is around any
    }
    for span in failed:
        if span.parent_span_id is not None or span.has_content:
            continue
        around = (
            other
            for scope, others in sorted_places.get(span.service, {}).items()
            if scope != span.scope
            for other in others.around(span.start_unix_nano, span.end_unix_nano)
            if other.trace_id != span.trace_id and _same_model(other, span)
        )
        found = list(islice(around, 2))
        if len(found) == 1:
            groups.join(found[0], span)


def _has_answer(span: Span) -> bool:
    return bool(span.output_text or span.tool_calls or span.output_tokens)


def _overlap(one: Span, other: Span) -> bool:
    return one.start_unix_nano <= other.end_unix_nano and other.start_unix_nano <= one.end_unix_nano


def _same_model(one: Span, other: Span) -> bool:
    """Whether two spans name a model in common; one that names none may be any."""
    ours = {_base(name) for name in (one.request_model, one.response_model) if name}
    theirs = {_base(name) for name in (other.request_model, other.response_model) if name}
    if not ours or not theirs:
        return True
    return any(_is_version(a, b) or _is_version(b, a) for a in ours for b in theirs)


def _base(model: str) -> str:
    """Drop a router's or Bedrock's prefix: `openai/gpt-4o` is `gpt-4o`."""
    name = model.rpartition("/")[2].lower()
    vendor = _VENDOR.match(name)
    return name if vendor is None else name[vendor.end() :]


def _is_version(model: str, dated: str) -> bool:
    """Whether `dated` is `model` or a dated version of it (`gpt-4o-mini` is none of `gpt-4o`)."""
    rest = dated.removeprefix(model) if dated.startswith(model) else None
    if rest is None:
        return False
    return not rest or (rest[0] in "-@:" and rest[1:2].isdigit())


def _rank(span: Span) -> tuple[bool, int, bool, int, int, str]:
    """Order the spans of one call: most content, then most knowledge, then the earliest."""
    size = len(span.output_text or "") + sum(
        len(message.content or "") for message in span.messages_in
    )
    known = sum(getattr(span, name) is not None for name in _HOLES)
    has_answer = bool(span.output_text or span.tool_calls)
    tokens = span.input_tokens is not None
    return has_answer, size, tokens, known, -span.start_unix_nano, span.span_id


def _fill(primary: Span, copies: Sequence[Span]) -> Span:
    """Fill what the primary does not know from the copies, those with most content first."""
    found: dict[str, Any] = {}
    for name in _HOLES:
        if getattr(primary, name) in (None, ()):
            value = next((v for c in copies if (v := getattr(c, name)) not in (None, ())), None)
            if value is not None:
                found[name] = value
    if not found:
        return primary
    filled = replace(primary, **found)
    return replace(filled, content_setting=None) if filled.has_content else filled
