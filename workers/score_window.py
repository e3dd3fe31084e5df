"""What the outcomes of the last minutes amount to, by route and evaluator, in bounded memory."""

from collections import Counter, OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field

from schemas.outcome import Origin, Outcome

from .label_sets import OTHER, label_value

_SLOTS = 60
_MAX_ROWS = 500
_REMEMBERED = 50_000
"""Outcomes that are known again: a repeated one counts once. Some 20 MB."""

_ROUNDING = 1e-6
"""What may be left of weights that were taken away again; each is 1 or more, or 0."""

Key = tuple[str, str]
"""Route and evaluator."""


@dataclass(frozen=True, slots=True)
class _Counted:
    """What is kept of an outcome, to take it away again."""

    revision: int
    slot: int
    keys: tuple[Key, ...]
    weight: float
    value: float | None
    passed: bool | None
    reason: str
    is_judged: bool
    usd: float | None


@dataclass(slots=True)
class Totals:
    """Sums over outcomes.

    Attributes:
        scored: Outcomes with a score.
        reasons: The others, by reason.
        weight: Sum of 1 / probability of the scores; a remembered one is no new sample, and has
            none.
        weighted: The same, times the score.
        judged_weight: Weights of the scores that say whether they passed.
        passed_weight: Weights of those that did.
        usd: What their judges cost.
        unpriced: Outcomes whose judge has no price.
    """

    scored: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    weight: float = 0.0
    weighted: float = 0.0
    judged_weight: float = 0.0
    passed_weight: float = 0.0
    usd: float = 0.0
    unpriced: int = 0

    @property
    def outcomes(self) -> int:
        """All of them."""
        return self.scored + self.reasons.total()

    @property
    def mean(self) -> float | None:
        """Weighted mean score; None without a score that weighs anything."""
        return self.weighted / self.weight if self.weight > _ROUNDING else None

    @property
    def pass_rate(self) -> float | None:
        """Weighted share that passed; None where no score says so."""
        return self.passed_weight / self.judged_weight if self.judged_weight > _ROUNDING else None

    def count(self, one: _Counted, sign: int = 1) -> None:
        """Add an outcome; with `sign` -1 take it away again."""
        weight = sign * one.weight
        if one.value is not None:
            self.scored += sign
            self.weight += weight
            self.weighted += weight * one.value
            if one.passed is not None:
                self.judged_weight += weight
                self.passed_weight += weight * one.passed
        else:
            self.reasons[one.reason] += sign
        if one.usd is not None:
            self.usd += sign * one.usd
        elif one.is_judged:
            self.unpriced += sign

    def add(self, other: "Totals") -> None:
        """Add other sums."""
        self.scored += other.scored
        self.reasons.update(other.reasons)
        self.weight += other.weight
        self.weighted += other.weighted
        self.judged_weight += other.judged_weight
        self.passed_weight += other.passed_weight
        self.usd += other.usd
        self.unpriced += other.unpriced


@dataclass(slots=True)
class _Slot:
    """One sixtieth of the window."""

    rows: dict[Key, Totals] = field(default_factory=dict)
    every: Totals = field(default_factory=Totals)

    def count(self, one: _Counted, sign: int = 1) -> None:
        self.every.count(one, sign)
        for key in one.keys:
            self.rows.setdefault(key, Totals()).count(one, sign)


class ScoreWindow:
    """A sliding window over outcomes. Not for use by two threads.

    Of several outcomes with one `evaluation_id` the highest revision holds, then the last. What a
    retry or a backfill published is left out, as in the metrics: it says nothing about now.

    Args:
        seconds: How long the window is.

    Attributes:
        left_out: Outcomes of retries and backfills, since the start.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._slot_s = seconds / _SLOTS
        self._slots: dict[int, _Slot] = {}
        self._known: set[Key] = set()
        self._recent: OrderedDict[str, _Counted] = OrderedDict()
        self.left_out = 0

    def add(self, outcome: Outcome, at_s: float) -> None:
        """Count an outcome that was published at a time, in Unix seconds."""
        if outcome.origin is not Origin.LIVE:
            self.left_out += 1
            return
        one = self._counted(outcome, int(at_s // self._slot_s))
        before = self._recent.get(outcome.evaluation_id)
        if before is not None:
            if before.revision > one.revision:
                return
            if before.slot in self._slots:
                self._slots[before.slot].count(before, -1)
        self._recent[outcome.evaluation_id] = one
        self._recent.move_to_end(outcome.evaluation_id)
        if len(self._recent) > _REMEMBERED:
            self._recent.popitem(last=False)
        self._slots.setdefault(one.slot, _Slot()).count(one)

    def rows(self, now_s: float) -> dict[Key, Totals]:
        """What is in the window now, by route and evaluator, in their order."""
        found: dict[Key, Totals] = {}
        for slot in self._current(now_s):
            for key, totals in slot.rows.items():
                found.setdefault(key, Totals()).add(totals)
        return {key: found[key] for key in sorted(found) if found[key].outcomes}

    def every(self, now_s: float) -> Totals:
        """The same over all evaluations, each once, however many routes name it."""
        found = Totals()
        for slot in self._current(now_s):
            found.add(slot.every)
        return found

    def _current(self, now_s: float) -> Iterator[_Slot]:
        first = int((now_s - self._seconds) // self._slot_s)
        self._slots = {number: slot for number, slot in self._slots.items() if number > first}
        yield from self._slots.values()

    def _counted(self, outcome: Outcome, slot: int) -> _Counted:
        name, score, judge = label_value(outcome.evaluator.name), outcome.score, outcome.judge
        routes = outcome.sampling.routes
        return _Counted(
            outcome.revision,
            slot,
            tuple({self._room((label_value(route), name)): None for route in routes}),
            0.0 if outcome.flags.cached else 1 / outcome.sampling.probability,
            None if score is None else score.value,
            None if score is None else score.passed,
            str(outcome.reason),
            judge is not None,
            None if judge is None else judge.cost_usd,
        )

    def _room(self, key: Key) -> Key:
        """The key, or `other` where there are too many: anything may stand on a topic."""
        if key in self._known:
            return key
        if len(self._known) >= _MAX_ROWS:
            return (OTHER, OTHER)
        self._known.add(key)
        return key
