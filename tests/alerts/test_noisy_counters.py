"""The generated rules in a real Prometheus, on counters that are as noisy as real ones.

Two workers count pass/fail scores of many services for a day; in some services the pass rate falls
at the end. The history is backfilled, with what the hourly rules would have recorded of it, and the
server evaluates all rules on top. What they record must be what `workers.signals` makes of the
same counts.
"""

import bisect
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.history import HOURS, backfill, server_config
from support.prometheus import Prometheus

from workers import signals
from workers.signals import NOTHING, Sums, Window

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

RULES = Path(__file__).parents[2] / "deploy" / "prometheus" / "rules"
QUALITY = {"AssayScoreRegressed", "AssayScoreDegraded", "AssayVersionRegressed"}
SCRAPE_S = 15
HISTORY_S = HOURS * 3600
AHEAD_S = 90
"""The history goes on for so long after the server has started."""
DROP_S = 40 * 60
PER_MINUTE = 20.0
INSTANCES = ("a:9464", "b:9464")
SETTLE_S = 30.0
COUNTERS = (
    "assay_scores",
    "assay_score_weight",
    "assay_score_weighted",
    "assay_score_weighted_squares",
    "assay_score_weight_squares",
)
EVALUATOR = "answer_relevance"
COMPARED = (Window(2), Window(5), Window(15))


@dataclass(frozen=True, slots=True)
class Counts:
    """What one worker exports for one service: cumulative scores and passes at each scrape."""

    times: Sequence[float]
    scores: Sequence[int]
    passes: Sequence[int]

    def increase(self, until: float, seconds: float) -> tuple[float, float]:
        """As `increase()` counts: the samples in the window, extrapolated to its edges."""
        first = bisect.bisect_left(self.times, until - seconds)
        last = bisect.bisect_right(self.times, until) - 1
        scale = seconds / (self.times[last] - self.times[first])
        return (
            (self.scores[last] - self.scores[first]) * scale,
            (self.passes[last] - self.passes[first]) * scale,
        )


Service = list[Counts]


def _count(rng: random.Random, now: float, *, falls: bool) -> Counts:
    """Poisson traffic; 0.95 pass, in the last minutes of a service that falls 0.75."""
    start = now - HISTORY_S
    times, scores, passes = [], [0], [0]
    offset = rng.uniform(0, SCRAPE_S)
    steps = int((HISTORY_S + AHEAD_S) / SCRAPE_S)
    for step in range(steps):
        at = start + offset + step * SCRAPE_S
        times.append(at)
        rate = 0.75 if falls and at > now - DROP_S else 0.95
        # Knuth's method: how many exponential gaps fit into one scrape interval.
        came, gap = 0, rng.expovariate(PER_MINUTE / 60 / len(INSTANCES))
        while gap < SCRAPE_S:
            came += 1
            gap += rng.expovariate(PER_MINUTE / 60 / len(INSTANCES))
        scores.append(scores[-1] + came)
        passes.append(passes[-1] + sum(rng.random() < rate for _ in range(came)))
    return Counts(times, scores[1:], passes[1:])


def _openmetrics(services: dict[str, Service]) -> Iterator[str]:
    """Every counter of every worker, sample by sample; weights are 1, so passes are points."""
    for name in COUNTERS:
        is_of_passes = "weighted" in name
        yield f"# TYPE {name} counter\n"
        for service, workers in services.items():
            for instance, counts in zip(INSTANCES, workers, strict=True):
                labels = (
                    f'environment="demo",service="{service}",evaluator="{EVALUATOR}",'
                    f'evaluator_version="1",model="m",prompt_version="v1",instance="{instance}",'
                    'job="assay"'
                )
                values = counts.passes if is_of_passes else counts.scores
                for at, value in zip(counts.times, values, strict=True):
                    yield f"{name}_total{{{labels}}} {value} {at:.3f}\n"
    yield "# EOF\n"


def _sums(workers: Service, until: float, seconds: float) -> Sums:
    total = NOTHING
    for counts in workers:
        scores, passes = counts.increase(until, seconds)
        total += Sums(scores, passes, passes, scores)
    return total


def _trailing(workers: Service, until: float) -> Sums:
    """The mean of the hourly sums of a day that ended an hour ago, a minute apart, times 24."""
    total = NOTHING
    for minute in range(1440):
        total += _sums(workers, until - 3600 - 60 * minute, 3600)
    return Sums(
        total.weight / 60,
        total.weighted / 60,
        total.weighted_squares / 60,
        total.weight_squares / 60,
    )


def _expected(workers: Service, window: Window, until: float) -> float:
    """The evidence ratio of the same counts; of last week there is only yesterday."""
    seasons = [_sums(workers, until - hours * 3600, 3600) for hours in (24, 23)]
    ratio: float = signals.regression_evidence(
        window,
        _sums(workers, until, 60 * window.minutes),
        _trailing(workers, until),
        seasons,
        completeness=window.completeness,
    )
    return ratio


def _groups() -> list[dict[str, Any]]:
    """All groups of rules that ship, evaluated more often than there: a test cannot wait."""
    groups = [
        group
        for path in sorted(RULES.glob("*.yaml"))
        for group in yaml.safe_load(path.read_text()).get("groups", [])
    ]
    assert groups, f"no rules in {RULES.name}; `assay rules` writes them"
    return [{**group, "interval": "5s"} for group in groups]


@dataclass(frozen=True, slots=True)
class Seen:
    """What the server recorded, at one moment.

    Attributes:
        evidence: Evidence ratio by service and window.
        recorded_at: When each of them was recorded.
        firing: Names of alerts by service.
    """

    evidence: dict[tuple[str, str], float]
    recorded_at: dict[tuple[str, str], float]
    firing: dict[str, set[str]]


def _run(folder: Path, services: dict[str, Service]) -> Seen:
    groups = _groups()
    backfill(folder, _openmetrics(services), groups)
    (folder / "all.yml").write_text(yaml.safe_dump({"groups": groups}))
    with Prometheus(folder, server_config("all.yml")) as server:
        time.sleep(SETTLE_S)  # noqa: TID251  rules look at each other's records
        now = time.time()

        def ask(expr: str) -> dict[tuple[str, str], float]:
            found = server.query(expr, at=now)
            return {(one.labels["service"], one.labels["window"]): one.value for one in found}

        ratio = "evaluator:assay_score_evidence:ratio"
        firing: dict[str, set[str]] = {service: set() for service in services}
        for alert in server.alerts():
            if alert["state"] == "firing" and "service" in alert["labels"]:
                firing[alert["labels"]["service"]].add(alert["labels"]["alertname"])
        faults = [
            (rule["name"], rule["lastError"])
            for group in server.rules()
            for rule in group["rules"]
            if rule["health"] == "err"
        ]
        assert faults == [], faults
        return Seen(ask(ratio), ask(f"timestamp({ratio})"), firing)


@pytest.mark.parametrize(
    ("fallen", "healthy"),
    [(3, 5), pytest.param(8, 24, marks=pytest.mark.alerts)],
    ids=["few_services", "many_services"],
)
def test_noisy_counters_give_the_evidence_of_their_counts(
    tmp_path: Path, fallen: int, healthy: int
) -> None:
    """Each recorded ratio is that of the statistic, and services that fell alert, and only they."""
    rng = random.Random(23)  # noqa: S311  made-up traffic
    now = time.time()
    services = {
        f"{'fallen' if number < fallen else 'healthy'}-{number}": [
            _count(rng, now, falls=number < fallen) for _ in INSTANCES
        ]
        for number in range(fallen + healthy)
    }
    seen = _run(tmp_path, services)
    for service, workers in services.items():
        for window in COMPARED:
            key = (service, window.name)
            expected = _expected(workers, window, seen.recorded_at[key])
            # What is recorded of baselines is up to a minute old.
            assert seen.evidence[key] == pytest.approx(expected, rel=0.1, abs=0.02), key
    for service, alerts in seen.firing.items():
        assert ("AssayScoreRegressed" in alerts) is service.startswith("fallen"), service
        assert service.startswith("fallen") or not alerts & QUALITY, (service, alerts)
