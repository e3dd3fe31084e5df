"""Anchors: labelled items that are judged again and again: did the judge change, or the app?

Their outcomes are published nowhere and are in no series of scores: they are counted as agreeing
with their label or not (`assay_anchors_total`), and a rule compares that with last week's share.

One worker of a group judges them, without a lease: the one that has the first partition of the
first spans topic in the evaluator's lane. Which item is due is told by the clock alone, so that a
rebalance or a restart neither repeats the set from its beginning nor leaves a part of it out.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from evaluators.contract import Scope
from evaluators.judge.budget import OpenBudget
from schemas.config import Config
from schemas.errors import ConfigError
from schemas.events import Emit

from .configured import Configured, contents_of
from .engine import Engine, Job, Meter
from .labelled import PASS, Labelled, jobs_of, read_items
from .offsets import Partition

_HOUR_S = 3600.0
_MIN_ITEMS = 20
"""With fewer, one item that the judge finds hard is a twentieth of all."""

Observe = Callable[[str, bool | None], None]
"""Told of each judged anchor: evaluator, and whether it agrees; None: it got no score."""


@dataclass(frozen=True, slots=True)
class AnchorSet:
    """The anchors of one evaluator.

    Attributes:
        evaluator: Its name.
        lane: The lane that it runs in.
        jobs: An evaluation for each item.
        items: The items, in the same order.
        every_s: Seconds from one to the next.
    """

    evaluator: str
    lane: str
    jobs: Sequence[Job]
    items: Sequence[Labelled]
    every_s: float

    def slot_at(self, now_s: float) -> int:
        """The number of the slot that a moment lies in; each slot is one item's turn."""
        return int(now_s // self.every_s)

    def due_in(self, slot: int) -> tuple[Job, bool]:
        """Whose turn it is, and whether people pass it."""
        place = slot % len(self.items)
        return self.jobs[place], self.items[place].human == PASS


def anchor_sets(config: Config, evaluators: Mapping[str, Configured]) -> list[AnchorSet]:
    """Read the anchors of all evaluators that have some.

    Raises:
        ConfigError: A file cannot be read, holds too little, or is of an evaluator without a judge.
    """
    return [
        _anchor_set(config, evaluator)
        for evaluator in evaluators.values()
        if evaluator.config.anchors is not None
    ]


def _anchor_set(config: Config, evaluator: Configured) -> AnchorSet:
    name, settings = evaluator.name, evaluator.config.anchors
    key = f"evaluators.{name}.anchors"
    if settings is None or evaluator.judge is None or evaluator.evaluator.scope is not Scope.SPAN:
        raise ConfigError(
            f'evaluator "{name}": anchors are for a judge of single calls; take "anchors" away',
            key=key,
        )
    items = [item for item in read_items(settings.file) if item.human is not None]
    if len(items) < _MIN_ITEMS:
        raise ConfigError(
            f"{settings.file}: has {len(items)} labelled items, and needs {_MIN_ITEMS}, better "
            "100; label more",
            key=key,
        )
    routes = tuple(route.name for route in config.routes if name in route.evaluators)
    content = contents_of(config, name)[0]
    jobs = jobs_of(items, evaluator, content, str(settings.file), routes)
    return AnchorSet(name, evaluator.lane, jobs, items, _HOUR_S / settings.per_hour)


class Anchors:
    """Judges anchors when they are due, where this worker is the one to do it.

    Args:
        sets: What there is to judge.
        first: The partition whose owner judges them.
        assigned: The partitions that a lane of this worker has now; empty where it has none.
        emit: Where events go.
        observe: Told of each anchor.
        now: Unix seconds.
        open_budget: What pays for the judges; None: nobody counts it.
    """

    def __init__(
        self,
        sets: Sequence[AnchorSet],
        *,
        first: Partition,
        assigned: Callable[[str], Iterable[Partition]],
        emit: Emit,
        observe: Observe,
        now: Callable[[], float] = time.time,
        open_budget: OpenBudget | None = None,
    ) -> None:
        self._sets = sets
        self._first = first
        self._assigned = assigned
        self._observe = observe
        self._now = now
        self._engine = Engine(emit, now=now, open_budget=open_budget)

    async def run(self) -> None:
        """Judge until cancelled. A slot that passes while a judge is waited for is left out."""
        async with asyncio.TaskGroup() as tasks:
            for one in self._sets:
                tasks.create_task(self._keep_judging(one))

    async def _keep_judging(self, anchors: AnchorSet) -> None:
        slot = 0
        while True:
            now_s = self._now()
            # A clock that is set back, or a sleep that ends early, must not repeat a slot.
            slot = max(slot, anchors.slot_at(now_s)) + 1
            await asyncio.sleep(max(0.0, slot * anchors.every_s - now_s))
            await self.judge(anchors, slot)

    async def judge(self, anchors: AnchorSet, slot: int) -> None:
        """Judge the item whose turn a slot is, if this worker has the first partition."""
        if self._first not in self._assigned(anchors.lane):
            return
        job, is_good = anchors.due_in(slot)
        (outcome,) = await self._engine.outcomes([job], Meter())
        passed = None if outcome.score is None else outcome.score.passed
        self._observe(anchors.evaluator, None if passed is None else passed == is_good)
