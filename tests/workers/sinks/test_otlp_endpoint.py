"""Outcomes to an OTLP/HTTP endpoint, and what is said of one that misbehaves."""

import threading
import time
from collections.abc import Iterator, Sequence

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsPartialSuccess,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)
from support.otlp_server import OtlpServer, Reply
from support.processes import free_ports
from support.samples import outcome

from schemas.config import OtlpOutputConfig
from schemas.errors import ConfigError
from schemas.events import OutputResult
from workers.sinks.otlp_endpoint import SIGNALS, OtlpEndpoint

BATCH = [outcome(), outcome(evaluator="pii")]
SENT = [(OutputResult.SENT, 2, "")]
SILENCE_S = 0.3
AGAIN_AFTER_S = 0.1


@pytest.fixture
def server() -> Iterator[OtlpServer]:
    """An endpoint that takes everything, until it is told otherwise."""
    with OtlpServer() as one:
        yield one


def _export(
    url: str,
    signal: str = "log",
    closing: threading.Event | None = None,
    again_after_s: float = AGAIN_AFTER_S,
    **config: object,
) -> Sequence[tuple[OutputResult, int, str]]:
    settings = OtlpOutputConfig.model_validate({"endpoint": url, **config})
    endpoint = OtlpEndpoint(
        settings, SIGNALS[signal], again_after_s=again_after_s, silence_s=SILENCE_S
    )
    try:
        ended = endpoint.export(BATCH, closing or threading.Event())
        return [(each.result, each.count, each.error) for each in ended]
    finally:
        endpoint.close()


@pytest.mark.parametrize(("signal", "path"), [("log", "/v1/logs"), ("span", "/v1/traces")])
def test_a_batch_is_one_request(server: OtlpServer, signal: str, path: str) -> None:
    """It goes below the configured address, as protobuf, with the configured headers."""
    assert _export(f"{server.url}/otlp/", signal, headers={"X-Tenant": "a"}) == SENT
    (request,) = server.requests
    assert request.path == f"/otlp{path}"
    assert request.headers["Content-Type"] == "application/x-protobuf"
    assert request.headers["X-Tenant"] == "a"
    assert len([*server.logs(), *server.spans()]) == 2


@pytest.mark.parametrize("status", [400, 401, 404, 413, 500, 501])
def test_a_refusal_is_not_tried_again(server: OtlpServer, status: int) -> None:
    """OTLP says which answers may be; any other costs the batch, after one request."""
    server.reply = Reply(status)
    assert _export(server.url) == [(OutputResult.FAILED, 2, f"/v1/logs answers {status}")]
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_busy_endpoint_is_tried_once_more(server: OtlpServer, status: int) -> None:
    """Two requests, some time apart, and no third."""
    server.reply = Reply(status)
    assert _export(server.url) == [(OutputResult.FAILED, 2, f"/v1/logs answers {status}")]
    first, second = server.requests
    assert second.at - first.at >= AGAIN_AFTER_S


def test_what_is_taken_the_second_time_is_sent(server: OtlpServer) -> None:
    """A collector that restarts may miss one request and lose nothing."""
    server.first = [Reply(503)]
    assert _export(server.url) == SENT
    assert server.requests[0].body == server.requests[1].body


def test_a_redirect_is_not_followed(server: OtlpServer) -> None:
    """What is judged goes to the configured address and nowhere else."""
    with OtlpServer() as other:
        server.reply = Reply(307, headers={"Location": f"{other.url}/v1/logs"})
        (ended,) = _export(server.url)
        assert other.requests == []
    assert ended[0] is OutputResult.FAILED
    assert "redirects are not followed" in ended[2]


def test_nobody_there_is_a_failure() -> None:
    """A refused connection is told in a few words."""
    (port,) = free_ports(1)
    ((result, count, error),) = _export(f"http://127.0.0.1:{port}")
    assert (result, count) == (OutputResult.FAILED, 2)
    assert "refused" in error


def test_silence_is_a_failure(server: OtlpServer) -> None:
    """An endpoint that accepts and says nothing is given up, twice."""
    server.reply = Reply(after_s=30)
    began = time.monotonic()
    (ended,) = _export(server.url)
    assert ended[0] is OutputResult.FAILED
    assert time.monotonic() - began < 2 * SILENCE_S + AGAIN_AFTER_S + 1
    assert len(server.requests) == 2


def test_while_the_worker_stops_nothing_is_tried_again(server: OtlpServer) -> None:
    """Also one that waits for its second attempt then ends at once."""
    server.reply = Reply(503)
    closing = threading.Event()
    closing.set()
    (ended,) = _export(server.url, closing=closing, again_after_s=60)
    assert ended[0] is OutputResult.FAILED
    assert len(server.requests) == 1


def test_what_the_receiver_did_not_keep_is_rejected(server: OtlpServer) -> None:
    """A partial success counts each half for what it is, with the receiver's words."""
    logs = ExportLogsServiceResponse(
        partial_success=ExportLogsPartialSuccess(rejected_log_records=1, error_message="too old")
    )
    traces = ExportTraceServiceResponse(
        partial_success=ExportTracePartialSuccess(rejected_spans=2, error_message="full")
    )
    server.reply = Reply(body=logs.SerializeToString())
    assert _export(server.url) == [
        (OutputResult.SENT, 1, ""),
        (OutputResult.REJECTED, 1, "too old"),
    ]
    server.reply = Reply(body=traces.SerializeToString())
    assert _export(server.url, "span") == [(OutputResult.REJECTED, 2, "full")]


@pytest.mark.parametrize("body", [b'{"partialSuccess":{}}', b"\xff" * 100_000], ids=["json", "big"])
def test_an_answer_that_cannot_be_read_is_still_a_yes(server: OtlpServer, body: bytes) -> None:
    """The status decides; no more than 64 KiB of the answer are looked at."""
    server.reply = Reply(body=body)
    assert _export(server.url) == SENT


def test_the_environment_has_no_say(server: OtlpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy of the environment is not used: it would see explanations."""
    with OtlpServer() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        assert _export(server.url) == SENT
        assert proxy.requests == []


def test_an_address_that_is_none_is_a_config_error() -> None:
    """It is said at start, and names the key."""
    settings = OtlpOutputConfig(endpoint="http://a b\x7f")
    with pytest.raises(ConfigError, match=r"outputs\.otlp\.endpoint is no address"):
        OtlpEndpoint(settings, SIGNALS["log"])
