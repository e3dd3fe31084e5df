"""The command as a user runs it: in a process of its own, or faster, in this one."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from workers.cli import main


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    status: int
    out: str
    err: str


Run = Callable[..., Done]


def report_of(done: Done) -> dict[str, Any]:
    """The one object that a command with `--json` has printed; it has gone well."""
    assert done.status == 0, done.err
    report: dict[str, Any] = json.loads(done.out)
    return report


_WIDE = {"COLUMNS": "400"}
"""Wraps nothing."""


@pytest.fixture
def assay(tmp_path: Path) -> Run:
    """Run `assay` with these arguments in a new process, in the test's folder."""

    def run(*arguments: str) -> Done:
        command = [str(Path(sys.executable).with_name("assay")), *arguments]
        kept = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env={**kept, **_WIDE},
            capture_output=True,
            text=True,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def assay_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Run:
    """The same in this process: a second or two faster, since nothing is imported again."""
    monkeypatch.chdir(tmp_path)
    for name, value in _WIDE.items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["assay", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capfd.readouterr()
        return Done(int(ended.value.code or 0), printed.out, printed.err)

    return run
