"""What one evaluation by a judge costs in CPU time, beside a bare loop over the `openai` SDK.

Run it by `python bench/judge.py`. Both ways ask the same judge on loopback, a process of its own,
for the same verdict on the same text, with as many requests in flight. The bare loop is what one
writes without Assay: `AsyncOpenAI().chat.completions.create`, then `json.loads`. Ours is the
whole evaluation, by the worker's own engine: redact, render, call, check the answer, build and
serialise the outcome. Exits with 1 where ours costs more than the bound.
"""

import argparse
import asyncio
import json
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from openai import AsyncOpenAI
from support.conservation import JudgeProcess
from support.samples import span

from evaluators.contract import Question, Settings, Subject, Verdict
from evaluators.judge.client import JudgeClient
from evaluators.judge.prompt import write_prompt
from evaluators.judge.verdict import answer_contract
from evaluators.registry import load
from schemas.config import EvaluatorConfig, JudgeConfig
from schemas.outcome import Source
from schemas.span import Message, Span
from workers.configured import Configured
from workers.engine import Engine, Job, Meter
from workers.router import Selected

EVALUATOR = "answer_relevance"
MODEL = "gpt-5-mini"
LATENCY_S = 0.3
AT_A_TIME = 100
ROUNDS = 5
BOUND = 0.5
QUESTION_TEXT = "My parcel has not arrived. Where is it, and who pays if it is lost?"
ANSWER_TEXT = "It left our store on Monday and is due today. If it is lost we send another. " * 13
"""A kilobyte, as an ordinary answer has."""


def sample() -> Span:
    """The judged call."""
    message = Message("user", QUESTION_TEXT)
    return span(messages_in=(message,), output_text=ANSWER_TEXT)


class Catcher:
    """A judge that keeps the question."""

    question: Question

    async def ask(self, question: Question) -> Verdict:
        """Keep it, and say yes to everything."""
        self.question = question
        return Verdict({item.id: True for item in question.items}, "")


class Bare:
    """The loop without Assay; its prompt is as long as ours."""

    def __init__(self, url: str, question: Question) -> None:
        self._client = AsyncOpenAI(base_url=url, api_key="none", max_retries=0)
        prompt = write_prompt(question, question.data)
        contract = answer_contract(question.items, question.may_abstain, question.quotes)
        self._schema = contract.schema
        self._system, self._user = prompt.system, prompt.user

    async def __call__(self) -> None:
        """One evaluation."""
        reply = await self._client.chat.completions.create(
            model=MODEL,
            temperature=0,
            max_completion_tokens=2000,
            messages=[
                {"role": "system", "content": self._system},
                {"role": "user", "content": self._user},
            ],
            response_format={
                "type": "json_schema",
                "json_schema": {"name": "verdict", "strict": True, "schema": dict(self._schema)},
            },
        )
        check(bool(json.loads(reply.choices[0].message.content or "")["items"]))


class Ours:
    """The worker's engine with one evaluator and its judge."""

    def __init__(self, url: str) -> None:
        settings = {"model": MODEL, "base_url": url, "price": None}
        config = JudgeConfig.model_validate(settings)
        self.client = JudgeClient("default", config, emit=lambda _: None)
        evaluator = load(Settings(EVALUATOR, has_judge=True))
        self._configured = Configured(EVALUATOR, EvaluatorConfig(), evaluator, self.client, config)
        self._engine = Engine(lambda _: None)

    async def __call__(self) -> None:
        """One evaluation."""
        selected = Selected(EVALUATOR, ("support",), 1.0, "redacted", None)
        job = Job(sample(), self._configured, selected, Source("spans", 0, 0))
        (outcome,) = await self._engine.outcomes([job], Meter())
        check(outcome.score is not None and bool(outcome.to_json()))


def check(has_answer: bool) -> None:
    """Stop where an evaluation came to nothing: it would have cost too little."""
    if not has_answer:
        sys.exit("an evaluation came to nothing; look at the judge")


async def cpu_ms(way: Bare | Ours, count: int) -> float:
    """CPU milliseconds of this process for one evaluation."""
    left = iter(range(count))

    async def work() -> None:
        for _ in left:
            await way()

    began = time.process_time()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(AT_A_TIME):
            tasks.create_task(work())
    return (time.process_time() - began) / count * 1000


async def measure(url: str, rounds: int, count: int) -> float:
    """Print CPU per evaluation of both ways, in turn; the median of their ratios."""
    catcher = Catcher()
    one = sample()
    evaluator = load(Settings(EVALUATOR, has_judge=True))
    await evaluator.evaluate(Subject(one, judge=catcher, spans=(one,)))
    bare, ours = Bare(url, catcher.question), Ours(url)
    for way in (bare, ours):
        await cpu_ms(way, AT_A_TIME * 2)  # connections, caches, the limiter's slow start
    ratios = []
    print(f"{'round':<8}{'bare loop, ms':>15}{'ours, ms':>12}{'ratio':>8}")
    for number in range(1, rounds + 1):
        bare_ms, ours_ms = await cpu_ms(bare, count), await cpu_ms(ours, count)
        ratios.append(ours_ms / bare_ms)
        print(f"{number:<8}{bare_ms:>15.2f}{ours_ms:>12.2f}{ratios[-1]:>8.2f}")
    await ours.client.aclose()
    return statistics.median(ratios)


def main() -> int:
    """Measure; 1 where the bound does not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--count", type=int, default=500)
    options = parser.parse_args()
    with JudgeProcess(LATENCY_S) as judge:
        ratio = asyncio.run(measure(judge.url, options.rounds, options.count))
    print(f"median {ratio:.2f}, must be at most {BOUND}")
    return int(ratio > BOUND)


if __name__ == "__main__":
    sys.exit(main())
