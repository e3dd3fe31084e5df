"""How well workers use a judge endpoint whose capacity they do not know, and how gently.

Run it by `python bench/judge_traffic.py`. Three workers, each with the product's own queue and
limiter, share a simulated endpoint; the clock is virtual. Exits with 1 where a bound does not hold.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from support.idle_loop import IdleLoop

from bench.simulation.judge_traffic import GOOD, Phase, Result, run

SEEDS = 6
MOST_REFUSED = 0.05
RECOVERY_S = 30.0
STARVED_S = 150.0
CHANGING = [Phase(20, 300), Phase(5, 300), Phase(50, 300)]
WIDE = [Phase(100, 600)]
CASES: dict[str, tuple[list[Phase], Mapping[str, str], float | None]] = {
    "20, 5, 50 at a time; bare 429s": (CHANGING, {}, None),
    "20, 5, 50 at a time; retry-after": (CHANGING, {"retry-after": "1"}, None),
    "10 a second; x-ratelimit headers": (WIDE, {"retry-after": "1"}, 10.0),
}


def simulate(phases: list[Phase], headers: Mapping[str, str], per_s: float | None) -> list[Result]:
    """One run for each seed."""
    results = []
    for seed in range(1, SEEDS + 1):
        loop = IdleLoop()
        try:
            results.append(
                loop.run_until_complete(run(phases, headers=headers, per_s=per_s, seed=seed))
            )
        finally:
            loop.close()
    return results


def main() -> int:
    """Print the worst of all runs of each case; 1 where it is out of bounds."""
    is_good = True
    print(f"{'worst of ' + str(SEEDS) + ' runs':<36}{'used':>7}{'429s':>8}", end="")
    print(f"{'recovered, s':>14}{'longest wait, s':>17}{'least/most':>12}")
    for name, case in CASES.items():
        results = simulate(*case)
        used = min(one.used for one in results)
        refused = max(one.refused for one in results)
        recovered_s = max(max(one.recovered_s) for one in results)
        longest_s = max(one.longest_quiet_s for one in results)
        parts = min(min(one.by_client) / max(one.by_client) for one in results)
        print(f"{name:<36}{used:>7.1%}{refused:>8.1%}{recovered_s:>14.1f}", end="")
        print(f"{longest_s:>17.1f}{parts:>12.2f}")
        is_good = is_good and used >= GOOD and refused <= MOST_REFUSED
        is_good = is_good and recovered_s <= RECOVERY_S and longest_s <= STARVED_S
    print(f"must be: at least {GOOD:.0%}, at most {MOST_REFUSED:.0%}, {RECOVERY_S:g}, ", end="")
    print(f"{STARVED_S:g}")
    return int(not is_good)


if __name__ == "__main__":
    sys.exit(main())
