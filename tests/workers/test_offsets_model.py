"""The tracker against a reference model: any life that a partition may have, commits on the wire.

The model is plain sets. The broker is what the last commit that reached it says; commits travel in
order and are answered late, refused, or lost with the worker that sent them.
"""

from bisect import bisect_left
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from workers import offset_metadata
from workers.offset_metadata import Beginning
from workers.offsets import Claim, Commit, Offsets, Partition

pytestmark = pytest.mark.timeout(300)  # 5 s of work, on a machine that has nothing else to do

PARTITIONS: tuple[Partition, ...] = (("spans", 0), ("spans", 1))
BEGINNING = Beginning(2, 0, "cj")
CROWDED_BYTES = offset_metadata.MAX_BYTES * 3 // 4
MANY = 27_000
"""Records whose sieve does not fit into a commit's metadata."""

partitions = st.sampled_from(PARTITIONS)
often = st.integers(0, 3).map(bool)


@dataclass
class Reference:
    """One partition: its log, what is on the broker, and what its owner has to know."""

    log: list[int] = field(default_factory=list)
    finished: set[int] = field(default_factory=set)
    """Offsets whose outcomes were acknowledged, in any epoch."""
    committed: int = 0
    metadata: str | None = None

    is_owned: bool = False
    is_closed: bool = False
    fetch: int = 0
    """Where the client reads next; a seek moves it back."""
    position: int = 0
    before: frozenset[int] = frozenset()
    open: dict[int, float] = field(default_factory=dict)
    done: set[int] = field(default_factory=set)
    highest: int = 0
    """The highest watermark of the epoch."""

    def own(self) -> None:
        """Begin an epoch at what the broker holds."""
        self.is_owned, self.is_closed = True, False
        self.fetch = self.position = self.highest = self.committed
        _, self.before = offset_metadata.decode(self.metadata, self.committed)
        self.open, self.done = {}, set()

    def next(self, *, gap: bool) -> int:
        """The offset that the client reads now; the log grows where it has been read."""
        at = bisect_left(self.log, self.fetch)
        if at == len(self.log):
            self.log.append(max(self.fetch, self.log[-1] + 1 if self.log else 0) + gap)
        offset = self.log[at]
        self.fetch = offset + 1
        return offset

    @property
    def watermark(self) -> int:
        """The lowest offset that is not done."""
        return min(self.open, default=self.position)

    @property
    def ahead(self) -> set[int]:
        """Done above the watermark, in this epoch or, not read again yet, in an earlier one."""
        ahead = {offset for offset in self.before if offset >= self.position}
        return {offset for offset in self.done if offset > self.watermark} | ahead


class PartitionLife(RuleBasedStateMachine):
    """Two partitions of one consumer, which loses them, gets them back and dies."""

    claims: Bundle[tuple[Claim, int]] = Bundle("claims")

    def __init__(self) -> None:
        super().__init__()
        self.offsets = Offsets()
        self.model = {partition: Reference() for partition in PARTITIONS}
        self.epochs = dict.fromkeys(PARTITIONS, 0)
        self.wire: deque[Commit] = deque()
        self.was_flooded = True
        for partition in PARTITIONS:
            self._assign(partition)

    @initialize(floods=st.integers(0, 5))
    def begin(self, floods: int) -> None:
        """One life in six may have a flood, which takes its time."""
        self.was_flooded = floods > 0

    # --- assignment ---

    @rule(partition=partitions)
    def close(self, partition: Partition) -> None:
        """It is about to leave: what runs may end, nothing may begin."""
        self.offsets.close([partition])
        self.model[partition].is_closed = self.model[partition].is_owned

    @rule(partition=partitions, taken=st.booleans(), again=often)
    def revoke(self, partition: Partition, *, taken: bool, again: bool) -> None:
        """Drained: the last commit is waited for, then the epoch ends; mostly it comes back."""
        self.close(partition)
        self._arrive(len(self.wire))
        for commit in self.offsets.commits([partition], also_unchanged=True):
            if taken:
                self._take(commit)
        self._end(partition, again=again)

    @rule(partition=partitions, again=often)
    def lose(self, partition: Partition, *, again: bool) -> None:
        """Another worker has it already: the broker fences what is still on the wire."""
        self.wire = deque(commit for commit in self.wire if commit.partition != partition)
        self._end(partition, again=again)

    @rule(arrived=st.integers(0, 5))
    def crash(self, arrived: int) -> None:
        """The worker dies with its claims; some of what it had sent arrives all the same."""
        self._arrive(arrived)
        self.wire.clear()
        self.offsets = Offsets()
        for partition in PARTITIONS:
            self._assign(partition)

    @precondition(lambda self: not all(model.is_owned for model in self.model.values()))
    @rule()
    def assign(self) -> None:
        """The group gives back what it took."""
        for partition, model in self.model.items():
            if not model.is_owned:
                self._assign(partition)

    # --- records ---

    @rule(target=claims, partition=partitions, count=st.integers(1, 6), gap=st.booleans())
    def deliver(self, partition: Partition, count: int, *, gap: bool) -> Any:
        """Records arrive, with gaps where the log was compacted."""
        if not self.model[partition].is_owned:
            return multiple()
        taken = (self._deliver(partition, gap=gap) for _ in range(count))
        return multiple(*(claim for claim in taken if claim is not None))

    @rule(partition=partitions, back=st.integers(1, 8))
    def seek_back(self, partition: Partition, back: int) -> None:
        """A seek past poison, or a fetch that was under way, delivers records again."""
        model = self.model[partition]
        model.fetch = max(0, model.fetch - back)
        if model.is_owned and model.log:
            self._deliver(partition, gap=False)

    @precondition(lambda self: not self.was_flooded)
    @rule(partition=partitions, stride=st.sampled_from((2, 3, 500)))
    def flood(self, partition: Partition, stride: int) -> None:
        """Very many arrive and most are done, while some take their time."""
        if not self.model[partition].is_owned:
            return
        self.was_flooded = True
        for number in range(MANY):
            claim = self._deliver(partition, gap=False)
            if claim is not None and number % stride:
                self._finish(*claim)
        self.send()

    @rule(claim=claims)
    def finish(self, claim: tuple[Claim, int]) -> None:
        """Work ends, in any order; that of earlier epochs as well."""
        self._finish(*claim)

    @rule(partition=partitions)
    def finish_all(self, partition: Partition) -> None:
        """A slow stretch ends."""
        model, epoch = self.model[partition], self.epochs[partition]
        for offset in list(model.open if model.is_owned else ()):
            tracker = self.offsets._trackers[partition]
            claim = Claim(partition, offset, tracker.epoch, 0.0, self.offsets)
            self._finish(claim, epoch)

    # --- commits ---

    @rule()
    def send(self) -> None:
        """The poll thread commits what has changed, and does not wait."""
        for commit in self.offsets.commits():
            self._check(commit)
            self.wire.append(commit)

    @precondition(lambda self: self.wire)
    @rule(taken=st.booleans())
    def answer(self, *, taken: bool) -> None:
        """The broker answers the oldest commit."""
        commit = self.wire.popleft()
        if taken:
            self._take(commit)
        else:
            self.offsets.refused(commit.partition)

    @rule()
    def refuse(self) -> None:
        """The group is busy with its members and takes no commits."""
        self.send()
        while self.wire:
            self.answer(taken=False)

    def teardown(self) -> None:
        """However it went, in the end the broker knows."""
        self.settle()

    @rule()
    def settle(self) -> None:
        """The broker takes everything: then it knows all that we know."""
        self._arrive(len(self.wire))
        self.send()
        self._arrive(len(self.wire))
        assert not self.offsets.has_changed()
        for model in self.model.values():
            if model.is_owned:
                assert model.committed == model.watermark

    # --- what must hold ---

    @invariant()
    def it_knows_what_it_owns(self) -> None:
        """Positions, claims and ages are those of the partitions that are assigned."""
        owned = {p: model for p, model in self.model.items() if model.is_owned}
        assert set(self.offsets.assigned()) == set(owned)
        assert self.offsets.positions() == {p: model.watermark for p, model in owned.items()}
        for partition in PARTITIONS:
            expected = len(owned[partition].open) if partition in owned else 0
            assert self.offsets.open_count([partition]) == expected
        oldest = [next(iter(model.open.values())) for model in owned.values() if model.open]
        assert self.offsets.oldest_timestamp_s() == min(oldest, default=None)

    @invariant()
    def the_watermark_never_goes_back(self) -> None:
        """Within an epoch, a commit never undoes an earlier one."""
        for model in self.model.values():
            if model.is_owned:
                assert model.watermark >= model.highest
                model.highest = model.watermark

    # --- parts of the rules ---

    def _assign(self, partition: Partition) -> None:
        model = self.model[partition]
        self.epochs[partition] += 1
        model.own()
        self.offsets.assign(partition, model.committed, BEGINNING, model.metadata)

    def _end(self, partition: Partition, *, again: bool) -> None:
        self.offsets.revoke([partition])
        self.model[partition].is_owned = False
        if again:
            self._assign(partition)

    def _deliver(self, partition: Partition, *, gap: bool) -> tuple[Claim, int] | None:
        model = self.model[partition]
        offset = model.next(gap=gap)
        claim = self.offsets.deliver(partition, offset, float(offset))
        if offset < model.position:
            assert claim is None, "claimed twice in one epoch"
            return None
        model.position = offset + 1
        if offset in model.before:
            assert claim is None, "judged again although an earlier owner has finished it"
            model.done.add(offset)
            return None
        assert claim is not None
        assert claim.may_start() is not model.is_closed
        model.open[offset] = float(offset)
        return claim, self.epochs[partition]

    def _finish(self, claim: Claim, epoch: int) -> None:
        if claim._offsets is not self.offsets:
            return  # it died with its process
        model = self.model[claim.partition]
        is_current = model.is_owned and epoch == self.epochs[claim.partition]
        assert claim.is_lost is not is_current
        was_open = is_current and claim.offset in model.open
        assert claim.release() is was_open
        if was_open:
            del model.open[claim.offset]
            model.done.add(claim.offset)
            model.finished.add(claim.offset)

    def _check(self, commit: Commit) -> None:
        model = self.model[commit.partition]
        assert model.is_owned
        assert commit.offset == model.watermark
        assert len(commit.metadata) <= offset_metadata.MAX_BYTES
        beginning, done = offset_metadata.decode(commit.metadata, commit.offset)
        assert beginning == BEGINNING
        whole = offset_metadata.encode(BEGINNING, commit.offset, sorted(model.ahead))
        fits = len(whole) <= offset_metadata.MAX_BYTES
        assert done == (model.ahead if fits else set())
        is_crowded = bool(model.open) and len(whole) >= CROWDED_BYTES
        assert (commit.partition in self.offsets.crowded()) is is_crowded

    def _take(self, commit: Commit) -> None:
        """Whoever starts at what the broker holds now must read all that is unfinished."""
        model = self.model[commit.partition]
        model.committed, model.metadata = commit.offset, commit.metadata
        _, done = offset_metadata.decode(commit.metadata, commit.offset)
        assert done <= model.finished
        assert model.finished.issuperset(model.log[: bisect_left(model.log, commit.offset)])

    def _arrive(self, count: int) -> None:
        for _ in range(min(count, len(self.wire))):
            self._take(self.wire.popleft())


PartitionLife.TestCase.settings = settings(
    max_examples=100,
    stateful_step_count=40,
    # To shrink a life with floods in it takes minutes, and it is readable as it is.
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)
TestPartitionLife = PartitionLife.TestCase
