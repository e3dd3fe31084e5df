"""The outputs that a config names, each behind its own queue."""

import time
from collections.abc import Sequence

from schemas.config import Config
from schemas.events import Emit
from schemas.outcome import Outcome

from .otlp_endpoint import SIGNALS, OtlpEndpoint
from .otlp_topic import OtlpTopic
from .sink import Exporter, Sink

FLUSH_S = 2.0
"""How long a stop waits for all outputs together."""


class Outputs:
    """Gives each published outcome to every output. Used from the event loop, but for `close`."""

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._sinks = sinks

    def offer(self, outcomes: Sequence[Outcome]) -> None:
        """Take outcomes that the scores topic has acknowledged. Never blocks, never raises."""
        for sink in self._sinks:
            sink.offer(outcomes)

    def close(self, flush_s: float = FLUSH_S) -> None:
        """Send what waits, for `flush_s` at most; what is left is dropped and counted. Blocks."""
        until = time.monotonic() + flush_s
        for sink in self._sinks:
            sink.finish()
        for sink in self._sinks:
            sink.close(until)


def open_outputs(config: Config, emit: Emit) -> Outputs:
    """Start the outputs of a config.

    Raises:
        ConfigError: `outputs.otlp.endpoint` is no address.
    """
    exporters: list[Exporter] = []
    if config.kafka.otlp_scores is not None:
        exporters.append(OtlpTopic(config.kafka, config.kafka.otlp_scores))
    otlp = config.outputs.otlp
    if otlp is not None:
        exporters += [OtlpEndpoint(otlp, SIGNALS[signal]) for signal in otlp.as_]
    return Outputs([Sink(exporter, emit) for exporter in exporters])
