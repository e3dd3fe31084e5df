"""Which verdicts are drawn for people to look at, and what the sample stands for."""

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from support.samples import outcome

from schemas.outcome import Flags, Origin, Sampling, Source
from workers.label_sample import Drawn, Judged, Verdicts, draw, drawn_from


def _judged(count: int, failed: int, probability: float = 1.0, name: str = "e") -> list[Judged]:
    return [
        Judged(f"{name}{i}", "t", "s", "f", Source("spans", 0, i), i >= failed, probability)
        for i in range(count)
    ]


def _count(drawn: Sequence[Drawn], *, passed: bool) -> int:
    return sum(one.judged.passed is passed for one in drawn)


@pytest.mark.parametrize(
    ("verdicts", "failed", "count", "of_failed"),
    [(1000, 100, 60, 30), (1000, 10, 60, 10), (1000, 990, 60, 50), (20, 5, 60, 5), (9, 0, 4, 0)],
)
def test_half_is_drawn_from_what_failed_as_far_as_there_is_so_much(
    verdicts: int, failed: int, count: int, of_failed: int
) -> None:
    """The rest comes from what passed, and the other way round."""
    drawn = draw(_judged(verdicts, failed), count)
    assert len(drawn) == min(count, verdicts)
    assert _count(drawn, passed=False) == of_failed


def test_probabilities_make_the_sample_one_of_all_traffic() -> None:
    """Sums of 1 / probability are those of the verdicts, by verdict; sampled spans count more."""
    verdicts = _judged(900, 90) + _judged(100, 50, 0.1, "rare")
    for passed in (True, False):
        known = sum(1 / one.probability for one in verdicts if one.passed is passed)
        sums = [
            sum(1 / one.probability for one in draw(named, 200) if one.judged.passed is passed)
            for named in (_renamed(verdicts, seed) for seed in range(200))
        ]
        assert sum(sums) / len(sums) == pytest.approx(known, rel=0.05)


def _renamed(verdicts: Sequence[Judged], seed: int) -> list[Judged]:
    rng = random.Random(seed)  # noqa: S311  a simulation
    return [replace(one, evaluation_id=rng.randbytes(8).hex()) for one in verdicts]


def test_a_larger_sample_holds_the_smaller_one_in_its_order() -> None:
    """Who has labelled 50 and wants 100 has not worked in vain."""
    verdicts = _judged(1000, 300)
    small, large = ([one.judged for one in draw(verdicts, count)] for count in (50, 100))
    assert [one for one in large if one in small] == small


def test_what_it_is_drawn_from_is_weighted() -> None:
    """A verdict of a route that samples a tenth stands for ten; the count is the effective one."""
    found = drawn_from(_judged(100, 0) + _judged(10, 10, 0.1, "rare"))
    assert found.pass_rate == pytest.approx(0.5)
    assert found.count == pytest.approx(200**2 / (100 + 10 * 100))


def _values(*changes: dict[str, Any]) -> list[bytes]:
    return [replace(outcome(), **change).to_json() for change in changes]


def test_only_the_judges_own_verdicts_on_live_traffic_count() -> None:
    """Not those of code in its place, of a backfill, of others, remembered, or failed at last."""
    known = outcome()
    assert known.score is not None
    verdicts = Verdicts(known.evaluator.name)
    failed = replace(known.score, passed=False)
    for value in _values(
        {"evaluation_id": "a", "sampling": Sampling(("r",), 0.5)},
        {"evaluation_id": "a", "score": failed, "sampling": Sampling(("r",), 0.5)},
        {"evaluation_id": "b", "flags": Flags(degraded=True)},
        {"evaluation_id": "c", "origin": Origin.BACKFILL},
        {"evaluation_id": "d", "evaluator": replace(known.evaluator, name="other")},
        {"evaluation_id": "e"},
        {"evaluation_id": "e", "score": None},
        {"evaluation_id": "f", "evaluator": replace(known.evaluator, fingerprint="old")},
        {"evaluation_id": "g", "origin": Origin.RETRY},
        {"evaluation_id": "g", "flags": Flags(cached=True), "score": failed},
        {"evaluation_id": "h", "flags": Flags(cached=True)},
    ):
        verdicts.add_value(value)
    verdicts.add_value(b"no outcome")
    found = verdicts.by_fingerprint()
    assert list(found) == [known.evaluator.fingerprint, "old"]
    assert {one.evaluation_id: one.passed for one in found[known.evaluator.fingerprint]} == {
        "a": False,
        "g": True,
    }
