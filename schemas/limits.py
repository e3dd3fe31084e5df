"""How much of a message Assay is willing to read; what is bigger is a dead letter."""

from dataclasses import dataclass

TEXT_CHARS = 250_000
"""Characters of one text of a span that are kept, some four times of what a judge is shown."""


@dataclass(frozen=True, slots=True, eq=False)
class Limits:
    """Bounds that are checked before Python objects are made of a message.

    Memory follows from them: a hostile protobuf message grows about 27-fold while it is parsed. Of
    a JSON message only the size can be known beforehand.

    Compared by identity: the decoder remembers what it read under which limits.
    """

    message_bytes: int = 8 * 1024 * 1024
    """Size of one Kafka value, decompressed."""
    spans_per_message: int = 20_000
    """Spans in one message; its resources and its scopes may not be more either."""
    attributes_per_span: int = 1_000
    """Attributes of a span; the same bound holds for its events, its links and its resource."""
    nesting: int = 32
    """Levels of arrays and key-value lists in one attribute value; a plain value has none."""
