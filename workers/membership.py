"""How a lane's client gets into its group: by the new group protocol, else by the classic one.

The new one (KIP-848) is known to Apache Kafka from 4.0 on. A broker that has it switched off
refuses it, and the client calls that fatal. A broker that never heard of it makes librdkafka look
for another coordinator, for ever, without a word. So a client that is not taken in within some
seconds, by a cluster that answers, is opened again with the classic protocol.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException

_JOIN_S = 10.0
"""A guess: joining took 1 s on a Kafka that had nothing else to do."""
_ANSWER_S = 1.0

OpenConsumer = Callable[[str, Mapping[str, Any]], Consumer]
"""Builds the client for `consumer` or `classic` group protocol, with these callbacks."""


class Membership:
    """The state of one client's way into its group. Used by the poll thread."""

    def __init__(
        self, open_consumer: OpenConsumer, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._open_consumer = open_consumer
        self._clock = clock
        self._protocol = "consumer"
        self._outside: object = None
        self._since = 0.0
        self._is_refused = False
        self.has_joined = False

    def open(self, callbacks: Mapping[str, Any]) -> Consumer:
        """Open a client; the caller subscribes it."""
        consumer = self._open_consumer(self._protocol, callbacks)
        # It holds the group's generation: it changes when the group takes the client in, also where
        # there is no partition left for it, of which no callback tells.
        self._outside = consumer.consumer_group_metadata()
        self._since = self._clock()
        self._is_refused = False
        self.has_joined = False
        return consumer

    def look(self, consumer: Consumer) -> None:
        """Find out whether the group has taken the client in; asked after every poll."""
        if not self.has_joined and not self._is_refused:  # a refused client forgets its generation
            self.has_joined = consumer.consumer_group_metadata() != self._outside

    def note(self, error: KafkaError) -> bool:
        """Whether a fatal error only says that the new protocol is not to be had.

        Whatever `look` has found: a refused client changes its generation at once, and its error is
        read at the next poll. A look in between takes the change for a welcome.
        """
        unsupported = KafkaError(KafkaError.UNSUPPORTED_VERSION).str()
        self._is_refused = self._is_new() and unsupported in error.str()
        if self._is_refused:
            self.has_joined = False
        return self._is_refused

    def must_fall_back(self, consumer: Consumer) -> bool:
        """Whether to close this client and open one of the classic protocol, which `open` does."""
        if not self._is_new():
            return False
        if not self._is_refused:
            if self.has_joined or self._clock() - self._since < _JOIN_S:
                return False
            if not _answers(consumer):  # an outage says nothing about protocols
                self._since = self._clock()
                return False
        self._protocol = "classic"
        return True

    def _is_new(self) -> bool:
        return self._protocol == "consumer"


def _answers(consumer: Consumer) -> bool:
    try:
        consumer.list_topics(timeout=_ANSWER_S)
    except KafkaException:
        return False
    return True
