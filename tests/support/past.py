"""A past for a real Prometheus: scores of services that were fine, and what rules recorded of them.

What the hourly rules would have recorded is computed by promtool from the same counters, so that
baselines of a day are there at once.
"""

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from support.prometheus import Prometheus, create_blocks, run_tool

INSTANCE = "before"
"""The worker that counted the history; live ones go on in its place."""

_COUNTERS = {
    "assay_scores": False,
    "assay_score_weight": False,
    "assay_score_weighted": True,
    "assay_score_weighted_squares": True,
    "assay_score_weight_squares": False,
}
"""Those that the rules read, and whether they count passes; weights are 1 and scores 0 or 1."""

_FINE_S, _COARSE_S = 15, 60
_FINE_FOR_S = 3600
"""The short windows look at the last hour only; older scrapes can be further apart."""

Series = Mapping[str, str]
"""Labels of one series of scores."""


@dataclass(frozen=True, slots=True)
class Past:
    """What there was.

    Attributes:
        series: Label sets, all of which scored alike.
        per_minute: Scores of each of them.
        pass_rate: How many of them passed; each by chance.
        hours: For how long.
        until: When it ends, Unix seconds; may lie ahead.
    """

    series: Sequence[Series]
    per_minute: float
    pass_rate: float
    hours: int
    until: float


def server_config(*rule_files: str, **sections: Any) -> str:
    """A configuration that goes on after a back-filled past."""
    return yaml.safe_dump(
        {
            "global": {"scrape_interval": "15s", "evaluation_interval": "15s"},
            "rule_files": list(rule_files),
            # Blocks that reach to the present would make every new sample one of the past.
            "storage": {"tsdb": {"out_of_order_time_window": "1d"}},
            **sections,
        }
    )


def backfill(folder: Path, rules: Path, past: Past) -> None:
    """Write the counters of a past, and the hourly sums of it, for a server in this folder.

    Args:
        folder: What `Prometheus` will be given.
        rules: The rule file, as `assay rules` writes it.
        past: What to write.

    Raises:
        Unavailable: Prometheus or promtool is not on the PATH.
        RuntimeError: promtool refused; the message is what it said.
    """
    folder.mkdir(parents=True, exist_ok=True)
    raw, hourly = folder / "raw.txt", folder / "hourly.yml"
    with raw.open("w") as file:
        file.writelines(_openmetrics(past))
    create_blocks(raw, folder)
    group = {"name": "hourly", "interval": "1m", "rules": _hourly(rules)}
    hourly.write_text(yaml.safe_dump({"groups": [group]}))
    end = int(time.time())
    with Prometheus(folder, server_config()) as server:
        ended = run_tool(
            *("promtool", "tsdb", "create-blocks-from", "rules"),
            f"--start={end - (past.hours - 1) * 3600}",
            f"--end={end}",
            "--eval-interval=1m",
            f"--url={server.url}",
            f"--output-dir={folder / 'data'}",
            str(hourly),
        )
    if ended.returncode != 0:
        raise RuntimeError(f"promtool refused the hourly rules: {ended.stderr or ended.stdout}")


def _hourly(rules: Path) -> list[dict[str, Any]]:
    """The rules that record the hourly sums, which the baselines are summed up from."""
    found = [
        rule
        for group in yaml.safe_load(rules.read_text())["groups"]
        for rule in group["rules"]
        if str(rule.get("record", "")).endswith(":increase1h") and "[1h]" in rule["expr"]
    ]
    assert found, f"{rules.name} has no hourly sums: were they renamed?"
    return found


def _openmetrics(past: Past) -> Iterator[str]:
    rng = random.Random(20261128)  # noqa: S311  made-up traffic
    histories = [list(_counts(past, rng)) for _ in past.series]
    for name, is_of_passes in _COUNTERS.items():
        yield f"# TYPE {name} counter\n"
        for series, history in zip(past.series, histories, strict=True):
            labels = {**series, "job": "assay", "instance": INSTANCE}
            text = ",".join(f'{label}="{value}"' for label, value in labels.items())
            for at, scores, passes in history:
                value = passes if is_of_passes else scores
                yield f"{name}_total{{{text}}} {value} {at:.3f}\n"
    yield "# EOF\n"


def _counts(past: Past, rng: random.Random) -> Iterator[tuple[float, int, int]]:
    """Time, scores so far, passes so far."""
    at = past.until - past.hours * 3600
    scores, passes = 0, 0
    while at <= past.until:
        yield at, scores, passes
        step_s = _COARSE_S if at < past.until - _FINE_FOR_S else _FINE_S
        came = round(past.per_minute * step_s / 60)
        scores += came
        passes += sum(rng.random() < past.pass_rate for _ in range(came))
        at += step_s
