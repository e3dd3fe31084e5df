"""Label values come from whoever writes spans: 100,000 different ones make no more series."""

import random
from collections import defaultdict
from dataclasses import replace

from prometheus_client import CollectorRegistry
from support.samples import config, outcome, usage

from workers.metrics import Metrics
from workers.usages import Call

CALLS = 100_000
LIMIT = 2000
"""`metrics.max_label_sets` as it is by default."""

_NOW_S = 1_790_000_010.0
_BESIDES = {"type", "le"}
"""Labels with a handful of values, which are no part of a label set."""


def test_series_are_bounded_whatever_spans_say() -> None:
    """100,000 calls, each of another service, model, prompt version and tenant, and their scores.

    No metric has more than `max_label_sets` label sets, every call and score is in one of them,
    and what was replaced by `other` is counted.
    """
    registry = CollectorRegistry()
    metrics = Metrics(registry, config(), clock=lambda: _NOW_S)
    draw = random.Random(1)  # noqa: S311  made-up names
    found = outcome()
    for number in range(CALLS):
        names = [f"{draw.getrandbits(64):x}" for _ in range(4)]
        service, model, prompt_version, tenant = names
        trace_id = f"{number:032x}"
        call = usage(
            trace_id=trace_id,
            service=service,
            request_model=model,
            prompt_version=prompt_version,
            groups=(tenant,),
            cost_usd=0.01,
        )
        metrics.observe_calls([Call(call)])
        subject = replace(
            found.subject, service=service, model=model, prompt_version=prompt_version
        )
        metrics.observe_outcomes([replace(found, trace_id=trace_id, subject=subject)])

    sets: dict[str, set[frozenset[tuple[str, str]]]] = defaultdict(set)
    totals: dict[str, float] = defaultdict(float)
    for family in registry.collect():
        for sample in family.samples:
            labels = {name: value for name, value in sample.labels.items() if name not in _BESIDES}
            sets[family.name].add(frozenset(labels.items()))
            totals[sample.name] += sample.value

    assert max(len(found) for found in sets.values()) <= LIMIT
    assert min(len(sets[name]) for name in ("assay_scores", "assay_llm_calls")) > LIMIT / 2
    assert totals["assay_llm_calls_total"] == CALLS
    assert totals["assay_scores_total"] == 3 * CALLS, "the evaluator's, of cost, of latency"
    for label in ("service", "model", "prompt_version"):
        # Whatever came when the room was full, of calls, of their scores and of the evaluator's.
        replaced = registry.get_sample_value("assay_label_overflow_total", {"label": label})
        assert replaced is not None
        assert 3 * (CALLS - LIMIT) <= replaced < 3 * CALLS
