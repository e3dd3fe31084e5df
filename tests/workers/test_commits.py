"""Commits and their answers, as the poll thread meets them."""

from collections.abc import Sequence
from typing import Any

import pytest
from confluent_kafka import KafkaError, TopicPartition

from workers.commits import Commits
from workers.offset_metadata import Beginning
from workers.offsets import Offsets, Partition

P: Partition = ("spans", 0)


class _Client:
    """Takes commits as the client does, and answers when told to."""

    def __init__(self) -> None:
        self.sent: list[list[TopicPartition]] = []

    def commit(self, *, offsets: Sequence[TopicPartition], asynchronous: bool) -> None:
        assert asynchronous
        self.sent.append(list(offsets))


class _Site:
    """One partition, its commits, and a clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0
        self.client: Any = _Client()
        self.offsets = Offsets()
        self.offsets.assign(P, 0, Beginning(1, 0, "c"), None)
        self.commits = Commits("code", self.offsets, lambda _: None, clock=lambda: self.now)

    def finish(self, offset: int) -> None:
        claim = self.offsets.deliver(P, offset, 0.0)
        assert claim is not None
        claim.release()

    def wait(self, seconds: float) -> None:
        """Let time pass as the poll thread does."""
        for _ in range(int(seconds * 10)):
            self.now += 0.1
            self.commits.send(self.client)

    def answer(self, error: KafkaError | None = None) -> None:
        self.commits.answered(error, self.client.sent[-1])


@pytest.fixture
def site() -> _Site:
    """A lane that has nothing to commit yet."""
    return _Site()


def test_commits_are_late_when_no_answer_comes(site: _Site) -> None:
    """The coordinator is away: after a second nothing new may begin, until it has answered."""
    site.finish(0)
    site.wait(0.5)
    assert not site.commits.are_late()
    site.wait(1)
    assert site.commits.are_late()
    site.answer()
    site.wait(0.1)
    assert not site.commits.are_late()


def test_commits_are_late_when_the_answer_is_no(site: _Site) -> None:
    """A refusal covers nothing, however soon it comes."""
    for _ in range(15):
        site.finish(site.offsets.positions()[P])
        site.wait(0.1)
        site.answer(KafkaError(KafkaError.REBALANCE_IN_PROGRESS))
    assert site.commits.are_late()


def test_a_lane_that_has_nothing_to_commit_is_never_late(site: _Site) -> None:
    """No traffic at night must not hold up the first span of the morning."""
    site.wait(60)
    assert not site.commits.are_late()


def test_a_worker_that_stood_still_is_late(site: _Site) -> None:
    """It was frozen past its session: others have its partitions, and it does not know yet."""
    site.wait(1)
    site.now += 20
    assert site.commits.are_late()


def test_a_commit_that_gets_no_answer_is_sent_again(site: _Site) -> None:
    """A client may lose one while it looks for its coordinator; the lane must not wait for ever."""
    site.finish(0)
    site.wait(6)
    assert len(site.client.sent) == 2
    assert site.client.sent[0] == site.client.sent[1]
    site.answer()
    site.answer()  # the first one's, after all
    site.wait(0.1)
    assert not site.commits.are_late()
