"""Fixtures with real parts: a mock cluster, Apache Kafka, a collector, libraries of metrics.

All are made when a test first asks for them. A part that this machine cannot run skips its tests
with one line that says what is missing; where `CI=true` it fails them, so that a green build means
that everything ran.
"""

import os
from collections.abc import Callable, Generator, Iterator
from typing import NoReturn

import pytest
from hypothesis import HealthCheck, settings
from support.collector import Collector
from support.kafka import KafkaServer, libraries
from support.metric_libraries import MetricLibrary
from support.processes import Unavailable

from workers.demo.broker import MockCluster

# How long an example takes says how busy the machine is, nothing about the code.
settings.register_profile(
    "assay", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("assay")

# The first test that needs a part also waits until it is fetched, started and ready.
_TIMEOUT_WITH_KAFKA_S = 400
_MISSING = "a real part is missing: "


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test by the real parts it uses, which no author can so forget; slow ones first."""
    for item in items:
        fixtures: list[str] = getattr(item, "fixturenames", [])
        if "collector" in fixtures:
            item.add_marker("collector")
        if "kafka" in fixtures:
            item.add_marker("kafka")
        # The mark may also be set by hand, where a parameter decides which fixture is used.
        if item.get_closest_marker("kafka") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(_TIMEOUT_WITH_KAFKA_S))
    # A file runs in one process: those that take long begin first, or all wait for the last one.
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the end of Kafka's log with a failed test; say once what is missing for skipped ones."""
    report = yield
    server = getattr(item, "funcargs", {}).get("kafka")
    if report.failed and isinstance(server, KafkaServer):
        report.sections.append(("Apache Kafka", server.log_tail()))
    if report.skipped and isinstance(report.longrepr, tuple) and _MISSING in report.longrepr[2]:
        line = _cannot_run.__code__.co_firstlineno
        report.longrepr = (__file__, line, report.longrepr[2])  # pytest folds what is alike
    return report


@pytest.fixture(scope="session")
def kafka() -> Iterator[KafkaServer]:
    """One Apache Kafka for the whole run; each test takes topics and groups of its own."""
    try:
        jars = libraries()
    except Unavailable as error:
        _cannot_run(error)
    server = KafkaServer(jars)
    yield server
    server.close()


@pytest.fixture(autouse=True)
def _kafka_is_up(request: pytest.FixtureRequest) -> None:
    """Start Kafka again where the test before has killed or stopped it."""
    if request.node.get_closest_marker("kafka"):
        server: KafkaServer = request.getfixturevalue("kafka")
        server.start()


@pytest.fixture
def mock_cluster() -> Iterator[MockCluster]:
    """A mock cluster of one broker, new for each test."""
    with MockCluster() as cluster:
        yield cluster


@pytest.fixture
def collector(kafka: KafkaServer) -> Iterator[Callable[[str], Collector]]:
    """Call it with the name of a topic: a collector that writes there, stopped after the test."""
    started: list[Collector] = []

    def start(topic: str) -> Collector:
        try:
            one = Collector(kafka.bootstrap_servers, topic)
        except Unavailable as error:
            _cannot_run(error)
        started.append(one)
        return one

    yield start
    for one in started:
        one.close()


@pytest.fixture
def metric_library() -> Callable[[str], MetricLibrary]:
    """Call it with an extra of ours: the library in an environment of its own."""

    def get(extra: str) -> MetricLibrary:
        try:
            return MetricLibrary(extra)
        except Unavailable as error:
            _cannot_run(error)

    return get


def _cannot_run(error: Unavailable) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(f"{error} (skipped elsewhere, needed where CI=true)", pytrace=False)
    pytest.skip(f"{_MISSING}{error}")
