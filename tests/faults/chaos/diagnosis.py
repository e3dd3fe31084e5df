"""What stands still, and who should move it: for a run in which not all gets done."""

from collections.abc import Iterator, Mapping

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from faults.chaos.fleet import Fleet
from support.conservation import committed, ends, owned
from support.workers import log_lines

_ADMIN_TIMEOUT_S = 20
_LAST_LINES = 6
_TELLING = ("assay_intake_paused", "assay_in_flight", "assay_commit_failures", "assay_late_results")


def diagnose(servers: str, topic: str, groups: Mapping[str, str], fleet: Fleet) -> list[str]:
    """Lines that say where each lane stands, what the group thinks, and what each worker does."""
    return [
        *_lags(servers, topic, groups),
        *_members(servers, groups),
        *(line for member in fleet.members for line in _worker(fleet, member.worker.log.stem)),
    ]


def _lags(servers: str, topic: str, groups: Mapping[str, str]) -> Iterator[str]:
    end = ends(servers, topic)
    for lane, group in groups.items():
        stands = committed(servers, group, topic)
        behind = {p: f"{stands.get(p)} of {end[p]}" for p in end if stands.get(p) != end[p]}
        yield f"lane {lane} is behind in {behind}"


def _members(servers: str, groups: Mapping[str, str]) -> Iterator[str]:
    admin = AdminClient({"bootstrap.servers": servers})
    for lane, group in groups.items():
        try:
            found = admin.describe_consumer_groups([group])[group].result(_ADMIN_TIMEOUT_S)
        except KafkaException as error:  # the mock cluster cannot tell
            yield f"group of lane {lane}: {error}"
            continue
        yield f"group of lane {lane}: {found.state}, {found.type}"
        for member in found.members:
            has = sorted(p.partition for p in member.assignment.topic_partitions)
            yield f"  {member.member_id} has {has}"


def _worker(fleet: Fleet, name: str) -> Iterator[str]:
    (worker,) = (m.worker for m in fleet.members if m.worker.log.stem == name)
    lines = [
        line
        for line in worker.get("/metrics")[1].splitlines()
        if line.startswith(_TELLING) and "_created" not in line
    ]
    yield f"{name}: {worker.get('/readyz')} {' '.join(lines)}"
    for lane in ("code", "judge"):
        yield f"  by its log it has {sorted(owned(worker, lane))} in lane {lane}"
    yield from (f"  {line}" for line in log_lines(worker)[-_LAST_LINES:])
