"""Workers that share an endpoint of hidden capacity use it well, and leave it alone."""

import pytest

from bench.simulation.judge_traffic import GOOD, Phase, run

_PHASES = [Phase(20, 120), Phase(5, 120), Phase(50, 120)]


@pytest.mark.parametrize("headers", [{}, {"retry-after": "1"}], ids=["bare", "retry-after"])
async def test_changing_capacity_is_found_and_used(headers: dict[str, str]) -> None:
    """20 at a time, then 5, then 50: well used, few 429s, found within half a minute."""
    result = await run(_PHASES, headers=headers)

    assert result.used >= GOOD
    assert result.refused <= 0.05
    assert max(result.recovered_s) <= 30


async def test_limit_that_headers_tell_is_shared() -> None:
    """Ten requests a second for all: three workers use them in equal parts, with few 429s."""
    result = await run([Phase(100, 200)], headers={"retry-after": "1"}, per_s=10)

    assert result.used >= GOOD
    assert result.refused <= 0.05
    assert min(result.by_client) >= 0.8 * max(result.by_client)
    assert result.longest_quiet_s <= 10
