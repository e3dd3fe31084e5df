"""What `compose.yaml` sets and mounts is accepted by who reads it, and fits together.

`tests/alerts` asks promtool and amtool, `test_collector.py` the collector.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, NoReturn

import pytest
import yaml
from confluent_kafka.admin import AdminClient
from support.kafka import KafkaServer, libraries
from support.processes import Unavailable, free_ports

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "compose.yaml").read_text())[
    "services"
]
NOT_OF_THE_BROKER = {"CLUSTER_ID", "KAFKA_HEAP_OPTS"}


def _yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def _cannot_run(error: Unavailable) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(f"{error} (skipped elsewhere, needed where CI=true)", pytrace=False)
    pytest.skip(f"a real part is missing: {error}")


@pytest.mark.kafka
@pytest.mark.timeout(200)
def test_kafka_starts_with_the_settings_of_compose() -> None:
    """A broker with this environment, as the image turns it into properties, serves its topics."""
    try:
        jars = libraries()
    except Unavailable as error:
        _cannot_run(error)
    server = KafkaServer(jars, _properties(SERVICES["kafka"]["environment"]))
    try:
        server.create_topics({"otlp_spans": 2})
        admin = AdminClient({"bootstrap.servers": server.bootstrap_servers})
        topics = admin.list_topics(timeout=10).topics
        assert len(topics["otlp_spans"].partitions) == 2
    finally:
        server.close()


def _properties(environment: dict[str, Any]) -> str:
    """The settings as a template for `KafkaServer`, with addresses and folders of this machine.

    The image makes `a.b_c-d` of KAFKA_A_B__C___D.
    """
    (internal,) = free_ports(1)
    moved = {
        "kafka:29093": "127.0.0.1:{controller}",
        "CONTROLLER://:29093": "CONTROLLER://127.0.0.1:{controller}",
        "kafka:19092": f"127.0.0.1:{internal}",
        "INTERNAL://:19092": f"INTERNAL://127.0.0.1:{internal}",
        "HOST://:9092": "HOST://127.0.0.1:{broker}",
        "127.0.0.1:9092": "127.0.0.1:{broker}",
        "/var/lib/kafka/data": "{data}",
    }
    lines = []
    for name, value in environment.items():
        if name in NOT_OF_THE_BROKER:
            continue
        key = name.removeprefix("KAFKA_").lower()
        key = key.replace("___", "-").replace("__", "\0").replace("_", ".").replace("\0", "_")
        text = str(value)
        for address, here in moved.items():
            text = text.replace(address, here)
        lines.append(f"{key}={text}")
    return "\n".join(lines)


def test_compose_accepts_the_file() -> None:
    """`docker compose config`, where the plugin is there; it needs no engine."""
    docker = shutil.which("docker")
    command = [docker or "docker", "compose", "--profile", "demo", "config", "--quiet"]
    known = [docker or "docker", "compose", "version"]
    if not docker or subprocess.run(known, capture_output=True, check=False).returncode:
        pytest.skip("docker compose is not installed; test_compose.py checks by rules of its own")
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def test_the_collector_writes_what_workers_need() -> None:
    """Whole traces by key, acknowledged by all replicas, on the topic that the worker reads."""
    collector = _yaml(DEPLOY / "collector" / "config.yaml")
    kafka = collector["exporters"]["kafka"]
    assert kafka["partition_traces_by_id"] is True
    assert kafka["producer"]["required_acks"] == -1
    worker = _yaml(DEPLOY / "assay.yaml")
    assert kafka["traces"] == {"topic": worker["kafka"]["spans"][0], "encoding": "otlp_proto"}
    assert kafka["brokers"] == [worker["kafka"]["bootstrap_servers"]]
    pipeline = collector["service"]["pipelines"]["traces"]
    assert pipeline["processors"][0] == "memory_limiter"
    used = {*pipeline["receivers"], *pipeline["processors"], *pipeline["exporters"]}
    assert used == {
        *collector["receivers"],
        *collector["processors"],
        *collector["exporters"],
    }


def test_trace_search_holds_nothing_back() -> None:
    """What Jaeger does not take at once is dropped: else applications would send it again."""
    exporter = _yaml(DEPLOY / "collector" / "config.yaml")["exporters"]["otlp_grpc/jaeger"]
    assert exporter["retry_on_failure"] == {"enabled": False}
    jaeger = _yaml(DEPLOY / "jaeger" / "config.yaml")
    port = jaeger["receivers"]["otlp"]["protocols"]["grpc"]["endpoint"].rpartition(":")[2]
    assert exporter["endpoint"] == f"jaeger:{port}"


def test_prometheus_asks_every_worker() -> None:
    """It finds the replicas of each service that runs a worker, at the port of their config."""
    prometheus = _yaml(DEPLOY / "prometheus" / "prometheus.yml")
    (job,) = (one for one in prometheus["scrape_configs"] if one["job_name"] == "assay")
    (found,) = job["dns_sd_configs"]
    running = {
        name for name, service in SERVICES.items() if service.get("command", [""])[0] == "run"
    }
    assert set(found["names"]) == running
    for config in ("assay.yaml", "demo.yaml"):
        assert _yaml(DEPLOY / config)["metrics"]["port"] == found["port"]


def test_every_address_is_a_service() -> None:
    """A host and port that a config names is a service of compose.yaml, or this machine."""
    hosts = set()
    for path in sorted(DEPLOY.rglob("*.y*ml")):
        if path.is_relative_to(DEPLOY / "prometheus" / "tests"):
            continue
        text = re.sub(r"#.*", "", path.read_text())
        hosts |= set(re.findall(r"(?:https?://|[\"' \[])([a-z][a-z-]*):\d{4,5}\b", text))
    assert hosts
    assert hosts <= set(SERVICES), hosts - set(SERVICES)


def test_the_demo_shares_what_it_must_with_the_worker() -> None:
    """Its judge lane is of the worker's group, and no evaluator runs in both."""
    worker, demo = _yaml(DEPLOY / "assay.yaml"), _yaml(DEPLOY / "demo.yaml")
    assert demo["kafka"] == worker["kafka"]

    def evaluators(config: Any) -> set[str]:
        return {name for route in config["routes"] for name in route["evaluators"]}

    assert evaluators(demo).isdisjoint(evaluators(worker))
