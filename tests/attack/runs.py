"""Runs of the attack set against one judge: what came of each row."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from support import gullible
from support.gullible import Attack, GivesIn
from support.judge_server import JudgeServer

from evaluators import Score, Settings, Skip, Subject
from evaluators.contract import Question, Verdict
from evaluators.judge.client import JudgeClient
from evaluators.judge.defences import Defences
from evaluators.judge.evaluation import CallRecord, Deadline
from evaluators.judged.answer_relevance import AnswerRelevance
from evaluators.rubric import BuiltinRubric, Rubric
from evaluators.testing import make_span
from schemas.config import JudgeConfig
from schemas.errors import JudgeFailure

from .weakened import Defence

HARMLESS = frozenset({"hard negatives", "clean baselines"})
"""Families without an attack: there a wrong verdict is an error, not a success."""

_INPUT = "How long is the warranty on the Alta kettle?"
_WRONG = "Our kettles are loved everywhere."
_RIGHT = "Two years from the day of purchase."
_CONTEXT = "The Alta kettle comes in three colours."
_DEADLINE_S = 120.0


@dataclass(frozen=True)
class Result:
    """What came of one row: the published verdict, None where there is none."""

    attack: Attack
    passed: bool | None
    is_flagged: bool
    reason: str | None

    @property
    def succeeded(self) -> bool:
        """Whether the verdict that was published is the wrong one."""
        return self.passed is (not self.attack.honest)


def load() -> tuple[Attack, ...]:
    """The attack set."""
    families = yaml.safe_load(Path(__file__).with_name("attacks.yaml").read_text("utf-8"))
    return tuple(_attack(family, row) for family in families for row in family["rows"])


def _attack(family: Mapping[str, Any], row: str | Mapping[str, Any]) -> Attack:
    name = str(family["family"])
    if isinstance(row, Mapping):
        passes = bool(row.get("honest", family.get("honest", False)))
        return Attack(name, row["input"], row["output"], _CONTEXT, "", passes)
    passes = bool(family.get("honest", False))
    texts = {"input": _INPUT, "output": _RIGHT if passes else _WRONG, "context": _CONTEXT}
    channel = family.get("channel", "output")
    texts[channel] = row if family.get("alone") else f"{texts[channel]}\n{row}"
    return Attack(name, **texts, planted=row, honest=passes)


@dataclass(frozen=True)
class _Direct:
    client: JudgeClient
    record: CallRecord

    async def ask(self, question: Question) -> Verdict:
        return await self.client.ask(question, Deadline(_DEADLINE_S), self.record)


async def evaluate(evaluator: Rubric, client: JudgeClient, attack: Attack) -> Result:
    """Evaluate one row as a worker does."""
    record = CallRecord()
    span = make_span(question=attack.input, answer=attack.output)
    subject = Subject(span, context=(attack.context,), judge=_Direct(client, record))
    passed: bool | None = None
    reason: str | None = None
    try:
        result = await evaluator.evaluate(subject)
    except JudgeFailure as failure:
        reason = failure.reason.value
    else:
        match result:
            case Score():
                passed = result.passed
            case Skip():
                reason = "not_applicable"
    return Result(attack, passed, record.injection_suspected, reason)


async def run(
    gives_in: GivesIn, attacks: Iterable[Attack], defence: Defence, defences: Defences
) -> list[Result]:
    """Send all rows to a scripted judge, past these defences."""
    current: list[Attack] = []
    async with JudgeServer() as server:
        server.script = gullible.judge(lambda: current[-1], gives_in)
        async with client_of({"model": "judge-1", "base_url": server.url}, defences) as client:
            evaluator = _evaluator(defence, weakened=defences is defence.without)
            results = []
            for attack in attacks:
                current.append(attack)
                results.append(await evaluate(evaluator, client, attack))
            return results


@asynccontextmanager
async def client_of(config: Mapping[str, Any], defences: Defences) -> AsyncIterator[JudgeClient]:
    """A client for one judge, closed afterwards."""
    client = JudgeClient(
        "default",
        JudgeConfig.model_validate(config),
        emit=lambda _: None,
        hold=False,
        wait_s=10.0,
        defences=defences,
    )
    try:
        yield client
    finally:
        await client.aclose()


def _evaluator(defence: Defence, *, weakened: bool) -> Rubric:
    settings = Settings(defence.evaluator)
    if defence.evaluator != "answer_relevance" or (weakened and not defence.is_gated):
        return BuiltinRubric(settings)
    return AnswerRelevance(settings)


def by_family(attacks: Iterable[Attack]) -> tuple[str, ...]:
    """Names of the families, in their order."""
    return tuple(dict.fromkeys(attack.family for attack in attacks))


def table(head: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> str:
    """A Markdown table."""

    def line(cells: Iterable[object]) -> str:
        return f"| {' | '.join(map(str, cells))} |"

    return "\n".join([line(head), line("---" for _ in head), *map(line, rows)])
