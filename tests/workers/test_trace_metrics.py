"""What `/metrics` says of the trace lane, and what its alert allows it."""

import pytest
from prometheus_client import CollectorRegistry
from support.samples import config

from workers.metrics import Metrics
from workers.rules.build import groups
from workers.trace_metrics import BOUNDS, CONCLUDED
from workers.traces import _EVICTED


def test_what_waits_is_told() -> None:
    """Traces, bytes, and the age of the oldest."""
    registry = CollectorRegistry()
    Metrics(registry, config()).traces.set_waiting(3, 4096, 12.5)
    assert registry.get_sample_value("assay_traces_waiting") == 3
    assert registry.get_sample_value("assay_traces_waiting_bytes") == 4096
    assert registry.get_sample_value("assay_trace_oldest_seconds") == 12.5


def test_every_series_is_there_from_the_start() -> None:
    """A counter that is first seen at 5 shows no increase."""
    registry = CollectorRegistry()
    Metrics(registry, config())
    for name, label, values in (
        ("assay_traces_concluded_total", "why", CONCLUDED),
        ("assay_traces_evicted_total", "bound", BOUNDS),
        ("assay_traces_split_total", "topic", ("otlp_spans",)),
    ):
        found = [registry.get_sample_value(name, {label: value}) for value in values]
        assert found == [0] * len(values)
    assert set(BOUNDS) == set(_EVICTED)


@pytest.mark.parametrize("max_age_s", [900, 60])
def test_old_work_of_the_trace_lane_may_be_as_much_older_as_a_trace_may_wait(
    max_age_s: int,
) -> None:
    """Else a config that lets traces wait for hours would page."""
    found = [
        rule
        for group in groups(config(traces={"max_age_s": max_age_s}))
        for rule in group.rules
        if rule.name == "AssayWorkBehind"
    ]
    assert f'{{lane="trace"}}) > {max_age_s} + 300' in found[0].expr
