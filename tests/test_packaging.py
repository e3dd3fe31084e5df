"""The wheel, the import guard in front of the command, and what a plain import costs."""

import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

import schemas

_ROOT = Path(__file__).parents[1]
_SCRIPT = "import sys\nfrom assay_cli import main\nsys.exit(main())\n"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built as a release is, with nothing fetched."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=_ROOT, check=True, capture_output=True)
    (built,) = folder.glob("assay-*.whl")
    return built


class Installed:
    """A virtual environment that holds the wheel's files; the dependencies are this one's."""

    def __init__(self, folder: Path, wheel: Path) -> None:
        venv.create(folder, with_pip=False)
        self.python = folder / "bin" / "python"
        (self.site,) = folder.glob("lib/python*/site-packages")
        with zipfile.ZipFile(wheel) as files:
            files.extractall(self.site)
        (self.site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
        self._script = folder / "bin" / "assay"
        self._script.write_text(_SCRIPT)

    def run(self, *arguments: str, pythonpath: Path | None = None) -> tuple[int, str]:
        """Run `assay --help`, or python with `arguments`: exit status, and all that was printed."""
        environ = {"PYTHONPATH": str(pythonpath)} if pythonpath else {}
        command = [str(self.python), *(arguments or (str(self._script), "--help"))]
        done = subprocess.run(
            command, cwd=self.site.parent, env=environ, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout + done.stderr


@pytest.fixture
def installed(tmp_path: Path, wheel: Path) -> Installed:
    """A fresh installation."""
    return Installed(tmp_path / "environment", wheel)


def _package(folder: Path, name: str) -> Path:
    (folder / name).mkdir(parents=True)
    (folder / name / "__init__.py").write_text('"""Somebody else\'s."""\n')
    return folder


def test_wheel_holds_what_runs_and_nothing_else(wheel: Path) -> None:
    """The three packages with types, schemas and rubrics, the guard, and no tests or docs."""
    with zipfile.ZipFile(wheel) as files:
        names = set(files.namelist())
        (entry_points,) = (name for name in names if name.endswith("dist-info/entry_points.txt"))
        declared = files.read(entry_points).decode()
    needed = {"assay_cli.py", "schemas/config.schema.json", "schemas/outcome.schema.json"}
    for package in ("schemas", "evaluators", "workers"):
        needed |= {f"{package}/__init__.py", f"{package}/py.typed"}
        needed |= {str(path.relative_to(_ROOT)) for path in (_ROOT / package).rglob("*.yaml")}
    assert needed <= names
    tops = {name.partition("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == {"assay_cli.py", "schemas", "evaluators", "workers"}
    assert "assay = assay_cli:main" in declared
    assert "[assay.evaluators]" in declared


def test_installed_command_starts(installed: Installed) -> None:
    """The guard lets a sound installation through to the command."""
    status, printed = installed.run()
    assert status == 0, printed
    assert "assay" in printed


def test_source_tree_starts() -> None:
    """The guard lets an editable installation through, whose packages lie beside it too."""
    command = [sys.executable, "-m", "assay_cli", "--help"]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["schemas", "evaluators", "workers"])
def test_shadowed_package_is_told(installed: Installed, tmp_path: Path, name: str) -> None:
    """A package of the same name on PYTHONPATH stops the start; the message has both paths."""
    theirs = _package(tmp_path / "app", name)
    status, printed = installed.run(pythonpath=theirs)
    assert status == 2
    assert printed.startswith(f'assay: the package "{name}" is taken from ')
    assert str(theirs / name / "__init__.py") in printed
    assert str(installed.site / name / "__init__.py") in printed
    assert "unset PYTHONPATH" in printed


def test_isolated_mode_heals_shadowing(installed: Installed, tmp_path: Path) -> None:
    """The command that the message proposes works."""
    theirs = _package(tmp_path / "app", "schemas")
    status, printed = installed.run("-I", "-m", "assay_cli", "--help", pythonpath=theirs)
    assert status == 0, printed


def test_folder_that_is_no_package_shadows_nothing(installed: Installed, tmp_path: Path) -> None:
    """A folder of that name without `__init__.py` loses to the installed package: no complaint."""
    (tmp_path / "app" / "schemas").mkdir(parents=True)
    status, printed = installed.run(pythonpath=tmp_path / "app")
    assert status == 0, printed


def test_overwritten_file_is_told(installed: Installed) -> None:
    """Another distribution that brought its own `workers/__init__.py` is named."""
    (installed.site / "workers" / "__init__.py").write_text('"""Somebody else\'s."""\n')
    info = installed.site / "other_sdk-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other-sdk\nVersion: 1.0\n")
    (info / "RECORD").write_text("workers/__init__.py,,\n")
    status, printed = installed.run()
    assert status == 2
    path = installed.site / "workers" / "__init__.py"
    assert printed.startswith(f"assay: {path} was overwritten by other-sdk; reinstall assay")


@pytest.mark.parametrize("name", ["schemas", "evaluators", "workers"])
def test_deleted_file_is_told(installed: Installed, name: str) -> None:
    """Removing the other distribution takes our file with it: a bare folder remains."""
    path = installed.site / name / "__init__.py"
    path.unlink()
    status, printed = installed.run()
    assert status == 2
    assert printed.startswith(f"assay: {path} is missing; reinstall assay")


def test_guard_costs_no_metadata_search(installed: Installed) -> None:
    """On a sound installation the guard does not import `importlib.metadata`, nor any of ours."""
    code = (
        "import sys, assay_cli; "
        "assert assay_cli._shadowed() is None and assay_cli._overwritten() is None; "
        "print({'importlib.metadata', 'schemas', 'workers'}.intersection(sys.modules))"
    )
    assert installed.run("-c", code) == (0, "set()\n")


def test_public_names_of_schemas() -> None:
    """What `schemas` offers is a promise: a change of this list is a change for others."""
    assert schemas.__all__ == [
        "AssayError",
        "ConfigError",
        "DeadLetterReason",
        "JudgeFailure",
        "Message",
        "Outcome",
        "PluginError",
        "Reason",
        "Span",
        "SpanKind",
        "Status",
        "ToolCall",
        "Undecodable",
        "WorkerStopped",
    ]
    assert all(hasattr(schemas, name) for name in schemas.__all__)


def test_import_of_schemas_is_light() -> None:
    """A plain import brings neither pydantic nor YAML nor protobuf."""
    code = (
        "import sys, schemas; "
        "print([name for name in ('pydantic', 'yaml', 'google.protobuf') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=_ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_generated_files_are_current(tmp_path: Path) -> None:
    """`docs/generate.py --check` passes here, fails where a file is stale, and writing heals it."""

    def generate(folder: Path, *arguments: str) -> tuple[int, str]:
        command = [sys.executable, str(folder / "docs" / "generate.py"), *arguments]
        done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout

    assert generate(_ROOT, "--check") == (0, "")
    for name in ("docs/generate.py", "deploy/assay.yaml"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text((_ROOT / name).read_text())
    assert generate(tmp_path)[0] == 0
    (tmp_path / "docs" / "outcome.md").write_text("old")
    stale = "docs/outcome.md is stale; run: python docs/generate.py\n"
    assert generate(tmp_path, "--check") == (1, stale)
