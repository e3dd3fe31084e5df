"""A real Prometheus and a real Alertmanager for tests, and their tools.

They are those on the PATH, or another one that a variable names, such as `ASSAY_PROMTOOL`.
"""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

from support.processes import StartFailed, Unavailable, free_ports, last_lines, spawn, stop

# Debian calls the program prometheus-alertmanager, everybody else alertmanager.
_NAMES = {"alertmanager": ("alertmanager", "prometheus-alertmanager")}
_READY_TIMEOUT_S = 30
_REQUEST_TIMEOUT_S = 30
_TOOL_TIMEOUT_S = 600


def find(program: str) -> str:
    """Return the path of `prometheus`, `promtool`, `alertmanager` or `amtool`.

    Raises:
        Unavailable: It is not on the PATH, or not where its variable says.
    """
    variable = f"ASSAY_{program.upper()}"
    named = os.environ.get(variable)
    for name in (named,) if named else _NAMES.get(program, (program,)):
        path = shutil.which(name)
        if path is not None:
            return path
    raise Unavailable(
        f"{variable}={named} is no program; name one, or unset it to take what is on the PATH"
        if named
        else f"{program} is not on the PATH; install prometheus and prometheus-alertmanager"
    )


def run_tool(
    program: str, *arguments: str, timeout_s: float = _TOOL_TIMEOUT_S
) -> subprocess.CompletedProcess[str]:
    """Run `promtool` or `amtool` to its end; its exit status is the caller's to judge.

    Raises:
        Unavailable: It is not on the PATH.
    """
    return subprocess.run(
        [find(program), *arguments],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        timeout=timeout_s,
    )


def create_blocks(openmetrics: Path, folder: Path) -> None:
    """Turn a file of samples with times into history that a server started later finds.

    Args:
        openmetrics: OpenMetrics text that ends with `# EOF`; times are Unix seconds. Samples of
            the last three hours should be scraped, not backfilled: a server accepts both, but
            compacts such a block late.
        folder: The folder that `Prometheus` is given; the blocks go below it.

    Raises:
        Unavailable: promtool is not on the PATH.
        RuntimeError: promtool refused the file; the message is what it said.
    """
    data = folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    ended = run_tool(
        "promtool", "tsdb", "create-blocks-from", "openmetrics", "-q", str(openmetrics), str(data)
    )
    if ended.returncode != 0:
        raise RuntimeError(f"promtool refused {openmetrics.name}: {ended.stderr or ended.stdout}")


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample of a query's result.

    Attributes:
        labels: With `__name__`, where the result has a name.
        value: The value.
        time_s: Unix seconds.
    """

    labels: dict[str, str]
    value: float
    time_s: float


class _Server:
    """A program that serves HTTP on 127.0.0.1; a context manager.

    Attributes:
        port: Where it listens.
        url: Its base address.
    """

    name = ""

    def __init__(self, folder: Path, command: Sequence[str], port: int) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self._log = folder / f"{self.name}.log"
        self._process = spawn(command, log=self._log)
        try:
            self._wait_until_ready()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Stop it; its data stays in the folder."""
        stop(self._process)

    def reload(self) -> None:
        """Make it read its configuration again."""
        self._request("/-/reload", method="POST")

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

    def _get(self, path: str, **parameters: str) -> Any:
        query = urlencode(parameters)
        return json.loads(self._request(f"{path}?{query}" if query else path))

    def _request(self, path: str, *, method: str = "GET", body: bytes | None = None) -> bytes:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=_REQUEST_TIMEOUT_S)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"})
            reply = connection.getresponse()
            content = reply.read()
        finally:
            connection.close()
        if reply.status >= HTTPStatus.BAD_REQUEST:
            text = content.decode(errors="replace")
            raise RuntimeError(f"{self.name} answers {reply.status} to {path}: {text}")
        return content

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _READY_TIMEOUT_S
        while self._process.poll() is None and time.monotonic() < deadline:
            try:
                self._request("/-/ready")
            except (OSError, RuntimeError):
                time.sleep(0.05)  # noqa: TID251  a test waits for another process
            else:
                return
        raise StartFailed(f"{self.name} is not ready; its last lines:\n{self.log_tail()}")


class Prometheus(_Server):
    """A Prometheus server; a context manager.

    Its folder holds `prometheus.yml`, the data and the log; rule files named by the configuration
    with a relative path start there. Exemplars are stored.
    """

    name = "prometheus"

    def __init__(self, folder: Path, config_text: str, *, arguments: Sequence[str] = ()) -> None:
        """Start it; returns when it answers queries.

        Args:
            folder: Where configuration, data and log go; history made by `create_blocks` is found.
            config_text: Content of `prometheus.yml`.
            arguments: Further command line flags.

        Raises:
            Unavailable: The program is not installed.
            StartFailed: It was not ready in time; the message has the end of its log.
        """
        program = find("prometheus")
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "prometheus.yml"
        config.write_text(config_text)
        (port,) = free_ports(1)
        command = [
            program,
            f"--config.file={config}",
            f"--storage.tsdb.path={folder / 'data'}",
            "--storage.tsdb.retention.time=10y",  # backfilled history is never too old
            f"--web.listen-address=127.0.0.1:{port}",
            "--web.enable-lifecycle",
            "--enable-feature=exemplar-storage",
            *arguments,
        ]
        super().__init__(folder, command, port)

    def query(self, expr: str, at: float | None = None) -> list[Sample]:
        """Ask an instant query.

        Args:
            expr: PromQL that gives a vector or a scalar.
            at: Unix seconds; None is now.

        Raises:
            RuntimeError: The server refused it; the message is what it said.
        """
        moment = {} if at is None else {"time": f"{at:.3f}"}
        data = self._get("/api/v1/query", query=expr, **moment)["data"]
        if data["resultType"] == "scalar":
            time_s, value = data["result"]
            return [Sample({}, float(value), float(time_s))]
        return [
            Sample(row["metric"], float(row["value"][1]), float(row["value"][0]))
            for row in data["result"]
        ]

    def query_range(self, expr: str, start: float, end: float, step_s: float) -> list[list[Sample]]:
        """Ask a query over time: one list of samples for each series.

        Raises:
            RuntimeError: The server refused it; the message is what it said.
        """
        data = self._get(
            "/api/v1/query_range",
            query=expr,
            start=f"{start:.3f}",
            end=f"{end:.3f}",
            step=f"{step_s:g}",
        )["data"]
        return [
            [Sample(row["metric"], float(value), float(time_s)) for time_s, value in row["values"]]
            for row in data["result"]
        ]

    def alerts(self) -> list[dict[str, Any]]:
        """Return its alerts, pending or firing: labels, annotations, state, activeAt, value."""
        alerts: list[dict[str, Any]] = self._get("/api/v1/alerts")["data"]["alerts"]
        return alerts

    def rules(self) -> list[dict[str, Any]]:
        """Return its rule groups, each rule with its health and last error."""
        groups: list[dict[str, Any]] = self._get("/api/v1/rules")["data"]["groups"]
        return groups

    def exemplars(self, selector: str, start: float, end: float) -> list[dict[str, Any]]:
        """Return the exemplars of series between two times, as its API gives them."""
        data: list[dict[str, Any]] = self._get(
            "/api/v1/query_exemplars", query=selector, start=f"{start:.3f}", end=f"{end:.3f}"
        )["data"]
        return data


class Alertmanager(_Server):
    """An Alertmanager without peers; a context manager."""

    name = "alertmanager"

    def __init__(self, folder: Path, config_text: str, *, arguments: Sequence[str] = ()) -> None:
        """Start it; returns when it is ready.

        Args:
            folder: Where configuration, data and log go; templates that the configuration names
                with a relative path start there.
            config_text: Content of `alertmanager.yml`.
            arguments: Further command line flags.

        Raises:
            Unavailable: The program is not installed.
            StartFailed: It was not ready in time; the message has the end of its log.
        """
        program = find("alertmanager")
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "alertmanager.yml"
        config.write_text(config_text)
        (port,) = free_ports(1)
        command = [
            program,
            f"--config.file={config}",
            f"--storage.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--cluster.listen-address=",
            *arguments,
        ]
        super().__init__(folder, command, port)

    def alerts(self) -> list[dict[str, Any]]:
        """Return what it holds, silenced and inhibited alerts too (`status.state`)."""
        alerts: list[dict[str, Any]] = self._get("/api/v2/alerts")
        return alerts

    def send(self, alerts: Sequence[dict[str, Any]]) -> None:
        """Give it alerts as Prometheus would: each with labels and perhaps annotations."""
        self._request("/api/v2/alerts", method="POST", body=json.dumps(alerts).encode())
