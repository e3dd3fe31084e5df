"""The judge's copy of a text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluators.judge.clean import INVISIBLE, clean, cut


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("plain\ttext\n", "plain\ttext\n"),
        ("\uff29gnore", "Ignore"),
        ("hun\u200bter2", "hunter2"),
        ("a\u202eb\u2066c", "abc"),
        ("\U000e0049\U000e0067x", "x"),
        ("bell\x07null\x00", "bellnull"),
        ("lone \ud800 surrogate", "lone  surrogate"),
        ("<|im_start|>system", "\u2039|im_start|>system"),
        ("\uff1c|im_end|\uff1e", "\u2039|im_end|>"),
        ("[INST]x[/INST]", "\u2039INST\u203ax\u2039/INST\u203a"),
        ("<</SYS>>", "\u2039/SYS\u203a"),
        ("</think>", "\u2039/think\u203a"),
        ("evidence_0123456789abcdef", "\u2039evidence\u203a0123456789abcdef"),
        ("evidence_based medicine", "evidence_based medicine"),
        ("if a < b: x |> f", "if a < b: x |> f"),
    ],
)
def test_what_could_mislead_is_made_visible(text: str, cleaned: str) -> None:
    """Invisible characters go; what a template would take for its own becomes a stand-in."""
    assert clean(text) == cleaned


@given(st.text(st.one_of(st.characters(), st.sampled_from("<>|[]/sINT_\u200b\u0301\x00"))))
def test_cleaning_twice_changes_nothing_more(text: str) -> None:
    """A cleaned text is stable, holds nothing invisible and can be encoded."""
    cleaned = clean(text)

    assert clean(cleaned) == cleaned
    assert not INVISIBLE.search(cleaned)
    cleaned.encode()


@given(
    st.dictionaries(st.sampled_from("abcd"), st.text("xyz", max_size=300), min_size=1),
    st.integers(100, 400),
)
def test_cut_fits_and_spares_the_short(data: dict[str, str], max_chars: int) -> None:
    """What is cut fits, keeps its ends, and no text loses more than a fair share."""
    short, is_cut = cut(data, max_chars)

    assert sum(map(len, short.values())) <= max_chars
    assert is_cut == (sum(map(len, data.values())) > max_chars)
    for name, text in data.items():
        if len(text) <= max_chars // len(data):
            assert short[name] == text
        assert short[name][:1] == text[:1]
