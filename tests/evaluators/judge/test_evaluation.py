"""A budget that stands still, and a record that adds up."""

from evaluators.judge.evaluation import CallRecord, Deadline

from .test_limiter import Clock


def test_deadline_passes_with_the_clock() -> None:
    """What is left falls with time, below zero once it has passed."""
    clock = Clock()
    deadline = Deadline(10, clock)
    clock.now += 12

    assert deadline.remaining() == -2


def test_deadline_stands_still_while_paused() -> None:
    """Nested and overlapping pauses count once."""
    clock = Clock()
    deadline = Deadline(10, clock)
    with deadline.paused():
        clock.now += 100
        with deadline.paused():
            clock.now += 100
            assert deadline.is_paused
        assert deadline.remaining() == 10
    clock.now += 4

    assert deadline.remaining() == 6
    assert not deadline.is_paused


def test_deadline_gives_at_least_and_never_more_than_its_budget() -> None:
    """`allow` tops up, `restart` begins anew, neither goes beyond the budget."""
    clock = Clock()
    deadline = Deadline(10, clock)
    clock.now += 9
    deadline.allow(3)
    assert deadline.remaining() == 3
    deadline.allow(30)
    assert deadline.remaining() == 10
    deadline.allow(2)
    assert deadline.remaining() == 10


def test_one_unpriced_call_makes_the_cost_unknown() -> None:
    """A sum with an unknown part is unknown; tokens still add up."""
    record, priced, unpriced = CallRecord(), CallRecord(), CallRecord()
    priced.cost_usd, priced.input_tokens = 0.5, 10
    unpriced.cost_usd, unpriced.input_tokens = None, 5
    record.add(priced)
    assert record.to_record("m").cost_usd == 0.5
    record.add(unpriced)

    assert record.to_record("m").cost_usd is None
    assert record.input_tokens == 15
