"""`assay evaluate`: judge OTLP exports from files, without any Kafka."""

import asyncio
import sys
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from prometheus_client import CollectorRegistry
from rich.console import Console

from evaluators.options import nearest
from schemas.config import Config
from schemas.errors import AssayError, ConfigError
from schemas.outcome import Outcome
from schemas.reasons import Status
from workers import logs
from workers.configured import judges_of
from workers.metrics import Metrics
from workers.offline import evaluate, jobs, read_file
from workers.open_evaluators import open_evaluators
from workers.telemetry import Telemetry

from .common import cell, print_json, progress_bar, safe, secrets_of
from .tables import print_table, table_of

_REASONS = 20


class RateMissed(AssayError):  # noqa: N818  named for what the caller asked about
    """A pass rate is below what `--fail-under` demands: exit code 1."""


def rates(values: Sequence[str]) -> dict[str, float]:
    """Read `--fail-under EVALUATOR=RATE` options.

    Raises:
        ConfigError: One of them is not of that form.
    """
    wanted = {}
    for value in values:
        name, _, text = value.partition("=")
        try:
            rate = float(text)
        except ValueError:
            rate = -1.0
        if not name or not 0 <= rate <= 1:
            raise ConfigError(
                f'--fail-under "{value}": not EVALUATOR=RATE; write for example pii=0.99'
            )
        wanted[name] = rate
    return wanted


def run(
    files: Sequence[Path],
    config: Config,
    *,
    wait_s: float,
    fail_under: Mapping[str, float],
    as_lines: bool,
) -> None:
    """Print the outcomes of all spans that the config's routes select.

    Raises:
        UnreadableFile: A file is no OTLP export.
        RateMissed: A pass rate is below `fail_under`.
    """
    named = config.named_evaluators
    for name in fail_under:
        if name not in named:
            fault = f'no route names the evaluator "{name}"; {nearest(name, named)}'
            raise ConfigError(f"--fail-under: {fault}")
    outcomes = asyncio.run(_evaluate(files, config, wait_s))
    if as_lines:
        print_json(outcome.to_json() for outcome in outcomes)
    else:
        _show(outcomes)
    for name, wanted in sorted(fail_under.items()):
        rate = pass_rate([o for o in outcomes if o.evaluator.name == name])
        if rate is None:
            raise RateMissed(f"{name}: nothing was scored, so {wanted:g} cannot be shown")
        if rate < wanted:
            raise RateMissed(f"{name}: pass rate {rate:.3f} is below {wanted:g}")


async def _evaluate(files: Sequence[Path], config: Config, wait_s: float) -> list[Outcome]:
    limits = config.limits.of_message()
    log = logs.configure(config.logs.format, "error", secrets=secrets_of(config))
    emit = Telemetry(Metrics(CollectorRegistry(), config), log)
    async with open_evaluators(config, emit, hold=False, wait_s=wait_s) as evaluators:
        for judge in judges_of(evaluators.values()):
            judge.on_blocked(partial(_say_waiting, judge.name, wait_s))
        exports = [export for path in files for export in read_file(path, limits)]
        todo = jobs(exports, config, evaluators, emit)
        if not todo:
            _say_nothing_is_selected(sum(len(export.spans) for export in exports))
        with progress_bar() as progress:
            bar = progress.add_task("evaluating", total=len(todo))
            return await evaluate(todo, config, emit, partial(progress.advance, bar))


def _say_nothing_is_selected(spans: int) -> None:
    fault = f"no route selects any of {spans} spans; see its when and sample"
    if not spans:
        fault = "the files hold no span of an LLM application"
    text = f"nothing to evaluate: {fault}, and assay spans FILE for what was read"
    print(f"assay: {text}", file=sys.stderr)  # noqa: T201  stdout is for outcomes


def _say_waiting(judge: str, wait_s: float, is_blocked: bool, why: str) -> None:
    if is_blocked and wait_s:
        text = f'judge "{judge}" is out ({why}); waiting for it, up to {wait_s:g} s (--wait)'
        print(f"assay: {safe(text)}", file=sys.stderr, flush=True)  # noqa: T201  as it happens


def pass_rate(outcomes: Sequence[Outcome]) -> float | None:
    """Share of scored outcomes that passed, weighted by 1 / probability; None without any."""
    passed = total = 0.0
    for outcome in outcomes:
        if outcome.outcome is Status.SCORED and outcome.score is not None:
            weight = 1 / outcome.sampling.probability
            total += weight
            passed += weight * bool(outcome.score.passed)
    return passed / total if total else None


def _show(outcomes: Sequence[Outcome]) -> None:
    by_evaluator: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        by_evaluator[outcome.evaluator.name].append(outcome)
    table = table_of("evaluator", "scored", "skipped", "failed", "pass rate", "worst")
    for name, found in sorted(by_evaluator.items()):
        rate = pass_rate(found)
        bad = [(o.score, o.span_id) for o in found if o.score and o.score.passed is False]
        worst = min(bad, key=lambda pair: pair[0].value, default=None)
        table.add_row(
            cell(name),
            *(str(sum(o.outcome is status for o in found)) for status in Status),
            "" if rate is None else f"{rate:.1%}",
            cell("" if worst is None else f"{worst[1]}: {worst[0].explanation or worst[0].label}"),
        )
    print_table(table)
    console = Console(highlight=False, markup=False, soft_wrap=True)
    reasons = Counter(f"{o.outcome}({o.reason}): {o.detail}" for o in outcomes if o.reason)
    for line, count in reasons.most_common(_REASONS):
        console.print(safe(f"{count}x {line}"))
    if len(reasons) > _REASONS:
        console.print(f"and {len(reasons) - _REASONS} other reasons; --json has them all")
