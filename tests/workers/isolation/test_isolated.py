"""An evaluator in processes of its own: whatever it does costs its own outcome, and no other."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from support.lanes import eventually
from support.odd_plugin import install
from support.samples import span

from evaluators.contract import Judge, Question, Score, Settings, Skip, Subject
from evaluators.testing import ScriptedJudge
from schemas.config import EvaluatorConfig, ProcessConfig
from schemas.errors import JudgeFailure, PluginError
from schemas.events import EvaluationAbandoned, Event, ProcessEnded
from schemas.outcome import Outcome, Source
from schemas.reasons import Reason, Status
from workers.configured import Configured
from workers.engine import Engine, Job, Meter
from workers.isolation.evaluator import IsolatedEvaluator
from workers.router import Selected
from workers.wall import EvaluatorFault

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

MIB = 2**20
GREETING = '{"says": "Refused", "message": "", "distribution": null, "is_config": false}'


class Odd:
    """The evaluator `odd` in processes, told what to do by the answer that it judges."""

    def __init__(self, **settings: Any) -> None:
        options = {"deadline_s": settings.pop("deadline_s", 2.0)}
        self.events: list[Event] = []
        config = ProcessConfig(**{"processes": 1, **settings})
        self.evaluator = IsolatedEvaluator(Settings("odd", options), config, self.events.append)

    async def do(self, what: str, judge: Judge | None = None) -> Score | Skip:
        """One evaluation."""
        return await self.evaluator.evaluate(Subject(span(output_text=what), judge=judge))

    async def pid(self) -> int:
        """The process that evaluates."""
        return _pid(await self.do("score"))

    async def fault(self, what: str) -> str:
        """What an evaluation is told to have done wrong."""
        with pytest.raises(EvaluatorFault) as fault:
            await self.do(what)
        return fault.value.detail


Open = Callable[..., AbstractAsyncContextManager[Odd]]


@pytest.fixture
def odd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    """Opens the evaluator; its processes end with the block."""
    install(tmp_path / "site")
    monkeypatch.syspath_prepend(tmp_path / "site")

    @asynccontextmanager
    async def opened(**settings: Any) -> AsyncIterator[Odd]:
        one = Odd(**settings)
        try:
            yield one
        finally:
            await one.evaluator.aclose()

    return opened


def _pid(result: Score | Skip) -> int:
    assert isinstance(result, Score)
    return int(result.items["pid"])


def _lives(pid: int) -> bool:
    with suppress(FileNotFoundError):
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    return False


async def test_results_are_those_of_the_evaluator(odd: Open) -> None:
    """Scores, skips and a judge's failures pass through as they are."""
    async with odd() as one:
        result = await one.do("score 0.25")
        assert result == Score(0.25, label="odd", items={"pid": _pid(result)})
        assert _pid(result) != os.getpid()
        assert await one.do("skip") == Skip("it does not apply")
        with pytest.raises(JudgeFailure) as failure:
            await one.do("fail")
        assert (failure.value.reason, failure.value.detail) == (Reason.REFUSED, "it refused")


async def test_what_is_no_score_costs_its_own_outcome(odd: Open) -> None:
    """It raises, exits or returns nonsense: the process lives on, and no text comes out."""
    async with odd() as one:
        pid = await one.pid()
        assert "ValueError at odd_plugin.py" in await one.fault("raises")
        assert "SystemExit at odd_plugin.py" in await one.fault("leaves")
        assert "KeyboardInterrupt at odd_plugin.py" in await one.fault("interrupts")
        assert await one.fault("number") == "returned int, not Score or Skip"
        assert await one.fault("nan") == "returned what is no score: value is not in 0..1"
        assert await one.fault("hangs") == "no result after 2 s of its own time"
        assert isinstance(await one.do("leaks"), Score)
        assert await one.pid() == pid
        assert one.events == []


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ("blocks", "no result after 2 s of its own time; its process was killed"),
        ("spins", "no result after 2 s of its own time; its process was killed"),
        ("swallows", "no result after 2 s of its own time; its process was killed"),
        ("dies", "its process ended with exit code 3"),
        ("crashes", "its process ended with signal SIGSEGV"),
        ("closes", "its process ended with"),
        ('forges {"says": "Began", "number": []}', "it sent what is no message of ours"),
        (f"forges {GREETING}", "it sent what is no message of ours (a second greeting)"),
    ],
)
async def test_what_takes_its_process_down_is_followed_by_a_fresh_one(
    odd: Open, what: str, why: str
) -> None:
    """The outcome is an error that says how, and the next evaluation knows nothing of it."""
    async with odd() as one:
        pid = await one.pid()
        assert (await one.fault(what)).startswith(why)
        assert await one.pid() != pid
        assert not _lives(pid)
        (event,) = one.events
        assert isinstance(event, ProcessEnded)
        assert event.is_fault


async def test_neighbours_of_a_crash_are_evaluated_all_the_same(odd: Open) -> None:
    """They begin again, alone, so that only the one that does it again is to blame."""
    async with odd(processes=2, deadline_s=20.0) as one:
        async with asyncio.TaskGroup() as tasks:
            good = [tasks.create_task(one.do("waits 1")) for _ in range(4)]
            bad = [tasks.create_task(one.fault("dies_late")) for _ in range(2)]
        assert {task.result() for task in bad} == {"its process ended with exit code 3"}
        assert {type(task.result()) for task in good} == {Score}


async def test_who_waits_behind_culprits_is_not_blamed(odd: Open) -> None:
    """Five in a row take their process down before the others have begun in it."""
    async with odd(deadline_s=20.0) as one, asyncio.TaskGroup() as tasks:
        bad = [tasks.create_task(one.fault("dies")) for _ in range(5)]
        good = [tasks.create_task(one.do("score 0.5")) for _ in range(5)]
    assert {task.result() for task in bad} == {"its process ended with exit code 3"}
    assert {type(task.result()) for task in good} == {Score}


async def test_waiting_for_a_place_does_not_count(odd: Open) -> None:
    """Five of one second each, one after the other, within a deadline of two."""
    async with odd(concurrency=8) as one, asyncio.TaskGroup() as tasks:
        results = [tasks.create_task(one.do("blocks 1")) for _ in range(5)]
    assert [task.result() for task in results] == [Score(1.0)] * 5


async def test_many_run_in_one_process_at_a_time(odd: Open) -> None:
    """As many as `concurrency` says, and no more processes than `processes` says."""
    async with odd(concurrency=8, processes=2) as one:
        await one.pid()
        began = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            results = [tasks.create_task(one.do("waits 1")) for _ in range(16)]
        assert time.monotonic() - began < 8
        assert len({_pid(task.result()) for task in results}) <= 2


async def test_a_process_is_replaced_after_its_share(odd: Open) -> None:
    """What it leaked goes with it."""
    async with odd(recycle_after=3) as one:
        pids = [await one.pid() for _ in range(7)]
        assert [pids.index(pid) for pid in pids] == [0, 0, 0, 3, 3, 3, 6]
        assert not _lives(pids[0])
        assert {e.is_fault for e in one.events if isinstance(e, ProcessEnded)} == {False}


async def test_memory_is_bounded(odd: Open) -> None:
    """Sixteen gigabytes are not had; the outcome is an error, and the process is replaced."""
    async with odd(memory_bytes=512 * MIB, deadline_s=20.0) as one:
        pid = await one.pid()
        assert "MemoryError" in await one.fault("hoards")
        assert await one.pid() != pid


class _ChatJudge(ScriptedJudge):
    """Takes another library's requests too."""

    async def evidence(self, data: Mapping[str, str]) -> tuple[dict[str, str], bool]:
        return {name: f"[{text}]" for name, text in data.items()}, True

    async def complete(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        if request["temperature"]:
            raise JudgeFailure(Reason.REFUSED, "too warm")
        return {"said": request["messages"][0]["content"]}


async def test_another_librarys_request_travels_to_the_worker(odd: Open) -> None:
    """Its texts are made fit where the policy is, and it is sent where the limits are."""
    async with odd() as one:
        result = await one.do("chats", _ChatJudge())
    assert result == Score(1.0, label="[Jane]", truncated=True)


async def test_a_judge_is_asked_by_the_worker(odd: Open) -> None:
    """The question travels to where the judge is, the verdict back; its time does not count."""
    judge = ScriptedJudge({"odd": False}, reason="said so")
    async with odd() as one:
        assert await one.do("ask", judge) == Score(0.0, explanation="said so")
    (question,) = judge.asked
    assert question.items[0].id == "odd"
    assert question.data == {"output": "text"}


async def test_a_judge_that_fails_keeps_its_reason(odd: Open) -> None:
    """As in the worker's own process."""
    judge = ScriptedJudge(raises=JudgeFailure(Reason.TIMEOUT, "too slow"))
    async with odd() as one:
        with pytest.raises(JudgeFailure) as failure:
            await one.do("ask", judge)
    assert (failure.value.reason, failure.value.detail) == (Reason.TIMEOUT, "too slow")


class _SlowJudge(ScriptedJudge):
    async def ask(self, question: Question) -> Any:
        await asyncio.sleep(3)
        return await super().ask(question)


async def test_the_time_of_a_judge_does_not_count(odd: Open) -> None:
    """Three seconds of a judge within a deadline of two."""
    async with odd() as one:
        assert isinstance(await one.do("ask", _SlowJudge()), Score)


async def test_no_verdict_is_paid_twice_where_a_neighbour_crashes(odd: Open) -> None:
    """What began again is given the verdict that it had."""
    judge = ScriptedJudge()
    async with odd(deadline_s=20.0) as one, asyncio.TaskGroup() as tasks:
        await one.pid()
        asked = tasks.create_task(one.do("ask_then waits", judge))
        await eventually(lambda: bool(judge.asked))
        await asyncio.sleep(0.1)
        await one.fault("dies")
    assert isinstance(asked.result(), Score)
    assert len(judge.asked) == 1


async def test_an_evaluation_that_is_cut_ends_at_once(odd: Open) -> None:
    """A drain that cuts it off waits for a process no longer than the engine does."""
    async with odd(deadline_s=60.0) as one:
        pid = await one.pid()
        for what in ("hangs", "blocks"):
            task = asyncio.create_task(one.do(what))
            await asyncio.sleep(0.3)
            began = time.monotonic()
            task.cancel()
            await asyncio.wait({task})
            assert task.cancelled()
            assert time.monotonic() - began < 1
        assert await one.pid() != pid


async def test_a_process_takes_its_own_children_along(odd: Open) -> None:
    """What a plugin starts does not outlive its process."""
    async with odd() as one:
        result = await one.do("starts")
        assert isinstance(result, Score)
        child = int(result.items["child"])
        assert _lives(child)
        await one.fault("dies")
        await asyncio.sleep(0.2)
        assert not _lives(child)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"broken": True}, r'evaluator "odd" of odd_plugin 1\.0: it is broken'),
        ({"dies": True}, r'evaluator "odd": its process did not start \(it ended with exit code 5'),
    ],
)
@pytest.mark.usefixtures("odd")
def test_what_cannot_be_built_is_an_error_at_start(options: dict[str, Any], why: str) -> None:
    """The message is the one that it would be without a process."""
    with pytest.raises(PluginError, match=why):
        IsolatedEvaluator(Settings("odd", options), ProcessConfig(), lambda _: None)


async def _outcome(one: Odd, what: str) -> Outcome:
    config = EvaluatorConfig(isolate="process")
    configured = Configured("odd", config, one.evaluator, None, None)
    selected = Selected("odd", ("support",), 1.0, "full", None)
    job = Job(span(output_text=what), configured, selected, Source("spans", 0, 1))
    (outcome,) = await Engine(one.events.append).outcomes([job], Meter())
    return outcome


async def test_the_engine_makes_outcomes_of_it(odd: Open) -> None:
    """One that is killed is `failed(evaluator_error)`; nothing is abandoned, as it is gone."""
    async with odd() as one:
        assert (await _outcome(one, "score")).outcome is Status.SCORED
        killed = await _outcome(one, "blocks")
        assert killed.reason is Reason.EVALUATOR_ERROR
        assert killed.detail == "no result after 2 s of its own time; its process was killed"
        assert not any(isinstance(event, EvaluationAbandoned) for event in one.events)
