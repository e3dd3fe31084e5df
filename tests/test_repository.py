"""What no other test reads: the files that build, start and describe the project."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
PINNED = re.compile(r"[\w./-]+:v?\d+\.\d+\.\d+[\w.-]*(@sha256:[0-9a-f]{64})?")
MACHINE_PATH = re.compile(r"(?<![\w.:/})-])/(?:work|root|home|Users|tmp)/\w")

every_service = pytest.mark.parametrize("name", SERVICES)


@every_service
def test_a_service_runs_with_no_more_rights_than_it_needs(name: str) -> None:
    """No root, no capabilities, no writable image, no way to more, a bound on memory and logs."""
    service = SERVICES[name]
    assert int(service["user"].split(":")[0]) > 0
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["deploy"]["resources"]["limits"]["memory"]
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}


@every_service
def test_a_service_is_reached_from_this_machine_only(name: str) -> None:
    """Each published port is bound to loopback."""
    for port in SERVICES[name].get("ports", []):
        assert port.startswith("127.0.0.1:")


@every_service
def test_the_image_of_a_service_is_pinned(name: str) -> None:
    """An image has an exact version."""
    assert PINNED.fullmatch(SERVICES[name]["image"])


@every_service
def test_what_a_service_names_is_there(name: str) -> None:
    """Services, conditions, configurations and volumes that are referred to exist."""
    service = SERVICES[name]
    for other, how in service.get("depends_on", {}).items():
        needs_check = how["condition"] == "service_healthy"
        assert not needs_check or "healthcheck" in SERVICES[other]
    for config in service.get("configs", []):
        assert (ROOT / COMPOSE["configs"][config["source"]]["file"]).is_file()
    for volume in service.get("volumes", []):
        assert volume.split(":")[0] in COMPOSE["volumes"]


def test_the_worker_can_be_scaled() -> None:
    """Nothing of the worker can exist only once: no fixed name, no port of the host."""
    assert SERVICES["worker"].keys().isdisjoint({"container_name", "ports", "hostname"})


def test_the_worker_has_time_to_stop() -> None:
    """Docker waits longer than a worker may take to drain and flush, 20 s by default."""
    assert int(SERVICES["worker"]["stop_grace_period"].removesuffix("s")) > 20


def test_the_collector_writes_what_workers_need() -> None:
    """Whole traces by key, acknowledged by all replicas, on the topic that the worker reads."""
    collector = yaml.safe_load((ROOT / "deploy/collector/config.yaml").read_text())
    kafka = collector["exporters"]["kafka"]
    assert kafka["partition_traces_by_id"] is True
    assert kafka["producer"]["required_acks"] == -1
    worker = yaml.safe_load((ROOT / "deploy/assay.yaml").read_text())
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


def test_the_worker_image_is_pinned_and_safe() -> None:
    """Pinned base, hashes checked, not root, isolated from foreign packages of our names."""
    text = (ROOT / "Dockerfile").read_text()
    bases = re.findall(r"^FROM (\S+)", text, re.MULTILINE)
    assert len(bases) == 2
    assert all(PINNED.fullmatch(base) for base in bases)
    assert "--require-hashes" in text
    assert re.findall(r"^USER (.+)$", text, re.MULTILINE) == ["10001:10001"]
    assert re.search(r'^ENTRYPOINT \["/opt/assay/bin/python", "-I",', text, re.MULTILINE)


def test_the_image_gets_all_packages() -> None:
    """What the wheel is made of is neither ignored by Docker nor left out of the copy."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    shipped = project["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    dockerfile = (ROOT / "Dockerfile").read_text()
    copied = " ".join(re.findall(r"^COPY (?!--from)(.+)$", dockerfile, re.MULTILINE))
    for name in shipped:
        assert f"!{name}" in ignored
        assert name in copied.split()


def test_make_explains_itself() -> None:
    """At most ten targets, each with a line of help that `make` alone shows."""
    text = (ROOT / "Makefile").read_text()
    targets = re.findall(r"^([a-z][\w-]*):(?!=)(.*)$", text, re.MULTILINE)
    assert 0 < len(targets) <= 10
    shown = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout  # noqa: S607
    for name, rest in targets:
        assert "## " in rest, name
        assert re.search(rf"^{name}\s+{re.escape(rest.split('## ')[1])}$", shown, re.MULTILINE)
    (phony,) = re.findall(r"^\.PHONY: (.+)$", text, re.MULTILINE)
    assert phony.split() == [name for name, _ in targets]


def test_the_lock_holds_every_dependency() -> None:
    """Each dependency is in the lock, at a version that the project allows, with hashes."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = project["project"]["dependencies"] + project["dependency-groups"]["dev"]
    lock = (ROOT / "requirements.lock").read_text()
    entry = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)[^\n]*\\\n +--hash=sha256:", re.MULTILINE)
    locked: dict[str, str] = dict(entry.findall(lock))
    assert len(locked) == len(set(re.findall(r"^[A-Za-z0-9._-]+(?===)", lock, re.MULTILINE)))
    for requirement in map(Requirement, wanted):
        assert requirement.specifier.contains(locked[requirement.name.lower()]), requirement


def test_the_ci_script_is_executable_bash() -> None:
    """`.ci/run` can be executed and has no error of syntax."""
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    subprocess.run(["bash", "-n", str(script)], check=True)  # noqa: S607


def test_no_file_names_a_path_of_one_machine() -> None:
    """Nothing that is kept in the repository points into somebody's file system."""
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("this is no work tree of git, so what is kept is not known")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    found = []
    for name in names.decode().split("\0"):
        path = ROOT / name
        if path.is_file():
            text = path.read_text(errors="ignore")
            found += [f"{name}: {hit[0]}" for hit in MACHINE_PATH.finditer(text)]
    assert found == []
