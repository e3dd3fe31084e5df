"""A cap of one dollar, three workers, and twenty of them killed: what the judge has billed.

    python bench/budget.py [--kills 20] [--usd 1.0] [--workers 3]

Needs an Apache Kafka (JDK and Maven). Runs without kills and with them; exits with 1 where more was
spent than the cap, or much less.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from support.caps import Spent, run
from support.kafka import KafkaServer, libraries

LEAST = {False: 0.97, True: 0.85}
"""Least share of the cap that has to be used, by whether workers are killed."""
LIMIT_S = 1800.0


def report(spent: Spent, cap: float) -> bool:
    """Print what a run came to; whether it is as it has to be."""
    print(f"{spent.kills} workers killed")
    print(f"  billed by the judge, USD    {spent.usd:.5f} of {cap:g}")
    print(f"  calls                       {spent.calls}")
    print(f"  seconds                     {spent.seconds:.1f}")
    return LEAST[spent.kills > 0] * cap <= spent.usd <= cap


def main() -> int:
    """Run both."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--usd", type=float, default=1.0)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--kills", type=int, default=20)
    options = parser.parse_args()
    kafka = KafkaServer(libraries())
    holds = True
    try:
        for kills in (0, options.kills):
            spent = run(
                kafka, usd=options.usd, workers=options.workers, kills=kills, limit_s=LIMIT_S
            )
            holds &= report(spent, options.usd)
    finally:
        kafka.close()
    print("the cap holds" if holds else "THE CAP DOES NOT HOLD")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
