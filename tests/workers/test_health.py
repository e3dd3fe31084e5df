"""Probes and metrics over HTTP."""

import gzip
import socket
from collections.abc import Iterator
from http.client import HTTPConnection

import orjson
import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram

from schemas.errors import ConfigError
from workers.health import _MAX_CONNECTIONS, Health, HealthServer, serve


class _Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> _Clock:
    """A clock that stands still."""
    return _Clock()


@pytest.fixture
def health(clock: _Clock) -> Health:
    """Nothing has happened yet."""
    return Health(clock)


@pytest.fixture
def registry() -> CollectorRegistry:
    """A counter and a histogram with an exemplar."""
    registry = CollectorRegistry()
    Counter("assay_things", "Things.", registry=registry).inc()
    histogram = Histogram("assay_score", "Scores.", buckets=(0.5, 1.0), registry=registry)
    histogram.observe(0.25, {"trace_id": "a" * 32})
    return registry


@pytest.fixture
def server(registry: CollectorRegistry, health: Health) -> Iterator[HealthServer]:
    """A server on a free port."""
    server = serve("127.0.0.1", 0, registry, health)
    yield server
    server.close()


def _get(
    server: HealthServer, path: str, method: str = "GET", **headers: str
) -> tuple[int, str, bytes]:
    connection = HTTPConnection("127.0.0.1", server.port, timeout=5)
    try:
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        return response.status, response.headers["Content-Type"], response.read()
    finally:
        connection.close()


def test_a_worker_lives_while_all_that_beat_keep_beating(clock: _Clock, health: Health) -> None:
    """One silent poll thread is enough; one that ended as it should is not."""
    health.beat("loop")
    health.beat("poll code")
    clock.now += 29
    health.beat("loop")
    assert health.liveness() == {}
    clock.now += 2
    assert health.liveness() == {"poll code": "no heartbeat for 31 s"}
    health.retire("poll code")
    assert health.liveness() == {}


def test_a_worker_is_ready_when_every_check_holds(health: Health) -> None:
    """Before the first check it is starting; a drain ends readiness and not life."""
    assert health.readiness() == {"worker": "starting"}
    health.set_ready("lane code", ok=False, why="has no partitions yet")
    health.set_ready("producer", ok=True)
    assert health.readiness() == {"lane code": "has no partitions yet"}
    health.set_ready("lane code", ok=True)
    assert health.readiness() == {}
    health.draining()
    assert health.readiness() == {"worker": "draining"}
    assert health.liveness() == {}


def test_probes_list_what_fails(server: HealthServer, health: Health) -> None:
    """503 and the failing checks, 200 and none."""
    health.set_ready("producer", ok=False, why="no broker")
    status, content_type, body = _get(server, "/readyz")
    assert (status, content_type) == (503, "application/json")
    assert orjson.loads(body) == {
        "status": "failing",
        "failing": [{"check": "producer", "why": "no broker"}],
    }
    health.set_ready("producer", ok=True)
    assert _get(server, "/readyz?verbose")[0] == 200
    assert orjson.loads(_get(server, "/livez")[2]) == {"status": "ok", "failing": []}


def test_metrics_come_in_the_format_that_is_asked_for(server: HealthServer) -> None:
    """Text by default; OpenMetrics, with exemplars, to whoever accepts it."""
    status, content_type, body = _get(server, "/metrics")
    assert status == 200
    assert content_type.startswith("text/plain")
    assert b"assay_things_total 1.0" in body
    assert b"trace_id" not in body
    _, content_type, body = _get(
        server, "/metrics", Accept="application/openmetrics-text;version=1.0.0"
    )
    assert content_type.startswith("application/openmetrics-text")
    assert b'# {trace_id="' in body
    assert body.endswith(b"# EOF\n")


def test_metrics_are_compressed_on_request(server: HealthServer) -> None:
    """A large registry should not cost the network."""
    _, _, body = _get(server, "/metrics", **{"Accept-Encoding": "gzip"})
    assert b"assay_things_total 1.0" in gzip.decompress(body)


def test_other_paths_and_methods_are_refused(server: HealthServer) -> None:
    """Nothing else is served; HEAD has no body."""
    assert _get(server, "/etc/passwd")[0] == 404
    assert _get(server, "/metrics", "POST")[0] == 501
    assert _get(server, "/livez", "HEAD")[2] == b""


def test_a_port_in_use_is_a_clear_error(server: HealthServer, health: Health) -> None:
    """The message names address, fault and remedy."""
    with pytest.raises(ConfigError) as error:
        serve("127.0.0.1", server.port, CollectorRegistry(), health)
    assert str(error.value) == (
        f'metrics: cannot listen on "127.0.0.1:{server.port}": address already in use; '
        "set metrics.host and metrics.port (or --metrics-port) to a free address of this machine"
    )


def test_an_unknown_host_is_a_clear_error(health: Health) -> None:
    """So is an address that is not this machine's."""
    with pytest.raises(ConfigError, match=r'cannot listen on "192\.0\.2\.1:0"'):
        serve("192.0.2.1", 0, CollectorRegistry(), health)


def test_silent_clients_cannot_take_all_threads(server: HealthServer) -> None:
    """Beyond the bound a connection is closed at once, and room comes back when they go."""
    held = [
        socket.create_connection(("127.0.0.1", server.port), timeout=5)
        for _ in range(_MAX_CONNECTIONS)
    ]
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as refused:
        assert refused.recv(1) == b""
    for each in held:
        each.close()
    for _ in range(50):
        try:
            status = _get(server, "/livez")[0]
        except OSError:
            continue
        assert status == 200
        break
    else:
        pytest.fail("no room came back")


def test_a_client_that_goes_away_is_no_error(
    server: HealthServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """Half a request leaves no trace in the output, and the server goes on."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as client:
        client.sendall(b"GET /met")
    assert _get(server, "/livez")[0] == 200
    assert capsys.readouterr().err == ""
