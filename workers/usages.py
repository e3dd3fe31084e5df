"""What LLM calls cost, each call once, however many spans and messages tell of it."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from schemas.span import Usage


class Call(NamedTuple):
    """One LLM call that was seen.

    Attributes:
        usage: What its span says.
        probability: With which it was counted: 1 where every call is, else the sampling's.
        is_error: Whether it failed.
    """

    usage: Usage
    probability: float = 1.0
    is_error: bool = False


class CallLedger:
    """Leaves out the second span of a call: by response id, else by parentage within a message.

    A producer that sends its batch again is known by the span id. The memory is bounded and belongs
    to one worker, so a copy that another worker reads is counted there again.

    Args:
        size: Calls to remember at most.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._seen: OrderedDict[tuple[str | None, str], None] = OrderedDict()

    def new_calls(self, usages: Iterable[Usage]) -> list[Usage]:
        """The usages of one message that tell of a call for the first time.

        Of several that tell of one call, the one with most token counts is taken.
        """
        found = list(usages)
        if len(found) > 1:
            found = _one_each(found)
        return [each for each in found if self._is_new(_key(each))]

    def _is_new(self, key: tuple[str | None, str]) -> bool:
        if key in self._seen:
            self._seen.move_to_end(key)
            return False
        self._seen[key] = None
        if len(self._seen) > self._size:
            self._seen.popitem(last=False)
        return True


def _one_each(usages: Iterable[Usage]) -> list[Usage]:
    """Of each call the span that says most, and none that only encloses the call's own."""
    by_id = {(each.trace_id, each.span_id): each for each in usages}
    second = _second_spans(by_id)
    best: dict[tuple[str | None, str], Usage] = {}
    for own_id, each in by_id.items():
        if own_id in second:
            continue
        key = _key(each)
        if key not in best or _known_counts(each) > _known_counts(best[key]):
            best[key] = each
    return list(best.values())


def _second_spans(by_id: Mapping[tuple[str, str], Usage]) -> set[tuple[str, str]]:
    """Spans of calls that another span tells better: those around it, as a rule.

    Where all within it tell no tokens, attempts that failed or a library that counts none, what was
    paid for stands on the span around them.
    """
    within: dict[tuple[str, str], list[Usage]] = {}
    for each in by_id.values():
        key = (each.trace_id, each.parent_span_id or "")
        if key in by_id and _is_same_call(by_id[key], each):
            within.setdefault(key, []).append(each)
    second: set[tuple[str, str]] = set()
    for key, inner in within.items():
        if _known_counts(by_id[key]) and not any(map(_known_counts, inner)):
            second.update((each.trace_id, each.span_id) for each in inner)
        else:
            second.add(key)
    return second


def _key(usage: Usage) -> tuple[str | None, str]:
    """What two spans of one call share; the service, as some servers give all answers one id."""
    if usage.response_id is None:
        return usage.trace_id, usage.span_id
    return usage.service, f"{usage.response_id} {usage.response_model}"


def _is_same_call(parent: Usage, child: Usage) -> bool:
    """Whether a call's span encloses another of the same call: its ids or its model agree."""
    if parent.response_id is not None and child.response_id is not None:
        return parent.response_id == child.response_id
    models = {child.request_model, child.response_model} - {None}
    return parent.start_unix_nano <= child.start_unix_nano <= parent.end_unix_nano and bool(
        models & {parent.request_model, parent.response_model}
    )


def _known_counts(usage: Usage) -> int:
    counts = (usage.input_tokens, usage.output_tokens, usage.cached_input_tokens, usage.cost_usd)
    return sum(count is not None for count in counts)
