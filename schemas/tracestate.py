"""Consistent probability sampling: the randomness and the threshold that a trace carries.

After OpenTelemetry's "TraceState: Probability Sampling". A span is sampled when its randomness is
at least the sampler's rejection threshold; both are 56-bit numbers, so every worker, replay and
redelivery decides alike, and kept sets are nested.
"""

import re

RANDOMNESS_BITS = 56

_RANDOMNESS = re.compile(r"[0-9a-f]{14}")
_THRESHOLD = re.compile(r"[0-9a-f]{1,14}")


def randomness(trace_id_hex: str, trace_state: str) -> int:
    """The 56 bits that decide about a trace: an explicit `ot=rv:…`, else the trace id's last ones.

    A malformed `rv` is ignored.

    Args:
        trace_id_hex: 32 hex characters.
        trace_state: W3C `tracestate`, may be empty.
    """
    if "rv:" in trace_state:
        explicit = _entry(trace_state, "rv")
        if _RANDOMNESS.fullmatch(explicit):
            return int(explicit, 16)
    return int(trace_id_hex[-14:], 16)


def upstream_threshold(trace_state: str) -> int | None:
    """The rejection threshold of a sampler before us, `ot=th:…`; None where there is none.

    Trailing zeros are left out on the wire. A malformed `th` is ignored. The trace was sampled
    there with probability `1 - threshold / 2**56`.
    """
    if "th:" not in trace_state:
        return None
    written = _entry(trace_state, "th")
    return int(written.ljust(14, "0"), 16) if _THRESHOLD.fullmatch(written) else None


def _entry(trace_state: str, name: str) -> str:
    for member in trace_state.split(","):
        vendor, _, value = member.strip(" \t").partition("=")
        if vendor == "ot":
            entries = (entry.partition(":") for entry in value.split(";"))
            return next((text for key, _, text in entries if key == name), "")
    return ""
