"""A judge in a process of its own, whose faults are switched on and off from outside.

As a process it takes the name of a fault on each line of stdin and answers with the calls so far.
"""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))

from support.judge_server import Action, Call, Hang, JudgeServer, Status

NONE = "none"
FAULTS = ("429", "500", "brown_out", "hang", "down", "slow")
_LATENCY_S = 0.1
_SLOW_S = 2.0
_ONE_IN = 5


class FaultyJudge:
    """The judge as its user sees it; a context manager.

    Attributes:
        url: Base URL for the config.
    """

    def __init__(self, latency_s: float = _LATENCY_S) -> None:
        """Start it; returns when it listens."""
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(latency_s)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.url = f"http://127.0.0.1:{self._read()}/v1"

    def switch(self, fault: str) -> int:
        """Let one fault take the place of the one before; how many calls came until now."""
        assert self._process.stdin is not None
        self._process.stdin.write(fault + "\n")
        self._process.stdin.flush()
        return self._read()

    def calls(self) -> int:
        """How many requests it received."""
        return self.switch("")

    def _read(self) -> int:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the judge has ended"
        return int(json.loads(line))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.communicate(timeout=20)  # it ends with its stdin


def _act(fault: str, call: Call) -> Action:
    match fault:
        case "429":
            return Status(429, {"error": {"message": "slow down"}}, {"retry-after": "1"})
        case "500":
            return Status(500, {"error": {"message": "out of order"}})
        case "brown_out" if call.index % _ONE_IN == 0:
            return Status(503, {"error": {"message": "overloaded"}})
        case "hang":
            return Hang()
        case _:
            return None


async def _main(latency_s: float) -> None:
    server = JudgeServer(latency_s=latency_s, keep_calls=False)
    await server.start()
    say(server.port)
    is_up = True
    while line := await asyncio.to_thread(sys.stdin.readline):
        fault = line.strip()
        if fault:
            server.script = lambda call, fault=fault: _act(fault, call)  # type: ignore[misc]
            server.latency_s = _SLOW_S if fault in ("slow", "brown_out") else latency_s
            if is_up and fault == "down":
                await server.stop()
            elif not is_up and fault != "down":
                await server.start()
            is_up = fault != "down"
        say(server.count)
    await server.stop()


def say(number: int) -> None:
    """Answer with a number."""
    print(json.dumps(number), flush=True)  # noqa: T201  the protocol


if __name__ == "__main__":
    asyncio.run(_main(float(sys.argv[1])))
