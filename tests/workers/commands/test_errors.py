"""Whatever is wrong, a user sees one message and an exit code, never a traceback."""

from pathlib import Path

import pytest

from workers.demo.broker import MockCluster

from .conftest import Run

SOUND = """\
kafka: {{bootstrap_servers: "{brokers}", spans: [otlp_spans]}}
judges:
  default: {{model: judge-1, base_url: "http://127.0.0.1:1/v1"}}
routes:
  - name: support
    when: 'span.service == "support-bot"'
    evaluators: [answer_relevance, pii]
"""
NOWHERE = "127.0.0.1:1"


def _write(folder: Path, text: str) -> None:
    (folder / "assay.yaml").write_text(text)


def test_a_sound_config_is_said_to_be_so(assay: Run, tmp_path: Path) -> None:
    """`assay check` needs no broker and no judge to say that a config is right."""
    _write(tmp_path, SOUND.format(brokers=NOWHERE))
    done = assay("check")
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith("assay.yaml: ok\n")
    assert "answer_relevance: judge, lane judge" in done.out
    assert "package schemas: " in done.out


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("spans:", "spanz:", 'assay.yaml:1: unknown key "spanz" in kafka; did you mean "spans"?'),
        ("[otlp_spans]", "7", "assay.yaml:1: kafka.spans should be a list"),
        ("pii]", "piii]", 'assay.yaml:7: unknown evaluator "piii" in route "support"; did you'),
        ("== ", "= ", 'assay.yaml:6: route "support": when does not compile'),
    ],
    ids=["typo", "wrong_type", "unknown_evaluator", "bad_expression"],
)
def test_a_faulty_config_is_one_message(
    assay: Run, tmp_path: Path, old: str, new: str, message: str
) -> None:
    """Each fault in a config is one line that says where it is, and exit code 2."""
    _write(tmp_path, SOUND.format(brokers=NOWHERE).replace(old, new, 1))
    done = assay("check")
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith(f"assay: {message}")
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("span.service", "span.servise", '6: route "support": '),
        ("  default:", "  other:", '7: evaluator "answer_relevance": it needs the judge "default"'),
        ("spans: [", "client: {foo.bar: 1}, spans: [", "1: kafka.client: librdkafka says: No such"),
        ("spans: [", "client: {linger.ms: x}, spans: [", "1: kafka.client: librdkafka says: Inval"),
        ("routes:", "evaluators:\n  pii: {judge: default}\nroutes:", '5: evaluator "pii": it asks'),
        (
            "routes:",
            "evaluators:\n  pii: {options: {a: 1}}\nroutes:",
            '5: evaluator "pii" of assay',
        ),
        ("routes:", "evaluators: {x: {rubric: x.yaml}}\nroutes:", "4: evaluators.x.rubric: file"),
        ("model: judge-1", 'model: "${NO_SUCH}"', "3: judges.default.model: environment variable "),
        ("    when", "    content: none\n    when", '6: route "support": content is none, but'),
    ],
    ids=[
        "unknown_field",
        "no_judge",
        "unknown_property",
        "wrong_property",
        "judge_for_code",
        "unknown_option",
        "no_rubric",
        "no_variable",
        "content_none",
    ],
)
def test_what_shows_when_parts_are_built_has_its_line_too(
    assay_here: Run, tmp_path: Path, old: str, new: str, message: str
) -> None:
    """Faults that only the parts can see are told with file and line, like those of the file."""
    text = SOUND.format(brokers=NOWHERE)
    assert old in text
    _write(tmp_path, text.replace(old, new, 1))
    done = assay_here("check")
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith(f"assay: assay.yaml:{message}")
    assert done.err.count("\n") == 1


@pytest.mark.parametrize("command", ["check", "topics", "scores"])
def test_a_missing_config_is_one_message(assay_here: Run, command: str) -> None:
    """Every command that needs a config says which it did not find, and how to name another."""
    done = assay_here(command, "--config", "nowhere.yaml")
    assert done.status == 2
    assert done.err.startswith("assay: nowhere.yaml: cannot be read: no such file; name ")
    assert "--config FILE" in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments", [("run",), ("check", "--online")], ids=["run", "check_online"]
)
def test_a_missing_topic_is_one_message(
    assay: Run, tmp_path: Path, mock_cluster: MockCluster, arguments: tuple[str, ...]
) -> None:
    """A worker names the topics that are missing, and what creates them; exit code 2."""
    mock_cluster.create_topic("otlp_spans", 1)
    mock_cluster.create_topic("assay.scores", 1)
    text = SOUND.format(brokers=mock_cluster.bootstrap_servers)
    _write(tmp_path, text + "metrics: {port: 0}\n")
    done = assay(*arguments)
    assert done.status == 2
    assert "no topic assay.dead_letters; create what is missing" in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments", [("run",), ("check", "--online")], ids=["run", "check_online"]
)
def test_the_topic_for_otlp_is_missed_too(
    assay: Run, tmp_path: Path, mock_cluster: MockCluster, arguments: tuple[str, ...]
) -> None:
    """It is written to at one's best effort, but one that was configured and forgotten is told."""
    for topic in ("otlp_spans", "assay.scores", "assay.dead_letters"):
        mock_cluster.create_topic(topic, 1)
    text = SOUND.format(brokers=mock_cluster.bootstrap_servers)
    text = text.replace("spans: [", "otlp_scores: otlp_scores, spans: [")
    _write(tmp_path, text + "metrics: {port: 0}\n")
    done = assay(*arguments)
    assert done.status == 2
    assert "no topic otlp_scores; create what is missing" in done.err
    assert done.err.count("\n") == 1


def test_a_judge_that_is_down_is_one_message(
    assay_here: Run, tmp_path: Path, mock_cluster: MockCluster
) -> None:
    """`check --online` names the judge that does not answer; exit code 1: the config is right."""
    for topic in ("otlp_spans", "assay.scores", "assay.dead_letters"):
        mock_cluster.create_topic(topic, 1)
    _write(tmp_path, SOUND.format(brokers=mock_cluster.bootstrap_servers))
    done = assay_here("check", "--online")
    assert done.status == 1
    assert done.err.startswith('assay: judge "default"')
    assert done.err.count("\n") == 1


@pytest.mark.slow
@pytest.mark.timeout(60)
@pytest.mark.parametrize("command", ["topics", "scores"])
def test_a_broker_that_is_down_is_one_message(
    assay_here: Run, tmp_path: Path, command: str
) -> None:
    """A broker that does not answer is named, in one line, with no word of librdkafka beside it."""
    _write(tmp_path, SOUND.format(brokers=NOWHERE))
    done = assay_here(command)
    assert done.status == 1
    assert done.err.startswith(f"assay: {NOWHERE}: ")
    assert len(done.err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("scores", "--since", "soon"), '--since "soon": is no duration; write 30s, 15m, 24h or'),
        (("evaluate", "x.pb", "--fail-under", "pii"), '--fail-under "pii": not EVALUATOR=RATE'),
        (("evaluate", "x.pb", "--fail-under", "pii=2"), '--fail-under "pii=2": not EVALUATOR=RATE'),
        (("run", "--lane", "traces"), "traces"),
        (("evaluate",), "FILE"),
        (("nothing",), "No such command"),
    ],
)
def test_wrong_arguments_are_told(
    assay_here: Run, arguments: tuple[str, ...], message: str
) -> None:
    """Arguments that cannot be meant are exit code 2, and nothing is started."""
    done = assay_here(*arguments)
    assert done.status == 2
    assert message in done.err
    assert "Traceback" not in done.err
