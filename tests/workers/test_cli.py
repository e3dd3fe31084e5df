"""The command line's own behaviour: help, and how fast it is there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ASSAY = str(Path(sys.executable).with_name("assay"))
COMMANDS = ("demo", "run", "check", "topics", "evaluate", "spans", "scores", "evaluators")
HEAVY = ("confluent_kafka", "openai", "pydantic", "rich", "opentelemetry", "google.protobuf")


def _help(*arguments: str) -> str:
    environ = {**os.environ, "COLUMNS": "100"}
    done = subprocess.run(
        [ASSAY, *arguments], env=environ, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return done.stdout


def test_help_lists_every_command_and_the_exit_codes() -> None:
    """`assay --help` has one whole line for each command and says what exit codes mean."""
    printed = _help("--help")
    for command in COMMANDS:
        (line,) = (line for line in printed.splitlines() if line.startswith(f"  {command} "))
        assert line.endswith(".")
        assert not line.endswith("...")
    assert "0 done, 1 the answer is no, 2 wrong config or arguments" in printed


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    """Each command has help, with a word on each of its options."""
    lines = _help(command, "--help").splitlines()
    assert lines[0].startswith(f"Usage: assay {command}")
    options = [line.split() for line in lines if line.startswith("  -")]
    assert options
    assert all(len(words) > 2 for words in options)


def test_help_imports_nothing_heavy() -> None:
    """Clients, models and tables are imported by the command that needs them: help is instant."""
    code = (
        "import sys; sys.argv = ['assay', '--help']\n"
        "from assay_cli import main\n"
        "try: main()\n"
        "except SystemExit: print(*sys.modules, file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(HEAVY) & set(done.stderr.split())
