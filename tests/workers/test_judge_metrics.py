"""What judge clients tell."""

from prometheus_client import CollectorRegistry

from workers.judge_metrics import RESULTS, JudgeMetrics


def test_an_endpoint_starts_with_all_its_series() -> None:
    """The first failure of an endpoint is an increase, not a birth."""
    registry = CollectorRegistry()
    JudgeMetrics(registry, {}).start("judge.example")
    for result in RESULTS:
        labels = {"endpoint": "judge.example", "result": result}
        assert registry.get_sample_value("assay_judge_requests_total", labels) == 0
    labels = {"endpoint": "judge.example"}
    assert registry.get_sample_value("assay_judge_breaker_open", labels) == 0
