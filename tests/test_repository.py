"""What no other test reads: the files that build, start and describe the project."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
PINNED = re.compile(r"[\w./-]+:v?\d+\.\d+\.\d+[\w.-]*(@sha256:[0-9a-f]{64})?")
MACHINE_PATH = re.compile(r"(?<![\w.:/})-])/(?:work|root|home|Users|tmp)/\w")


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


def test_the_image_gets_nothing_else() -> None:
    """Docker is shown no configuration, test, history or secret that lies in the folder."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    shipped = project["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]
    shown = {
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    assert shown == {*shipped, "pyproject.toml", "requirements.lock", "README.md", "LICENSE"}
    assert (ROOT / ".dockerignore").read_text().count("\n*\n") == 1


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
