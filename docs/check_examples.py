"""Check every configuration that is shown to a reader: `assay check` must accept it.

A configuration is a YAML file of `examples/` or `deploy/`, or a fenced block of a Markdown page,
whose first key is `kafka`. A block is checked as if it lay in the root of the repository.
"""

import os
import re
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_FENCE = re.compile(r"(?ms)^(?P<indent> *)```ya?ml\n(?P<body>.*?)^(?P=indent)```")
_VARIABLE = re.compile(r"\$\{(\w+)\}")


def is_config(text: str) -> bool:
    """Whether a YAML text is a configuration of Assay: its first key is `kafka`."""
    lines = (line for line in text.splitlines() if line.strip() and not line.startswith("#"))
    return next(lines, "").startswith("kafka:")


def files(root: Path) -> Iterator[Path]:
    """Find the configurations that are files."""
    for folder in ("examples", "deploy"):
        for path in sorted((root / folder).rglob("*.y*ml")):
            if is_config(path.read_text()):
                yield path


def blocks(page: Path) -> Iterator[tuple[int, str]]:
    """Find the configurations in a Markdown page: the line of their first key, and the text."""
    text = page.read_text()
    for fence in _FENCE.finditer(text):
        body = textwrap.dedent(fence["body"])
        if is_config(body):
            yield text.count("\n", 0, fence.start("body")) + 1, body


def pages(root: Path) -> Iterator[Path]:
    """Find the Markdown pages that users read."""
    yield from sorted(root.glob("*.md"))
    for folder in ("docs", "examples", "deploy"):
        yield from sorted((root / folder).rglob("*.md"))


def check(config: Path) -> str | None:
    """Run `assay check` on a configuration; returns its message where it refuses."""
    command = [str(Path(sys.executable).with_name("assay")), "check", "--config", str(config)]
    # A reader's environment has the variables that the text names.
    text = config.read_text()
    env: Mapping[str, str] = dict.fromkeys(_VARIABLE.findall(text), "example") | dict(os.environ)
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)  # noqa: S603
    return None if done.returncode == 0 else (done.stderr or done.stdout).strip()


def check_block(body: str, root: Path) -> str | None:
    """Check a block as a file in the root, where the paths that it names begin."""
    with tempfile.NamedTemporaryFile("w", dir=root, prefix=".shown-", suffix=".yaml") as file:
        file.write(body)
        file.flush()
        message = check(Path(file.name))
        return message.replace(file.name, "block") if message else None


def main() -> int:
    """Check them all; returns the exit status."""
    results = {str(path.relative_to(ROOT)): check(path) for path in files(ROOT)}
    for page in pages(ROOT):
        for line, body in blocks(page):
            results[f"{page.relative_to(ROOT)}:{line}"] = check_block(body, ROOT)
    for where, message in results.items():
        if message is not None:
            print(f"{where}: assay check refuses what is shown here: {message}", file=sys.stderr)
    if not results:
        print("no configuration is shown anywhere: was a folder renamed?", file=sys.stderr)
        return 1
    print(f"{len(results)} configurations checked")
    return int(any(message is not None for message in results.values()))


if __name__ == "__main__":
    sys.exit(main())
