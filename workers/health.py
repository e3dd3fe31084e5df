"""`/livez`, `/readyz` and `/metrics`, from a thread of their own: a blocked loop is still seen.

Liveness asks only whether our own threads move, never whether Kafka or a judge is there: a restart
repairs neither.
"""

import gzip
import sys
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socket import AF_INET, AF_INET6, socket
from socketserver import TCPServer, ThreadingMixIn

import orjson
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from schemas.errors import ConfigError

_MAX_SILENCE_S = 30.0
_CLIENT_TIMEOUT_S = 10.0
_MAX_CONNECTIONS = 16


class Health:
    """What the probes answer; safe for use by several threads.

    Args:
        clock: Monotonic seconds.
        max_silence_s: A heartbeat that is older makes the worker not live.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, max_silence_s: float = _MAX_SILENCE_S
    ) -> None:
        self._clock = clock
        self._max_silence_s = max_silence_s
        self._lock = threading.Lock()
        self._beats: dict[str, float] = {}
        self._notes: dict[str, str] = {}
        self._faults: dict[str, str] = {}
        self._checks: dict[str, str | None] = {}
        self._is_draining = False

    def beat(self, name: str) -> None:
        """A thread or loop says that it moves; from its first beat on it has to."""
        with self._lock:
            self._beats[name] = self._clock()

    def retire(self, name: str) -> None:
        """A thread ended as it should, and beats no more."""
        with self._lock:
            self._beats.pop(name, None)
            self._notes.pop(name, None)

    def note(self, name: str, why: str) -> None:
        """Say why a heartbeat may be late, for whoever reads that it is; empty: not known."""
        with self._lock:
            self._notes[name] = f", {why}" if why else ""

    def set_alive(self, check: str, ok: bool, why: str = "") -> None:
        """Set one further condition of liveness; `why` says what only a restart repairs."""
        with self._lock:
            if ok:
                self._faults.pop(check, None)
            else:
                self._faults[check] = why or "failed"

    def set_ready(self, check: str, ok: bool, why: str = "") -> None:
        """Set one condition of readiness; `why` says what is missing."""
        with self._lock:
            self._checks[check] = None if ok else why or "not ready"

    def draining(self) -> None:
        """The worker stops: alive, but not ready any more."""
        with self._lock:
            self._is_draining = True

    def liveness(self) -> dict[str, str]:
        """What fails, by heartbeat or condition; empty where the worker is alive."""
        with self._lock:
            now = self._clock()
            silences = {name: now - at for name, at in self._beats.items()}
            silent = {
                name: f"no heartbeat for {silence:.0f} s{self._notes.get(name, '')}"
                for name, silence in silences.items()
                if silence > self._max_silence_s
            }
            return {**self._faults, **silent}

    def readiness(self) -> dict[str, str]:
        """What fails, by check; empty where the worker is ready."""
        with self._lock:
            if self._is_draining:
                return {"worker": "draining"}
            if not self._checks:
                return {"worker": "starting"}
            return {check: why for check, why in self._checks.items() if why is not None}


class HealthServer:
    """A listening server; `close` stops it."""

    def __init__(self, server: "_Server") -> None:
        self._server = server
        self.port: int = server.server_address[1]
        self._thread = threading.Thread(
            target=server.serve_forever, kwargs={"poll_interval": 0.1}, name="health", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def serve(host: str, port: int, registry: CollectorRegistry, health: Health) -> HealthServer:
    """Serve probes and metrics until `close`.

    Args:
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one, see `HealthServer.port`.
        registry: What `/metrics` shows.
        health: What the probes answer.

    Raises:
        ConfigError: The address cannot be listened on.
    """
    try:
        return HealthServer(_Server(host, port, registry, health))
    except OSError as error:
        fault = (error.strerror or str(error)).lower()
        raise ConfigError(
            f'metrics: cannot listen on "{host}:{port}": {fault}; set metrics.host and '
            "metrics.port (or --metrics-port) to a free address of this machine",
            key="metrics.port",
        ) from error


class _Server(ThreadingMixIn, TCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, host: str, port: int, registry: CollectorRegistry, health: Health) -> None:
        self.address_family = AF_INET6 if ":" in host else AF_INET
        self.registry = registry
        self.health = health
        # A client that opens connections and says nothing must not take all threads there are.
        self._free = threading.BoundedSemaphore(_MAX_CONNECTIONS)
        super().__init__((host, port), _Handler)

    def process_request(
        self, request: socket | tuple[bytes, socket], client_address: object
    ) -> None:
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(
        self, request: socket | tuple[bytes, socket], client_address: object
    ) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: socket | tuple[bytes, socket], client_address: object) -> None:
        """A client that goes away, or says nothing, is its own affair; the rest is shown."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = _CLIENT_TIMEOUT_S
    server_version = "assay"
    sys_version = ""

    def do_GET(self) -> None:
        match self.path.partition("?")[0]:
            case "/livez":
                self._probe(self.server.health.liveness())
            case "/readyz":
                self._probe(self.server.health.readiness())
            case "/metrics":
                self._metrics()
            case _:
                self._answer(HTTPStatus.NOT_FOUND, "text/plain", b"not found\n")

    do_HEAD = do_GET  # noqa: N815  the base class's name

    def _probe(self, failing: dict[str, str]) -> None:
        body = {
            "status": "failing" if failing else "ok",
            "failing": [{"check": check, "why": why} for check, why in failing.items()],
        }
        status = HTTPStatus.SERVICE_UNAVAILABLE if failing else HTTPStatus.OK
        self._answer(status, "application/json", orjson.dumps(body) + b"\n")

    def _metrics(self) -> None:
        # Exemplars, and when a series was created, are in OpenMetrics only; Prometheus asks for it.
        encode, content_type = choose_encoder(self.headers.get("Accept", ""))
        body = encode(self.server.registry)
        if "gzip" in self.headers.get("Accept-Encoding", ""):
            self._answer(HTTPStatus.OK, content_type, gzip.compress(body, 1), encoding="gzip")
        else:
            self._answer(HTTPStatus.OK, content_type, body)

    def _answer(
        self, status: HTTPStatus, content_type: str, body: bytes, encoding: str | None = None
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        if encoding:
            self.send_header("Content-Encoding", encoding)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's name
        """Probes come every few seconds; they are no news."""
