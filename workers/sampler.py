"""Consistent probability sampling: which spans a route keeps, and how probable that was.

A trace is kept where its 56 bits of randomness reach the rejection threshold, so every worker,
replay and redelivery decides alike, and the sets that two thresholds keep are nested.
See OpenTelemetry, "TraceState: Probability Sampling".
"""

from schemas.span import Span
from schemas.tracestate import randomness, upstream_threshold

WHOLE = 1 << 56
"""Number of values that the randomness can take; as a threshold it keeps nothing."""


def threshold(probability: float) -> int:
    """The rejection threshold that keeps this share of traces.

    Args:
        probability: 0..1; 0 keeps nothing, anything above keeps at least one value of 2**56.
    """
    if probability <= 0:
        return WHOLE
    return WHOLE - min(max(round(probability * WHOLE), 1), WHOLE)


def probability(threshold: int) -> float:
    """The share of traces that a rejection threshold keeps."""
    return (WHOLE - threshold) / WHOLE


def decide(span: Span, route_threshold: int) -> float | None:
    """Decide whether a route keeps a span.

    Returns:
        None where it does not; else the exact probability that this span got here and was kept.
    """
    if randomness(span.trace_id, span.trace_state) < route_threshold:
        return None
    return inclusion_probability(span.trace_state, route_threshold)


def inclusion_probability(trace_state: str, threshold: int) -> float:
    """The exact probability that a span got here and was kept at this rejection threshold.

    An upstream sampler that names its threshold (`ot=th:`) drew by the same randomness, so that is
    the smaller of the two probabilities, not their product.
    """
    upstream = upstream_threshold(trace_state) if trace_state else None
    if upstream is None or upstream >= WHOLE:
        return probability(threshold)
    return probability(max(threshold, upstream))
