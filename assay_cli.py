"""Where the `assay` command starts: first make sure that our three packages are ours.

`schemas`, `evaluators` and `workers` are common names. A folder on PYTHONPATH can shadow them, and
another distribution can overwrite or delete their files, without a word from any installer. What
follows would be an import error about something else, so this module, whose own name is safe,
looks first. It imports nothing of ours before that, and costs a few milliseconds.
"""

import sys
from base64 import urlsafe_b64encode
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

_PACKAGES = ("schemas", "evaluators", "workers")
_HOME = Path(__file__).parent


def main() -> None:
    """Run the command, or exit with status 2 where one of our packages is not ours."""
    fault = _shadowed() or _overwritten()
    if fault:
        print(f"assay: {fault}", file=sys.stderr)  # noqa: T201  nothing else is safe to import yet
        sys.exit(2)
    from workers.cli import main as run  # noqa: PLC0415  only now is it known to be ours

    run()


def _shadowed() -> str | None:
    """Say which package Python would take from elsewhere, if any."""
    for name in _PACKAGES:
        ours = _HOME / name / "__init__.py"
        spec = find_spec(name)
        if not ours.exists() or spec is None:
            return f"{ours} is missing; reinstall assay, in a virtual environment of its own"
        if spec.origin is None or not ours.samefile(spec.origin):
            theirs = spec.origin or list(spec.submodule_search_locations or ())
            return (
                f'the package "{name}" is taken from {theirs} instead of {ours}; unset PYTHONPATH, '
                f"or start with: {sys.executable} -I -m assay_cli"
            )
    return None


def _overwritten() -> str | None:
    """Say which package's `__init__.py` is not the one that was installed, if any.

    Our own list of installed files and their hashes lies beside this module; an editable install
    and a source tree have none there. Asking `importlib.metadata` would cost more than the rest.
    """
    for record in _HOME.glob("assay-*.dist-info/RECORD"):
        for line in record.read_text(encoding="utf-8").splitlines():
            file, _, rest = line.partition(",")
            name = file.removesuffix("/__init__.py")
            if name not in _PACKAGES:
                continue
            digest = urlsafe_b64encode(sha256((_HOME / file).read_bytes()).digest())
            if rest.partition(",")[0] != f"sha256={digest.decode().rstrip('=')}":
                return (
                    f"{_HOME / file} was overwritten{_by_whom(name)}; "
                    "reinstall assay, in a virtual environment of its own"
                )
    return None


def _by_whom(package: str) -> str:
    from importlib.metadata import packages_distributions  # noqa: PLC0415  slow: after a fault only

    others = set(packages_distributions().get(package, ())) - {"assay"}
    return f" by {', '.join(sorted(others))}" if others else ""


if __name__ == "__main__":
    main()
