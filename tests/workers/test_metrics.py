"""The registry of a worker as a whole."""

import re

from prometheus_client import CollectorRegistry, generate_latest
from support.samples import config, outcome

from schemas.events import Output, OutputResult
from schemas.reasons import DeadLetterReason, Reason
from workers.metrics import Metrics


def test_series_with_known_labels_exist_from_the_start() -> None:
    """Every reason of every evaluator, every dead-letter reason and every lane is there, at 0."""
    registry = CollectorRegistry()
    Metrics(registry, config(), lanes=("code", "judge"))

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(name, labels)

    for evaluator in ("toxicity", "pii"):
        assert value("assay_outcomes_total", evaluator=evaluator, outcome="scored", reason="") == 0
        for reason in Reason:
            labels = {"outcome": reason.status.value, "reason": reason.value}
            assert value("assay_outcomes_total", evaluator=evaluator, **labels) == 0
    for letter in DeadLetterReason:
        assert value("assay_dead_letters_total", reason=letter.value) == 0
    for lane in ("code", "judge"):
        assert value("assay_in_flight", lane=lane) == 0
        assert value("assay_records_total", lane=lane) == 0
        assert value("assay_evaluations_repeated_total", lane=lane) == 0
        assert value("assay_oldest_unfinished_age_seconds", lane=lane) == 0
    assert value("assay_route_failures_total", route="support") == 0
    for output in Output:
        for result in OutputResult:
            labels = {"output": output.value, "result": result.value}
            assert value("assay_output_outcomes_total", **labels) == 0
    assert value("assay_own_spans_total") == 0


def test_every_metric_says_what_it_means() -> None:
    """Names follow one scheme, and help is a whole sentence."""
    registry = CollectorRegistry()
    Metrics(registry, config())
    families = [family for family in registry.collect() if family.name.startswith("assay_")]
    assert len(families) > 30
    for family in families:
        assert re.fullmatch(r"assay(_[a-z]+)+", family.name)
        assert re.fullmatch(r"[A-Z].{15,}\.", family.documentation), family.name


def test_conservation_can_be_read_off_the_metrics() -> None:
    """Outcomes of whatever kind add up to what was published."""
    registry = CollectorRegistry()
    metrics = Metrics(registry, config())
    metrics.observe_outcomes([outcome(), *(outcome(reason=reason) for reason in Reason)])
    total = sum(
        sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.name == "assay_outcomes_total"
    )
    assert total == 1 + len(Reason)


def test_text_of_a_span_cannot_break_the_page() -> None:
    """A service name with a line break and half a surrogate pair is shown, escaped."""
    registry = CollectorRegistry()
    Metrics(registry, config()).observe_outcomes([outcome(service='a"\n\ud800')])
    assert b'service="a\\"\\n?"' in generate_latest(registry)


def test_a_worker_says_which_version_it_is() -> None:
    """The build info is there, and so is the process's memory."""
    registry = CollectorRegistry()
    Metrics(registry, config())
    page = generate_latest(registry).decode()
    assert re.search(r'assay_build_info\{version="\d+\.\d+\.\d+"\} 1.0', page)
    assert "process_resident_memory_bytes" in page


def test_matches_are_counted_by_route() -> None:
    """A selected span counts once for each route."""
    registry = CollectorRegistry()
    metrics = Metrics(registry, config())
    metrics.observe_matches(["support"])
    assert registry.get_sample_value("assay_route_matches_total", {"route": "support"}) == 1
