"""An OTLP/HTTP endpoint on loopback that keeps what it gets, and can be told to misbehave."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span


@dataclass(frozen=True)
class Reply:
    """How a request is answered."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    after_s: float = 0.0
    """Silence before the answer; a closed server answers at once."""


@dataclass(frozen=True)
class Received:
    """One request."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    at: float
    """Monotonic seconds."""


class OtlpServer:
    """The endpoint; a context manager.

    Attributes:
        url: Its base address.
        reply: How it answers; may be changed at any time.
        first: How it answers before that, each once.
        requests: What it got, in order.
    """

    def __init__(self, port: int = 0) -> None:
        self.reply = Reply()
        self.first: list[Reply] = []
        self.requests: list[Received] = []
        self._closing = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._closing.set()
        self._server.shutdown()
        self._thread.join(5)
        self._server.server_close()

    def paths(self) -> list[str]:
        """Path of each request."""
        return [request.path for request in self.requests]

    def logs(self) -> list[LogRecord]:
        """All log records it got."""
        exports = [ExportLogsServiceRequest.FromString(body) for body in self._bodies("/v1/logs")]
        return [
            record
            for export in exports
            for resource in export.resource_logs
            for scope in resource.scope_logs
            for record in scope.log_records
        ]

    def spans(self) -> list[Span]:
        """All spans it got."""
        exports = [
            ExportTraceServiceRequest.FromString(body) for body in self._bodies("/v1/traces")
        ]
        return [
            span
            for export in exports
            for resource in export.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def _bodies(self, path: str) -> list[bytes]:
        return [request.body for request in self.requests if request.path.endswith(path)]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                received = Received(self.path, dict(self.headers), body, time.monotonic())
                server.requests.append(received)
                reply = server.first.pop(0) if server.first else server.reply
                if reply.after_s and server._closing.wait(reply.after_s):
                    self.close_connection = True
                    return
                try:
                    self.send_response(reply.status)
                    for name, value in reply.headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(reply.body)))
                    self.end_headers()
                    self.wfile.write(reply.body)
                except OSError:  # the client did not wait
                    self.close_connection = True

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  its name
                """Write nothing."""

        return Handler
