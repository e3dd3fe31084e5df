"""How fast the alert rules notice a drop, and how often they are wrong, beside what others use.

Run it by `python bench/detection.py`; `--quick` takes less than a minute, `--full` a quarter of
an hour; it also draws `docs/detection.svg`.
It simulates series of pass/fail scores, works out what Prometheus would record of them, and asks
`workers/signals.py`, whose formulas the rules are. Exits with 1 where the figures contradict the
goal in `docs/detection.md`.
"""

import argparse
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.simulation.alarms import DROPS, LEVELS, Cell, lorden_min, measure, too_many
from bench.simulation.detectors import OBJECTIVE, OTHERS, OURS, OURS_PAGE, Detector
from bench.simulation.picture import Panel, draw
from bench.simulation.rollouts import objective_alarms, objective_delays, roll_out
from bench.simulation.streams import (
    CLEAN,
    CLUSTERED,
    NIGHTLY,
    SEASONAL,
    STREAMS,
    WANDERING,
    Stream,
)
from workers import signals

BATCH = 8
PATH_MIN = 0.35
"""Judge 3.5 s, half a scrape interval 7.5 s, Alertmanager's group_wait 10 s."""
EVALUATION_MIN = 0.5
PAGE_WITHIN_MIN = 5.0
PAGES = ((100, 0.1), (25, 0.2))
"""Scores a minute and drop that page within five minutes, end to end."""
BOUND_FACTORS = {CLEAN.name: 1.3, SEASONAL.name: 2.5}
LEAST_RATE = 10
"""Below it a week holds too few scores of one time of day; see `docs/detection.md`."""
LEAST_DROP = 0.05
REACH_MIN = signals.WINDOWS[-1].minutes
"""Drops that nobody can see within the longest window are out of reach of every window."""
LEAST_DELAYS = 60


@dataclass(frozen=True, slots=True)
class Size:
    """How much is simulated.

    Attributes:
        rates: Scores a minute.
        batches: Of 8 series-months for each stream and rate, with all detectors.
        more: The same with our rules only, without drops, where the goal is about.
        rollouts: For each row of the version rule.
    """

    rates: tuple[int, ...]
    batches: int
    more: int
    rollouts: int


QUICK = Size((10,), 1, 0, 40)
USUAL = Size((1, 10, 100), 2, 4, 100)
FULL = Size((1, 10, 100), 6, 42, 200)


class Report:
    """Prints tables and keeps what contradicts the goal."""

    def __init__(self) -> None:
        self.faults: list[str] = []

    def check(self, holds: bool, fault: str) -> None:
        """Keep a fault."""
        if not holds:
            self.faults.append(fault)

    def end(self) -> int:
        """Print the faults; the exit code."""
        for fault in self.faults:
            print(f"MISSED: {fault}")
        print("the goal is missed" if self.faults else "nothing contradicts the goal")
        return int(bool(self.faults))


def minutes(value: float) -> str:
    """A delay, or that it takes over a day."""
    return "-" if math.isinf(value) else f"{value:.0f}" if value >= 20 else f"{value:.1f}"  # noqa: PLR2004


def table(stream: Stream, rate: float, cells: dict[str, Cell]) -> None:
    """Print one stream at one rate: false alarms, then median and 90 % delay by drop."""
    months = cells[OURS.name].months
    print(f"\n{stream.name}: {stream.text}; {rate:g} scores a minute, {months} series-months")
    print(f"{'':<38}{'false/100':>10}" + "".join(f"{f'-{drop:.2f}':>14}" for drop in DROPS))
    for name, cell in cells.items():
        delays = "".join(
            f"{f'{minutes(cell.delay(drop))} / {minutes(cell.delay(drop, 0.9))}':>14}"
            for drop in DROPS
        )
        rounded = 100 * cell.alarms[1.0] / cell.months
        print(f"{name:<38}{rounded:>10,.1f}{delays}")
    bounds = "".join(f"{minutes(lorden_min(stream, rate, drop)):>14}" for drop in DROPS)
    print(f"{'least possible mean (Lorden)':<38}{1:>10}{bounds}")


def judge(stream: Stream, rate: float, cells: dict[str, Cell], report: Report) -> None:
    """Check the delays of our rules: the bound, and the page within minutes."""
    ticket, page = cells[OURS.name], cells[OURS_PAGE.name]
    if len(ticket.delays[DROPS[0], 1.0]) < LEAST_DELAYS:
        return
    for drop in DROPS:
        bound = lorden_min(stream, rate, drop)
        if rate < LEAST_RATE or drop < LEAST_DROP or bound > REACH_MIN:
            continue
        limit = BOUND_FACTORS[stream.name] * bound + EVALUATION_MIN
        report.check(
            ticket.least_delay(drop) <= limit,
            f"{stream.name}, {rate}/min: -{drop} takes {minutes(ticket.delay(drop))} min, "
            f"limit {limit:.1f}",
        )
    if (rate, 0.1) in PAGES or (rate, 0.2) in PAGES:
        drop = dict(PAGES)[int(rate)]
        whole = page.delay(drop) + PATH_MIN
        print(f"page for -{drop} at {rate}/min, end to end: median {whole:.1f} min")
        report.check(
            page.least_delay(drop) + PATH_MIN <= PAGE_WITHIN_MIN,
            f"{stream.name}, {rate}/min: -{drop} pages after {whole:.1f} min",
        )


def compare(size: Size, rng: np.random.Generator, report: Report) -> dict[tuple[str, int], Cell]:
    """Every detector on every stream and rate; our false alarms by stream and rate."""
    found = {}
    detectors: Sequence[Detector] = (OURS, OURS_PAGE, *OTHERS)
    curves: list[Panel] = []
    for stream in STREAMS:
        for rate in size.rates:
            cells: dict[str, Cell] = {}
            for _ in range(size.batches):
                measure(stream, rate, BATCH, detectors, rng=rng, cells=cells)
            table(stream, rate, cells)
            found[stream.name, rate] = cells[OURS.name]
            if stream.name in BOUND_FACTORS:
                judge(stream, rate, cells, report)
                if rate == 10:  # noqa: PLR2004
                    curves.append(_panel(stream, rate, cells))
        if stream.name in BOUND_FACTORS:
            cells = {}
            for _ in range(size.batches):
                measure(stream, 25, BATCH, (OURS, OURS_PAGE), rng=rng, cells=cells)
            table(stream, 25, cells)
            judge(stream, 25, cells, report)
    draw_to = Path(__file__).parent.parent / "docs" / "detection.svg"
    if size is FULL:
        draw_to.write_text(draw(curves))
    return found


def _panel(stream: Stream, rate: float, cells: dict[str, Cell]) -> Panel:
    drop = 0.1
    months = cells[OURS.name].months
    curves = {
        name: [
            (100 * cell.alarms[level] / cell.months, cell.delay(drop, level=level))
            for level in LEVELS
        ]
        for name, cell in cells.items()
        if name != OURS_PAGE.name
    }
    title = f"{stream.name}, {rate:g} scores a minute, drop of {drop:.2f}"
    return Panel(title, curves, lorden_min(stream, rate, drop), 50 / months)


def false_alarms(
    size: Size, found: dict[tuple[str, int], Cell], rng: np.random.Generator, report: Report
) -> None:
    """Count more months of our rules, and check the goal."""
    print("\nfalse alarms of Assay's rules, all months together")
    for stream in (CLEAN, SEASONAL, NIGHTLY, WANDERING, CLUSTERED):
        is_promised = stream.name in BOUND_FACTORS
        for rate in size.rates:
            cells = {OURS.name: found[stream.name, rate]}
            for _ in range(size.more if is_promised else 0):
                measure(stream, rate, BATCH, (OURS,), rng=rng, cells=cells, drops=())
            cell = cells[OURS.name]
            count = cell.alarms[1.0]
            print(f"{stream.name:<12}{rate:>4}/min{count:>5} in {cell.months} series-months")
            report.check(
                not (is_promised and too_many(count, cell.months)),
                f"{stream.name}, {rate}/min: {count} false alarms in {cell.months} months",
            )


def versions(size: Size, rng: np.random.Generator, report: Report) -> None:
    """The rule of versions: rollouts that are as good, and worse."""
    print(f"\nversions, 100 scores a minute in all; {size.rollouts} rollouts a row")
    print(f"{'':<38}{'false/100':>10}{'-0.10':>14}{'-0.20':>14}")
    for stream in (CLEAN, SEASONAL, WANDERING):
        for share in (0.1, 0.5, 1.0):
            for beside in (True, False):
                same, *worse = (
                    roll_out(stream, 100, share, drop, count=size.rollouts, rng=rng, beside=beside)
                    for drop in (0.0, 0.1, 0.2)
                )
                name = f"{stream.name}, {share:.0%}{'' if beside else ', day only'}"
                delays = "".join(
                    f"{f'{minutes(row.delay())} / {minutes(row.delay(0.9))}':>14}" for row in worse
                )
                print(f"{name:<38}{100 * same.alarms / size.rollouts:>10.1f}{delays}")
                report.check(
                    stream is WANDERING or not beside or not too_many(same.alarms, size.rollouts),
                    f"{name}: {same.alarms} false alarms in {size.rollouts} rollouts",
                )


def objectives(size: Size, rng: np.random.Generator, report: Report) -> None:
    """The rule of objectives: a service that keeps a promise, one on its edge, and drops."""
    months = BATCH * size.batches
    print(f"\nobjectives, 10 scores a minute that pass 0.95; {months} series-months a row")
    print(f"{'':<38}{'false/100':>10}{'-0.05':>14}{'-0.10':>14}{'-0.20':>14}")
    for objective in (OBJECTIVE, 0.95):
        alarms = sum(
            objective_alarms(CLEAN, 10, objective, BATCH, rng) for _ in range(size.batches)
        )
        rows = [
            objective_delays(CLEAN, 10, objective, drop, series=size.rollouts, rng=rng)
            for drop in (0.05, 0.1, 0.2)
        ]
        delays = "".join(
            f"{f'{minutes(row.delay())} / {minutes(row.delay(0.9))}':>14}" for row in rows
        )
        print(f"{f'objective {objective}':<38}{100 * alarms / months:>10.1f}{delays}")
        report.check(
            not too_many(alarms, months),
            f"objective {objective}: {alarms} false alarms in {months} months",
        )


def main() -> int:
    """Print all tables; 1 where the figures contradict the goal."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument("--quick", action="store_const", const=QUICK, dest="size")
    sizes.add_argument("--full", action="store_const", const=FULL, dest="size")
    size: Size = parser.parse_args().size or USUAL
    rng = np.random.default_rng(11)
    begin = time.monotonic()
    report = Report()
    print("delays: minutes from the drop to the evaluation that alarms, median / 90 %; - is over a")
    print(f"day; judging, scrape and Alertmanager add {60 * PATH_MIN:.0f} s")
    found = compare(size, rng, report)
    false_alarms(size, found, rng, report)
    versions(size, rng, report)
    objectives(size, rng, report)
    print(f"\n{time.monotonic() - begin:.0f} s")
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
