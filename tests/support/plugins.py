"""A plugin package, built and installed as its users would."""

import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

_ROOT = Path(__file__).parents[2]


def installed(package: Path, folder: Path) -> Path:
    """Python of a virtual environment into which the package is installed from its wheel."""
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder / "dist")]
    subprocess.run(build, cwd=package, check=True, capture_output=True)
    environment = folder / "environment"
    venv.create(environment, with_pip=False)
    (site,) = environment.glob("lib/python*/site-packages")
    (wheel,) = (folder / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as files:  # a wheel of plain Python is installed by unpacking it
        files.extractall(site)
    # What it depends on is Assay, and that is here.
    (site / "assay.pth").write_text(f"{_ROOT}\n{sysconfig.get_path('purelib')}\n")
    return environment / "bin" / "python"
