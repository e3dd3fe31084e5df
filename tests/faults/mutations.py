"""Which test goes red where a fence is taken away: each is removed in a copy of the tree, in turn.

    .venv/bin/python tests/faults/mutations.py [--only WORD]

`docs/promise.md` has the table. A fence that no test misses is one that the next change may break.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_COPIED = ("schemas", "evaluators", "workers", "tests", "assay_cli.py", "pyproject.toml")
_LIMIT_S = 400.0


@dataclass(frozen=True, slots=True)
class Mutation:
    """One fence, and how it is taken away.

    Attributes:
        fence: What it is for.
        file: Where it stands.
        old: Its text, which is there once.
        new: What stands there without it.
        test: What goes red then.
    """

    fence: str
    file: str
    old: str
    new: str
    test: str


FENCES = (
    Mutation(
        "a claim of an older epoch releases nothing",
        "workers/offsets.py",
        "tracker.epoch != claim.epoch or claim.offset not in tracker.open",
        "claim.offset not in tracker.open",
        "tests/workers/test_offsets.py::test_a_claim_of_an_older_epoch_changes_nothing",
    ),
    Mutation(
        "only the contiguous part is committed",
        "workers/offsets.py",
        "return next(iter(self.open), self.position)",
        "return self.position",
        "tests/workers/test_offsets_model.py",
    ),
    Mutation(
        "what is done above the watermark is not judged again",
        "workers/offsets.py",
        "            if offset in tracker.finished_before:\n",
        "            if offset in ():\n",
        "tests/workers/test_offsets_model.py",
    ),
    Mutation(
        "no record is claimed twice in an epoch",
        "workers/offsets.py",
        "            if offset < tracker.position:\n",
        "            if offset < 0:\n",
        "tests/workers/test_offsets_model.py",
    ),
    Mutation(
        "metadata that would not fit is left out",
        "workers/offsets.py",
        "if len(metadata) > offset_metadata.MAX_BYTES:",
        "if len(metadata) < 0:",
        "tests/workers/test_offsets_model.py",
    ),
    Mutation(
        "nothing starts in a partition that is leaving",
        "workers/offsets.py",
        "tracker.epoch == claim.epoch and not tracker.is_closed",
        "tracker.epoch == claim.epoch",
        "tests/workers/test_offsets.py::test_a_partition_that_is_leaving_takes_no_new_work",
    ),
    Mutation(
        "a refused commit is sent again",
        "workers/offsets.py",
        "                tracker.sent = None\n",
        "                pass\n",
        "tests/workers/test_offsets.py::test_a_refused_commit_is_sent_again",
    ),
    Mutation(
        "only what is assigned is committed",
        "workers/consumer.py",
        "        self._offsets.revoke(partitions)\n        self._emit(PartitionsRevoked(",
        "        self._emit(PartitionsRevoked(",
        "tests/faults/test_a_revoked_partition_is_never_committed.py",
    ),
    Mutation(
        "drain before a partition leaves",
        "workers/consumer.py",
        "        cut = self._drained(partitions, lost=lost)\n",
        "        cut = 0\n",
        "tests/faults/test_workers_come_and_go.py::"
        "test_nothing_is_published_twice_by_workers_that_join_and_leave",
    ),
    Mutation(
        "fence last: what is being published is committed before the epoch ends",
        "workers/consumer.py",
        "        if lost:\n            self._offsets.revoke(partitions)\n        else:\n"
        "            self._offsets.close(partitions)\n",
        "        self._offsets.revoke(partitions)\n",
        "tests/faults/test_workers_come_and_go.py::"
        "test_nothing_is_published_twice_by_workers_that_join_and_leave",
    ),
    Mutation(
        "a partition that comes back is resumed",
        "workers/consumer.py",
        "            consumer.resume(arrived)\n",
        "",
        "tests/faults/test_every_assigned_partition_is_read.py",
    ),
    Mutation(
        "where a group begins is committed at once",
        "workers/consumer.py",
        "        self._commits.send_now(consumer, [start.partition for start in starts if "
        "start.is_fresh])\n",
        "",
        "tests/faults/test_commits_survive_refusals.py::"
        "test_the_first_commit_of_a_group_is_sent_until_it_is_taken",
    ),
    Mutation(
        "a commit that crosses a rebalance is sent again",
        "workers/commits.py",
        "        KafkaError.UNKNOWN_MEMBER_ID,\n",
        "        KafkaError.UNKNOWN_MEMBER_ID,\n        KafkaError.ILLEGAL_GENERATION,\n",
        "tests/faults/test_commits_survive_refusals.py::"
        "test_a_commit_that_crosses_a_rebalance_is_sent_again",
    ),
    Mutation(
        "nothing begins while no commit is acknowledged",
        "workers/pipeline.py",
        "        await self.consumer.covered()\n",
        "",
        "tests/faults/test_uncommitted_work_is_bounded.py",
    ),
    Mutation(
        "an outcome counts as published when the broker has acknowledged it",
        "workers/publisher.py",
        "        await acknowledged\n",
        "",
        "tests/workers/test_publisher.py::test_a_broker_that_is_down_is_waited_for",
    ),
    Mutation(
        "an acknowledgement that says no offset is none",
        "workers/publisher.py",
        "if error is None and message.offset() is None:",
        "if False:",
        "tests/workers/test_publisher.py::test_an_acknowledgement_without_an_offset_is_none",
    ),
    Mutation(
        "what is being published is not cut off",
        "workers/flight.py",
        "            if not tasks[task].is_publishing:\n                task.cancel()\n",
        "            if True:\n                task.cancel()\n",
        "tests/workers/test_flight.py::test_what_is_being_published_is_never_cut_off",
    ),
    Mutation(
        "a span that comes again in another record is not judged again",
        "workers/duplicates.py",
        "        return first != offset\n",
        "        return False\n",
        "tests/workers/test_duplicates.py::test_a_span_in_another_record_was_seen_before",
    ),
    Mutation(
        "a late refusal by the group protocol is no welcome",
        "workers/membership.py",
        "        self._is_refused = self._is_new() and unsupported in error.str()\n",
        "        self._is_refused = not self.has_joined and unsupported in error.str()\n",
        "tests/faults/test_old_brokers_are_read_too.py::"
        "test_a_refusal_that_is_read_late_is_no_welcome",
    ),
)


def is_missed(mutation: Mutation, folder: Path) -> bool:
    """Whether the test goes red where the fence is gone from a copy of the tree in `folder`."""
    path = folder / mutation.file
    whole = path.read_text()
    path.write_text(whole.replace(mutation.old, mutation.new))
    try:
        return _run(mutation.test, folder) != 0
    finally:
        path.write_text(whole)


def _run(test: str, folder: Path) -> int:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-x",
        "-p",
        "no:cacheprovider",
        "--timeout",
        "300",
        test,
    ]
    # Before the tree that is installed, also in the workers that the tests start.
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(folder / "tests")])}
    done = subprocess.run(
        command, cwd=folder, env=env, capture_output=True, check=False, timeout=_LIMIT_S
    )
    if done.returncode > 1:  # no test ran: that says nothing of the fence
        raise RuntimeError(f"{test}: {done.stdout.decode()[-2000:]}{done.stderr.decode()[-2000:]}")
    return done.returncode


def check(only: str) -> Iterator[tuple[Mutation, bool]]:
    """Each fence that has `only` in its name, and whether its test misses it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in _COPIED:
            copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
            copy(ROOT / part, folder / part)
        for mutation in FENCES:
            if only in mutation.fence:
                if _run(mutation.test, folder):
                    raise RuntimeError(f"{mutation.test} is red with the fence in its place")
                yield mutation, is_missed(mutation, folder)


def main() -> int:
    """Take the fences away, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default="", help="a word of the fence")
    options = parser.parse_args()
    unguarded = 0
    for mutation, missed in check(options.only):
        verdict = "red  " if missed else "GREEN"
        print(verdict, mutation.fence, f"({mutation.test})", flush=True)  # noqa: T201
        unguarded += not missed
    return 1 if unguarded else 0


if __name__ == "__main__":
    sys.exit(main())
