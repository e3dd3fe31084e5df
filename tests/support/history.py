"""A day of history for counters that a worker has just begun to export."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from support.prometheus import Prometheus, create_blocks, run_tool

HOURS = 26
STEP_S = 60
_SAMPLE = re.compile(r"^(\w+)\{(.*)\} (\S+)(?: #.*)?$")


@dataclass(frozen=True, slots=True)
class Series:
    """One series that a worker exports: name, labels as they stand in its text, value."""

    name: str
    labels: str
    value: float


def exported(text: str, *names: str) -> list[Series]:
    """The series of these metrics in what a worker exports."""
    found = [_SAMPLE.match(line) for line in text.splitlines()]
    return [Series(one[1], one[2], float(one[3])) for one in found if one and one[1] in names]


def backfill(
    folder: Path, series: Sequence[Series], until: float, groups: Sequence[dict[str, Any]]
) -> None:
    """Write a day in which each of these grew by its value a minute, and the hourly records of it.

    Args:
        folder: What `Prometheus` is given.
        series: What is written.
        until: Unix seconds of the last sample.
        groups: The rules' groups.
    """
    start = int(until) - HOURS * 3600
    raw = folder / "history.txt"
    with raw.open("w") as file:
        file.writelines(_openmetrics(series, start))
    create_blocks(raw, folder)
    hourly = [
        rule
        for group in groups
        for rule in group["rules"]
        if str(rule.get("record", "")).endswith(":increase1h") and "[1h]" in rule["expr"]
    ]
    rules = folder / "hourly.yml"
    rules.write_text(
        yaml.safe_dump({"groups": [{"name": "hourly", "interval": "1m", "rules": hourly}]})
    )
    with Prometheus(folder, json.dumps({"global": {}})) as server:
        ended = run_tool(
            *("promtool", "tsdb", "create-blocks-from", "rules", f"--start={start + 3600}"),
            *(f"--end={int(until)}", "--eval-interval=1m", f"--url={server.url}"),
            *(f"--output-dir={folder / 'data'}", str(rules)),
        )
    assert ended.returncode == 0, ended.stderr


def _openmetrics(series: Sequence[Series], start: int) -> Iterator[str]:
    by_name: dict[str, list[Series]] = {}
    for one in series:
        by_name.setdefault(one.name, []).append(one)
    for name, members in by_name.items():
        yield f"# TYPE {name.removesuffix('_total')} counter\n"
        for one in members:
            labels = f'{one.labels},job="assay",instance="yesterday"'
            for step in range(HOURS * 3600 // STEP_S + 1):
                yield f"{name}{{{labels}}} {step * one.value:.6f} {start + step * STEP_S}\n"
    yield "# EOF\n"
