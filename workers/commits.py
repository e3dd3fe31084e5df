"""Commits of one lane: sent by its poll thread, between callbacks, and again where refused.

No other thread commits: the broker *accepts* a commit of a partition that was taken away, and it
moves the new owner's offset.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from schemas.events import CommitFailed, Emit

from .offsets import Commit, Offsets, Partition

_LAST_S = 5.0
"""How long a partition's last commit is tried; the next owner repeats what it does not hold."""
_AGAIN_S = 0.2
_LATE_S = 1.0
"""How long the broker may owe an acknowledgement before nothing new begins."""
_FORGOTTEN_S = 5.0
"""After which a commit without an answer is sent again: one that gets none must not stop us."""
_NOT_OURS = frozenset(
    {
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.FENCED_INSTANCE_ID,
        KafkaError._FATAL,  # noqa: SLF001  the client's own codes begin so
    }
)
"""The group has given our partitions to others, or the client is broken: asking again is vain.

Not so `ILLEGAL_GENERATION`: under the classic protocol a commit that crosses a rebalance meets it,
also where the partition stays. Unrepeated, an idle partition would never be committed again.
"""


class Commits:
    """Sends what `Offsets` holds. Used by the poll thread.

    Args:
        lane: The lane's name, for events.
        offsets: What is to be committed.
        emit: Told of every refusal.
        clock: Monotonic seconds.
    """

    def __init__(
        self, lane: str, offsets: Offsets, emit: Emit, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._lane = lane
        self._offsets = offsets
        self._emit = emit
        self._clock = clock
        self._unanswered: deque[float] = deque()
        """When each commit was sent that has no answer yet; they are answered in order."""
        self._covered_at = clock()

    def send(self, consumer: Consumer) -> None:
        """Commit what has changed, without waiting; `answered` hears what became of it."""
        now = self._clock()
        if not self._unanswered and not self._offsets.has_changed():
            self._covered_at = now
        if self._unanswered and now - self._unanswered[0] > _FORGOTTEN_S:
            self._unanswered.clear()
            for partition in self._offsets.assigned():
                self._offsets.refused(partition)
        self._send(consumer, self._offsets.commits())

    def answered(self, error: KafkaError | None, partitions: Sequence[TopicPartition]) -> None:
        """Take the broker's answer to an asynchronous commit; for the client's `on_commit`."""
        sent_at = self._unanswered.popleft() if self._unanswered else None  # None: it was given up
        results = [self._note(error or p.error, [(p.topic, p.partition)]) for p in partitions]
        if sent_at is not None and error is None and all(results):
            self._covered_at = sent_at

    def are_late(self) -> bool:
        """Whether what is done has not been covered by an acknowledged commit for too long.

        Then nothing new may begin, or a crash would repeat more than was in flight: a group's
        coordinator may be away while its partitions can be read and written, and a worker that
        stood still past its session goes on with what others have done meanwhile. Asked by the
        event loop as well.
        """
        return self._clock() - self._covered_at > _LATE_S

    def trust(self) -> None:
        """Take what was sent for acknowledged: inside a callback no answer can be heard."""
        self._covered_at = self._clock()

    def send_now(self, consumer: Consumer, partitions: Iterable[Partition]) -> None:
        """Commit these partitions before anything else happens; for callbacks of the client.

        What the broker refuses is tried again for a moment: a group that is busy with its members
        takes no commits, and what was published lately would be published again.
        """
        wanted = list(partitions)
        until = time.monotonic() + _LAST_S
        while not self._taken(consumer, self._offsets.commits(wanted, also_unchanged=True)):
            if time.monotonic() >= until:
                return
            time.sleep(_AGAIN_S)  # noqa: TID251  the poll thread, in a callback

    def send_last(self, consumer: Consumer, poll: Callable[[], object]) -> None:
        """Commit all that is assigned, and wait for the answer; for the end, outside of callbacks.

        Not with a synchronous commit: where the broker is down that waits for 45 s.

        Args:
            consumer: The client.
            poll: Serves its callbacks for a moment.
        """
        until = time.monotonic() + _LAST_S
        self._send(consumer, self._offsets.commits(also_unchanged=True))
        while time.monotonic() < until:
            if not self._unanswered and not self._offsets.has_changed():
                return
            poll()
            self.send(consumer)

    def _send(self, consumer: Consumer, commits: Sequence[Commit]) -> None:
        if not commits:
            return
        try:
            consumer.commit(offsets=_as_partitions(commits), asynchronous=True)
        except KafkaException as error:
            self._note(error.args[0], [commit.partition for commit in commits])
        else:
            self._unanswered.append(self._clock())

    def _taken(self, consumer: Consumer, commits: Sequence[Commit]) -> bool:
        """Commit and wait; whether the broker took it, or never will."""
        if not commits:
            return True
        partitions = [commit.partition for commit in commits]
        try:
            result = consumer.commit(offsets=_as_partitions(commits), asynchronous=False)
        except KafkaException as error:
            return self._note(error.args[0], partitions)
        return all([self._note(p.error, [(p.topic, p.partition)]) for p in result or ()])  # noqa: C419  all are noted

    def _note(self, error: KafkaError | None, partitions: Iterable[Partition]) -> bool:
        if error is None:
            return True
        self._emit(CommitFailed(self._lane, error.str()))
        if error.code() in _NOT_OURS:
            return True
        for partition in partitions:
            self._offsets.refused(partition)
        return False


def _as_partitions(commits: Iterable[Commit]) -> list[TopicPartition]:
    return [TopicPartition(*item.partition, item.offset, item.metadata) for item in commits]
