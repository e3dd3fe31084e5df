"""What an endpoint says it has left, and this replica's share of it."""

import pytest

from evaluators.judge.rates import Rates


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now


def said(kind: str, limit: object, left: object, reset: str | None = None) -> dict[str, str]:
    """Headers about one limit."""
    headers = {
        f"x-ratelimit-limit-{kind}": str(limit),
        f"x-ratelimit-remaining-{kind}": str(left),
    }
    return headers if reset is None else {**headers, f"x-ratelimit-reset-{kind}": reset}


def test_endpoint_that_says_nothing_limits_nothing() -> None:
    """Without headers no request waits."""
    rates = Rates(Clock())
    rates.charge(1e9)
    rates.tell({}, 1000.0, 0)
    assert rates.wait_s(1e9) == 0


@pytest.mark.parametrize(("limit", "left"), [(-1, -1), (0, 0), (0, 5), (10, -1), ("x", 0), (5, 9)])
def test_numbers_that_mean_nothing_are_not_read(limit: object, left: object) -> None:
    """Gateways send -1 and 0 where there is no limit."""
    rates = Rates(Clock())
    rates.tell(said("requests", limit, left), 1000.0, 0)
    assert rates.wait_s(1.0) == 0


def test_a_minute_that_never_comes_is_not_waited_for() -> None:
    """A reset that no number can hold says nothing about how fast the limit is fresh again."""
    rates = Rates(Clock())
    rates.tell(said("requests", 60, 0, f"{'9' * 400}s"), 1000.0, 0)
    assert rates.wait_s(1.0) == pytest.approx(1)


def test_request_waits_until_enough_has_flowed_in() -> None:
    """Nothing left of sixty, fresh in a minute: one flows in each second."""
    clock = Clock()
    rates = Rates(clock)
    rates.tell(said("requests", 60, 0, "1m0s"), 1000.0, 0)
    assert rates.wait_s(1.0) == pytest.approx(1)

    clock.now += 1
    assert rates.wait_s(1.0) == pytest.approx(0)


def test_what_left_since_is_charged() -> None:
    """Two are left: after two more requests the third waits, though no answer has come."""
    clock = Clock()
    rates = Rates(clock)
    rates.tell(said("requests", 60, 2, "58s"), 1000.0, 0)
    clock.now += 0.001
    for _ in range(2):
        assert rates.wait_s(1.0) == 0
        rates.charge(1.0)
    assert rates.wait_s(1.0) == pytest.approx(1, abs=0.01)


def test_tokens_that_were_not_used_are_given_back() -> None:
    """A request is charged what it may use at most, until its answer says less."""
    clock = Clock()
    rates = Rates(clock)
    rates.tell(said("tokens", 6000, 3000, "30s"), 1000.0, 0)
    clock.now += 0.001
    rates.charge(2500.0)
    assert rates.wait_s(2500.0) == pytest.approx(20, abs=0.1)

    rates.tell({}, clock.now, 2400.0)
    assert rates.wait_s(2500.0) == 0


def test_answer_to_an_older_request_tells_nothing_new() -> None:
    """A slow answer does not bring back what was left before others were sent."""
    clock = Clock()
    rates = Rates(clock)
    clock.now += 5
    rates.tell(said("requests", 60, 0, "60s"), 1004.0, 0)
    rates.tell(said("requests", 60, 59, "1s"), 1001.0, 0)
    rates.charge(1.0)
    assert rates.wait_s(1.0) > 0


def test_replica_takes_its_share_of_what_is_left() -> None:
    """Of thirty that are left a replica with a third of the partitions sends ten at once."""
    clock = Clock()
    rates = Rates(clock)
    rates.set_share("judge", 1 / 3)
    rates.tell(said("requests", 3000, 30, "2970s"), 1000.0, 0)
    clock.now += 0.001
    sent = 0
    while rates.wait_s(1.0) == 0:
        rates.charge(1.0)
        sent += 1
    assert sent == 10


def test_share_is_the_mean_of_the_lanes() -> None:
    """One replica with all of one lane and one with all of another have half each."""
    rates = Rates(Clock())
    rates.set_share("judge", 1.0)
    rates.set_share("trace", 0.0)
    assert rates.share == 0.5


def test_request_larger_than_the_limit_goes_when_nothing_else_is_out() -> None:
    """What never fits must not wait for ever."""
    rates = Rates(Clock())
    rates.tell(said("tokens", 1000, 1000, "0s"), 1000.0, 0)
    assert rates.wait_s(5000.0) == 0
