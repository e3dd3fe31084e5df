"""A day of history for a real Prometheus: counters, and what the hourly rules recorded of them.

promtool computes the hourly sums from the same counters, so that baselines are there at once.
"""

import re
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from support.prometheus import Prometheus, create_blocks, run_tool

HOURS = 26
"""A day that ended an hour ago, of sums over an hour."""

_COARSE_S, _FINE_S = 60, 15
_FINE_FOR_S = 3600
"""The short windows look at the last hour only; older scrapes can be further apart."""
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


def steady(series: Iterable[Series], until: float) -> Iterator[str]:
    """OpenMetrics text in which each of these grew by its value a minute, on another worker.

    Args:
        series: What is written.
        until: Unix seconds of the last sample; may lie ahead.
    """
    by_name: dict[str, list[Series]] = {}
    for one in series:
        by_name.setdefault(one.name, []).append(one)
    ages = [
        *range(HOURS * 3600, _FINE_FOR_S, -_COARSE_S),
        *range(_FINE_FOR_S, -1, -_FINE_S),
    ]
    for name, members in by_name.items():
        yield f"# TYPE {name.removesuffix('_total')} counter\n"
        for one in members:
            labels = f'{one.labels},job="assay",instance="yesterday"'
            for age in ages:
                value = (HOURS * 3600 - age) / 60 * one.value
                yield f"{name}{{{labels}}} {value:.6f} {until - age:.3f}\n"
    yield "# EOF\n"


def server_config(*rule_files: str, **sections: Any) -> str:
    """A configuration that goes on after a history that reaches to the present."""
    return yaml.safe_dump(
        {
            "global": {"scrape_interval": "15s", "evaluation_interval": "15s"},
            "rule_files": list(rule_files),
            # Blocks that reach to the present would make every new sample one of the past.
            "storage": {"tsdb": {"out_of_order_time_window": "1d"}},
            **sections,
        }
    )


def backfill(folder: Path, samples: Iterable[str], groups: Sequence[dict[str, Any]]) -> None:
    """Write counters of the last hours, and the hourly sums of them, for a server in this folder.

    Args:
        folder: What `Prometheus` is given.
        samples: OpenMetrics text that begins `HOURS` ago.
        groups: The rules' groups.

    Raises:
        Unavailable: Prometheus or promtool is not on the PATH.
        RuntimeError: promtool refused; the message is what it said.
    """
    folder.mkdir(parents=True, exist_ok=True)
    raw, hourly = folder / "history.txt", folder / "hourly.yml"
    with raw.open("w") as file:
        file.writelines(samples)
    create_blocks(raw, folder)
    group = {"name": "hourly", "interval": "1m", "rules": _hourly(groups)}
    hourly.write_text(yaml.safe_dump({"groups": [group]}))
    end = int(time.time())
    with Prometheus(folder, server_config()) as server:
        ended = run_tool(
            *("promtool", "tsdb", "create-blocks-from", "rules"),
            *(f"--start={end - (HOURS - 1) * 3600}", f"--end={end}", "--eval-interval=1m"),
            *(f"--url={server.url}", f"--output-dir={folder / 'data'}", str(hourly)),
        )
    if ended.returncode != 0:
        raise RuntimeError(f"promtool refused the hourly rules: {ended.stderr or ended.stdout}")


def _hourly(groups: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rules that record the hourly sums, which the baselines are summed up from."""
    found = [
        rule
        for group in groups
        for rule in group["rules"]
        if str(rule.get("record", "")).endswith(":increase1h") and "[1h]" in rule["expr"]
    ]
    assert found, "the rules have no hourly sums: were they renamed?"
    return found
