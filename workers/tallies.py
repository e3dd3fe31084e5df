"""Running totals that are added to at every call and looked at a few times a minute.

A total is a plain number in a slot; counters are made of it when somebody asks for the metrics. To
add costs a tenth of what a counter of prometheus-client costs, whose lock and checks guard against
what cannot happen here: one thread adds, and what it adds is never below zero.
"""

import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry
from prometheus_client.samples import Exemplar

T = TypeVar("T")
Labels = tuple[str, ...]

_BOUNDS = tuple(tenth / 10 for tenth in range(11))


class _ByLabels(Collector, Generic[T]):
    """Something for each label set, made when it is first asked for."""

    def __init__(
        self, labels: Sequence[str], new: Callable[[], T], clock: Callable[[], float]
    ) -> None:
        self.labels = tuple(labels)
        self._new = new
        self._clock = clock
        self._known: dict[Labels, tuple[T, float]] = {}

    def at(self, labels: Labels) -> T:
        """What belongs to a label set; to be called by one thread."""
        found = self._known.get(labels)
        if found is None:
            found = self._known[labels] = (self._new(), self._clock())
        return found[0]

    def _all(self) -> Iterator[tuple[Labels, T, float]]:
        """All label sets, what belongs to them, and since when (Unix seconds)."""
        # A copy is made in one step: the thread that adds may find a new label set meanwhile.
        for labels, (value, created_s) in self._known.copy().items():
            yield labels, value, created_s


@dataclass(frozen=True, slots=True)
class Family:
    """One counter of a kind of tally.

    Attributes:
        name: Of the metric, without `_total`.
        text: What it means.
        fields: The field of the tally; or several, each with its value of `label`. One that is
            None has no series.
        label: A label besides those of the tally, which tells the fields apart.
        exemplar: The field with the exemplar; "" without one.
    """

    name: str
    text: str
    fields: str | Mapping[str, str]
    label: str = ""
    exemplar: str = ""


class Tallies(_ByLabels[T]):
    """Tallies by label set, and the counters that they are shown as.

    `at` is for one thread, the rest for any.

    Args:
        registry: Where the metrics are registered.
        labels: Names of the labels.
        new: Makes a tally that stands at zero.
        families: The counters.
        clock: Unix seconds.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        labels: Sequence[str],
        new: Callable[[], T],
        families: Sequence[Family],
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(labels, new, clock)
        self._families = families
        registry.register(self)

    def describe(self) -> Iterator[Metric]:
        """Tell the registry which names are taken."""
        for family in self._families:
            yield CounterMetricFamily(family.name, family.text, labels=self.labels)

    def collect(self) -> Iterator[Metric]:
        """Show all tallies as they are now."""
        for family in self._families:
            extra = (family.label,) if family.label else ()
            shown = CounterMetricFamily(family.name, family.text, labels=(*self.labels, *extra))
            for labels, tally, created_s in self._all():
                exemplar = getattr(tally, family.exemplar) if family.exemplar else None
                for name, values in _fields(family):
                    total = getattr(tally, name)
                    if total is not None:
                        shown.add_metric((*labels, *values), total, created_s, exemplar=exemplar)
            yield shown


def _fields(family: Family) -> list[tuple[str, Labels]]:
    if isinstance(family.fields, str):
        return [(family.fields, ())]
    return [(name, (value,)) for name, value in family.fields.items()]


def exemplar(trace_id: str, value: float, now_s: float) -> Exemplar:
    """A trace, as the example of what a counter or bucket counts."""
    return Exemplar({"trace_id": trace_id}, value, now_s)


@dataclass(slots=True)
class Distribution:
    """How values in 0..1 spread over tenths, each bucket with the last of its traces."""

    total: float = 0.0
    counts: list[int] = field(default_factory=lambda: [0] * len(_BOUNDS))
    traces: list[tuple[str, float, float] | None] = field(
        default_factory=lambda: [None] * len(_BOUNDS)
    )
    """Trace id, value and Unix seconds; made an exemplar when somebody looks."""

    def add(self, value: float, trace_id: str, now_s: float) -> None:
        """Add one value of one trace."""
        index = bisect_left(_BOUNDS, value)
        self.counts[index] += 1
        self.total += value
        self.traces[index] = (trace_id, value, now_s)


class Distributions(_ByLabels[Distribution]):
    """Distributions by label set, and the histogram that they are shown as.

    `at` is for one thread, the rest for any.

    Args:
        registry: Where the metric is registered.
        name: Of the metric.
        text: What it means.
        labels: Names of the labels.
        clock: Unix seconds.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        name: str,
        text: str,
        labels: Sequence[str],
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(labels, Distribution, clock)
        self._name = name
        self._text = text
        registry.register(self)

    def describe(self) -> Iterator[Metric]:
        """Tell the registry which name is taken."""
        yield HistogramMetricFamily(self._name, self._text, labels=self.labels)

    def collect(self) -> Iterator[Metric]:
        """Show all distributions as they are now."""
        shown = HistogramMetricFamily(self._name, self._text, labels=self.labels)
        for labels, found, created_s in self._all():
            buckets: list[tuple[str, float] | tuple[str, float, Exemplar]] = []
            count = 0
            for bound, number, trace in zip(_BOUNDS, found.counts, found.traces, strict=True):
                count += number
                if trace is None:
                    buckets.append((str(bound), count))
                else:
                    buckets.append((str(bound), count, exemplar(*trace)))
            shown.add_metric(labels, [*buckets, ("+Inf", count)], found.total)
            by_name = dict(zip(self.labels, labels, strict=True))
            shown.add_sample(f"{self._name}_created", by_name, created_s)
        yield shown
