"""The dashboards and the rules on what a real worker exports: no panel is empty, no link is dead.

A worker judges traffic that has everything in it; Prometheus scrapes it with the rules that ship.
The day before, which baselines need, is written into its storage: the same series, healthy.
"""

import itertools
import math
import re
import secrets
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from support.conservation import JudgeProcess
from support.grafana import filled
from support.history import Series, backfill, exported, steady
from support.prometheus import Prometheus
from support.spans import KeyedMessage, llm_span, message, produce
from support.workers import DEAD, SCORES, SPANS, WorkerProcess, config_yaml, until, worker_process

from schemas.config import Config
from workers.dashboards.build import dashboards
from workers.dashboards.panels import Dashboard, Panel
from workers.dashboards.quality import FAILING_TRACES
from workers.demo.broker import MockCluster
from workers.rules.build import groups, header
from workers.rules.document import render

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

SCRAPE_S = 2
ALERTED_S = 150.0
"""Within this time what is wrong must have alerted; two minutes of it fill the first window."""

FILLED_S = 60.0
"""And within this time after that, every panel has something to show."""

FIRING = {"AssayScoreRegressed", "AssayVersionRegressed", "AssayCriticalFinding"}
BEFORE_S = 20.0
"""How long it has been there when the new version is rolled out."""

PER_SECOND = 12
_BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
COUNTED = (
    "assay_scores_total",
    "assay_scores_passed_total",
    "assay_score_weight_total",
    "assay_score_weighted_total",
    "assay_score_weighted_squares_total",
    "assay_score_weight_squares_total",
    "assay_score_weighted_passed_total",
    "assay_llm_cost_usd_total",
    "assay_llm_cost_weight_total",
)
GOOD_SHARE = 0.97


@dataclass
class Traffic:
    """An application that has just rolled out prompt version p2, half of whose answers are bad.

    Attributes:
        bad: Trace ids, in hex, of the bad answers.
    """

    bootstrap_servers: str
    bad: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.version = "p1"

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stop.set()
        self._thread.join(30)

    def _run(self) -> None:
        for second in itertools.count():
            produce(self.bootstrap_servers, SPANS, list(self._records(second)))
            if self._stop.wait(1):
                return

    def _records(self, second: int) -> Iterator[KeyedMessage]:
        for number in range(PER_SECOND):
            trace_id = secrets.token_bytes(16)
            is_bad = self.version == "p2" and number % 2 == 0
            if is_bad:
                self.bad.add(trace_id.hex())
            key = f"AKIA{''.join(secrets.choice(_BASE32) for _ in range(16))}"
            bad = f"This is BAD. Ask anna.smith@example.com, her key is {key}."
            answer = bad if is_bad else "It has been sent."
            span = llm_span(
                None if number == 1 else "Where is my order?",
                None if number == 1 else answer,
                trace_id=trace_id,
                model="in-house-1" if number == 3 else "gpt-5-mini",
                error_type="timeout" if number == 5 else None,
                input_tokens=900,
                output_tokens=80,
                attributes={
                    "gen_ai.prompt.version": self.version,
                    "gen_ai.usage.cache_read.input_tokens": 300,
                    "tenant.id": f"tenant-{number % 3}",
                },
            )
            yield trace_id.hex().encode(), message([span])
        if second % 5 == 0:
            yield b"", b"this is no record"


def _settings() -> dict[str, Any]:
    return {
        "answer_relevance": {"objective": 0.93, "owner": "support-team"},
        "pii": {"objective": 0.999},
        "secrets": {"page_on": "any"},
    }


def _groups(config: Config) -> list[dict[str, Any]]:
    """The rules for the config, evaluated more often than they ship: a test cannot wait."""
    rules = yaml.safe_load(render(header(15), groups(config)))["groups"]
    return [{**group, "interval": f"{SCRAPE_S}s"} for group in rules]


def _yesterday(worker: WorkerProcess) -> list[Series]:
    """All that alerts look at, as it was: 60 scores a minute, nearly all of them good."""
    seen = exported(worker.get("/metrics")[1], *COUNTED)
    assert {one.name for one in seen} == set(COUNTED)
    share = {
        "assay_scores_passed_total": GOOD_SHARE,
        "assay_score_weighted_total": GOOD_SHARE,
        "assay_score_weighted_squares_total": GOOD_SHARE,
        "assay_score_weighted_passed_total": GOOD_SHARE,
        "assay_llm_cost_usd_total": 0.0001,
    }
    return [Series(one.name, one.labels, 60 * share.get(one.name, 1.0)) for one in seen]


def _server_config(port: int) -> str:
    return yaml.safe_dump(
        {
            "global": {"scrape_interval": f"{SCRAPE_S}s", "evaluation_interval": f"{SCRAPE_S}s"},
            "rule_files": ["rules.yml"],
            "scrape_configs": [
                {
                    "job_name": "assay",
                    "static_configs": [{"targets": [f"127.0.0.1:{port}"]}],
                }
            ],
        }
    )


def _all_fire(alerts: list[dict[str, Any]]) -> bool:
    firing = [one for one in alerts if one["state"] == "firing"]
    return bool(_regressed(firing)) and {one["labels"]["alertname"] for one in firing} >= FIRING


def _regressed(firing: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The alert about the answers: that about the addresses in them may come first."""
    wanted = {"alertname": "AssayScoreRegressed", "evaluator": "answer_relevance"}
    return [one for one in firing if wanted.items() <= one["labels"].items()]


def _values(server: Prometheus, panel: Panel, **chosen: str) -> Iterator[tuple[str, list[float]]]:
    """What each query of a panel finds: numbers only, NaN is as good as nothing."""
    for query in panel.queries:
        expr = filled(query.expr, **chosen)
        found = [sample.value for sample in server.query(expr)]
        yield expr, [value for value in found if not math.isnan(value)]


def _empty(server: Prometheus, shown: dict[str, Dashboard]) -> list[str]:
    """Queries of panels that find nothing."""
    empty = []
    for dashboard in shown.values():
        for panels in dashboard.rows.values():
            for panel in panels:
                splits = ("service", "tenant") if "$by" in panel.queries[0].expr else ("service",)
                for by in splits:
                    for expr, values in _values(server, panel, by=by):
                        if not values:
                            empty.append(f"{dashboard.uid}: {panel.title}: {expr}")
    return empty


@dataclass(frozen=True)
class Seen:
    """What stands in Prometheus after the run.

    Attributes:
        empty: Queries of panels that find nothing.
        traces: Trace ids of the exemplars that the panel of failing traces shows.
        bad: Trace ids of bad answers.
        alerts: Prometheus's alerts.
        faults: Rules that could not be evaluated.
        uids: Of the dashboards.
    """

    empty: list[str]
    traces: set[str]
    bad: set[str]
    alerts: list[dict[str, Any]]
    faults: list[tuple[str, str]]
    uids: set[str]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """One run for all tests here."""
    folder = tmp_path_factory.mktemp("panels")
    with MockCluster() as cluster, JudgeProcess(0.01) as judge:
        for topic in (SPANS, SCORES, DEAD):
            cluster.create_topic(topic, 2)
        text = yaml.safe_load(
            config_yaml(
                cluster.bootstrap_servers,
                judge_url=judge.url,
                evaluators=("answer_relevance", "pii", "secrets"),
                links={"grafana": "http://grafana.example"},
            )
        )
        config = yaml.safe_dump({**text, "evaluators": _settings()})
        with worker_process(folder, config) as worker:
            worker.wait_ready()
            traffic = Traffic(cluster.bootstrap_servers)
            traffic.start()
            try:
                yield _watch(folder, Config.model_validate(yaml.safe_load(config)), worker, traffic)
            finally:
                traffic.stop()


def _watch(folder: Path, config: Config, worker: WorkerProcess, traffic: Traffic) -> Seen:
    until(lambda: worker.metric("assay_scores_total") > 100, 60, worker.died)
    rules = _groups(config)
    (folder / "rules.yml").write_text(yaml.safe_dump({"groups": rules}))
    backfill(folder, steady(_yesterday(worker), time.time() - 60), rules)
    with Prometheus(folder, _server_config(worker.port)) as server:
        time.sleep(BEFORE_S)  # noqa: TID251  the versions must not begin at one time
        traffic.version = "p2"
        rolled_out = time.time()
        until(lambda: _all_fire(server.alerts()), ALERTED_S, worker.died)
        shown, filled_by = dashboards(config), time.monotonic() + FILLED_S
        while (empty := _empty(server, shown)) and time.monotonic() < filled_by:
            time.sleep(SCRAPE_S)  # noqa: TID251  the next scrape may bring it
        (failing,) = [
            panel
            for panels in shown["quality"].rows.values()
            for panel in panels
            if panel.title == FAILING_TRACES
        ]
        dots = server.exemplars(filled(failing.queries[0].expr), rolled_out, time.time())
        return Seen(
            empty=empty,
            traces={one["labels"]["trace_id"] for series in dots for one in series["exemplars"]},
            bad=set(traffic.bad),
            alerts=server.alerts(),
            faults=[
                (rule["name"], rule["lastError"])
                for group in server.rules()
                for rule in group["rules"]
                if rule["health"] != "ok"
            ],
            uids={dashboard.uid for dashboard in shown.values()},
        )


def test_no_panel_is_empty(seen: Seen) -> None:
    """Each query of each panel finds numbers, also of what never happened."""
    assert seen.empty == []


def test_every_rule_can_be_evaluated(seen: Seen) -> None:
    """No rule fails on what a worker exports."""
    assert seen.faults == []


def test_dots_are_traces_that_failed(seen: Seen) -> None:
    """The panel that alerts open has dots, and each is the trace of a bad answer."""
    assert seen.traces
    assert seen.traces <= seen.bad


def test_an_alert_says_what_is_wrong_where_and_since_when(seen: Seen) -> None:
    """The drop fires; its texts are whole, its links open a dashboard with its labels chosen."""
    firing = [one for one in seen.alerts if one["state"] == "firing"]
    assert _all_fire(seen.alerts)
    for alert in firing:
        for name, text in alert["annotations"].items():
            assert not re.search(r"error|<no value>|\{\{|\?\.?$", text), (name, text)
    (regressed,) = _regressed(firing)
    assert regressed["labels"]["owner"] == "support-team"
    said = regressed["annotations"]["description"]
    assert re.search(r"mean score of the last \d+m is 0\.\d{3}, 0\.\d{3} lower than", said), said
    for name in ("dashboard_url", "exemplars_url"):
        link = urlsplit(regressed["annotations"][name])
        chosen = parse_qs(link.query)
        assert link.path.removeprefix("/d/") in seen.uids
        assert chosen["var-service"] == ["support-bot"]
        assert chosen["var-environment"] == ["production"]
