"""Alertmanager's configuration: valid, and who is told of what, how, and what is held back."""

import json
import re
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.prometheus import Alertmanager, run_tool
from support.promrules import MESSAGES

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "alertmanager"
CONFIG = FOLDER / "alertmanager.yml"
RULES = ROOT / "deploy" / "prometheus" / "rules" / "assay.yaml"
ALERTS: dict[str, dict[str, Any]] = {
    rule["alert"]: rule
    for group in yaml.safe_load(RULES.read_text())["groups"]
    for rule in group["rules"]
    if "alert" in rule
}
SETTLE_S = 15.0

REGRESSED: dict[str, Any] = {
    "labels": {
        "alertname": "AssayScoreRegressed",
        "severity": "page",
        "dimension": "quality",
        "environment": "production",
        "service": "support-bot",
        "evaluator": "answer_relevance",
        "evaluator_version": "1",
        "owner": "support-team",
    },
    "annotations": {
        "summary": "answer_relevance on support-bot scores worse than yesterday & last week.",
        "description": "The mean score of the last 2m is 0.752, 0.198 lower than that of the day.",
        "failing_traces": "assay scores --failed --since 1h --evaluator answer_relevance "
        "--service 'support-bot'",
        "dashboard_url": "http://grafana.example/d/assay-quality?var-service=support-bot",
        "exemplars_url": "http://grafana.example/d/assay-quality?viewPanel=10",
        "runbook_url": "http://docs.example/alerts.md#assayscoreregressed",
    },
    "startsAt": "2026-11-24T09:30:12Z",
    "endsAt": "0001-01-01T00:00:00Z",
    "generatorURL": "http://prometheus.example/graph?g0.expr=x",
    "status": "firing",
}
DEAD_LETTERS: dict[str, Any] = {
    "labels": {
        "alertname": "AssayDeadLetters",
        "severity": "ticket",
        "dimension": "pipeline",
        "reason": "undecodable",
    },
    "annotations": {
        "summary": "3 records could not be read within 15 minutes: undecodable.",
        "description": "They are on the dead letter topic.",
        "runbook": "docs/alerts.md, section AssayDeadLetters",
    },
    "startsAt": "2026-11-24T09:30:12Z",
    "endsAt": "2026-11-24T09:50:12Z",
    "generatorURL": "http://prometheus.example/graph?g0.expr=y",
    "status": "resolved",
}


def _message(*alerts: dict[str, Any]) -> dict[str, Any]:
    """A notification as Alertmanager hands it to a template."""
    first = alerts[0]["labels"]
    common = dict(set.intersection(*(set(alert["labels"].items()) for alert in alerts)))
    grouped = ("alertname", "environment", "service")
    return {
        "receiver": "pager",
        "status": "firing" if any(one["status"] == "firing" for one in alerts) else "resolved",
        "alerts": alerts,
        "groupLabels": {name: first[name] for name in grouped if name in first},
        "commonLabels": common,
        "commonAnnotations": {},
        "externalURL": "http://alertmanager.example",
    }


def _rendered(name: str, message: dict[str, Any], folder: Path, kind: str = "text") -> str:
    data = folder / "message.json"
    data.write_text(json.dumps(message))
    done = run_tool(
        "amtool",
        "template",
        "render",
        f"--template.glob={FOLDER}/templates/*.tmpl",
        f'--template.text={{{{ template "{name}" . }}}}',
        f"--template.type={kind}",
        f"--template.data={data}",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def test_amtool_accepts_the_configuration() -> None:
    """`amtool check-config` finds no fault, and the templates."""
    checked = run_tool("amtool", "check-config", str(CONFIG))
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "1 templates" in checked.stdout


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        ("severity=page service=shop-assistant", "pager"),
        ("severity=page service=support-bot", "support-pager"),
        ("severity=page alertname=AssayAbsent", "pager"),
        ("severity=ticket service=shop-assistant", "tickets"),
        ("severity=ticket service=support-bot", "support-tickets"),
        ("severity=ticket alertname=AssayDeadLetters reason=undecodable", "tickets"),
    ],
)
def test_an_alert_goes_to_those_it_concerns(labels: str, receiver: str) -> None:
    """Routes tell pages from tickets, and the services of one team from all others."""
    found = run_tool(
        "amtool", "config", "routes", "test", f"--config.file={CONFIG}", *labels.split()
    )
    assert found.stdout.strip() == receiver, found.stderr


def test_a_page_is_sent_at_once() -> None:
    """A page waits ten seconds for others of its group, not longer."""
    route = yaml.safe_load(CONFIG.read_text())["route"]
    pages = [one for one in route["routes"] if 'severity="page"' in one["matchers"]]
    assert len(pages) == 2
    assert {one["group_wait"] for one in pages} == {"10s"}


def test_every_alert_that_the_configuration_names_exists() -> None:
    """A renamed alert would leave an inhibition that never matches."""
    named = set(re.findall(r"Assay\w+", re.sub(r"(?m)#.*$", "", CONFIG.read_text())))
    assert named - {"Assay"} <= ALERTS.keys()


def _alert(name: str, **labels: str) -> dict[str, Any]:
    """An alert as Prometheus sends it, with the labels that the rule adds."""
    added = ALERTS[name].get("labels", {})
    return {"labels": {"severity": "page", **added, "alertname": name, **labels}}


def _suppressed(alerts: list[dict[str, Any]], folder: Path) -> set[tuple[str, str]]:
    """Names and evaluators of the alerts that the shipped rules of inhibition hold back."""
    config = yaml.safe_load(CONFIG.read_text())
    quiet = {
        "route": {**config["route"], "group_wait": "1h", "routes": [], "receiver": "nobody"},
        "inhibit_rules": config["inhibit_rules"],
        "receivers": [{"name": "nobody"}],
    }
    with Alertmanager(folder, yaml.safe_dump(quiet)) as server:
        server.send(alerts)
        # Inhibition is computed a moment after the alerts have come.
        end, held, before = time.monotonic() + SETTLE_S, set[tuple[str, str]](), None
        while time.monotonic() < end and (not held or held != before):
            time.sleep(0.5)  # noqa: TID251  another process
            before = held
            held = {
                (one["labels"]["alertname"], one["labels"].get("evaluator", ""))
                for one in server.alerts()
                if one["status"]["state"] == "suppressed"
            }
        assert len(server.alerts()) == len(alerts)
        return held


@pytest.mark.slow
@pytest.mark.parametrize(
    "cause",
    [
        _alert("AssayJudgeFailing", evaluator="answer_relevance"),
        _alert("AssayJudgeBreakerOpen", endpoint="default", evaluator="answer_relevance"),
    ],
    ids=["judge_failing", "breaker_open"],
)
def test_a_judge_that_fails_silences_drops_of_its_evaluators(
    cause: dict[str, Any], tmp_path: Path
) -> None:
    """Quality and missing scores of the evaluators concerned; no other's, and no safety."""
    about = {"environment": "production", "service": "support-bot", "evaluator_version": "1"}
    names = ("AssayScoreRegressed", "AssayVersionRegressed", "AssayObjectiveMissed")
    alerts = [cause, _alert("AssayCoverageLow", evaluator="answer_relevance")]
    alerts.append(_alert("AssaySafetyBurn", evaluator="answer_relevance", **about))
    for evaluator in ("answer_relevance", "pii"):
        alerts += [_alert(name, evaluator=evaluator, **about) for name in names]
    assert _suppressed(alerts, tmp_path) == {
        *((name, "answer_relevance") for name in (*names, "AssayCoverageLow"))
    }


@pytest.mark.slow
def test_a_page_silences_its_ticket(tmp_path: Path) -> None:
    """Of a drop that pages the ticket says nothing new; one of another service does."""
    about = {"environment": "production", "evaluator": "pii", "evaluator_version": "1"}
    alerts = [
        _alert("AssayScoreRegressed", service="support-bot", **about),
        _alert("AssayScoreDegraded", service="support-bot", **about),
        _alert("AssayScoreDegraded", service="shop", **{**about, "evaluator": "refusal"}),
    ]
    assert _suppressed(alerts, tmp_path) == {("AssayScoreDegraded", "pii")}


@pytest.mark.slow
def test_without_workers_only_that_is_said_of_the_pipeline(tmp_path: Path) -> None:
    """AssayAbsent silences what workers last said of themselves, and not itself."""
    alerts = [
        _alert("AssayAbsent"),
        _alert("AssayWorkBehind", lane="judge"),
        _alert("AssayCriticalFinding", evaluator="pii"),
    ]
    assert _suppressed(alerts, tmp_path) == {("AssayWorkBehind", "")}


@pytest.mark.slow
def test_a_breaker_whose_evaluators_are_unknown_silences_nothing(tmp_path: Path) -> None:
    """Without the evaluator's name, alerts that have none either would be taken for its own."""
    alerts = [
        _alert("AssayJudgeBreakerOpen", endpoint="default"),
        _alert("AssayLatencyRegressed", service="shop"),
        {"labels": {"alertname": "Foreign", "severity": "page", "dimension": "quality"}},
        _alert("AssayWorkStuck", lane="judge"),
        _alert("AssayWorkBehind", lane="judge"),
    ]
    # The last one is held back: that shows that inhibition has been computed.
    assert _suppressed(alerts, tmp_path) == {("AssayWorkBehind", "")}


def test_a_message_for_slack_says_what_where_whose_and_how_to_see_it(tmp_path: Path) -> None:
    """Title and text of a page read as this."""
    message = _message(REGRESSED)
    assert _rendered("assay.title", message, tmp_path) == (
        "[PAGE] AssayScoreRegressed on support-bot (production)"
    )
    assert _rendered("assay.slack.color", message, tmp_path) == "danger"
    assert _rendered("assay.link", message, tmp_path) == REGRESSED["annotations"]["dashboard_url"]
    *lines, links = _rendered("assay.slack.text", message, tmp_path).splitlines()
    assert lines == [
        "*answer_relevance on support-bot scores worse than yesterday &amp; last week.*",
        "The mean score of the last 2m is 0.752, 0.198 lower than that of the day.",
        "Firing since 2026-11-24 09:30 UTC, owner: support-team",
        "`assay scores --failed --since 1h --evaluator answer_relevance --service 'support-bot'`",
    ]
    assert links.split("   ") == [
        "<http://grafana.example/d/assay-quality?viewPanel=10|Failing traces>",
        "<http://grafana.example/d/assay-quality?var-service=support-bot|Dashboard>",
        "<http://prometheus.example/graph?g0.expr=x|Query>",
        "<http://docs.example/alerts.md#assayscoreregressed|Runbook>",
    ]


def test_a_service_name_cannot_call_a_whole_channel(tmp_path: Path) -> None:
    """What Slack would take for a mention or a link is shown as it is written."""
    hostile = {
        **REGRESSED,
        "labels": {**REGRESSED["labels"], "service": "<!channel>"},
        "annotations": {**REGRESSED["annotations"], "summary": "worse on <!channel>"},
    }
    for name in ("assay.title", "assay.slack.text"):
        assert "<!" not in _rendered(name, _message(hostile), tmp_path)


def test_several_alerts_of_a_group_are_one_message(tmp_path: Path) -> None:
    """The title counts them, the text has a paragraph for each."""
    other = {**REGRESSED, "labels": {**REGRESSED["labels"], "evaluator": "groundedness"}}
    message = _message(REGRESSED, other)
    assert _rendered("assay.title", message, tmp_path).startswith("[PAGE x2] AssayScoreRegressed")
    assert _rendered("assay.slack.text", message, tmp_path).count("\n\n*answer_relevance") == 1


def test_an_alert_without_links_owner_or_service_reads_well_too(tmp_path: Path) -> None:
    """What is not there leaves no empty words."""
    message = _message(DEAD_LETTERS)
    assert _rendered("assay.title", message, tmp_path) == "[RESOLVED] AssayDeadLetters"
    assert _rendered("assay.slack.color", message, tmp_path) == "good"
    assert _rendered("assay.text", message, tmp_path).splitlines() == [
        "Resolved: 3 records could not be read within 15 minutes: undecodable.",
        "They are on the dead letter topic.",
        "Fired from 2026-11-24 09:30 to 09:50 UTC",
        "Runbook: docs/alerts.md, section AssayDeadLetters",
    ]


@pytest.mark.parametrize("name", ["assay.slack.text", "assay.text"])
def test_what_each_alert_says_reads_well_in_a_message(name: str, tmp_path: Path) -> None:
    """Of every alert's own words the message is whole, with nothing empty or unknown in it."""
    said = [
        (entry["alert"], message)
        for entries in MESSAGES.values()
        for entry in entries
        for message in entry["messages"]
    ]
    alerts = [
        {
            **REGRESSED,
            "labels": {**message["labels"], "alertname": alert},
            "annotations": {key: text for key, text in message.items() if key != "labels"},
        }
        for alert, message in said
    ]
    shown = _rendered(name, _message(*alerts), tmp_path).split("\n\n")
    for (_, message), paragraph in zip(said, shown, strict=True):
        summary, description, since, *_ = paragraph.splitlines()
        assert (summary.strip("*"), description) == (message["summary"], message["description"])
        assert since == "Firing since 2026-11-24 09:30 UTC"
        assert message.get("failing_traces", "") in paragraph
        for text in (summary.strip("*"), description):
            assert text.endswith(".")
            assert not re.search(r"\?|<no value>|[{}]|  | [.,;:]|\(\)", text), text


def test_a_mail_is_html_that_escapes_what_it_quotes(tmp_path: Path) -> None:
    """Names come from applications: none of them may become markup."""
    hostile = {**REGRESSED, "annotations": {**REGRESSED["annotations"], "summary": "<b onload=x>"}}
    mail = _rendered("assay.mail.html", _message(hostile), tmp_path, "html")
    assert mail.startswith("<!DOCTYPE html>")
    assert "&lt;b onload=x&gt;" in mail
    assert (
        '<a href="http://grafana.example/d/assay-quality?viewPanel=10">Failing traces</a>' in mail
    )
    assert "border-left: 4px solid #c62828" in mail


def test_templates_ask_for_what_the_rules_write(tmp_path: Path) -> None:
    """Every annotation that a template shows is written by some rule, or a runbook's address."""
    shutil.copytree(FOLDER / "templates", tmp_path / "templates")
    (path,) = (tmp_path / "templates").glob("*.tmpl")
    asked = set(re.findall(r"\.Annotations\.(\w+)", path.read_text()))
    written = {name for rule in ALERTS.values() for name in rule["annotations"]}
    assert asked - {"runbook_url"} <= written
