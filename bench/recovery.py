"""How long a killed worker's partitions stand still, under both group protocols, on a real Kafka.

`make bench SUITE=recovery`. Two workers share six partitions; one gets SIGKILL, and the clock runs
until the other has published outcomes of each partition that the dead one had, in both lanes. The
broker's session timeout is set to 10 s (it is 45 s by default under the `consumer` protocol), as is
that of a classic member, by Assay.
"""

import argparse
import statistics
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from faults.chaos.obligations import LANES
from faults.chaos.stage import Stage, on_kafka
from support.conservation import owned
from support.kafka import CLASSIC_ONLY, KafkaServer, libraries
from support.workers import until

_RATE = 8.0
"""Spans a second: no backlog, which would take time of its own."""
_WAIT_S = 180.0
_DYING_S = 0.5
"""Until what a killed worker had sent last stands on the topic."""


def recover(stage: Stage) -> float:
    """Kill the worker that was started first; seconds until all of its partitions are judged."""
    (victim, other) = stage.fleet.members
    until(lambda: all(owned(m.worker, lane) for m in (victim, other) for lane in LANES), _WAIT_S)
    orphans = {lane: owned(victim.worker, lane) for lane in LANES}
    stage.fleet.kill(victim)
    killed_s = time.time()

    def are_judged() -> bool:
        last = stage.status()["last_ms"]
        return all(
            last.get(name, {}).get(str(partition), 0) > (killed_s + _DYING_S) * 1000
            for lane, names in LANES.items()
            for name in names
            for partition in orphans[lane]
        )

    until(are_judged, _WAIT_S)
    return time.time() - killed_s


def main() -> int:
    """Measure both protocols."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=3, help="under each protocol")
    options = parser.parse_args()
    for protocol in ("consumer", "classic"):
        kafka = (
            KafkaServer(libraries(), CLASSIC_ONLY)
            if protocol == "classic"
            else KafkaServer(libraries())
        )
        with (
            closing(kafka),
            tempfile.TemporaryDirectory() as folder,
            on_kafka(kafka, Path(folder), 1) as stage,
        ):
            stage.start(2)
            stage.ledger.ask(rate=_RATE)
            seconds = []
            for _ in range(options.kills):
                seconds.append(recover(stage))
                stage.start(1)
            stage.ledger.ask(rate=0)
            stage.settle(_WAIT_S)
            report = stage.end()
        print(
            f"{protocol:9} until others judge them: median {statistics.median(seconds):.1f} s of "
            f"{', '.join(f'{one:.1f}' for one in seconds)}; missing {report['missing']}, repeated "
            f"{report['repeated']}",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
