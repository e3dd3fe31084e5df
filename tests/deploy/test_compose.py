"""`compose.yaml` against what the Compose specification says of everything that it uses.

The models below are those rules, written down: keys and the form of their values. What the file
does not use is not in them, so a key that is new here is looked up first.
"""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import yaml
from pydantic import BaseModel, ConfigDict, Field

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
PINNED = re.compile(r"[\w./-]+:v?\d+\.\d+\.\d+[\w.-]*(@sha256:[0-9a-f]{64})?")

every_service = pytest.mark.parametrize("name", SERVICES)


Duration = Annotated[str, Field(pattern=r"^(\d+h)?(\d+m)?(\d+s)?(\d+ms)?$")]
Bytes = Annotated[str, Field(pattern=r"^\d+([bkmgBKMG]|[kmgKMG][bB])?$")]
Named = Annotated[str, Field(pattern=r"^[a-zA-Z0-9._-]+$")]
Project = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
Profile = Annotated[str, Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_.-]+$")]
Port = Annotated[str, Field(pattern=r"^(\d+\.\d+\.\d+\.\d+:)?(\d+:)?\d+(/(tcp|udp))?$")]
Mount = Annotated[
    str, Field(pattern=r"^(\.{1,2}/|/|[a-zA-Z0-9])[^:]*:/[^:]*(:(ro|rw|z|Z)(,\w+)*)?$")
]
Inside = Annotated[str, Field(pattern=r"^/")]
Ours = Annotated[str, Field(pattern=r"^\./")]
Restart = Annotated[str, Field(pattern=r"^(no|always|unless-stopped|on-failure(:\d+)?)$")]
Scalar = str | int | float | bool | None


class _Object(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Limits(_Object):
    """Memory is text with a unit."""

    memory: Bytes


class Resources(_Object):
    """What a container may take."""

    limits: Limits


class Deploy(_Object):
    """Only resources are used."""

    resources: Resources


class Healthcheck(_Object):
    """A test is a list that says how it is run."""

    test: Annotated[list[str], Field(min_length=2)]
    interval: Duration
    timeout: Duration
    retries: Annotated[int, Field(gt=0)]
    start_period: Duration | None = None


class Dependency(_Object):
    """Why one service waits for another."""

    condition: Literal["service_started", "service_healthy", "service_completed_successfully"]


class ServiceConfig(_Object):
    """The long form: a name of the top level, and where the file appears."""

    source: Named
    target: Inside


class Logging(_Object):
    """Options of a driver are text."""

    driver: str
    options: dict[str, str]


class Service(_Object):
    """What a service may say here."""

    image: str
    build: str | None = None
    user: str
    command: list[str] | None = None
    entrypoint: list[str] | None = None
    environment: dict[str, Scalar] = {}
    profiles: list[Profile] = []
    configs: list[ServiceConfig] = []
    volumes: list[Mount] = []
    tmpfs: list[Inside] = []
    ports: list[Port] = []
    depends_on: dict[Named, Dependency] = {}
    restart: Restart
    stop_grace_period: Duration | None = None
    init: bool = False
    read_only: bool
    cap_drop: list[str]
    security_opt: list[str]
    logging: Logging
    deploy: Deploy
    healthcheck: Healthcheck | None = None


class File(_Object):
    """A config of the top level is a file here."""

    file: Ours


class Compose(BaseModel):
    """The whole file; keys that begin with `x-` are its author's own."""

    model_config = ConfigDict(extra="allow", strict=True)
    name: Project
    services: dict[Named, Service]
    configs: dict[Named, File]
    volumes: dict[Named, None]


def test_the_file_keeps_to_the_specification() -> None:
    """Every key is one that Compose knows, and every value has the form that it must have."""
    compose = Compose.model_validate(COMPOSE)
    own = compose.model_extra or {}
    assert all(key.startswith("x-") for key in own)


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


def test_no_two_services_take_one_port() -> None:
    """What is published is published once."""
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(ports) == len(set(ports))


@every_service
def test_the_image_of_a_service_is_pinned(name: str) -> None:
    """An image has an exact version."""
    assert PINNED.fullmatch(SERVICES[name]["image"])


@every_service
def test_what_a_service_names_is_there(name: str) -> None:
    """Services, conditions, configurations, volumes and folders that are referred to exist."""
    service = SERVICES[name]
    for other, how in service.get("depends_on", {}).items():
        needs_check = how["condition"] == "service_healthy"
        assert not needs_check or "healthcheck" in SERVICES[other]
    for config in service.get("configs", []):
        assert (ROOT / COMPOSE["configs"][config["source"]]["file"]).is_file()
    for volume in service.get("volumes", []):
        source, _, rest = volume.partition(":")
        if source.startswith("."):
            assert any((ROOT / source).iterdir()), source
            assert rest.endswith(":ro"), f"{source} is ours and may be written"
        else:
            assert source in COMPOSE["volumes"]


@every_service
def test_what_a_service_reads_is_mounted(name: str) -> None:
    """A file or folder below /etc that the command names is a config or a volume of it."""
    service = SERVICES[name]
    mounted = {config["target"] for config in service.get("configs", [])}
    mounted |= {volume.split(":")[1] for volume in service.get("volumes", [])}
    for argument in service.get("command", []):
        path = argument.rpartition("=")[2]
        assert not path.startswith("/etc/") or path in mounted


@every_service
def test_nothing_waits_for_what_is_not_started(name: str) -> None:
    """A service depends on services that run whenever it runs: of no profile, or of its own."""
    service = SERVICES[name]
    for other in service.get("depends_on", {}):
        profiles = SERVICES[other].get("profiles", [])
        assert not profiles or set(profiles) == set(service.get("profiles", []))


def test_what_ends_by_itself_is_waited_for() -> None:
    """`up --wait` takes the end of a container for a fault, unless another one waits for it."""
    once = {name for name, service in SERVICES.items() if service["restart"] == "no"}
    assert once == {"topics"}
    for name in once:
        waiting = [
            other
            for other, service in SERVICES.items()
            if not service.get("profiles")
            and service.get("depends_on", {}).get(name, {}).get("condition")
            == "service_completed_successfully"
        ]
        assert waiting, name


def test_the_workers_can_be_scaled() -> None:
    """Nothing of a worker can exist only once: no fixed name, no port of the host."""
    for name in ("worker", "judge-worker"):
        assert SERVICES[name].keys().isdisjoint({"container_name", "ports", "hostname"})


def test_the_workers_have_time_to_stop() -> None:
    """Docker waits longer than a worker may take to drain and flush, 20 s by default."""
    for name in ("worker", "judge-worker"):
        assert int(SERVICES[name]["stop_grace_period"].removesuffix("s")) > 20


def test_no_key_reaches_the_demo() -> None:
    """What needs no secret of the user is given none."""
    for name in ("judge", "traffic", "collector", "jaeger", "grafana", "prometheus"):
        assert "OPENAI_API_KEY" not in SERVICES[name].get("environment", {})
