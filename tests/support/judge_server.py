"""A judge on loopback that can be told to misbehave; as a process, one that behaves.

In a test: `async with JudgeServer() as judge:` and `judge.script = lambda call: Drip()` or so.
As a process: `python tests/support/judge_server.py --port 0 --latency 0.5` prints one JSON line
with its port when it is ready and counts its calls at `GET /stats`.
"""

import argparse
import asyncio
import contextlib
import gzip
import json
import re
import signal
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from types import TracebackType
from typing import Any, Self

Json = dict[str, Any]
Decide = Callable[[Mapping[str, str], str], bool]


@dataclass(frozen=True)
class Call:
    """One request as the judge received it."""

    index: int
    method: str
    path: str
    headers: Mapping[str, str]
    body: Json

    @property
    def system(self) -> str:
        """Text of the system message."""
        return str(self.body["messages"][0]["content"])

    @property
    def user(self) -> str:
        """Text of the user message."""
        return str(self.body["messages"][-1]["content"])

    @property
    def envelope(self) -> tuple[str, dict[str, str]]:
        """The envelope's name and the judged text by field."""
        parsed, _ = json.JSONDecoder().raw_decode(self.user)
        ((name, data),) = parsed.items()
        return name, data

    @property
    def data(self) -> dict[str, str]:
        """The judged text by field."""
        return self.envelope[1]

    @property
    def receipt(self) -> str:
        """The receipt that only the system message names."""
        found = re.search(r"[Rr]eceipt[^\n]*: ([0-9a-f]{32})", self.system)
        assert found
        return found.group(1)

    @property
    def schema(self) -> Json:
        """The answer's JSON Schema as the system message has it."""
        start = self.system.index('{"type":"object"')
        parsed: Json
        parsed, _ = json.JSONDecoder().raw_decode(self.system[start:])
        return parsed

    @property
    def mode(self) -> str:
        """Structured-output mode that the request asks for."""
        if "tools" in self.body:
            return "tool"
        return str(self.body.get("response_format", {"type": "text"})["type"])

    def answer(self, decide: Decide, **changes: Any) -> Json:
        """A correct answer to the prompt, with some fields changed."""
        properties = self.schema["properties"]
        answer: Json = {"receipt": self.receipt, "reason": "as decided", "applicable": True}
        answer["items"] = {
            item: decide(self.data, item) for item in properties["items"]["properties"]
        }
        if "severity" in properties:
            answer["severity"] = dict.fromkeys(properties["severity"]["properties"], 0)
        if "quote" in properties:
            answer["quote"] = next(iter(self.data.values()), "")[:60]
        answer = {name: value for name, value in answer.items() if name in properties}
        return {**answer, **changes}


@dataclass(frozen=True)
class Status:
    """An HTTP answer."""

    status: int = 200
    body: bytes | Json | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Text:
    """A completion with this text."""

    content: str | None
    finish_reason: str = "stop"
    message: Json = field(default_factory=dict)
    usage: Json | None = field(
        default_factory=lambda: {"prompt_tokens": 1000, "completion_tokens": 100}
    )
    model: str = "judge-1"


@dataclass(frozen=True)
class Changed:
    """The correct answer with some fields changed."""

    changes: Json


@dataclass(frozen=True)
class Drip:
    """Headers at once, then one byte at a time, for ever."""

    interval_s: float = 1.0


@dataclass(frozen=True)
class Hang:
    """Nothing at all until the client goes away."""


@dataclass(frozen=True)
class Reset:
    """The connection is reset without an answer."""


@dataclass(frozen=True)
class HalfBody:
    """The connection ends in the middle of the body."""


@dataclass(frozen=True)
class Huge:
    """A body of this many bytes; `packed` sends it as gzip."""

    size_bytes: int = 200_000_000
    packed: bool = False


Action = Status | Text | Changed | Drip | Hang | Reset | HalfBody | Huge | None
"""None is the correct answer."""


def decide_by_word(data: Mapping[str, str], item: str) -> bool:
    """Every answer is yes, unless the output contains `BAD` or the item's id."""
    output = data.get("output", "")
    return "BAD" not in output and item not in output


class JudgeServer:
    """A scripted OpenAI-compatible endpoint on 127.0.0.1.

    Attributes:
        script: Called with each request; says what to do, None for the correct answer.
        decide: Answers an item of the rubric, from the judged data and the item's id.
        latency_s: Seconds before each answer.
        calls: Every request, unless `keep_calls` is off.
        prompt_tokens: What it bills for, whether or not anybody is left to read the answer.
        completion_tokens: As `prompt_tokens`.
    """

    def __init__(
        self, *, decide: Decide = decide_by_word, latency_s: float = 0.0, keep_calls: bool = True
    ) -> None:
        self.script: Callable[[Call], Action] = lambda _: None
        self.decide = decide
        self.latency_s = latency_s
        self.calls: list[Call] = []
        self.count = 0
        self.in_flight = 0
        self.max_in_flight = 0
        self.prompt_tokens = 0
        self.completion_tokens = 0
        self.port = 0
        self._keep_calls = keep_calls
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """Base URL for the config."""
        return f"http://127.0.0.1:{self.port}/v1"

    async def start(self, port: int = 0) -> None:
        """Listen; a second start after `stop` takes the same port."""
        self._server = await asyncio.start_server(
            self._connected, "127.0.0.1", port or self.port, backlog=1024
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Refuse new connections and end the open ones."""
        if self._server is not None:
            self._server.close()
            for task in tuple(self._connections):
                task.cancel()
            await asyncio.wait(self._connections) if self._connections else None
            await self._server.wait_closed()
            self._server = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._connections.add(task)
        try:
            while await self._serve_one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client left, or the test is over
        finally:
            self._connections.discard(task)
            writer.close()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        request, *lines = head.decode("latin-1").split("\r\n")
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines if line)
        }
        method, path, _ = request.split(" ", 2)
        raw = await reader.readexactly(int(headers.get("content-length", "0")))
        if path == "/stats":
            stats = {
                "calls": self.count,
                "max_in_flight": self.max_in_flight,
                "prompt_tokens": self.prompt_tokens,
                "completion_tokens": self.completion_tokens,
            }
            return await self._send(writer, Status(200, stats))
        call = Call(self.count, method, path, headers, json.loads(raw) if raw else {})
        self.count += 1
        if self._keep_calls:
            self.calls.append(call)
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        try:
            if self.latency_s:
                await asyncio.sleep(self.latency_s)
            action = self.script(call)
            self._bill(action)
            return await self._act(action, call, reader, writer)
        finally:
            self.in_flight -= 1

    def _bill(self, action: Action) -> None:
        usage = action.usage if isinstance(action, Text) else Text("").usage
        if action is None or isinstance(action, Changed | Text):
            self.prompt_tokens += (usage or {}).get("prompt_tokens", 0)
            self.completion_tokens += (usage or {}).get("completion_tokens", 0)

    async def _act(
        self,
        action: Action,
        call: Call,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        match action:
            case None | Changed():
                changes = action.changes if action else {}
                return await self._send(writer, self._completion(call, changes))
            case Text():
                return await self._send(writer, Status(200, completion(action)))
            case Status():
                return await self._send(writer, action)
            case Drip(interval_s):
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
                while not reader.at_eof():
                    writer.write(b" ")
                    await writer.drain()
                    await asyncio.sleep(interval_s)
            case Hang():
                await reader.read()
            case Reset():
                raw: socket.socket = writer.get_extra_info("socket")
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            case HalfBody():
                writer.write(b'HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{"choices":')
            case Huge():
                await self._huge(action, writer)
        return False

    def _completion(self, call: Call, changes: Json) -> Status:
        answer = json.dumps(call.answer(self.decide, **changes))
        if call.mode != "tool":
            return Status(200, completion(Text(answer)))
        calls = [{"type": "function", "function": {"name": "submit_verdict", "arguments": answer}}]
        return Status(200, completion(Text(None, "tool_calls", {"tool_calls": calls})))

    async def _huge(self, action: Huge, writer: asyncio.StreamWriter) -> None:
        if action.packed:
            body = _packed(action.size_bytes)
            await self._send(writer, Status(200, body, {"content-encoding": "gzip"}))
            return
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")
        block = b" " * 65536
        for _ in range(action.size_bytes // len(block)):
            writer.write(block)
            await writer.drain()

    async def _send(self, writer: asyncio.StreamWriter, reply: Status) -> bool:
        body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        headers = {"content-type": "application/json", **reply.headers}
        headers["content-length"] = str(len(body))
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(f"HTTP/1.1 {reply.status} X\r\n{head}\r\n".encode() + body)
        await writer.drain()
        return True


@cache
def _packed(size_bytes: int) -> bytes:
    return gzip.compress(b" " * size_bytes, 1)


def completion(text: Text) -> Json:
    """A chat completion around a text."""
    message = {"role": "assistant", "content": text.content, **text.message}
    choice = {"index": 0, "finish_reason": text.finish_reason, "message": message}
    reply: Json = {"id": "c", "object": "chat.completion", "model": text.model}
    return {**reply, "choices": [choice], "usage": text.usage}


@contextlib.contextmanager
def serving(judge: JudgeServer, port: int = 0) -> Iterator[None]:
    """Let a judge answer from a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(judge.start(port), loop).result(5)
        yield
        asyncio.run_coroutine_threadsafe(judge.stop(), loop).result(5)
    finally:  # or the thread would keep the test run from ending
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
    loop.close()


async def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency", type=float, default=0.0)
    options = parser.parse_args()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    server = JudgeServer(latency_s=options.latency, keep_calls=False)
    await server.start(options.port)
    print(json.dumps({"port": server.port}), flush=True)  # noqa: T201  the ready line
    await stop.wait()
    await server.stop()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_main())
