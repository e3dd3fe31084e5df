"""`assay demo`, as a newcomer runs it, only shorter."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.workers import until

from .conftest import Run

DEMO = [str(Path(sys.executable).with_name("assay")), "demo"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


def test_the_demo_notices_the_regression(assay: Run) -> None:
    """Nothing but Python, an empty folder: the books balance and the bad rollout is noticed."""
    done = assay("demo", "--seconds", "20", "--json")
    assert done.status == 0, done.err
    story = json.loads(done.out)
    assert story["regressions"] == ["support/answer_relevance"]
    alerts = {alert["alert"]: alert for alert in story["alerts"]}
    assert set(alerts) == {"AssayVersionRegressed", "AssayObjectiveMissed"}
    version = alerts["AssayVersionRegressed"]
    assert (version["service"], version["prompt_version"]) == ("support-bot", "v8")
    assert version["evidence"] > 1
    assert version["drop"] == pytest.approx(0.36, abs=0.15)
    assert 0 < version["seconds_after_rollout"] < 15
    assert story["rollout"] == ["v8"]
    books = story["conservation"]
    assert books["holds"] is True
    assert books["expected"] == books["published"] == sum(story["outcomes"].values()) > 300
    assert {row["route"] for row in story["rows"]} == {"support", "shop"}
    assert story["bad_trace"]["value"] < 0.5
    assert story["bad_trace"]["explanation"]
    assert "librdkafka's mock cluster" in done.err
    assert "stand-in" in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("after_s", [0.0, 3.0], ids=["at_start", "in_the_middle"])
def test_ctrl_c_ends_it_cleanly(tmp_path: Path, after_s: float) -> None:
    """An interrupted demo drains, closes all its parts and says nothing: exit code 130."""
    out = tmp_path / "out"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
    with out.open("wb") as file:
        process = subprocess.Popen(
            DEMO, cwd=tmp_path, env={**kept, "PYTHONUNBUFFERED": "1"}, stdout=file, stderr=file
        )
    try:
        until(lambda: "metrics" in out.read_text(), 60)
        time.sleep(after_s)  # noqa: TID251  a test waits in real time
        process.send_signal(signal.SIGINT)
        assert process.wait(40) == 130
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(10)
    assert "Traceback" not in out.read_text()
    assert "rror" not in out.read_text()
