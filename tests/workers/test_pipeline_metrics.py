"""What the lanes tell about themselves."""

from prometheus_client import CollectorRegistry

from workers.pipeline_metrics import PipelineMetrics


def test_age_grows_while_nobody_reports() -> None:
    """A blocked loop cannot freeze the age of the oldest unfinished record."""
    now = 1000.0
    registry = CollectorRegistry()
    metrics = PipelineMetrics(registry, lanes=["code"], routes=[], clock=lambda: now)

    def age() -> float | None:
        return registry.get_sample_value("assay_oldest_unfinished_age_seconds", {"lane": "code"})

    metrics.set_oldest_unfinished("code", 990.0)
    assert age() == 10
    now = 1060.0
    assert age() == 70
    metrics.set_oldest_unfinished("code", None)
    assert age() == 0


def test_partitions_that_went_away_leave_no_series() -> None:
    """A series that stood still would look like a partition that nobody reads."""
    registry = CollectorRegistry()
    metrics = PipelineMetrics(registry, lanes=["code", "judge"], routes=[])

    def lag(lane: str, partition: int) -> float | None:
        labels = {"lane": lane, "topic": "t", "partition": str(partition)}
        return registry.get_sample_value("assay_partition_lag", labels)

    metrics.set_partitions("code", {("t", 0): (5, 9), ("t", 1): (3, 3)})
    metrics.set_partitions("judge", {("t", 0): (1, 9)})
    assert (lag("code", 0), lag("code", 1), lag("judge", 0)) == (4, 0, 8)
    metrics.set_partitions("code", {("t", 1): (4, 4)})
    assert (lag("code", 0), lag("code", 1), lag("judge", 0)) == (None, 0, 8)
    labels = {"lane": "code", "topic": "t", "partition": "1"}
    assert registry.get_sample_value("assay_partition_offset", labels) == 4


def test_what_is_in_flight_is_shown_by_lane() -> None:
    """Count and bytes."""
    registry = CollectorRegistry()
    PipelineMetrics(registry, lanes=["code", "judge"], routes=[]).set_in_flight("judge", 7, 4096)
    assert registry.get_sample_value("assay_in_flight", {"lane": "judge"}) == 7
    assert registry.get_sample_value("assay_in_flight_bytes", {"lane": "judge"}) == 4096
    assert registry.get_sample_value("assay_in_flight", {"lane": "code"}) == 0
