"""A real OpenTelemetry collector for tests: rotel, from its wheel; OTLP in, Kafka out.

It writes one message a batch with an empty key, whatever traces are in it: right for the path of
spans, no use for tests of whole traces.
"""

import importlib.util
import os
import shutil
import socket
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from support.processes import StartFailed, Unavailable, free_ports, last_lines, spawn, stop

_READY_TIMEOUT_S = 20


def executable() -> Path:
    """Return the collector's program.

    Raises:
        Unavailable: The package `rotel` is not installed; it has wheels for Linux only.
    """
    spec = importlib.util.find_spec("rotel")
    agent = Path(spec.origin).with_name("rotel-agent") if spec and spec.origin else None
    if agent is None or not agent.exists():
        raise Unavailable("the collector is not installed; run `make setup` (Linux only)")
    return agent


class Collector:
    """A collector that writes the traces it gets to one topic; a context manager.

    Attributes:
        endpoint: Base URL for OTLP/HTTP; traces go to `<endpoint>/v1/traces`.
    """

    def __init__(self, bootstrap_servers: str, topic: str, *, port: int = 0) -> None:
        """Start it; returns when it listens.

        Args:
            bootstrap_servers: Where Kafka is.
            topic: The topic for traces, which must exist.
            port: Where OTLP/HTTP is taken, such as that of one that was closed; 0 is a free one.

        Raises:
            Unavailable: The program is not installed.
            StartFailed: It was not ready in time; the message has the end of its log.
        """
        agent = executable()
        free_port, grpc_port = free_ports(2)
        http_port = port or free_port
        self.endpoint = f"http://127.0.0.1:{http_port}"
        self._folder = Path(tempfile.mkdtemp(prefix="assay-collector-"))
        self._log = self._folder / "agent.log"
        command = [
            *(str(agent), "start"),
            *("--otlp-http-endpoint", f"127.0.0.1:{http_port}"),
            *("--otlp-grpc-endpoint", f"127.0.0.1:{grpc_port}"),
            *("--pid-file", str(self._folder / "agent.pid")),
            *("--exporter", "kafka", "--kafka-exporter-acks", "all"),
            *("--kafka-exporter-brokers", bootstrap_servers),
            *("--kafka-exporter-traces-topic", topic),
        ]
        # Every flag has a twin in the environment, which must not decide a test.
        env = {name: value for name, value in os.environ.items() if not name.startswith("ROTEL_")}
        self._process = spawn(command, log=self._log, env=env)
        try:
            self._wait_until_it_listens(http_port)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Stop it; what it has not written yet is flushed first."""
        stop(self._process)
        shutil.rmtree(self._folder, ignore_errors=True)

    def log_tail(self) -> str:
        """Return the last lines of its log, indented."""
        return last_lines(self._log)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _wait_until_it_listens(self, port: int) -> None:
        deadline = time.monotonic() + _READY_TIMEOUT_S
        while self._process.poll() is None and time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
            except OSError:
                time.sleep(0.05)  # noqa: TID251  a test waits for another process
            else:
                return
        raise StartFailed(f"the collector does not listen; its last lines:\n{self.log_tail()}")
