"""How often the corrected rate's interval holds the truth, over judges, rates and label sets.

    python bench/coverage.py [--runs 4000]

Each run draws labels and verdicts anew, calibrates by `workers/agreement.py`, and corrects the rate
of other verdicts. Exits with 1 where a 95 % interval holds the truth in less than 94 of 100 runs.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from workers.agreement import Pair, Population, Terms, prediction_powered, rogan_gladen

LEAST = 0.94
VERDICTS = 5000


@dataclass(frozen=True)
class Judge:
    """A judge and what it judges: the share that people pass, and how often it agrees with them."""

    good: float
    sensitivity: float
    specificity: float

    @property
    def passes(self) -> float:
        """The pass rate that it reports."""
        return self.good * self.sensitivity + (1 - self.good) * (1 - self.specificity)


@dataclass(frozen=True)
class Labels:
    """How labels come about.

    Attributes:
        how: `fixed`: half of them are bad, whatever the traffic is like; `random`: a plain sample;
            `by verdict`: half of them passed and half failed, as `--sample` draws them.
        count: How many.
    """

    how: str
    count: int


JUDGES = (
    Judge(0.5, 0.85, 0.85),
    Judge(0.8, 0.90, 0.85),
    Judge(0.9, 0.90, 0.85),
    Judge(0.95, 0.95, 0.80),
    Judge(0.97, 0.99, 0.95),
    Judge(0.99, 0.95, 0.90),
)
LABELS = (
    Labels("fixed", 100),
    Labels("fixed", 500),
    Labels("random", 200),
    Labels("random", 1000),
    Labels("by verdict", 200),
    Labels("by verdict", 400),
)


def coverage(judge: Judge, labels: Labels, runs: int, seed: int) -> tuple[float, float]:
    """Share of the runs whose interval holds the truth, and the mean width of the intervals."""
    rng = np.random.default_rng(seed)
    holds, width, count = 0, 0.0, 0
    for terms in _calibrations(judge, labels, runs, rng):
        rate = float(rng.binomial(VERDICTS, judge.passes) / VERDICTS)
        found = terms.correct(rate, VERDICTS)
        holds += found.low <= judge.good <= found.high
        width += found.high - found.low
        count += 1
    return holds / count, width / count


def _calibrations(
    judge: Judge, labels: Labels, runs: int, rng: np.random.Generator
) -> Iterator[Terms]:
    cells = np.array(
        [
            judge.good * judge.sensitivity,
            judge.good * (1 - judge.sensitivity),
            (1 - judge.good) * (1 - judge.specificity),
            (1 - judge.good) * judge.specificity,
        ]
    )
    half = labels.count // 2
    for _ in range(runs):
        rate = float(rng.binomial(VERDICTS, judge.passes) / VERDICTS)
        weights = (1.0, 1.0)
        if labels.how == "fixed":
            right = int(rng.binomial(half, judge.sensitivity))
            found = int(rng.binomial(half, judge.specificity))
            terms = _fixed((right, half - right, half - found, found))
            if terms is not None:
                yield terms
            continue
        if labels.how == "random":
            counts = tuple(map(int, rng.multinomial(labels.count, cells)))
        else:
            passed = int(rng.binomial(half, cells[0] / judge.passes))
            failed = int(rng.binomial(half, cells[1] / (1 - judge.passes)))
            counts = (passed, failed, half - passed, half - failed)
            weights = (rate / half, (1 - rate) / half)
        yield prediction_powered(_pairs(counts, *weights), Population(VERDICTS, rate))


@cache
def _fixed(counts: tuple[int, ...]) -> Terms | None:
    return rogan_gladen(_pairs(counts, 1.0, 1.0))


def _pairs(counts: Sequence[int], passed: float, failed: float) -> list[Pair]:
    """Labelled items: (people, judge) is (pass, pass), (pass, fail), (fail, pass), (fail, fail)."""
    kinds = (
        Pair(True, True, passed),
        Pair(True, False, failed),
        Pair(False, True, passed),
        Pair(False, False, failed),
    )
    return [pair for pair, count in zip(kinds, counts, strict=True) for _ in range(count)]


def main() -> int:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=4000)
    runs = parser.parse_args().runs
    print(f"{'pass sens spec':16}" + "".join(f"{f'{o.how} {o.count}':>18}" for o in LABELS))
    worst = 1.0
    for judge in JUDGES:
        cells = []
        for labels in LABELS:
            held, width = coverage(judge, labels, runs, seed=1)
            worst = min(worst, held)
            cells.append(f"{f'{held:.3f} ±{width / 2:.3f}':>18}")
        print(f"{judge.good:4} {judge.sensitivity:4} {judge.specificity:4}  " + "".join(cells))
    print(f"the interval holds the truth in {worst:.1%} of the runs at least")
    return 0 if worst >= LEAST else 1


if __name__ == "__main__":
    sys.exit(main())
