"""The chart: what it renders is right, where ASSAY_HELM names a helm; its values always."""

import json
import os
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml
from support.prometheus import run_tool
from typer.testing import CliRunner

from workers.cli import app

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy" / "helm"
RUBRIC = ROOT / "examples" / "rubrics" / "brand_voice.yaml"
with_helm = pytest.mark.skipif("ASSAY_HELM" not in os.environ, reason="ASSAY_HELM names no helm")

CONFIG = """\
kafka: {bootstrap_servers: "kafka:9092", spans: [otlp_spans]}
judges:
  default: {model: gpt-5-mini, base_url: "https://api.example/v1", api_key: "${OPENAI_API_KEY}"}
routes:
  - name: llm  # {{ this is no template }}
    when: 'span.kind == "llm"'
    evaluators: [answer_relevance, task_completion, pii, brand_voice]
evaluators: {brand_voice: {rubric: brand_voice.yaml}}
traces: {max_bytes: 268435456}
stop: {drain_s: 30.5}
metrics: {host: 0.0.0.0, port: 9500}
"""
TRIGGER = {"type": "kafka", "metadata": {"consumerGroup": "assay.judge", "lagThreshold": "500"}}
VALUES = {
    "image": {"repository": "registry.example/assay"},
    "secret": "assay",
    "createTopics": True,
    "workers": {
        "all": None,
        "code": {"replicas": 2, "lanes": ["code"]},
        "judge": {
            "lanes": ["judge", "trace"],
            "autoscaling": {"min": 2, "max": 6, "triggers": [TRIGGER]},
        },
    },
    "podMonitor": {"enabled": True},
}


def test_the_values_keep_to_their_schema() -> None:
    """What values.yaml says by default is what values.schema.json allows."""
    schema = json.loads((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    jsonschema_rs.validator_for(schema).validate(values)
    assert set(values) == set(schema["properties"]) - {"global"}


def test_the_chart_is_of_this_version() -> None:
    """The image that it takes by default has the number of the package."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"] == project["version"]


@pytest.fixture
def rendered(tmp_path: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """Manifests by kind and name, of lanes that run apart, with all that is optional."""
    (tmp_path / "values.yaml").write_text(yaml.safe_dump(VALUES))
    (tmp_path / "assay.yaml").write_text(CONFIG)
    rules = ROOT / "deploy" / "prometheus" / "rules" / "assay.yaml"
    ended = _helm(
        f"--values={tmp_path / 'values.yaml'}",
        f"--set-file=config={tmp_path / 'assay.yaml'}",
        f"--set-file=files.brand_voice\\.yaml={RUBRIC}",
        f"--set-file=prometheusRule.rules={rules}",
    )
    assert ended.returncode == 0, ended.stderr
    found = [one for one in yaml.safe_load_all(ended.stdout) if one]
    return {(one["kind"], one["metadata"]["name"]): one for one in found}


@with_helm
def test_pods_get_the_config_as_it_was_written(
    rendered: dict[tuple[str, str], dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Comments, braces and large numbers survive, and `assay check` accepts what is mounted."""
    data = rendered["ConfigMap", "assay-config"]["data"]
    assert data["assay.yaml"].rstrip() == CONFIG.rstrip()
    assert data["brand_voice.yaml"].rstrip() == RUBRIC.read_text().rstrip()
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    for name, text in data.items():
        (mounted / name).write_text(text)
    monkeypatch.setenv("OPENAI_API_KEY", "test")
    done = CliRunner().invoke(app, ["check", "--config", str(mounted / "assay.yaml")])
    assert done.exit_code == 0, done.output


@with_helm
def test_each_worker_runs_its_lanes(rendered: dict[tuple[str, str], dict[str, Any]]) -> None:
    """One Deployment for each; only what does not scale by itself has a number of replicas."""
    lanes = {"assay-code": ["code"], "assay-judge": ["judge", "trace"]}
    assert {name for kind, name in rendered if kind == "Deployment"} == set(lanes)
    for name, own in lanes.items():
        deployment = rendered["Deployment", name]["spec"]
        (worker,) = deployment["template"]["spec"]["containers"]
        flags = [part for lane in own for part in ("--lane", lane)]
        assert worker["args"] == ["run", "--config", "/etc/assay/assay.yaml", *flags]
        assert worker["ports"] == [{"name": "metrics", "containerPort": 9500}]
        labels = deployment["template"]["metadata"]["labels"]
        selector = deployment["selector"]["matchLabels"]
        assert selector.items() <= labels.items()
        assert selector["app.kubernetes.io/component"] == name.removeprefix("assay-")
        assert rendered["PodDisruptionBudget", name]["spec"]["selector"]["matchLabels"] == selector
    assert rendered["Deployment", "assay-code"]["spec"]["replicas"] == 2
    assert "replicas" not in rendered["Deployment", "assay-judge"]["spec"]
    assert rendered["ScaledObject", "assay-judge"]["spec"]["triggers"] == [TRIGGER]


@with_helm
def test_a_pod_has_time_to_drain_and_few_rights(
    rendered: dict[tuple[str, str], dict[str, Any]],
) -> None:
    """It is killed after drain and flush are over, and can write to /tmp alone."""
    pod = rendered["Deployment", "assay-judge"]["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] > 30.5 + 10
    assert pod["securityContext"]["runAsNonRoot"] is True
    for container in (*pod["initContainers"], *pod["containers"]):
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["envFrom"] == [{"secretRef": {"name": "assay"}}]


@with_helm
def test_prometheus_finds_pods_and_rules(
    rendered: dict[tuple[str, str], dict[str, Any]], tmp_path: Path
) -> None:
    """The job has the name that the rules ask for, and promtool accepts the rules."""
    monitor = rendered["PodMonitor", "assay"]["spec"]
    labels = rendered["Deployment", "assay-code"]["spec"]["template"]["metadata"]["labels"]
    assert labels[monitor["jobLabel"]] == "assay"
    assert monitor["selector"]["matchLabels"].items() <= labels.items()
    (tmp_path / "rules.yaml").write_text(
        yaml.safe_dump(rendered["PrometheusRule", "assay"]["spec"])
    )
    ended = run_tool("promtool", "check", "rules", str(tmp_path / "rules.yaml"))
    assert ended.returncode == 0, ended.stderr


@with_helm
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["image.repository=x"], "config: no assay.yaml; --set-file config=assay.yaml"),
        (["image.repository=x", "config=kafka: ["], "config: no YAML"),
        (["image.repository=x", "config=kafka: a"], "say `metrics: {host: 0.0.0.0}` in it"),
        (["config=metrics: {host: 0.0.0.0}"], "image.repository: build the Dockerfile"),
        (["workers.all.lanes={cod}"], "workers.all.lanes.0"),
        (["worker.replicas=2"], "worker"),
    ],
)
def test_a_mistake_has_one_message(options: list[str], message: str) -> None:
    """Nothing is rendered, and what is said names the key and what to do."""
    ended = _helm(*(f"--set={option}" for option in options))
    assert ended.returncode != 0
    assert message in ended.stderr


def _helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    """`helm template`; the version of Kubernetes is what a build of helm may not know."""
    command = [os.environ["ASSAY_HELM"], "template", "assay", str(CHART), "--kube-version=1.31.0"]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
