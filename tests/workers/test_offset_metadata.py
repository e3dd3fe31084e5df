"""The metadata of a commit."""

from hypothesis import given
from hypothesis import strategies as st

from workers.offset_metadata import Beginning, decode, encode

BEGINNING = Beginning(partitions=6, start=120, lanes="cj")


@given(st.integers(0, 2**40), st.sets(st.integers(1, 30_000), max_size=400))
def test_what_is_written_is_read_back(watermark: int, gaps: set[int]) -> None:
    """Any set of done offsets above the watermark survives the way through the broker."""
    done = frozenset(watermark + gap for gap in gaps)
    text = encode(BEGINNING, watermark, sorted(done))
    assert decode(text, watermark) == (BEGINNING, done)


def test_the_shorter_form_is_chosen() -> None:
    """Long stretches become runs, a sieve becomes a bitmap."""
    assert " r:" in encode(BEGINNING, 0, range(5, 20_000))
    assert " b:" in encode(BEGINNING, 0, range(1, 2_000, 2))


def test_a_thousand_in_flight_fit() -> None:
    """Every second of 8,000 records done takes less than the broker's 4,096 bytes."""
    assert len(encode(BEGINNING, 10**12, range(10**12 + 1, 10**12 + 8_000, 2))) < 4096


@given(st.one_of(st.none(), st.text(max_size=80)))
def test_foreign_metadata_says_nothing(text: str | None) -> None:
    """What another tool wrote is no error and marks nothing as done."""
    if text is None or not text.startswith("v1 "):
        assert decode(text, 5) == (None, frozenset())


def test_damaged_metadata_says_nothing() -> None:
    """Metadata that was cut off costs repeated work, never a lost record."""
    text = encode(BEGINNING, 0, range(1, 2_000, 3))
    for length in range(len(text)):
        _, done = decode(text[:length], 0)
        assert done <= frozenset(range(1, 2_000, 3))
