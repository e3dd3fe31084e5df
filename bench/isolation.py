"""What it costs to run an evaluator in a process of its own, as a ratio to running it in the loop.

Run it by `python bench/isolation.py`. The evaluator is `pii`, on an ordinary answer and on a long
one; the figures of one run compare, those of two machines do not.
"""

import asyncio
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from support.samples import span

from evaluators.contract import Evaluator, Settings, Subject
from evaluators.registry import load
from schemas.config import ProcessConfig
from schemas.span import Message
from workers.isolation.evaluator import IsolatedEvaluator

ROUNDS = 7
EVALUATIONS = 400
AT_A_TIME = 32
ANSWERS = {
    "0.2 kB": "The parcel arrives tomorrow at noon. " * 5,
    "20 kB": "The parcel is here. " * 1000,
}


def subject(answer: str) -> Subject:
    """A subject with a question and an answer."""
    one = span(messages_in=(Message("user", "Where is my parcel?"),), output_text=answer)
    return Subject(one, spans=(one,))


async def seconds(evaluator: Evaluator, what: Subject) -> float:
    """CPU and waiting of one evaluation, where many run at a time."""
    left = iter(range(EVALUATIONS))

    async def work() -> None:
        for _ in left:
            await evaluator.evaluate(what)

    began = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(AT_A_TIME):
            tasks.create_task(work())
    return (time.perf_counter() - began) / EVALUATIONS


async def main() -> None:
    """Measure both ways in turn, and starting a process."""
    settings = Settings("pii")
    inside = load(settings)
    began = time.perf_counter()
    isolated = IsolatedEvaluator(settings, ProcessConfig(processes=2), lambda _: None)
    print(f"to start a process and build the evaluator in it: {time.perf_counter() - began:.2f} s")
    print(f"{'answer':<10}{'in the loop, us':>16}{'in a process, us':>18}{'ratio':>8}")
    for name, answer in ANSWERS.items():
        what = subject(answer)
        await seconds(isolated, what)  # both processes are up from here on
        pairs = [
            (await seconds(inside, what), await seconds(isolated, what)) for _ in range(ROUNDS)
        ]
        ours, theirs = (statistics.median(column) * 1e6 for column in zip(*pairs, strict=True))
        ratio = statistics.median(theirs / ours for ours, theirs in pairs)
        print(f"{name:<10}{ours:>16.0f}{theirs:>18.0f}{ratio:>8.1f}")
    await isolated.aclose()


if __name__ == "__main__":
    asyncio.run(main())
