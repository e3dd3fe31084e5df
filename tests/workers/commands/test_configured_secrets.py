"""What the config keeps secret is in no log line, no error and no command's output."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from schemas.config import Config
from schemas.kafka_properties import SECRET_PROPERTIES
from workers.commands.common import secrets_of
from workers.logs import LogEvent, configure

from .conftest import Done

Run = Callable[..., Done]

_SECRETS = {
    "key": "k3y-0f-the-judge",
    "header": "h3ader-of-the-judge",
    "query": "qu3ry-of-the-judge",
    "proxy": "pr0xy-password",
    "user": "us3r-password",
    "collector": "Y29sbGVjdG9yOnNlc2FtZQ==",
    "kafka": "kafka-passw0rd",
}


def _config(**changes: Any) -> dict[str, Any]:
    judge = {
        "model": "gpt-5-mini",
        "base_url": f"http://assay:{_SECRETS['user']}@127.0.0.1:9/v1",
        "api_key": _SECRETS["key"],
        "headers": {"x-gateway": f"Token {_SECRETS['header']}"},
        "query": {"code": _SECRETS["query"]},
        "proxy": f"http://assay:{_SECRETS['proxy']}@127.0.0.1:9",
    }
    output = {
        "endpoint": "http://127.0.0.1:9",
        "headers": {"authorization": f"Basic {_SECRETS['collector']}"},
    }
    return {
        "kafka": {
            "bootstrap_servers": "127.0.0.1:9",
            "spans": ["spans"],
            "client": {
                "security.protocol": "sasl_plaintext",
                "sasl.mechanisms": "PLAIN",
                "sasl.username": "assay",
                "sasl.password": _SECRETS["kafka"],
            },
        },
        "judges": {"default": judge},
        "routes": [{"name": "all", "when": "true", "evaluators": ["toxicity"]}],
        "outputs": {"otlp": output},
        **changes,
    }


def _leaks(*texts: str) -> list[str]:
    return [name for name, value in _SECRETS.items() if any(value in text for text in texts)]


def test_no_log_line_holds_one() -> None:
    """Whatever quotes it: an exception of the HTTP client's, or a repr of the config."""
    config = Config.model_validate(_config())
    stream = io.StringIO()
    log = configure("json", "info", secrets=secrets_of(config), stream=stream)
    said = [f"Illegal header value b'Token {_SECRETS['header']}\\n'", f"{_SECRETS['collector']}."]
    log.error(LogEvent.OUTPUT_FAILED, error=said)
    log.error(LogEvent.KAFKA_ERROR, error=_SECRETS["kafka"], config=repr(config))
    log.error(LogEvent.JUDGE_CALLED, urls=[f"{_SECRETS['key']}?code={_SECRETS['query']}"])
    log.error(LogEvent.JUDGE_CALLED, url=config.judges["default"].base_url)
    assert _leaks(stream.getvalue()) == []
    assert stream.getvalue().count("***") >= 6


@pytest.mark.parametrize("name", sorted(SECRET_PROPERTIES))
def test_every_secret_of_the_kafka_client_is_masked(name: str) -> None:
    """All that librdkafka takes as a password, a key or a token."""
    config = Config.model_validate(_config())
    kafka = config.kafka.model_copy(update={"client": {name: "s3cret-value"}})
    assert "s3cret-value" in secrets_of(config.model_copy(update={"kafka": kafka}))


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({}, 0),
        ({"routes": [{"name": "all", "when": "span.kin", "evaluators": ["toxicity"]}]}, 2),
        ({"outputs": {"otlp": {"endpoint": f"htp://a:{_SECRETS['user']}@host"}}}, 2),
        ({"outputs": {"otlp": {"endpoint": f"http://a:{_SECRETS['user']}@[host"}}}, 2),
        ({"judges": {"default": {"model": 1, "api_key": [_SECRETS["key"]]}}}, 2),
        ({"judges": {"default": {"headers": {"x": [_SECRETS["header"]]}}}}, 2),
        ({"kafka": {"client": {"sasl.password": [_SECRETS["kafka"]]}}}, 2),
    ],
)
def test_assay_check_shows_none(
    tmp_path: Path, assay_here: Run, change: dict[str, Any], status: int
) -> None:
    """Neither of a config that is right, nor in the message about one that is wrong."""
    (tmp_path / "assay.yaml").write_text(yaml.safe_dump(_config(**change)))
    done = assay_here("check")
    assert done.status == status
    assert _leaks(done.out, done.err) == []


def test_what_does_not_answer_is_named_without_secrets(tmp_path: Path, assay_here: Run) -> None:
    """A broker that is not there is an error of the network's, with the address alone."""
    (tmp_path / "assay.yaml").write_text(yaml.safe_dump(_config()))
    done = assay_here("scores")
    assert done.status == 1
    assert "127.0.0.1:9" in done.err
    assert _leaks(done.out, done.err) == []


@pytest.mark.parametrize("mark", ["!", "*", "&", "!!", "!a!", "%", "@", "|"])
def test_a_password_that_yaml_reads_as_something_else_is_not_repeated(
    tmp_path: Path, assay_here: Run, mark: str
) -> None:
    """Without quotes it is a tag, an alias or an anchor; the message says where, and not what."""
    text = yaml.safe_dump(_config()).replace(_SECRETS["kafka"], f"{mark}{_SECRETS['kafka']}")
    (tmp_path / "assay.yaml").write_text(f"{text}\nlinks: [")
    done = assay_here("check")
    assert done.status == 2
    assert _leaks(done.out, done.err) == []
