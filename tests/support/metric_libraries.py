"""Libraries that adapters are for, each in a virtual environment of its own below `.cache`.

What Assay itself needs comes from the environment that runs the tests, behind what the library
brings; that both go together is for pip to say: `pip install "assay[EXTRA]"`.
"""

import asyncio
import json
import os
import subprocess
import sys
import sysconfig
import tomllib
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.processes import Unavailable

_ROOT = Path(__file__).parents[2]
_CACHE = _ROOT / ".cache" / "adapters"
_INSTALL_S = 300
_CHILD = Path(__file__).with_name("without_network.py")


@dataclass(frozen=True)
class Ended:
    """What a command left behind."""

    status: int
    outcomes: dict[str, dict[str, Any]]
    """By name of the evaluator."""
    err: str
    attempts: list[str]
    """Where it wanted to connect to, besides loopback."""


class MetricLibrary:
    """One library, installed.

    Args:
        extra: The extra of ours that brings it.

    Raises:
        Unavailable: pip cannot fetch it.
    """

    def __init__(self, extra: str) -> None:
        project = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]
        needed: list[str] = project["optional-dependencies"][extra]
        self._folder = _CACHE / extra
        self._python = self._folder / "bin" / "python"
        ready = self._folder / "ready"
        if ready.exists() and ready.read_text() == "\n".join(needed) and self._python.exists():
            return
        venv.create(self._folder, with_pip=True, clear=True)
        command = [str(self._python), "-m", "pip", "install", "--quiet", *needed]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=_INSTALL_S)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            said = str(error.stderr or error).strip().splitlines()[-1:]
            raise Unavailable(f"pip cannot fetch {extra}: {''.join(said)}") from error
        (site,) = self._folder.glob("lib/python*/site-packages")
        (site / "assay.pth").write_text(f"{_ROOT}\n{sysconfig.get_path('purelib')}\n")
        ready.write_text("\n".join(needed))

    async def assay(self, folder: Path, *arguments: str) -> Ended:
        """Run `assay` with the library, in `folder`, where nothing but loopback can be reached."""
        attempts = folder / "attempts"
        attempts.write_text("")
        kept = ("PATH", "LANG", "TMPDIR")  # no key, and no setting of a library's, of this machine
        environ = {name: os.environ[name] for name in kept if name in os.environ}
        process = await asyncio.create_subprocess_exec(
            str(self._python),
            "-P",  # its own folder has a workers.py
            str(_CHILD),
            str(attempts),
            *arguments,
            cwd=folder,
            env={**environ, "HOME": str(folder)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        lines = [json.loads(line) for line in out.decode().splitlines() if line.startswith("{")]
        return Ended(
            process.returncode or 0,
            {line["evaluator"]["name"]: line for line in lines if "evaluator" in line},
            err.decode(),
            attempts.read_text().splitlines(),
        )


if __name__ == "__main__":
    MetricLibrary(sys.argv[1])
