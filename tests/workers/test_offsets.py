"""Claims, watermarks and epochs; `test_offsets_model.py` has whole lives of them."""

from workers.offset_metadata import Beginning
from workers.offsets import Offsets, Partition

P: Partition = ("spans", 0)
BEGINNING = Beginning(1, 0, "c")


def test_only_the_contiguous_part_is_committed() -> None:
    """An offset above an unfinished one is done, but not committed: a crash would skip the gap."""
    offsets = Offsets()
    offsets.assign(P, 0, BEGINNING, None)
    claims = [offsets.deliver(P, offset, 0.0) for offset in range(3)]
    assert claims[2] is not None
    claims[2].release()
    assert [commit.offset for commit in offsets.commits()] == [0]
    assert claims[0] is not None
    claims[0].release()
    assert [commit.offset for commit in offsets.commits()] == [1]


def test_what_was_done_above_the_watermark_is_not_delivered_again() -> None:
    """The next owner reads the commit's metadata and claims only what is unfinished."""
    first = Offsets()
    first.assign(P, 0, BEGINNING, None)
    claims = [first.deliver(P, offset, 0.0) for offset in range(4)]
    for index in (1, 3):
        claim = claims[index]
        assert claim is not None
        claim.release()
    (commit,) = first.commits()
    second = Offsets()
    second.assign(P, commit.offset, BEGINNING, commit.metadata)
    taken = [offset for offset in range(commit.offset, 4) if second.deliver(P, offset, 0.0)]
    assert taken == [0, 2]


def test_a_claim_of_an_older_epoch_changes_nothing() -> None:
    """A late result of a revoked partition must not move the offset of its next assignment."""
    offsets = Offsets()
    offsets.assign(P, 0, BEGINNING, None)
    old = offsets.deliver(P, 0, 0.0)
    offsets.revoke([P])
    offsets.assign(P, 0, BEGINNING, None)
    offsets.deliver(P, 0, 0.0)
    assert old is not None
    assert old.is_lost
    assert not old.release()
    assert [commit.offset for commit in offsets.commits()] == [0]


def test_a_partition_that_is_leaving_takes_no_new_work() -> None:
    """While a partition drains its claims may be released, but none may start."""
    offsets = Offsets()
    offsets.assign(P, 0, BEGINNING, None)
    claim = offsets.deliver(P, 0, 0.0)
    assert claim is not None
    assert claim.may_start()
    offsets.close([P])
    assert not claim.may_start()
    assert claim.release()


def test_a_refused_commit_is_sent_again() -> None:
    """The broker's refusal must not lose the newest state."""
    offsets = Offsets()
    offsets.assign(P, 0, BEGINNING, None)
    claim = offsets.deliver(P, 0, 0.0)
    assert claim is not None
    claim.release()
    assert offsets.commits()
    assert not offsets.commits()
    offsets.refused(P)
    assert [commit.offset for commit in offsets.commits()] == [1]


def test_a_crowded_partition_is_named() -> None:
    """Before the metadata overflows, intake of that partition is to pause."""
    offsets = Offsets()
    offsets.assign(P, 0, BEGINNING, None)
    first = offsets.deliver(P, 0, 0.0)
    claims = [offsets.deliver(P, offset, 0.0) for offset in range(1, 40_000)]
    for claim in claims[::2]:
        assert claim is not None
        claim.release()
    (commit,) = offsets.commits()
    assert len(commit.metadata) <= 4096
    assert offsets.crowded() == {P}
    assert first is not None
    first.release()
    for claim in claims[1::2]:
        assert claim is not None
        claim.release()
    offsets.commits()
    assert offsets.crowded() == set()
