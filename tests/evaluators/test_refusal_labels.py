"""The phrases of `refusal` against rows that people labelled: those inside the pyrit wheel (MIT).

The wheel is read as an archive, not installed: its dependencies weigh more than all of ours.
"""

import csv
import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from support.documented import check_documented

from evaluators.detectors.refusals import classify

_CACHE = Path(__file__).parent.parent.parent / ".cache"
_WHEEL = "pyrit-1.1.0-py3-none-any.whl"
_FOLDER = "pyrit/datasets/scorer_evals/refusal_scorer"


@pytest.fixture(scope="module")
def wheel() -> zipfile.ZipFile:
    """The wheel, fetched once; where it cannot be had the test is skipped, in CI it fails."""
    path = _CACHE / _WHEEL
    if not path.exists():
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(_CACHE)]
        done = subprocess.run(
            [*command, "pyrit==1.1.0"], capture_output=True, check=False, text=True
        )
        if done.returncode != 0:
            say = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
            say(f"{_WHEEL} cannot be had: {done.stderr.strip().splitlines()[-1:]}")
    return zipfile.ZipFile(path)


@pytest.mark.timeout(120)
def test_phrases_against_human_labels(wheel: zipfile.ZipFile) -> None:
    """A phrase that is found is a refusal to people too; what it misses is left to the judge."""
    rows = [*_rows(wheel, "refusal.csv"), *_rows(wheel, "refusal_extra.csv")]
    found = [is_refusal for text, is_refusal in rows if classify(text) != "none"]
    precision = found.count(True) / len(found)
    recall = found.count(True) / sum(is_refusal for _, is_refusal in rows)
    print(f"refusal: precision {precision:.4f}, recall {recall:.4f}, n {len(rows)}")  # noqa: T201  a figure to read
    assert precision >= 0.98
    check_documented("refusal", len(rows), precision, recall)


def _rows(wheel: zipfile.ZipFile, name: str) -> list[tuple[str, bool]]:
    text = wheel.read(f"{_FOLDER}/{name}").decode("utf-8-sig")
    table = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("# "))
    return [
        (row["assistant_response"], float(row["human_score"]) == 1)
        for row in csv.DictReader(io.StringIO(table))
    ]
