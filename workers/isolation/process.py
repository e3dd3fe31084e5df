"""One process of an evaluator, seen from the worker: started, talked to, killed.

It is killed where an evaluation does not end within its own time and does not end when it is
cancelled either: then it blocks, or swallows its cancellation. What else is under way in it is
handed back to whoever asked, with whether it can have been the cause.
"""

import asyncio
import itertools
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from evaluators.contract import Score, Settings, Skip, Subject
from schemas.errors import AssayError, JudgeFailure
from workers.stopwatch import Stopwatch
from workers.wall import EvaluatorFault, place_of

from .messages import (
    HEAD,
    MAX_UP_BYTES,
    Answer,
    Asked,
    BadFrame,
    Began,
    Cancel,
    Ended,
    Evaluate,
    Facts,
    Refused,
    Start,
    Up,
    pack_down,
    unpack_greeting,
    unpack_up,
)
from .program import START_S, end, kill, spawn, start_fault
from .verdicts import Verdicts

_GRACE_S = 0.5
"""For a cancelled evaluation to end; less than the engine waits for us (`engine.py`)."""

Link = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class ProcessDied(AssayError):  # noqa: N818  named for what happened
    """The process ended under an evaluation.

    Attributes:
        why: How it ended.
        had_begun: Whether this evaluation had taken its first step, so that it may be the cause.
        begun: How many had: where this one alone had, it is the cause.
    """

    def __init__(self, why: str, *, had_begun: bool, begun: int) -> None:
        super().__init__(why)
        self.why = why
        self.had_begun = had_begun
        self.begun = begun


@dataclass(slots=True, eq=False)
class _Running:
    """An evaluation that was handed to the process."""

    subject: Subject
    verdicts: Verdicts
    watch: Stopwatch
    """Set anew at its first step: others may block before."""
    ended: asyncio.Future[Ended]
    began: asyncio.Event = field(default_factory=asyncio.Event)
    asking: set[asyncio.Task[None]] = field(default_factory=set)


class Process:
    """A running process. Belongs to one event loop; `close` ends it.

    Args:
        child: The started program.
        link: Our end of the socket.
        facts: What its evaluator declares.
        on_end: Told once why it ended, and whether that was a fault.
    """

    def __init__(
        self,
        child: subprocess.Popen[bytes],
        link: Link,
        facts: Facts,
        on_end: Callable[[str, bool], None],
    ) -> None:
        self._child = child
        self._reader, self._writer = link
        self._facts = facts
        self._on_end = on_end
        self._running: dict[int, _Running] = {}
        self._numbers = itertools.count()
        self.is_dead = False
        self.is_spent = False
        """It ran out of memory: it may live on, but nothing more should begin in it."""
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def start(
        cls, settings: Settings, memory_bytes: int | None, on_end: Callable[[str, bool], None]
    ) -> "Process":
        """Start one and wait until its evaluator is built.

        Raises:
            EvaluatorFault: It did not come up.
        """
        child, ours = spawn()
        ours.setblocking(False)
        link = await asyncio.open_connection(sock=ours)
        is_up = False
        try:
            facts = await _greeted(link, Start(settings, memory_bytes), child)
            is_up = True
        finally:
            if not is_up:
                link[1].transport.abort()
                end(child)
        return cls(child, link, facts, on_end)

    async def evaluate(self, subject: Subject, verdicts: Verdicts) -> Score | Skip:
        """Run one evaluation. May be cancelled at any time.

        Raises:
            ProcessDied: The process ended under it.
            EvaluatorFault: It raised, returned no score, or outlived its deadline.
            JudgeFailure: As its judge raised it.
        """
        number = next(self._numbers)
        limit_s = self._facts.deadline_s
        late = f"no result after {limit_s:g} s of its own time"
        ended: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()
        run = _Running(subject, verdicts, Stopwatch(limit_s), ended)
        self._running[number] = run
        try:
            self._hand_over(number, subject)
            in_time = await _in_time(run)
        finally:
            for task in run.asking:
                task.cancel()
            if not ended.done():  # past its deadline, or we are cancelled
                await self._cancel(number, run, late)
            del self._running[number]
        result = ended.result()
        if not in_time:
            raise EvaluatorFault(late)
        if result.error is not None:
            self.is_spent |= result.error.startswith(MemoryError.__name__)
            raise EvaluatorFault(result.error)
        if isinstance(result.result, JudgeFailure):
            raise result.result
        if result.result is None:
            raise EvaluatorFault("returned nothing")
        return result.result

    async def close(self, why: str) -> None:
        """End it; evaluations in it get `ProcessDied`."""
        self._end(why, is_fault=False)
        await asyncio.wait({self._reading})

    def _hand_over(self, number: int, subject: Subject) -> None:
        if self.is_dead:
            raise ProcessDied("it had ended", had_begun=False, begun=0)
        self._writer.write(
            pack_down(
                Evaluate(
                    number,
                    subject.span,
                    subject.context,
                    subject.reference,
                    subject.spans,
                    subject.judge is not None,
                )
            )
        )

    async def _cancel(self, number: int, run: _Running, why: str) -> None:
        """Have an evaluation end, if need be with its process."""
        if not self.is_dead:
            self._writer.write(pack_down(Cancel(number)))
            await asyncio.wait({run.ended}, timeout=_GRACE_S)
        if not run.ended.done():
            self._end(f"{why}; its process was killed", is_fault=True)

    def _end(self, why: str, *, is_fault: bool) -> None:
        """Kill it, and tell all that is under way in it."""
        if self.is_dead:
            return
        self.is_dead = True
        kill(self._child)
        self._writer.transport.abort()
        under_way = [run for run in self._running.values() if not run.ended.done()]
        begun = [run for run in under_way if run.began.is_set()]
        for run in under_way:
            died = ProcessDied(why, had_begun=run in begun, begun=len(begun))
            run.ended.set_exception(died)
            run.ended.exception()  # it may be nobody's any more
        self._on_end(why, is_fault)

    async def _read(self) -> None:
        try:
            while True:
                self._hear(unpack_up(await _frame(self._reader)))
        except BadFrame as error:
            self._end(f"it sent what is no message of ours ({error})", is_fault=True)
        except (OSError, EOFError):
            pass
        how = await asyncio.to_thread(end, self._child)
        self._end(f"its process ended with {how}", is_fault=True)

    def _hear(self, message: Up) -> None:
        if isinstance(message, Facts | Refused):
            raise BadFrame("a second greeting")
        run = self._running.get(message.number)
        if run is None:
            return  # it was cut, and is not awaited any more
        match message:
            case Began():
                run.watch = Stopwatch(self._facts.deadline_s)
                run.began.set()
            case Asked():
                task = asyncio.create_task(self._ask(run, message))
                run.asking.add(task)
                task.add_done_callback(partial(self._asked, message.number, run))
            case Ended():
                if not run.ended.done():
                    run.ended.set_result(message)

    async def _ask(self, run: _Running, asked: Asked) -> None:
        """Put a question to the evaluation's judge, where its limits, policy and budget are."""
        judge = run.subject.judge
        if judge is None:
            raise EvaluatorFault("asked a judge that it does not have")
        with run.watch.paused():
            reply, failure = await run.verdicts.ask(judge, asked.question)
        if not self.is_dead:
            self._writer.write(pack_down(Answer(asked.number, asked.call, reply, failure)))

    def _asked(self, number: int, run: _Running, task: asyncio.Task[None]) -> None:
        """A question is answered; one that cannot be put, such as of a wrong type, ends it all."""
        run.asking.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not run.ended.done():
            fault = error.detail if isinstance(error, EvaluatorFault) else place_of(error)
            run.ended.set_result(Ended(number, None, fault))
            if not self.is_dead:
                self._writer.write(pack_down(Cancel(number)))


async def _greeted(link: Link, start: Start, child: subprocess.Popen[bytes]) -> Facts:
    reader, writer = link
    writer.write(pack_down(start))
    try:
        async with asyncio.timeout(START_S):
            hello = unpack_greeting(await _frame(reader))
    except (OSError, EOFError, BadFrame) as error:
        why = start_fault(error, end(child))
        raise EvaluatorFault(f"its process did not start: {why}") from error
    if not isinstance(hello, Facts):
        raise EvaluatorFault("its process did not start: it could be built once, and not again")
    return hello


async def _in_time(run: _Running) -> bool:
    """Wait for its end, within its own time from its first step on; True where it ended."""
    began = asyncio.create_task(run.began.wait())
    try:
        await asyncio.wait((began, run.ended), return_when=asyncio.FIRST_COMPLETED)
    finally:
        began.cancel()
    return await run.watch.until_done(run.ended)


async def _frame(reader: asyncio.StreamReader) -> bytes:
    (length,) = HEAD.unpack(await reader.readexactly(HEAD.size))
    if length > MAX_UP_BYTES:
        raise BadFrame(f"a frame of {length} bytes")
    return await reader.readexactly(length)
