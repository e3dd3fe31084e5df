"""What the README shows works: its commands are run, its configs and rubrics are read."""

import asyncio
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
from confluent_kafka import Producer
from support.kafka import KafkaServer
from support.samples import span
from support.workers import until, worker_process

from evaluators.contract import Settings, Subject
from evaluators.rubric_file import parse_rubric
from evaluators.testing import check_all
from schemas.outcome import Outcome

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
ASSAY = str(Path(sys.executable).with_name("assay"))

OFFLINE = ("spans", "evaluate", "evaluators", "check", "rules")
ASKING = ("estimate", "top", "scores", "explain", "dead-letters")
ONLINE = ("topics", "run", "check --online", *ASKING)
"""Every command is tried by one of the two tests below; `make` by its own."""


def _blocks(language: str) -> list[str]:
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```", README)


def _commands() -> list[list[str]]:
    lines = [line for block in _blocks("sh") for line in block.splitlines()]
    lines += re.findall(r"(?m)^    (make .*)$", README)
    return [shlex.split(line, comments=True) for line in lines if line.strip()]


def _config() -> str:
    (config,) = (block for block in _blocks("yaml") if block.startswith("kafka:"))
    return config


def _is_online(command: list[str]) -> bool:
    return command[1] in ONLINE or "--online" in command


@dataclass(frozen=True)
class _Judge:
    """An endpoint that refuses every judge: enough for commands that must only start."""

    url: str


@pytest.fixture
def judge() -> Iterator[_Judge]:
    """A judge on loopback that answers each request with 503."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", "0")))
            self.send_response(503)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield _Judge(f"http://127.0.0.1:{server.server_port}/v1")
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the README's config as `assay.yaml`, and the examples beside it."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    (tmp_path / "assay.yaml").write_text(_config())
    return tmp_path


def _run(command: list[str], folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    env: Mapping[str, str] = {**os.environ, "OPENAI_API_KEY": "test", **environ}
    return subprocess.run(
        [ASSAY, *command[1:]], cwd=folder, env=env, capture_output=True, text=True, check=False
    )


def test_it_opens_with_two_commands() -> None:
    """A newcomer finds what to type within the first lines."""
    assert [command[:2] for command in _commands() if command[0] == "make"] == [
        ["make", "demo"],
        ["make", "test"],
    ]
    assert README.index("make demo") < 100


@pytest.mark.parametrize("target", ["demo", "test", "setup"])
def test_its_make_targets_exist(target: str) -> None:
    """`make -n` knows the targets; what they do is run elsewhere, and this test by one of them."""
    done = subprocess.run(
        ["make", "-n", target],  # noqa: S607
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_every_command_is_tried_here() -> None:
    """A command that is added to the README has to be added to a test of it."""
    tried = {*OFFLINE, *(name.partition(" ")[0] for name in ONLINE)}
    shown = {command[1] for command in _commands() if command[0] == "assay"}
    assert shown == tried


@pytest.mark.parametrize(
    "command",
    [c for c in _commands() if c[0] == "assay" and not _is_online(c)],
    ids=" ".join,
)
def test_commands_without_a_broker_work(folder: Path, command: list[str]) -> None:
    """Each command that needs no network ends with 0 and prints something."""
    done = _run(command, folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout
    if "--json" in command:
        assert all(Outcome.from_json(line.encode()) for line in done.stdout.splitlines())


def test_the_example_for_builds_works(folder: Path) -> None:
    """`examples/ci.sh` passes on the example, and fails on an export that leaks an address."""
    script = ["sh", "examples/ci.sh"]
    path = f"{Path(ASSAY).parent}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "PATH": path}
    assert (
        subprocess.run(script, cwd=folder, env=env, capture_output=True, check=False).returncode
        == 0
    )
    export = (folder / "examples" / "support.json").read_text()
    leak = export.replace("You can return shoes", "Ask jane.doe@northwind.io about shoes")
    assert leak != export
    (folder / "leak.json").write_text(leak)
    done = subprocess.run(
        [*script, "leak.json"], cwd=folder, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "assay: pii: pass rate 0.500 is below 1" in done.stderr


def test_the_rubric_is_one() -> None:
    """The rubric that the README shows can be used as it stands."""
    (text,) = (block for block in _blocks("yaml") if block.startswith("name:"))
    assert parse_rubric(text, Path("shown.yaml")).name == "brand_voice"
    assert parse_rubric(
        (ROOT / "examples/rubrics/brand_voice.yaml").read_text(), Path("brand_voice.yaml")
    ).threshold == pytest.approx(0.6)


def test_links_lead_somewhere() -> None:
    """Every link into the repository, and every path that is named, is there."""
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), ROOT / "CONTRIBUTING.md"]
    for page in pages:
        text = page.read_text()
        for link in re.findall(r"\]\((?!https?:)([^)#]+)", text):
            assert (page.parent / link).exists(), f"{page.name}: {link}"
        for path in re.findall(r"`((?:examples|docs|schemas|evaluators|workers)/[\w./-]+)`", text):
            assert (ROOT / path).exists(), f"{page.name}: {path}"


@pytest.mark.kafka
@pytest.mark.timeout(400)
def test_commands_with_a_broker_work(folder: Path, kafka: KafkaServer, judge: _Judge) -> None:
    """On a real Kafka: topics are made, a worker runs, and a span's outcomes can be listed."""
    config = _config().replace("127.0.0.1:9092", kafka.bootstrap_servers)
    config = config.replace("https://api.openai.com/v1", judge.url)
    # Names of its own: other tests use the same broker.
    config = config.replace("[otlp_spans]", "[readme_spans]\n  group_id: readme\n  start: earliest")
    config = config.replace("readme_spans]", "readme_spans]\n  scores: readme_scores", 1)
    config = config.replace("group_id", "dead_letters: readme_dead\n  group_id")
    (folder / "assay.yaml").write_text(config)
    by_name = {" ".join(c[1:3]): c for c in _commands() if c[0] == "assay" and _is_online(c)}
    assert _run(by_name.pop("topics --create"), folder).returncode == 0
    # The broker and the topics answer; the judge says 503, which is told in one line.
    online = _run(by_name.pop("check --online"), folder)
    assert "answers, topics are there" in online.stdout
    assert (online.returncode, "503" in online.stderr) == (1, True)
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})
    producer.produce("readme_spans", (ROOT / "examples/support.json").read_bytes())
    assert producer.flush(30) == 0
    by_name.pop("run")
    with worker_process(folder, config, arguments=["--lane", "code"]) as worker:
        worker.wait_ready()
        until(lambda: worker.metric("assay_outcomes_total") >= 4, 30)
        assert worker.stop() == 0
    said = {}
    for command in by_name.values():
        done = _run(command, folder, COLUMNS="300")
        assert (done.returncode, done.stderr) == (0, ""), command
        said[command[1]] = done.stdout
    assert said.keys() == set(ASKING)
    assert "2 LLM calls" in said["estimate"]
    assert "4 outcomes" in said["top"]
    assert "pii: scored 1.00 pass" in said["explain"]
    assert "answer_relevance: no outcome; not read yet" in said["explain"]
    listed = _run(["assay", "scores", "--since", "15m", "--json"], folder).stdout.splitlines()
    names = [json.loads(line)["evaluator"]["name"] for line in listed]
    assert sorted(names) == ["pii", "pii", "secrets", "secrets"]


def test_the_example_plugin_keeps_the_contract() -> None:
    """The plugin that the README points to passes the suite that it recommends."""
    spec = spec_from_file_location("acme_evaluators", ROOT / "examples/plugin/acme_evaluators.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    settings = Settings("no_competitors", options={"names": ["Zeltwelt"]})
    check_all(lambda: module.NoCompetitors(settings))
    evaluate = module.NoCompetitors(settings).evaluate
    named = asyncio.run(evaluate(Subject(span(output_text="Buy it at zeltwelt."))))
    clean = asyncio.run(evaluate(Subject(span(output_text="Buy it here."))))
    assert (named.value, clean.value) == (0.0, 1.0)
    with pytest.raises(ValueError, match="list of company names"):
        module.NoCompetitors(Settings("no_competitors"))
