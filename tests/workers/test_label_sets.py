"""The bound on the series of a metric."""

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import Counter

from workers.label_sets import LabelSets, label_value

_NAMES = ("service", "evaluator", "model")


def _sets(limit: int) -> tuple[LabelSets, Counter]:
    overflow = Counter("overflow", "Replaced values.", ("label",), registry=None)
    return LabelSets(_NAMES, ("model", "service"), limit, overflow, closed=2), overflow


@given(
    st.lists(st.tuples(st.text(max_size=3), st.sampled_from(["a", "b"]), st.text(max_size=3))),
    st.integers(min_value=1, max_value=20),
)
def test_there_are_never_more_sets_than_the_limit(
    values: list[tuple[str, str, str]], limit: int
) -> None:
    """Whatever comes in whatever order; each value of the closed label has one all the same."""
    sets, _ = _sets(limit)
    admitted = [sets.admit(each) for each in values]
    assert len(set(admitted)) <= max(limit, 2)
    assert [labels[1] for labels in admitted] == [each[1] for each in values]


def test_a_known_set_stays_itself() -> None:
    """What has a series keeps it after the room is full."""
    sets, overflow = _sets(6)
    for number in range(50):
        sets.admit((f"s{number}", "a", "m"))
    assert sets.admit(("s0", "a", "m")) == ("s0", "a", "m")
    assert sets.admit(("s49", "a", "m")) == ("other", "a", "other")
    assert overflow.labels("service")._value.get() == 47


def test_a_known_set_is_the_same_object() -> None:
    """Whoever remembers a set for each of many traces holds its strings once."""
    sets, _ = _sets(3)
    first = sets.admit(("shop", "a", "m"))
    assert sets.admit(("shop", "a", "m")) is first
    for number in range(10):
        sets.admit((f"s{number}", "a", "m"))
    assert sets.admit(("s8", "a", "m")) is sets.admit(("s9", "a", "m"))


def test_values_are_made_fit_for_labels() -> None:
    """Unknown is empty, long is cut, and what UTF-8 cannot hold does not break the page."""
    assert label_value(None) == ""
    assert label_value("x" * 500) == "x" * 120
    assert label_value("a\ud800") == "a?"
