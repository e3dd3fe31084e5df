"""A bound on the series of a metric: label values come from spans, and there is no end to those."""

from collections.abc import Sequence
from functools import lru_cache

from prometheus_client import Counter

from evaluators.redact import redact

OTHER = "other"
"""Takes the place of a label value for which there is no room."""

_MAX_CHARS = 120


@lru_cache(maxsize=4096)
def label_value(value: str | None) -> str:
    """A value as a label: "" where it is unknown, redacted, cut where long, always encodable."""
    if value is None:
        return ""
    return redact(value[: 4 * _MAX_CHARS])[:_MAX_CHARS].encode("utf-8", "replace").decode()


class LabelSets:
    """The label sets of one family of metrics; not for use by two threads.

    Four fifths of the room go to whoever comes first. Of what comes later, labels are replaced by
    `other` one after the other, the least important first, until the rest is known or fits into
    the last fifth: a service that appears late still has its own series. They are never taken
    back, because a counter that is dropped and comes again looks like a restart.

    Args:
        names: The labels, in order.
        expendable: Those that may become `other`, least important first; the rest is a closed set.
        limit: Label sets at most, but at least one for each value of the closed labels.
        overflow: Counts each replaced value by label.
        closed: How many values the closed labels have together: for each there is room.
    """

    def __init__(
        self,
        names: Sequence[str],
        expendable: Sequence[str],
        limit: int,
        overflow: Counter,
        *,
        closed: int = 1,
    ) -> None:
        self._order = [(names.index(name), overflow.labels(name)) for name in expendable]
        self._limit = max(0, limit - closed)
        self._known: dict[tuple[str, ...], tuple[str, ...]] = {}

    def admit(self, values: Sequence[str | None]) -> tuple[str, ...]:
        """The label set under which these values are counted; the same object each time.

        Whoever remembers it with each of many traces then holds it once.
        """
        labels = tuple([label_value(value) for value in values])
        known = self._known.get(labels)
        if known is not None:
            return known
        if len(self._known) < self._limit * 4 // 5:
            return self._known.setdefault(labels, labels)
        for index, overflow in self._order:
            overflow.inc()
            labels = (*labels[:index], OTHER, *labels[index + 1 :])
            if labels in self._known or len(self._known) < self._limit:
                break
        return self._known.setdefault(labels, labels)
