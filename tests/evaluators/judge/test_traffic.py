"""Workers that share an endpoint of hidden capacity use it well, and leave it alone."""

import pytest

from bench.simulation.judge_traffic import GOOD, Phase, run

_PHASES = [Phase(20, 200), Phase(5, 200), Phase(50, 200)]


@pytest.mark.parametrize("headers", [{}, {"retry-after": "1"}], ids=["bare", "retry-after"])
async def test_changing_capacity_is_found_and_used(headers: dict[str, str]) -> None:
    """20 at a time, then 5, then 50: well used, few 429s, found within half a minute."""
    result = await run(_PHASES, headers=headers)

    assert result.used >= GOOD
    assert result.refused <= 0.05
    assert max(result.recovered_s) <= 30


@pytest.mark.parametrize("capacity", [1, 2])
async def test_more_workers_than_places_go_round(capacity: int) -> None:
    """One or two at a time for three workers: each is served, and the places are well used."""
    result = await run([Phase(capacity, 900)], headers={})

    assert result.used >= GOOD
    assert min(result.by_client) >= 0.1 * max(result.by_client)


async def test_no_route_starves() -> None:
    """Five at a time for three workers with two routes each: many runs, and no call waits long."""
    longest_s = [
        (await run([Phase(20, 60), Phase(5, 300)], headers={}, seed=seed)).longest_quiet_s
        for seed in range(1, 21)
    ]

    assert max(longest_s) <= 90, longest_s


async def test_limit_that_headers_tell_is_shared() -> None:
    """Ten requests a second for all: three workers use them in equal parts, with few 429s."""
    result = await run([Phase(100, 600)], headers={"retry-after": "1"}, per_s=10)

    assert result.used >= GOOD
    assert result.refused <= 0.05
    assert min(result.by_client) >= 0.75 * max(result.by_client)
    assert result.longest_quiet_s <= 10
