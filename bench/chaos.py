"""The promise under fire: workers, broker and judge fail at random on a real Kafka, for long.

`make bench SUITE=chaos` is one short run. The long one:

    .venv/bin/python bench/chaos.py --seeds 12 --seconds 180

Odd seeds use the `consumer` group protocol, even ones `classic`; every fourth kills no worker, so
that the workers' counters can be held against the topic. Exits with 1 where the promise is broken.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from faults.chaos.run import Plan, Result, on_kafka
from support.kafka import CLASSIC_ONLY, KafkaServer, libraries
from support.processes import StartFailed

_SPARED_EVERY = 4
_MOST_TRIES = 2


def run(plan: Plan) -> Result | None:
    """One seed, on a broker of its own; None where that broke down, which says nothing of ours."""
    is_classic = plan.seed % 2 == 0
    print(
        f"{time.strftime('%H:%M:%S')} {plan}, {'classic' if is_classic else 'consumer'} protocol",
        flush=True,
    )
    try:
        with (
            closing(_kafka(is_classic=is_classic)) as kafka,
            tempfile.TemporaryDirectory() as folder,
        ):
            result = on_kafka(plan, kafka, Path(folder))
    except StartFailed as error:
        print(f"  broken off: {error}", flush=True)
        return None
    print(result, flush=True)
    if result.problems:
        print(*result.log, sep="\n", flush=True)
    return result


def _kafka(*, is_classic: bool) -> KafkaServer:
    return KafkaServer(libraries(), CLASSIC_ONLY) if is_classic else KafkaServer(libraries())


def report(results: Sequence[Result]) -> None:
    """Print what all runs came to."""
    reports = [result.report for result in results]
    kills = sum(result.kills for result in results)
    print(f"chaos: {len(results)} seeds, {sum(r.plan.seconds for r in results) / 60:.0f} minutes")
    print(f"  evaluations             {sum(r['evaluations'] for r in reports)}")
    print(f"  SIGKILLs                {kills}")
    print(f"  missing                 {sum(r['missing'] for r in reports)}")
    print(f"  strange, corrupt        {sum(r['strange'] + r['corrupt'] for r in reports)}")
    print(f"  repeated                {sum(r['repeated'] for r in reports)}")
    print(f"  under another id        {sum(r['two_ids'] for r in reports)}")
    print(f"  most that may be        {sum(result.bound or 0 for result in results)}")
    print(f"  in flight at the kills  {sum(result.in_flight for result in results)}")
    print(f"  seeds with a problem    {[r.plan.seed for r in results if r.problems]}")


def main() -> int:
    """Run all seeds."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=1, help="how many runs")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--seconds", type=float, default=60, help="of faults in each run")
    parser.add_argument("--rate", type=float, default=20, help="spans a second")
    options = parser.parse_args()
    results: list[Result] = []
    seed = options.first
    while len(results) < options.seeds and seed < options.first + _MOST_TRIES * options.seeds:
        plan = Plan(seed, options.seconds, options.rate, kill=seed % _SPARED_EVERY != 0)
        if (result := run(plan)) is not None:
            results.append(result)
        seed += 1
    report(results)
    is_whole = len(results) == options.seeds
    return 0 if is_whole and not any(result.problems for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
