"""The promise at full size: a real Kafka, worker processes, a judge that takes its time.

Run it by `python bench/conservation.py`. It puts traces on a topic, stops one worker by SIGTERM in
the middle and starts it again, and counts what stands on the scores topic at the end; with
`--kill` half as many traces follow, and one worker is ended by SIGKILL. Exits with 1 where an
outcome is missing, where one was published twice after the clean stop, where more were published
twice after the crash than were in flight, or where the offsets are not committed to the end.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from support.conservation import (
    JudgeProcess,
    Ledger,
    committed,
    ends,
    ledger,
    owned,
    peak_rss_mb,
    read_values,
)
from support.kafka import KafkaServer, libraries
from support.spans import KeyedMessage, produce, traces
from support.workers import (
    DEAD,
    SCORES,
    SPANS,
    WorkerProcess,
    config_yaml,
    count_topic,
    until,
    worker_process,
)

EVALUATORS = ("answer_relevance", "pii", "secrets")
JUDGED = 1
"""How many of them ask the judge."""
LANES = ("code", "judge")
IN_FLIGHT = 1000
"""`limits.in_flight`, for each lane of a worker."""
COMMIT_S = 0.5
"""How long a commit may take to be sent and acknowledged: what ends meanwhile may be repeated."""
LIMIT_S = 1800.0


class Run:
    """Topics, judge and workers of one run; everything ends with the stack."""

    def __init__(self, options: argparse.Namespace, kafka: KafkaServer, stack: ExitStack) -> None:
        suffix = f"-{uuid4().hex[:8]}"
        self.servers = kafka.bootstrap_servers
        self.spans, self.scores = SPANS + suffix, SCORES + suffix
        kafka.create_topics(
            {self.spans: options.partitions, self.scores: options.partitions, DEAD + suffix: 1}
        )
        self.judge = stack.enter_context(JudgeProcess(options.latency))
        self.groups = [f"assay{suffix}.{lane}" for lane in LANES]
        self.config = config_yaml(
            self.servers, judge_url=self.judge.url, evaluators=EVALUATORS, suffix=suffix
        )
        self.workers: list[WorkerProcess] = []
        self.stack = stack
        self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))

    def start_worker(self) -> WorkerProcess:
        """Start one more worker."""
        worker = self.stack.enter_context(worker_process(self.folder, self.config))
        self.workers.append(worker)
        return worker

    def has_died(self) -> str | None:
        """What to say where a worker ended that should run."""
        return next((why for worker in self.workers if (why := worker.died())), None)

    def wait(self, condition: Callable[[], bool]) -> None:
        """Wait until it holds, as long as all workers live."""
        until(condition, LIMIT_S, self.has_died)

    def send(self, count: int) -> set[str]:
        """Put traces on the topic; their ids."""
        sent: list[KeyedMessage] = list(traces(count))
        produce(self.servers, self.spans, sent)
        return {key.decode() for key, _ in sent if key is not None}

    def is_committed(self) -> bool:
        """Whether every group has committed everything."""
        end = ends(self.servers, self.spans)
        return all(committed(self.servers, group, self.spans) == end for group in self.groups)

    def published(self) -> int:
        """How many outcomes stand on the topic."""
        return count_topic(self.servers, self.scores)


def clean_stop(run: Run, count: int) -> bool:
    """Stop one worker by SIGTERM in the middle, start it again; whether the promise holds."""
    total = count * len(EVALUATORS)
    sent = run.send(count)
    began = time.monotonic()
    run.wait(lambda: run.published() > total // 2)
    leaver = run.workers.pop(0)
    peaks = [peak_rss_mb(leaver)]
    stopping = time.monotonic()
    code = leaver.stop()
    stopped_s = time.monotonic() - stopping
    run.start_worker()
    run.wait(run.is_committed)
    seconds = time.monotonic() - began
    peaks += [peak_rss_mb(worker) for worker in run.workers]
    found = ledger(read_values(run.servers, run.scores), sent, EVALUATORS)
    print(f"clean stop of one worker in the middle: exit {code} after {stopped_s:.1f} s")
    report(found, seconds, peaks)
    again = run.judge.calls() - count * JUDGED
    print(f"  judge calls made again      {again}")
    return found.is_exact and found.repeated == 0 and code == 0


def crash(run: Run, count: int) -> bool:
    """End one worker by SIGKILL in the middle; whether the promise holds."""
    total = count * len(EVALUATORS)
    calls = run.judge.calls()
    before = run.published()
    sent = run.send(count)
    began = time.monotonic()
    run.wait(lambda: run.published() - before > total // 2)
    victim = run.workers.pop(0)
    orphans = owned(victim, "judge")
    peaks = [peak_rss_mb(victim)]
    victim.kill()
    killed = time.monotonic()
    time.sleep(COMMIT_S)  # noqa: TID251  what it sent last arrives
    stood = committed(run.servers, run.groups[1], run.spans)

    def has_moved_on() -> bool:
        now = committed(run.servers, run.groups[1], run.spans)
        end = ends(run.servers, run.spans)
        return all(now[index] > stood[index] or now[index] == end[index] for index in orphans)

    run.wait(lambda: orphans <= set().union(*(owned(worker, "judge") for worker in run.workers)))
    owned_s = time.monotonic() - killed
    run.wait(has_moved_on)
    moved_s = time.monotonic() - killed
    run.wait(run.is_committed)
    seconds = time.monotonic() - began
    peaks += [peak_rss_mb(worker) for worker in run.workers]
    found = ledger(read_values(run.servers, run.scores), sent, EVALUATORS)
    bound = int(len(LANES) * IN_FLIGHT + COMMIT_S * total / seconds)
    print(f"SIGKILL of one worker in the middle; it had partitions {sorted(orphans)}")
    report(found, seconds, peaks)
    print(f"  judge calls made again      {run.judge.calls() - calls - count * JUDGED}")
    print(f"  most that may be repeated   {bound}")
    print(f"  until others own them       {owned_s:.1f} s")
    print(f"  until others judge them     {moved_s:.1f} s, behind what they had waiting already")
    return found.is_exact and found.repeated <= bound


def report(found: Ledger, seconds: float, peaks: list[float]) -> None:
    """Print what one phase came to."""
    print(f"  spans x evaluators          {found.expected}")
    print(f"  outcomes                    {found.outcomes} {dict(found.by_status)}")
    print(f"  distinct ids                {found.distinct}")
    print(f"  missing, strange            {found.missing}, {found.strange}")
    print(f"  repeated                    {found.repeated}")
    print(f"  seconds                     {seconds:.1f}")
    print(f"  evaluations a second        {found.expected / seconds:.0f}")
    print(f"  peak RSS of workers, MB     {' '.join(f'{peak:.0f}' for peak in peaks)}")


def main() -> int:
    """Run both phases."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--traces", type=int, default=20_000)
    parser.add_argument("--partitions", type=int, default=6)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--latency", type=float, default=0.5, help="of the judge, in seconds")
    parser.add_argument("--kill", action="store_true", help="a second phase, with a SIGKILL")
    options = parser.parse_args()
    with ExitStack() as stack:
        kafka = KafkaServer(libraries())
        stack.callback(kafka.close)
        run = Run(options, kafka, stack)
        for _ in range(options.workers):
            run.start_worker()
        for worker in run.workers:
            worker.wait_ready()
        holds = clean_stop(run, options.traces)
        if options.kill:
            holds &= crash(run, options.traces // 2)
        codes = [worker.stop() for worker in run.workers]
        print(f"exit codes at the end {codes}; offsets committed to the end: {run.is_committed()}")
        holds &= run.is_committed() and not any(codes)
    print("the promise holds" if holds else "THE PROMISE DOES NOT HOLD")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
