"""How well workers use a judge endpoint whose capacity they do not know, and how gently.

Run it by `python bench/judge_traffic.py`. Three workers, each with the product's own queue and
limiter, share a simulated endpoint; the clock is virtual. Exits with 1 where a bound does not hold.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from support.idle_loop import IdleLoop

from bench.simulation.judge_traffic import GOOD, Phase, Result, run

SEEDS = 6
RECOVERY_S = 30.0
CHANGING = [Phase(20, 300), Phase(5, 300), Phase(50, 300)]
RETRY_AFTER = {"retry-after": "1"}


@dataclass(frozen=True, slots=True)
class Case:
    """An endpoint, and what three workers must make of it."""

    phases: list[Phase] = field(default_factory=lambda: CHANGING)
    headers: Mapping[str, str] = field(default_factory=dict)
    per_s: float | None = None
    most_refused: float = 0.05
    longest_quiet_s: float = 60.0


CASES = {
    "20, 5, 50 at a time; bare 429s": Case(),
    "20, 5, 50 at a time; retry-after": Case(headers=RETRY_AFTER),
    "10 a second; x-ratelimit headers": Case([Phase(100, 600)], RETRY_AFTER, 10.0),
    # More workers than places: whoever has none must ask now and then.
    "2 at a time; bare 429s": Case([Phase(2, 900)], most_refused=0.35, longest_quiet_s=120),
}


def simulate(case: Case) -> list[Result]:
    """One run for each seed."""
    results = []
    for seed in range(1, SEEDS + 1):
        loop = IdleLoop()
        try:
            results.append(
                loop.run_until_complete(
                    run(case.phases, headers=case.headers, per_s=case.per_s, seed=seed)
                )
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
        results = simulate(case)
        used = min(one.used for one in results)
        refused = max(one.refused for one in results)
        recovered_s = max(max(one.recovered_s) for one in results)
        longest_s = max(one.longest_quiet_s for one in results)
        parts = min(min(one.by_client) / max(one.by_client) for one in results)
        print(f"{name:<36}{used:>7.1%}{refused:>8.1%}{recovered_s:>14.1f}", end="")
        print(f"{longest_s:>17.1f}{parts:>12.2f}")
        print(f"{'  must be':<36}{GOOD:>7.0%}{case.most_refused:>8.0%}{RECOVERY_S:>14g}", end="")
        print(f"{case.longest_quiet_s:>17g}")
        is_good = is_good and used >= GOOD and refused <= case.most_refused
        is_good = is_good and recovered_s <= RECOVERY_S and longest_s <= case.longest_quiet_s
    return int(not is_good)


if __name__ == "__main__":
    sys.exit(main())
