"""Why no broker answers: what the client says is only that none does."""

import re
from typing import Any, Protocol

from confluent_kafka import KafkaError, KafkaException

_ABOUT = re.compile(r"^\S+/(?:bootstrap|\d+): | \(after \d+ms in state .*$")
"""Which connection, and how long it took: nothing that helps."""
_NO_ANSWER = frozenset(
    {KafkaError._ALL_BROKERS_DOWN, KafkaError._TIMED_OUT, KafkaError._TRANSPORT}  # noqa: SLF001  its codes
)


class _Client(Protocol):
    def poll(self, timeout: float, /) -> Any: ...


class BrokerFault:
    """The last fault of a connection; a client is made with it as its `error_cb`."""

    def __init__(self) -> None:
        self._said = ""

    def __call__(self, error: KafkaError) -> None:
        """Remember what it says, unless it is that all brokers are down."""
        if error.code() != KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001  its codes
            self._said = error.str()

    def why(self, client: _Client, error: KafkaException) -> str:
        """Such as `Connect to ipv4#127.0.0.1:9092 failed: Connection refused`.

        Args:
            client: The client, which tells its faults when it is polled.
            error: What one of its calls has raised; it speaks for itself where a broker answered.
        """
        client.poll(0)
        fault: KafkaError = error.args[0]
        said = _ABOUT.sub("", self._said) if fault.code() in _NO_ANSWER else ""
        return said or fault.str()
