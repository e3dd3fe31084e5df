"""`assay.yaml`: what is read, what its defaults are, and the one message for each fault."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.config import Config
from schemas.config_file import load, located
from schemas.errors import ConfigError
from schemas.kafka_properties import REFUSED_PROPERTIES

_ROOT = Path(__file__).parents[2]
_KNOWN = ("answer_relevance", "pii", "secrets", "toxicity")

_FAULTS = yaml.safe_load((_ROOT / "tests/data/config_faults.yaml").read_text())

_BASE = """\
kafka:
  bootstrap_servers: broker:9092
  spans: [otlp_spans]
judges:
  default:
    model: gpt-5-mini
    base_url: http://127.0.0.1:8080/v1
    api_key: "${KEY}"
evaluators:
  toxicity: {judge: default}
routes:
  - name: support
    when: 'span.kind == "llm"'
    sample: 0.5
    evaluators:
      - toxicity
      - pii
"""


def _load(folder: Path, text: str, **environ: str) -> Config:
    path = folder / "assay.yaml"
    path.write_text(text, encoding="utf-8")
    return load(path, {"KEY": "sk-1", **environ}, _KNOWN)


def _fault(folder: Path, text: str, **environ: str) -> str:
    with pytest.raises(ConfigError) as caught:
        _load(folder, text, **environ)
    return str(caught.value).replace(f"{folder}/", "")


def _changed(old: str, new: str) -> str:
    assert _BASE.count(old) == 1, old
    return _BASE.replace(old, new)


def test_every_built_section_is_read(tmp_path: Path) -> None:
    """Each key of each section arrives under its own name, lists and nested sections included."""
    (tmp_path / "voice.yaml").write_text("name: brand_voice\n")
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    config = _load(
        tmp_path,
        """\
kafka:
  bootstrap_servers: "a:1,b:2"
  group_id: quality
  spans: [one, two]
  encoding: otlp_json
  start: 2026-11-01T00:00:00+01:00
  scores: s
  dead_letters: d
  otlp_scores: null
  client:
    security.protocol: SASL_SSL
    sasl.password: "${PASSWORD}"
    socket.keepalive.enable: true
    fetch.wait.max.ms: 50
judges:
  default:
    model: m
    base_url: https://judge.example/v1
    headers: {X-Team: a}
    query: {api-version: "2026-01-01"}
    ca_file: ca.pem
    proxy: http://proxy:3128
    price: {input_usd_per_mtok: 0.25, output_usd_per_mtok: 2}
evaluators:
  brand_voice:
    {rubric: voice.yaml, threshold: 0.7, objective: 0.9, page_on: any, options: {tone: [calm]}}
routes:
  - {name: all, when: 'true', sample: 0, evaluators: [brand_voice], content: none, max_age_s: 21600}
cost: {count: sampled, group_by: {name: team, attributes: [team.id, team]}, reference_usd: 0.02}
limits: {in_flight: 5, text_chars: 100}
dead_letters: {content: none, max_consecutive: 3, max_ratio: 1, ratio_window: 10}
stop: {drain_s: 1.5, flush_s: 2}
outputs: {otlp: null}
links: {grafana: https://grafana.example}
metrics: {host: 0.0.0.0, port: "${PORT}", max_label_sets: 10}
logs: {format: json, level: debug}
""",
        PASSWORD="hunter2",  # noqa: S106
        PORT="9100",
    )
    assert config.kafka.spans == ("one", "two")
    assert config.kafka.start == datetime.fromisoformat("2026-10-31T23:00:00Z").astimezone(UTC)
    assert config.kafka.client == {
        "security.protocol": "SASL_SSL",
        "sasl.password": "hunter2",
        "socket.keepalive.enable": "true",
        "fetch.wait.max.ms": 50,
    }
    judge = config.judges["default"]
    assert judge.query == {"api-version": "2026-01-01"}
    assert judge.ca_file == tmp_path / "ca.pem"
    assert judge.api_key is None
    assert judge.price is not None
    assert judge.price.output_usd_per_mtok == 2.0
    voice = config.evaluators["brand_voice"]
    assert voice.rubric == tmp_path / "voice.yaml"
    assert voice.rubric_text == "name: brand_voice\n"
    assert voice.folder == tmp_path
    assert voice.options == {"tone": ["calm"]}
    assert (voice.threshold, voice.objective, voice.page_on) == (0.7, 0.9, "any")
    (route,) = config.routes
    assert (route.sample, route.content, route.max_age_s) == (0, "none", 21600)
    assert config.cost.group_by.attributes == ("team.id", "team")
    assert config.metrics.port == 9100
    assert config.logs.format == "json"


def test_defaults_are_those_of_the_models(tmp_path: Path) -> None:
    """A file with the required keys alone gets every documented default."""
    config = _load(tmp_path, _BASE)
    expected: dict[str, dict[str, Any]] = {
        "kafka": {
            "group_id": "assay",
            "encoding": "auto",
            "start": "latest",
            "scores": "assay.scores",
            "dead_letters": "assay.dead_letters",
        },
        "cost": {
            "count": "all",
            "group_by": {"name": "tenant", "attributes": ("tenant.id",)},
            "reference_usd": 0.01,
        },
        "limits": {
            "in_flight": 1000,
            "in_flight_bytes": 134217728,
            "message_bytes": 8388608,
            "spans_per_message": 20000,
            "attributes_per_span": 1000,
            "text_chars": 60000,
        },
        "dead_letters": {
            "content": "full",
            "max_consecutive": 100,
            "max_ratio": 0.5,
            "ratio_window": 1000,
        },
        "stop": {"drain_s": 10, "flush_s": 10},
        "metrics": {"host": "127.0.0.1", "port": 9464, "max_label_sets": 2000},
        "logs": {"format": "auto", "level": "info"},
    }
    dumped = config.model_dump()
    for section, values in expected.items():
        assert dumped[section].items() >= values.items(), section
    judge = config.judges["default"]
    assert (judge.deadline_s, judge.attempt_s, judge.max_attempts) == (60, 30, 3)
    assert (judge.max_output_tokens, judge.max_concurrency) == (2000, 200)
    assert judge.max_response_bytes == 4194304
    assert config.routes[0].content == "redacted"
    assert config.routes[0].max_age_s is None


@pytest.mark.parametrize("fault", _FAULTS, ids=lambda fault: fault["says"])
def test_one_clear_message(tmp_path: Path, fault: dict[str, str]) -> None:
    """A wrong value is told by file, line, key, fault and remedy, in one line."""
    assert _fault(tmp_path, _changed(fault["change"], fault["to"])) == fault["says"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "assay.yaml: is empty"),
        ("- a", "assay.yaml:1: should be a mapping that begins with kafka: and routes:"),
        ("a: [1\nb: 2", "assay.yaml:2: is not valid YAML: while parsing a flow sequence"),
        ("a: 1\n\tb: 2", "assay.yaml:2: is not valid YAML: "),
        ("a: 1\n---\nb: 2", "assay.yaml:2: is not valid YAML: expected a single document"),
        ("a: 1\nb:\n  c: 1\n  c: 2", "assay.yaml:4: b.c stands twice, first in line 3; keep one"),
        ("a: 1\n? [x]\n: 2", "assay.yaml:2: has a key that is no text"),
        ("a: &x {}\nb:\n  <<: *x", 'assay.yaml:3: uses the merge key "<<"; write the keys out'),
        (
            "a: 1\nb: !!python/name:os.system x",
            "assay.yaml:2: uses a tag; only plain YAML is read",
        ),
        ("a: 1\nb: \x07", "assay.yaml:2: has a control character that YAML does not allow"),
        ('a: "\\UFFFFFFFF"', "assay.yaml: has an escape that is no character"),
        ('a: 1\nb: "\\uD800"', "assay.yaml:2: has an escape that is half a character"),
        ("a: " + "[" * 60 + "]" * 60, "assay.yaml:1: is nested more than 50 levels deep"),
        ("a: " + "[" * 5000 + "]" * 5000, "assay.yaml: is nested more than 50 levels deep"),
        ("a: &a\n  b: *a", "assay.yaml:1: is nested more than 50 levels deep"),
    ],
)
def test_what_is_no_plain_yaml_is_refused(tmp_path: Path, text: str, message: str) -> None:
    """A file that is not one plain YAML mapping is refused with its line."""
    assert _fault(tmp_path, text).startswith(message)


def test_alias_bomb_is_refused(tmp_path: Path) -> None:
    """Aliases that stand for a billion values end at the limit, not in memory."""
    lines = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    for previous, name in zip("abcdefgh", "bcdefghi", strict=True):
        lines.append(f"{name}: &{name} [{', '.join([f'*{previous}'] * 10)}]")
    assert "more than 100000 values" in _fault(tmp_path, "\n".join(lines))


def test_words_that_old_yaml_reads_as_booleans_stay_words(tmp_path: Path) -> None:
    """`no`, `on` and `1:30` are text, as in YAML 1.2."""
    config = _load(tmp_path, _changed("{judge: default}", "{options: {a: no, on: 1:30, b: 0x10}}"))
    assert config.evaluators["toxicity"].options == {"a": "no", "on": "1:30", "b": 16}


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ("judge: default, verify: default", "verifies a judge by itself"),
        ("verify: default", "verifies a judge by itself"),
        ("judge: default, jury: [default, default, default]", 'lists "default" twice'),
        ("judge: default, jury: [default, b, c]", "has both judge and jury"),
        ("jury: [default, b]", "has 2 judges; name three, five or another odd number"),
        ("judge: default, verify: secnd", 'unknown judge "secnd" in evaluators.toxicity'),
        ("jury: [default, b, c]", 'unknown judge "b" in evaluators.toxicity'),
    ],
)
def test_several_judges_have_to_be_others(tmp_path: Path, settings: str, fault: str) -> None:
    """A second judge is another one, and a jury can have a majority."""
    assert fault in _fault(tmp_path, _changed("{judge: default}", f"{{{settings}}}"))


@pytest.mark.parametrize("name", sorted(REFUSED_PROPERTIES))
def test_kafka_property_that_the_promise_owns_is_refused(tmp_path: Path, name: str) -> None:
    """The message names the property and says why, or what to use."""
    text = _changed("  spans:", f"  client:\n    linger.ms: 5\n    {name}: x\n  spans:")
    reason = REFUSED_PROPERTIES[name]
    assert _fault(tmp_path, text) == f"assay.yaml:5: kafka.client.{name} may not be set: {reason}"


@pytest.mark.parametrize(
    "entry", ["error_cb: x", "on_delivery: x", "ssl.ca.location_file: x", "linger.ms: [5]"]
)
def test_kafka_property_that_is_no_value_is_refused(tmp_path: Path, entry: str) -> None:
    """Callbacks, lists, and files for what is no secret are refused by name."""
    fault = _fault(tmp_path, _changed("  spans:", f"  client: {{{entry}}}\n  spans:"))
    assert fault.startswith(f"assay.yaml:3: kafka.client.{entry.partition(':')[0]} ")


def test_secrets_are_read_from_files_beside_the_config(tmp_path: Path) -> None:
    """`api_key_file` and `sasl.password_file` give the secret without its trailing newline."""
    (tmp_path / "key").write_text("sk-file\n")
    (tmp_path / "password").write_text("hunter2\n")
    text = _changed('api_key: "${KEY}"', "api_key_file: key")
    text = text.replace("  spans:", "  client: {sasl.password_file: password}\n  spans:")
    config = _load(tmp_path, text)
    key = config.judges["default"].api_key
    assert key is not None
    assert key.get_secret_value() == "sk-file"
    assert config.kafka.client == {"sasl.password": "hunter2"}


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (None, "cannot be read: no such file or directory"),
        (b" \n", "names an empty file; write the secret to it"),
        (b"\xff", "is no UTF-8 text; save it in that encoding"),
    ],
)
@pytest.mark.parametrize("key", ["judges.default.api_key_file", "kafka.client.sasl.password_file"])
def test_secret_file_that_holds_no_secret(
    tmp_path: Path, key: str, content: bytes | None, fault: str
) -> None:
    """A secret's file that is missing, empty or no text is an error at the key that names it."""
    if content is not None:
        (tmp_path / "secret").write_bytes(content)
    if key.startswith("judges"):
        text = _changed('api_key: "${KEY}"', "api_key_file: secret")
    else:
        text = _changed("  spans:", "  client: {sasl.password_file: secret}\n  spans:")
    message = _fault(tmp_path, text)
    assert key in message
    assert message.endswith(fault)


def test_password_and_its_file_exclude_each_other(tmp_path: Path) -> None:
    """Two sources of one secret are an error, as for the judge's key."""
    (tmp_path / "password").write_text("x")
    entry = "{sasl.password: x, sasl.password_file: password}"
    fault = _fault(tmp_path, _changed("  spans:", f"  client: {entry}\n  spans:"))
    assert "kafka.client has both sasl.password and sasl.password_file" in fault


def test_missing_rubric_is_told_at_its_key(tmp_path: Path) -> None:
    """A rubric file that is not there is an error with the line of the key."""
    fault = _fault(tmp_path, _changed("toxicity: {judge: default}", "own: {rubric: own.yaml}"))
    assert fault.startswith("assay.yaml:10: evaluators.own.rubric: file own.yaml: cannot be read")


@pytest.mark.parametrize(
    ("key", "where"), [("routes[0].when", "assay.yaml:13: "), ("metrics.port", "assay.yaml: ")]
)
def test_later_fault_is_located(tmp_path: Path, key: str, where: str) -> None:
    """An error that is found while parts are built gets the file, and the line of its key."""
    _load(tmp_path, _BASE)
    error = located(ConfigError("is wrong", key=key), tmp_path / "assay.yaml")
    assert str(error).replace(f"{tmp_path}/", "") == f"{where}is wrong"
    assert error.key == key


def test_unreadable_config(tmp_path: Path) -> None:
    """A config that is missing, a folder or no UTF-8 is one message, not a traceback."""
    with pytest.raises(ConfigError, match="cannot be read: no such file"):
        load(tmp_path / "none.yaml", {}, ())
    with pytest.raises(ConfigError, match="cannot be read: is a directory"):
        load(tmp_path, {}, ())
    (tmp_path / "latin.yaml").write_bytes("a: 1\nb: é".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"latin\.yaml:2: is no UTF-8 text"):
        load(tmp_path / "latin.yaml", {}, ())


def test_an_empty_variable_is_named(tmp_path: Path) -> None:
    """A secret that the deployment leaves empty is told by the variable's name."""
    fault = _fault(tmp_path, _BASE, KEY="")
    assert fault.endswith("judges.default.api_key: ${KEY} is empty; set it")


def test_secrets_are_in_no_repr_and_no_message(tmp_path: Path) -> None:
    """Neither printing a config nor a fault in it shows what the environment held."""
    client = '  client: {sasl.password: "${KEY}"}\n  spans:'
    base = _changed("  spans:", client)
    base = base.replace("    api_key:", '    headers: {auth: "${KEY}"}\n    api_key:')
    assert "sk-very-secret" not in repr(_load(tmp_path, base, KEY="sk-very-secret"))
    wrong = base.replace("0.5", '"${KEY}"').replace("gpt-5-mini", '""')
    assert "sk-very-secret" not in _fault(tmp_path, wrong, KEY="sk-very-secret")
    wrong = base.replace("0.5", '"${KEY}"')
    assert 'should be a number, not "${KEY}"' in _fault(tmp_path, wrong, KEY="sk-very-secret")


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_variable_cannot_add_yaml(tmp_path: Path, value: str) -> None:
    """Whatever a variable holds is the text of that one value, `${}`, quotes and newlines too."""
    config = _load(tmp_path, _changed("gpt-5-mini", '"a $$ ${MODEL}"'), MODEL=value)
    assert config.judges["default"].model == f"a $ {value}"


def test_a_variable_without_braces_is_a_slip(tmp_path: Path) -> None:
    """As a shell would have it, the name itself would be sent as the key; `$$` means that."""
    fault = _fault(tmp_path, _changed('"${KEY}"', "$KEY"))
    assert "judges.default.api_key is a variable without braces; write ${NAME}" in fault
    config = _load(tmp_path, _changed('"${KEY}"', "$$KEY"))
    key = config.judges["default"].api_key
    assert key is not None
    assert key.get_secret_value() == "$KEY"


def test_a_base_url_has_no_path_of_a_request(tmp_path: Path) -> None:
    """The path is added to it, and so would be there twice; the address is not repeated."""
    address = "https://me:pw@judge.example/v1/chat/completions/"
    base = re.sub(r"base_url: \S+", f"base_url: {address}", _changed("gpt-5-mini", "m"))
    fault = _fault(tmp_path, base)
    assert "judges.default.base_url should not end with /chat/completions" in fault
    assert "pw" not in fault


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    at=st.integers(0, len(_BASE)),
    cut=st.integers(0, 12),
    put=st.text(alphabet="{}[]:,-&*!|>'\"%@`#?\\ \n\tax0.$~", max_size=6),
)
def test_mangled_file_is_a_config_or_one_error(tmp_path: Path, at: int, cut: int, put: str) -> None:
    """No damage to a file raises anything but the error that is meant for it."""
    text = _BASE[:at] + put + _BASE[at + cut :]
    try:
        config = _load(tmp_path, text)
    except ConfigError as error:
        assert error.path == tmp_path / "assay.yaml"  # noqa: PT017  either way is right
    else:
        assert config.routes


def _schema() -> Any:
    schema = json.loads((_ROOT / "schemas/config.schema.json").read_text())
    jsonschema_rs.meta.validate(schema)
    return jsonschema_rs.validator_for(schema)


def test_schema_for_editors_agrees_with_the_loader() -> None:
    """The published schema accepts a right file and refuses a slip or an owned property."""
    schema = _schema()
    data = yaml.safe_load(_BASE)
    schema.validate(data)
    assert not schema.is_valid({**data, "judge": {}})
    assert not schema.is_valid({**data, "kafka": {**data["kafka"], "client": {"acks": "1"}}})
    for hidden in ("rubric_text", "folder"):
        assert not schema.is_valid({**data, "evaluators": {"toxicity": {hidden: "x"}}})


def test_example_in_the_reference_page_is_right(tmp_path: Path) -> None:
    """The config that the page shows loads, and is right by the schema too."""
    page = (_ROOT / "docs/configuration.md").read_text()
    (example,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert _load(tmp_path, example, OPENAI_API_KEY="sk").routes[0].name == "support"
    _schema().validate(yaml.safe_load(example))


def test_a_budget_of_a_route_that_there_is_not_is_refused(tmp_path: Path) -> None:
    """The message names the route, the budget, and what it may have meant."""
    budget = "budgets: [{name: b, usd: 1, per: day, routes: [suport]}]\njudges:"
    fault = _fault(tmp_path, _changed("judges:", budget))
    assert fault.endswith('unknown route "suport" in budget "b"; did you mean "support"?')


def test_two_budgets_of_one_name_are_refused(tmp_path: Path) -> None:
    """They would share their leases."""
    budget = "{name: b, usd: 1, per: day}"
    fault = _fault(tmp_path, _changed("judges:", f"budgets: [{budget}, {budget}]\njudges:"))
    assert fault.endswith(
        'budgets[1].name "b" is taken by budgets[0]; give each budget a name of its own'
    )
