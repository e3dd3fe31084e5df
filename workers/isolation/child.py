"""The process of an isolated evaluator: builds it, runs it, and ends with its worker."""

import asyncio
import ctypes
import faulthandler
import itertools
import os
import resource
import signal
import socket
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, cast

import orjson

from evaluators.contract import Evaluator, Question, Score, Subject, Verdict
from evaluators.registry import load
from schemas.errors import AssayError, ConfigError, JudgeFailure, PluginError
from workers.answers import fault_of
from workers.strays import PlainHandler, catch_strays
from workers.wall import Evaluation, guarded, watch_tasks

from .messages import (
    HEAD,
    Answer,
    Asked,
    Asking,
    Began,
    Cancel,
    Completion,
    Down,
    Ended,
    Evaluate,
    Facts,
    Refused,
    Reply,
    Start,
    Texts,
    Up,
    pack_up,
    unpack_down,
)

_PR_SET_PDEATHSIG = 1


class Wire:
    """The socket to the worker. A thread reads, the loop sends."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self._file = link.makefile("rb")

    def receive(self) -> Down | None:
        """The next message; None: the worker is gone, or wants this process to be."""
        try:
            head = self._file.read(HEAD.size)
            if len(head) < HEAD.size:
                return None
            (length,) = HEAD.unpack(head)
            body = self._file.read(length)
        except OSError:
            return None
        return unpack_down(body) if len(body) == length else None

    def send(self, message: Up) -> None:
        """Say something to the worker, which always listens."""
        self._link.sendall(pack_up(message))


def main(descriptor: int) -> None:
    """Run as the process; returns where the evaluator cannot be built."""
    _die_with_the_worker()
    catch_strays(PlainHandler())
    faulthandler.enable()  # a crash in native code says where, on the worker's stderr
    wire = Wire(socket.socket(fileno=descriptor))
    start = wire.receive()
    if not isinstance(start, Start):
        return
    if start.memory_bytes is not None:
        resource.setrlimit(resource.RLIMIT_DATA, (start.memory_bytes, start.memory_bytes))
    try:
        evaluator = load(start.settings)
    except AssayError as error:
        distribution = error.distribution if isinstance(error, PluginError) else None
        wire.send(Refused(str(error), distribution, isinstance(error, ConfigError)))
        return
    wire.send(_facts(evaluator))
    asyncio.run(_serve(Runner(start.settings.name, evaluator, wire), wire))


def _die_with_the_worker() -> None:
    """Ask the kernel to kill us when the worker dies, even where no thread of ours can run.

    Linux only; elsewhere the end of the socket has to do, which a thread sees that needs Python.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _facts(evaluator: Evaluator) -> Facts:
    return Facts(
        evaluator.version,
        evaluator.kind,
        evaluator.scope,
        evaluator.needs,
        evaluator.judge_use,
        evaluator.threshold,
        evaluator.deadline_s,
        evaluator.content_fingerprint,
    )


async def _serve(runner: "Runner", wire: Wire) -> None:
    loop = asyncio.get_running_loop()
    watch_tasks(loop)

    def read() -> None:
        while (message := wire.receive()) is not None:
            loop.call_soon_threadsafe(runner.handle, message)
        os._exit(0)  # whatever the plugin is doing: nobody waits for it

    threading.Thread(target=read, name="worker", daemon=True).start()
    await asyncio.Event().wait()


@dataclass(slots=True)
class Runner:
    """Runs evaluations, many at once. Everything here runs on the loop."""

    name: str
    evaluator: Evaluator
    wire: Wire
    _tasks: dict[int, asyncio.Task[None]] = field(default_factory=dict)
    _asking: dict[tuple[int, int], asyncio.Future[Reply]] = field(default_factory=dict)

    def handle(self, message: Down) -> None:
        """Do what the worker says."""
        match message:
            case Evaluate(number=number):
                task = asyncio.create_task(self._evaluate(message))
                self._tasks[number] = task
                task.add_done_callback(partial(self._forget, number))
            case Cancel(number):
                if number in self._tasks:
                    self._tasks[number].cancel()
            case Answer(number, call):
                self._answered(self._asking.pop((number, call), None), message)
            case Start():
                pass  # only the first message is one

    async def ask(self, number: int, call: int, question: Asking) -> Reply:
        """Let the worker ask the judge."""
        answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._asking[number, call] = answer
        try:
            self.wire.send(Asked(number, call, question))
            return await answer
        finally:
            self._asking.pop((number, call), None)

    async def _evaluate(self, job: Evaluate) -> None:
        judge = _Judge(self, job.number) if job.has_judge else None
        subject = Subject(job.span, job.context, job.reference, judge, job.spans)
        call = partial(self.evaluator.evaluate, subject)
        try:
            self.wire.send(Began(job.number))
            result = await guarded(Evaluation(self.name), call)
        except asyncio.CancelledError:
            self.wire.send(Ended(job.number, None, "CancelledError"))
            raise
        self.wire.send(_ended(job.number, result))

    def _forget(self, number: int, task: asyncio.Task[None]) -> None:
        self._tasks.pop(number, None)
        if task.cancelled() or task.exception() is None:
            return
        os._exit(1)  # the wall has a hole, or the worker is gone

    @staticmethod
    def _answered(waiting: asyncio.Future[Reply] | None, answer: Answer) -> None:
        if waiting is None or waiting.done():
            return
        if answer.reply is not None:
            waiting.set_result(answer.reply)
        elif answer.failure is not None:
            waiting.set_exception(JudgeFailure(*answer.failure))


def _ended(number: int, result: Any) -> Ended:
    fault = fault_of(result)
    if fault is not None:
        return Ended(number, None, fault)
    if isinstance(result, Score):  # as plain JSON: what orjson can write, `json` may not
        result = replace(result, items=orjson.loads(orjson.dumps(dict(result.items))))
    return Ended(number, result)


class _Judge:
    """The evaluation's judge: the question travels to the worker, where limits and budgets are."""

    def __init__(self, runner: Runner, number: int) -> None:
        self._runner = runner
        self._number = number
        self._calls = itertools.count()

    async def ask(self, question: Question) -> Verdict:
        """Ask once."""
        return cast(Verdict, await self._asked(question))

    async def evidence(self, data: Mapping[str, str]) -> tuple[dict[str, str], bool]:
        """Have texts made fit for the judge, where the policy is known."""
        return cast(tuple[dict[str, str], bool], await self._asked(Texts(dict(data))))

    async def complete(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Send another library's request."""
        return cast(Mapping[str, Any], await self._asked(Completion(dict(request))))

    async def _asked(self, question: Asking) -> Reply:
        return await self._runner.ask(self._number, next(self._calls), question)
