"""Consistent probability sampling."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.samples import span

from workers.sampler import WHOLE, decide, probability, threshold

_IDS = st.binary(min_size=16, max_size=16).map(bytes.hex)
_SHARES = st.floats(min_value=0, max_value=1)


@given(_SHARES)
def test_a_threshold_keeps_the_share_it_was_made_from(share: float) -> None:
    """A threshold's probability is the one it was made from, to 56 bits."""
    assert probability(threshold(share)) == pytest.approx(share, abs=2**-56)


def test_a_share_of_one_keeps_all_and_of_zero_nothing() -> None:
    """The ends of the scale are exact, and a tiny share is not none."""
    assert threshold(1.0) == 0
    assert threshold(0.0) == WHOLE
    assert threshold(1e-30) == WHOLE - 1


def test_the_share_that_is_kept_is_the_one_asked_for() -> None:
    """Of evenly spread trace ids, a twentieth is kept at 0.05."""
    ids = (f"{0:018x}{number << 42:014x}" for number in range(1 << 14))
    kept = [decide(span(trace_id=each), threshold(0.05)) for each in ids]
    shares = [share for share in kept if share is not None]
    assert len(shares) / len(kept) == pytest.approx(0.05, abs=0.001)
    assert set(shares) == {0.05}


@given(_IDS, _SHARES, _SHARES)
def test_kept_sets_are_nested(trace_id: str, one: float, other: float) -> None:
    """What a smaller share keeps, a larger one keeps too."""
    small, large = sorted((one, other))
    if decide(span(trace_id=trace_id), threshold(small)) is not None:
        assert decide(span(trace_id=trace_id), threshold(large)) is not None


def test_an_upstream_sampler_composes_by_the_smaller_probability() -> None:
    """Sampled at a quarter before and a half here, a span stands for four, not eight."""
    trace_id = "0" * 18 + "f" * 14
    quarter = span(trace_id=trace_id, trace_state="ot=th:c")
    assert decide(quarter, threshold(0.5)) == 0.25
    assert decide(quarter, threshold(0.125)) == 0.125


def test_explicit_randomness_decides_in_the_place_of_the_trace_id() -> None:
    """A root that states `rv` is sampled by it, whatever its trace id says."""
    high = span(trace_id="0" * 31 + "1", trace_state="ot=rv:ffffffffffffff")
    low = span(trace_id="f" * 32, trace_state="ot=rv:00000000000001")
    assert decide(high, threshold(0.5)) == 0.5
    assert decide(low, threshold(0.5)) is None
