"""The parts of the demo for a stack that is there already: `python -m workers.demo`.

    python -m workers.demo traffic --endpoint http://collector:4318
    python -m workers.demo judge --host 0.0.0.0 --port 8000

`compose.yaml` runs both in its profile `demo`. They end on SIGTERM or Ctrl-C.
"""

import argparse
import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import Coroutine, Sequence
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlsplit

from .judge import StandInJudge
from .setting import good_answers
from .traffic import Traffic

_DESCRIPTION = "The parts of the demo for a stack that is there already."
_TIMEOUT_S = 5.0
_CONTENT = {"Content-Type": "application/x-protobuf"}


class Exporter:
    """Sends each record to an OTLP/HTTP endpoint; what it does not take is counted and dropped.

    Args:
        host: Where the endpoint is.
        port: Its port.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._is_down = False
        self.dropped = 0

    def send(self, _: bytes, value: bytes) -> None:
        """Send one record; an outage is said once."""
        fault = self._post(value)
        where = f"{self._host}:{self._port}"
        if fault is not None:
            self.dropped += 1
            if not self._is_down:
                _say(f"{where} takes no spans ({fault}); they are dropped until it does")
        elif self._is_down:
            _say(f"{where} takes spans again; {self.dropped} records were dropped so far")
        self._is_down = fault is not None

    def _post(self, value: bytes) -> str | None:
        connection = HTTPConnection(self._host, self._port, timeout=_TIMEOUT_S)
        try:
            connection.request("POST", "/v1/traces", value, _CONTENT)
            reply = connection.getresponse()
            reply.read()
        except (OSError, HTTPException) as error:
            return str(error) or type(error).__name__
        finally:
            connection.close()
        return None if reply.status < 300 else f"status {reply.status}"  # noqa: PLR2004


async def send_traffic(
    exporter: Exporter, *, seconds: float, per_second: float, rounds: int
) -> None:
    """Send rounds of the demo's traffic: half-way through each, the bad prompt goes live.

    Args:
        exporter: Where it goes.
        seconds: Length of a round.
        per_second: Conversations a second.
        rounds: How many; 0 goes on until it is stopped.
    """
    done = 0
    while not rounds or done < rounds:
        # A seed of its own: response ids that come again would be duplicates, and not judged.
        traffic = Traffic(exporter.send, seed=time.time_ns())
        _say(f"support-bot answers with prompt v7 for {seconds / 2:.0f} s")
        await traffic.run(
            seconds,
            per_second,
            lambda: _say("support-bot has rolled out prompt v8, which evades many questions"),
        )
        done += 1


async def serve_judge(host: str, port: int) -> None:
    """Serve the stand-in judge until it is cancelled."""
    async with StandInJudge(good_answers(), host=host, port=port) as judge:
        _say(f"the stand-in judge, which is no model, answers at {judge.url}")
        await asyncio.Event().wait()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one part until it ends or is told to."""
    parser = argparse.ArgumentParser(prog="python -m workers.demo", description=_DESCRIPTION)
    parts = parser.add_subparsers(dest="part", required=True)
    traffic = parts.add_parser("traffic", help="send the traffic of two applications over OTLP")
    traffic.add_argument(
        "--endpoint", type=_address, default="http://127.0.0.1:4318", help="OTLP/HTTP"
    )
    traffic.add_argument("--seconds", type=float, default=1200, help="length of a round")
    traffic.add_argument("--rate", type=float, default=3, help="conversations a second")
    traffic.add_argument("--rounds", type=int, default=0, help="0: until it is stopped")
    judge = parts.add_parser("judge", help="serve the stand-in judge")
    judge.add_argument("--host", default="127.0.0.1")
    judge.add_argument("--port", type=int, default=8000)
    chosen = parser.parse_args(arguments)
    if chosen.part == "judge":
        asyncio.run(_until_stopped(serve_judge(chosen.host, chosen.port)))
        return
    exporter = Exporter(*chosen.endpoint)
    asyncio.run(
        _until_stopped(
            send_traffic(
                exporter,
                seconds=chosen.seconds,
                per_second=chosen.rate,
                rounds=chosen.rounds,
            )
        )
    )


def _address(endpoint: str) -> tuple[str, int]:
    parts = urlsplit(endpoint)
    if parts.scheme != "http" or not parts.hostname or parts.path.strip("/"):
        raise argparse.ArgumentTypeError(
            f'"{endpoint}" is no base address of OTLP over HTTP; write it as http://collector:4318'
        )
    return parts.hostname, parts.port or 4318


async def _until_stopped(part: Coroutine[Any, Any, None]) -> None:
    task = asyncio.ensure_future(part)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201  what a container logs


if __name__ == "__main__":
    main()
