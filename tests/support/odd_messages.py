"""Valid protobuf that no encoder would write: any order, repeated, padded and unknown fields."""

import random
from collections.abc import Callable

from .wire import block, fixed32, fixed64, integer

KEYS = ("gen_ai.operation.name", "gen_ai.system", "http.status_code", "k", "", "größe")
TEXTS = ("", "litellm", "chat", "a gen_ai.x", "\x00\u202e", "1A\x1a\x10")
TRACE_IDS = (b"\x01" * 16, b"\x01" * 9 + b"\x80" + bytes(6), b"\xff" * 16, b"\n\x10" * 8)
SPAN_IDS = (b"\x02" * 8, b"\x03" * 8)
NO_TRACE_IDS = (bytes(16), b"", b"\xff" * 8, b"\xff" * 24)
NO_SPAN_IDS = (bytes(8), b"\x02" * 7)
TRACE_STATES = (
    b"",
    b"a=1",
    b"ot=rv:ffffffffffffff",
    b"ot=rv:00000000000000",
    b"a=1, ot=th:8;rv:80000000000000",
    b"ot=rv:xyz",
    b"b=rv:ffffffffffffff",
    b"ot=th:8",
)


class OddMessages:
    """Makes messages; the same seed makes the same one.

    Args:
        seed: Of the random choices.
        strange: Also repeats what decides about sampling, and writes ids that name nothing.
    """

    def __init__(self, seed: int, *, strange: bool) -> None:
        self._rng = random.Random(seed)  # noqa: S311  a test that can be repeated
        self._strange = strange

    def message(self) -> bytes:
        """A serialised export of several resources and scopes."""
        # A first field 1: a message of unknown fields alone is taken for another format.
        first = block(1, self._resource_spans())
        return first + self._shuffled(self._some(1, self._resource_spans), self._unknown())

    def span(self) -> bytes:
        """A serialised span with a trace id, its fields in the usual order or in any."""
        repeats = 2 if self._strange and self._often(0.3) else 0
        fields = [
            *[block(1, self._trace_id()) for _ in range(1 + self._upto(repeats))],
            *[block(2, self._span_id()) for _ in range(1 + self._upto(repeats))],
            *self._some(3, lambda: self._rng.choice(TRACE_STATES), 1 + repeats),
            *self._some(4, self._span_id),
            *self._some(5, self._text, 2),
            *[fixed64(number, self._rng.choice((0, 5, 2**63))) for number in (7, 8)],
            *self._some(9, self._pair, 8),
            *self._some(11, self._event, 2),
            *self._some(13, self._link, 2),
            *self._some(15, self._status, 2),
            *self._unknown(),
        ]
        return b"".join(fields) if self._often(0.5) else self._shuffled(fields)

    def _resource_spans(self) -> bytes:
        return self._shuffled(
            self._some(1, lambda: self._shuffled(self._some(1, self._pair, 2), self._unknown()), 2),
            self._some(2, self._scope_spans, 2),
            self._unknown(),
        )

    def _scope_spans(self) -> bytes:
        return self._shuffled(
            self._some(1, self._scope, 2), self._some(2, self.span, 4), self._unknown()
        )

    def _scope(self) -> bytes:
        return self._shuffled(self._some(1, self._text), self._some(2, self._text))

    def _event(self) -> bytes:
        return self._shuffled(self._some(2, self._text), self._some(3, self._pair, 2))

    def _link(self) -> bytes:
        return self._shuffled(self._some(1, self._trace_id), self._some(2, self._span_id))

    def _status(self) -> bytes:
        return self._shuffled(self._some(2, self._text), [integer(3, self._upto(2))])

    def _pair(self) -> bytes:
        """A KeyValue: of several keys the last holds, several values merge."""
        return self._shuffled(
            self._some(1, lambda: self._rng.choice(KEYS).encode(), 2),
            self._some(2, self._any_value, 2),
        )

    def _any_value(self, levels: int = 2) -> bytes:
        def items() -> bytes:
            return b"".join(self._some(1, lambda: self._any_value(levels - 1), 3))

        def pairs() -> bytes:
            return b"".join(self._some(1, self._pair, 2))

        kinds: list[Callable[[], bytes]] = [
            lambda: b"",
            lambda: block(1, self._text()),
            lambda: integer(2, self._upto(1)),
            lambda: integer(3, self._rng.choice((0, 1, 2**63 - 1, 2**64 - 1))),
            lambda: fixed64(4, self._rng.choice((0, 0x3FF0000000000000, 0x7FF0000000000000))),
            lambda: block(7, self._rng.randbytes(self._upto(3))),
            lambda: block(5, items()),
            lambda: block(6, pairs()),
        ]
        return self._rng.choice(kinds if levels else kinds[:6])()

    def _trace_id(self) -> bytes:
        odd = self._strange and self._often(0.1)
        return self._rng.choice(NO_TRACE_IDS if odd else TRACE_IDS)

    def _span_id(self) -> bytes:
        odd = self._strange and self._often(0.1)
        return self._rng.choice(NO_SPAN_IDS if odd else SPAN_IDS)

    def _text(self) -> bytes:
        return self._rng.choice(TEXTS).encode()

    def _unknown(self) -> list[bytes]:
        fields = [block(50, b"gen_ai.?"), integer(51, 1), fixed64(52, 2), fixed32(53, 3)]
        return self._rng.sample(fields, self._upto(2)) if self._often(0.2) else []

    def _some(self, number: int, payload: Callable[[], bytes], most: int = 1) -> list[bytes]:
        padding = int(self._often(0.1))
        return [block(number, payload(), padding) for _ in range(self._upto(most))]

    def _shuffled(self, *groups: list[bytes]) -> bytes:
        fields = [field for group in groups for field in group]
        self._rng.shuffle(fields)
        return b"".join(fields)

    def _upto(self, most: int) -> int:
        return self._rng.randint(0, most)

    def _often(self, share: float) -> bool:
        return self._rng.random() < share
