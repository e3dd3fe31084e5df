"""Why no broker answers: what the client says is only that none does."""

import re

from confluent_kafka import KafkaError, KafkaException

_ABOUT = re.compile(r"^\S+/(?:bootstrap|\d+): | \(after \d+ms in state .*$")
"""Which connection, and how long it took: nothing that helps."""


class BrokerFault:
    """The last fault of a connection; a client is made with it as its `error_cb`.

    Calls come from within `poll` of that client.
    """

    def __init__(self) -> None:
        self._said = ""

    def __call__(self, error: KafkaError) -> None:
        """Remember what it says, unless it is that all brokers are down."""
        if error.code() != KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001  its codes
            self._said = error.str()

    def why(self, error: KafkaException) -> str:
        """Such as `Connect to ipv4#127.0.0.1:9092 failed: Connection refused`.

        Args:
            error: What the call that got no answer has raised.
        """
        return _ABOUT.sub("", self._said) or str(error.args[0].str())
