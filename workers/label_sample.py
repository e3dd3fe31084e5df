"""Which verdicts people should look at: a random sample, of what passed and of what failed.

Where few items fail, a plain sample of 200 holds ten of them, and says nothing of specificity. So
half of it is drawn from either, and each item keeps the probability with which it is in: weighted
by 1 / probability the sample is one of all traffic again.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from schemas.outcome import Origin, Outcome, Source

from .labelled import DrawnFrom


@dataclass(frozen=True, slots=True)
class Judged:
    """One verdict that stands on the scores topic.

    Attributes:
        probability: With which a span like this is evaluated at all.
    """

    evaluation_id: str
    trace_id: str
    span_id: str
    fingerprint: str
    source: Source
    passed: bool
    probability: float


@dataclass(frozen=True, slots=True)
class Drawn:
    """A verdict of the sample, and the probability with which one like it is there."""

    judged: Judged
    probability: float


class Verdicts:
    """The verdicts of one evaluator that hold, as they are read from the scores topic.

    Of several outcomes with one `evaluation_id` the last holds. Verdicts of code in a judge's place
    are not the judge's, those of a backfill are of other traffic, and remembered ones are no new
    ones: all three are left out.
    """

    def __init__(self, evaluator: str) -> None:
        self._evaluator = evaluator
        self._kept: dict[str, Judged] = {}

    def add_value(self, value: bytes | None) -> None:
        """Take a record into account; what is no outcome is passed over."""
        try:
            outcome = Outcome.from_json(value or b"")
        except ValueError:
            return
        if outcome.evaluator.name != self._evaluator or outcome.origin is Origin.BACKFILL:
            return
        if outcome.flags.cached:
            return
        score = outcome.score
        if score is None or score.passed is None or outcome.flags.degraded:
            self._kept.pop(outcome.evaluation_id, None)
            return
        self._kept[outcome.evaluation_id] = Judged(
            outcome.evaluation_id,
            outcome.trace_id,
            outcome.span_id,
            outcome.evaluator.fingerprint,
            outcome.sources[0],
            score.passed,
            outcome.sampling.probability,
        )

    def by_fingerprint(self) -> Mapping[str, Sequence[Judged]]:
        """The verdicts of each fingerprint, those of the most common one first."""
        counts = Counter(one.fingerprint for one in self._kept.values())
        found: dict[str, list[Judged]] = {name: [] for name, _ in counts.most_common()}
        for one in self._kept.values():
            found[one.fingerprint].append(one)
        return found


def draw(verdicts: Sequence[Judged], count: int) -> list[Drawn]:
    """Draw so many, half of them from what passed and half from what failed, in random order.

    Where one half has fewer, the other one gives more. Chance is a hash of the evaluation's id: the
    same verdicts give the same sample, and a larger one holds the smaller.
    """
    passed = [one for one in verdicts if one.passed]
    failed = [one for one in verdicts if not one.passed]
    of_failed = min(len(failed), max(count // 2, count - len(passed)))
    drawn = []
    for stratum, size in ((failed, of_failed), (passed, min(len(passed), count - of_failed))):
        chosen = sorted(stratum, key=_chance)[:size]
        drawn += [Drawn(one, one.probability * size / len(stratum)) for one in chosen]
    return sorted(drawn, key=lambda one: _chance(one.judged))


def drawn_from(verdicts: Iterable[Judged]) -> DrawnFrom:
    """What the sample is drawn from: the pass rate of all traffic, and what it is worth.

    The count is Kish's effective one: so many verdicts of equal weight would tell as much.
    """
    weights = [(1 / one.probability, one.passed) for one in verdicts]
    total = sum(weight for weight, _ in weights)
    return DrawnFrom(
        count=total**2 / sum(weight**2 for weight, _ in weights),
        pass_rate=sum(weight for weight, passed in weights if passed) / total,
    )


def _chance(one: Judged) -> bytes:
    return blake2b(one.evaluation_id.encode(), digest_size=8, person=b"sample").digest()
