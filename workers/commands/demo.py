"""`assay demo`: the whole path in one process, and a regression that it notices."""

import asyncio
import os
import time
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from schemas.config import Config
from schemas.errors import AssayError
from schemas.outcome import Outcome
from workers.demo.alerts import VERSION_REGRESSED, Alert
from workers.demo.comparison import Sample
from workers.demo.stage import Stage, opened
from workers.demo.story import BadTrace, Story, job_id, tell
from workers.demo.traffic import Traffic
from workers.engine import Job

from .common import print_json, safe

_LOOK_EVERY_S = 0.2
_WINDOW = 40
_WATCHED = ("support", "answer_relevance")


class DemoFailed(AssayError):  # noqa: N818  named for what happened
    """The demo did not show what it is there to show."""


def run(*, seconds: int, as_lines: bool) -> None:
    """Run the demo and tell what happened.

    Raises:
        ConfigError: The environment names a judge that cannot be one.
        DemoFailed: No alert would fire, or an evaluation has no outcome, or two.
        KeyboardInterrupt: Somebody stopped it; everything is closed.
    """
    console = Console(stderr=as_lines, highlight=False)
    story = asyncio.run(_demo(seconds, console))
    if story is None:
        raise KeyboardInterrupt
    if as_lines:
        print_json([as_object(story)])
    else:
        _show(story, console)
    if not story.conservation.holds:
        raise DemoFailed("demo: evaluations and outcomes do not agree; please report it")
    if not story.alerts:
        raise DemoFailed("demo: no alert would fire; try more --seconds")


async def _demo(seconds: int, console: Console) -> Story | None:
    """Play it; None where a signal stopped the worker before the end."""
    async with opened(os.environ) as (stage, worker):
        _introduce(stage, console)
        play = asyncio.create_task(_play(stage, seconds, console))
        try:
            await asyncio.wait({play, worker}, return_when=asyncio.FIRST_COMPLETED)
            if not play.done():
                return None
            expected, rollout_unix_nano = play.result()
        finally:  # nothing plays on a stage that closes
            play.cancel()
            await asyncio.wait({play})
        stage.look()
    return tell(stage.outcomes, expected, rollout_unix_nano, _objectives(stage.config))


def _objectives(config: Config) -> dict[str, float]:
    return {
        name: settings.objective
        for name, settings in config.evaluators.items()
        if settings.objective is not None
    }


def _introduce(stage: Stage, console: Console) -> None:
    lines = [f"broker   {stage.config.kafka.bootstrap_servers}, librdkafka's mock cluster"]
    if stage.is_real:
        lines.append(f"judge    {stage.judge.model} at {stage.judge.base_url}; calls cost money")
    else:
        lines += [
            "judge    a stand-in that speaks the OpenAI protocol, counts words and is no model",
            "         (a real one is asked where OPENAI_API_KEY or OPENAI_BASE_URL is set)",
        ]
    for route in stage.config.routes:
        names = ", ".join(route.evaluators)
        lines.append(f"route    {route.name}, {route.sample:.0%} of its traces: {names}")
    for evaluator, objective in _objectives(stage.config).items():
        lines.append(f"promise  a mean score of {objective:.2f} for {evaluator}, its objective")
    lines.append(f"metrics  {stage.metrics_url} while this runs\n")
    console.print("\n".join(lines), soft_wrap=True, markup=False)


async def _play(stage: Stage, seconds: int, console: Console) -> tuple[list[Job], int]:
    """Send the traffic and wait for its outcomes: what was asked for, and when the rollout was."""
    rollout_unix_nano = 0

    def roll_out() -> None:
        nonlocal rollout_unix_nano
        rollout_unix_nano = time.time_ns()
        console.print("rollout  support-bot goes from prompt v7 to v8")

    columns = (
        TextColumn("{task.description:8}"),
        BarColumn(),
        TextColumn("{task.fields[glance]}"),
        TimeElapsedColumn(),
    )
    shown = console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=not shown) as progress:
        traffic = Traffic(stage.send)
        total = int(seconds * stage.pace.per_second)
        bar = progress.add_task("traffic", total=total, glance="")
        sending = asyncio.create_task(traffic.run(seconds, stage.pace.per_second, roll_out))
        try:
            while not sending.done():
                stage.look()
                progress.update(bar, completed=traffic.sent, glance=_glance(stage.outcomes))
                await asyncio.sleep(_LOOK_EVERY_S)
        finally:
            sending.cancel()
        await stage.flush()
        expected = await stage.expected()
        await _await_outcomes(stage, expected, progress, bar)
    return expected, rollout_unix_nano


async def _await_outcomes(
    stage: Stage, expected: Sequence[Job], progress: Progress, bar: TaskID
) -> None:
    """Wait until each evaluation has its outcome, or none has come for long."""
    wanted = {job_id(job) for job in expected}
    loop = asyncio.get_running_loop()
    seen, since = -1, loop.time()
    while loop.time() - since < stage.pace.patience_s:
        stage.look()
        if len(stage.outcomes) > seen:
            seen, since = len(stage.outcomes), loop.time()
            glance = _glance(stage.outcomes)
            progress.update(
                bar, description="judging", completed=seen, total=len(wanted), glance=glance
            )
        if wanted <= {outcome.evaluation_id for outcome in stage.outcomes}:
            return
        await asyncio.sleep(_LOOK_EVERY_S)


def _glance(outcomes: Sequence[Outcome]) -> str:
    """The pass rate of late, as it goes by."""
    route, evaluator = _WATCHED
    passed = [
        bool(outcome.score.passed)
        for outcome in outcomes
        if outcome.score is not None
        and outcome.evaluator.name == evaluator
        and route in outcome.sampling.routes
    ][-_WINDOW:]
    text = f"{len(outcomes)} outcomes"
    if len(passed) == _WINDOW:
        text += f", {evaluator} of the last {_WINDOW}: {sum(passed) / _WINDOW:.0%} pass"
    return text


def _show(story: Story, console: Console) -> None:
    table = Table("route", "evaluator", title="before → after the rollout", title_justify="left")
    for name in ("n", "mean", "pass rate"):
        table.add_column(name, justify="right")
    for row in story.rows:
        cells = (
            f"{row.before.count} → {row.after.count}",
            f"{_number(row.before.mean)} → {_number(row.after.mean)}",
            f"{_percent(row.before.pass_rate)} → {_percent(row.after.pass_rate)}",
        )
        table.add_row(row.route, row.evaluator, *cells, style="bold red" if row.noticed else None)
    console.print(table)
    console.print("Means and pass rates are weighted by 1 / sampling probability.\n")
    for alert in story.alerts:
        for line in _told(alert, story.rollout_unix_nano):
            console.print(line, style="bold red", soft_wrap=True, markup=False)
    if story.alerts:
        console.print(
            "These are the rules that `assay rules` writes for Prometheus; here the same code has\n"
            "looked at the scores each second.",
            soft_wrap=True,
        )
    else:
        console.print("No alert would fire.", style="bold")
    if story.bad_trace is not None:
        _show_bad_trace(story.bad_trace, console)
    counts = ", ".join(f"{name} {count}" for name, count in story.outcomes.items())
    console.print(f"\noutcomes      {counts}", soft_wrap=True)
    console.print(f"conservation  {_books(story)}", soft_wrap=True)
    console.print(
        "\nnext          assay spans FILE     what Assay reads in your own OTLP exports\n"
        "              assay evaluate FILE  judge them, without Kafka\n"
        "              assay run            a worker on your Kafka; the README has a config\n"
        "              assay rules          these alerts, and others, for your Prometheus",
        soft_wrap=True,
    )


def _show_bad_trace(bad: BadTrace, console: Console) -> None:
    score = bad.outcome.score
    if score is None:
        return
    asked = bad.outcome.judge
    judge = "" if asked is None else f" (judge {asked.model_answered})"
    lines = (
        f"\none bad trace {bad.outcome.trace_id}",
        f"  asked       {bad.question}",
        f"  answered    {bad.answer}",
        f"  {bad.outcome.evaluator.name} {score.value:.2f}: {score.explanation}{judge}",
    )
    for line in lines:
        console.print(safe(line), markup=False, soft_wrap=True)


def _told(alert: Alert, rollout_unix_nano: int) -> tuple[str, ...]:
    if alert.name == VERSION_REGRESSED:
        whose = f"prompt {alert.prompt_version or '(none)'} of {alert.service}"
        beside = f"{alert.expected:.2f} of the versions beside it"
    else:
        whose = f"{alert.service}, all its versions"
        beside = f"its objective of {alert.expected:.2f}"
    return (
        f"ALERT  {alert.name}, {_after(alert, rollout_unix_nano)} s after the rollout",
        f"       {whose}: {alert.evaluator} is {alert.mean:.2f} against {beside},",
        f"       on {alert.count:.0f} scores; evidence {alert.evidence:.1f} times what it takes",
    )


def _after(alert: Alert, rollout_unix_nano: int) -> int:
    return alert.fired_s - rollout_unix_nano // 10**9


def _books(story: Story) -> str:
    books = story.conservation
    text = (
        f"{books.spans} spans selected, {books.expected} evaluations asked for, "
        f"{books.published} outcomes on the topic"
    )
    if books.holds:
        return f"{text}: none missing, none twice"
    return (
        f"{text}: {books.missing} missing, {books.unexpected} unexpected, {books.repeated} repeated"
    )


def as_object(story: Story) -> dict[str, Any]:
    """The story for machines."""
    bad, books = story.bad_trace, story.conservation
    return {
        "rollout": list(story.rollout),
        "rows": [
            {
                "route": row.route,
                "evaluator": row.evaluator,
                "before": _sample(row.before),
                "after": _sample(row.after),
                "noticed": row.noticed,
            }
            for row in story.rows
        ],
        "alerts": [
            {
                "alert": alert.name,
                "service": alert.service,
                "evaluator": alert.evaluator,
                "prompt_version": alert.prompt_version,
                "evidence": alert.evidence,
                "window": alert.window,
                "mean": alert.mean,
                "expected": alert.expected,
                "drop": alert.drop,
                "effective_n": alert.count,
                "seconds_after_rollout": _after(alert, story.rollout_unix_nano),
            }
            for alert in story.alerts
        ],
        "regressions": [f"{row.route}/{row.evaluator}" for row in story.regressions],
        "bad_trace": None
        if bad is None or bad.outcome.score is None
        else {
            "trace_id": bad.outcome.trace_id,
            "evaluator": bad.outcome.evaluator.name,
            "question": bad.question,
            "answer": bad.answer,
            "value": bad.outcome.score.value,
            "explanation": bad.outcome.score.explanation,
        },
        "outcomes": dict(story.outcomes),
        "conservation": {
            "spans": books.spans,
            "expected": books.expected,
            "published": books.published,
            "missing": books.missing,
            "unexpected": books.unexpected,
            "repeated": books.repeated,
            "holds": books.holds,
        },
    }


def _sample(sample: Sample) -> dict[str, Any]:
    return {
        "n": sample.count,
        "mean": sample.mean,
        "pass_rate": sample.pass_rate,
    }


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"
