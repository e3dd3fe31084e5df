"""The command line: arguments only. Each command's work is in `workers/commands/`.

Exit codes: 0 done; 1 it ran and the answer is no (a rate missed, a regression not noticed, a broker
that does not answer, a worker that had to stop); 2 the config or the arguments are wrong; 130
stopped by Ctrl-C, or by a second signal.
"""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from schemas.errors import AssayError, ConfigError, PluginError

from .cli_calibrate import calibrate
from .cli_dead_letters import dead_letters
from .cli_evaluators import evaluators
from .cli_options import DEFAULT_CONFIG, AsJson, ConfigPath
from .cli_second_chances import backfill, retry

# Plain help, no rich: importing it takes longer than everything else that `assay --help` does.
app = typer.Typer(
    name="assay",
    help="Streaming evaluation of LLM spans: OpenTelemetry in from Kafka, judged scores out.",
    epilog="Exit codes: 0 done, 1 the answer is no, 2 wrong config or arguments, 130 interrupted.",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

app.add_typer(dead_letters, name="dead-letters")
app.add_typer(evaluators, name="evaluators")

Files = Annotated[
    list[Path], typer.Argument(metavar="FILE...", help="OTLP exports: .pb, .json, or JSON lines.")
]


class LaneName(StrEnum):
    """The lanes that `run --lane` takes."""

    CODE = "code"
    JUDGE = "judge"
    TRACE = "trace"


@app.command(short_help="See spans being judged and a regression noticed.")
def demo(
    seconds: Annotated[
        int, typer.Option(min=10, max=600, metavar="N", help="How long the traffic lasts.")
    ] = 35,
    as_json: AsJson = False,
) -> None:
    """See spans being judged and a regression noticed; needs no key and no network.

    The broker is librdkafka's mock cluster, the judge a stand-in that is no model. Where
    OPENAI_API_KEY or OPENAI_BASE_URL is set, that judge is asked instead (OPENAI_MODEL, else
    gpt-5-mini), at less traffic. Exit code 1: no regression was noticed, or an outcome is missing.
    """
    from .commands import demo as command  # noqa: PLC0415  --help must not wait for imports

    command.run(seconds=seconds, as_lines=as_json)


@app.command(short_help="Run one worker.")
def run(
    config: ConfigPath = DEFAULT_CONFIG,
    metrics_port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, metavar="PORT", help="In the place of metrics.port."),
    ] = None,
    lane: Annotated[
        list[LaneName] | None,
        typer.Option(metavar="LANE", help="Only code, judge or trace; may be given again."),
    ] = None,
) -> None:
    """Run one worker; start more of the same command to scale.

    SIGTERM or Ctrl-C drains and exits with 0; a second one exits at once with 130.
    """
    from .commands import common  # noqa: PLC0415
    from .commands import run as command  # noqa: PLC0415

    lanes = [name.value for name in lane] if lane else None
    common.with_config(
        config, lambda loaded: command.run(loaded, lanes=lanes, metrics_port=metrics_port)
    )


@app.command(short_help="Say whether a config is right.")
def check(
    config: ConfigPath = DEFAULT_CONFIG,
    online: Annotated[
        bool, typer.Option("--online", help="Also try the broker, the topics and the judges.")
    ] = False,
) -> None:
    """Say whether a config is right, without any network: 0, or 2 and one message."""
    from .commands import check as command  # noqa: PLC0415
    from .commands import common  # noqa: PLC0415

    common.with_config(config, lambda loaded: command.run(config, loaded, online=online))


@app.command(short_help="Print the topics that a config needs, or create them.")
def topics(
    config: ConfigPath = DEFAULT_CONFIG,
    create: Annotated[bool, typer.Option("--create", help="Create what is missing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print the topics that a config needs, and whether they are there; 1 if one is not.

    A worker itself needs no right to create topics.
    """
    from .commands import common  # noqa: PLC0415
    from .commands import topics as command  # noqa: PLC0415

    common.with_config(config, lambda loaded: command.run(loaded, create=create, as_lines=as_json))


@app.command(short_help="Judge spans from files, without Kafka.")
def evaluate(
    files: Files,
    config: ConfigPath = DEFAULT_CONFIG,
    wait: Annotated[
        float,
        typer.Option(min=0, metavar="SECONDS", help="How long to wait for a judge that is down."),
    ] = 60.0,
    fail_under: Annotated[
        list[str] | None,
        typer.Option(
            metavar="EVALUATOR=RATE",
            help="Exit with 1 if that pass rate is lower; may be given again.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Judge spans from files as a worker would, without Kafka.

    With --json, the outcomes exactly as they would stand on the scores topic. Evaluations whose
    judge stays down are failed(judge_unavailable). However evaluations end, the exit code is 0;
    with --fail-under it is 1 where a rate is lower, or nothing was scored.
    """
    from .commands import common  # noqa: PLC0415
    from .commands import evaluate as command  # noqa: PLC0415

    rates = command.rates(fail_under or [])
    common.with_config(
        config,
        lambda loaded: command.run(files, loaded, wait_s=wait, fail_under=rates, as_lines=as_json),
    )


@app.command(short_help="Print what Assay reads in OTLP exports.")
def spans(files: Files, as_json: AsJson = False) -> None:
    """Print what Assay reads in OTLP exports: each span that has a known convention."""
    from .commands import spans as command  # noqa: PLC0415

    command.run(files, as_lines=as_json)


@app.command(short_help="List outcomes on the scores topic.")
def scores(  # noqa: PLR0917  each is an option of the command line
    config: ConfigPath = DEFAULT_CONFIG,
    since: Annotated[
        str, typer.Option(metavar="AGE", help="How far back: 30s, 15m, 24h, 7d.")
    ] = "24h",
    evaluator: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only of this evaluator.")
    ] = None,
    service: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only of this service.")
    ] = None,
    failed: Annotated[
        bool, typer.Option("--failed", help="Only what did not pass, or failed.")
    ] = False,
    trace: Annotated[str | None, typer.Option(metavar="ID", help="Only of this trace.")] = None,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="The newest so many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List the outcomes on the scores topic, the newest last."""
    from .commands import common  # noqa: PLC0415
    from .commands import scores as command  # noqa: PLC0415

    only = command.Filter(evaluator, service, trace, failed)
    since_s = command.seconds(since)
    common.with_config(
        config,
        lambda loaded: command.run(
            loaded, since_s=since_s, only=only, limit=limit, as_lines=as_json
        ),
    )


@app.command(short_help="Say what became of a trace, and why.")
def explain(
    trace_id: Annotated[str, typer.Argument(metavar="TRACE_ID", help="Its 32 hexadecimal digits.")],
    config: ConfigPath = DEFAULT_CONFIG,
    since: Annotated[
        str, typer.Option(metavar="AGE", help="How far back: 30s, 15m, 24h, 7d.")
    ] = "24h",
    as_json: AsJson = False,
) -> None:
    """Say for each span of a trace what each route made of it, and what became of it; or why not.

    Reads the topics alone, the trace's own partition first. Exit code 1: nothing is found.
    """
    from .commands import common, scores  # noqa: PLC0415
    from .commands import explain as command  # noqa: PLC0415

    trace, since_s = command.trace_id(trace_id), scores.seconds(since)
    common.with_config(
        config, lambda loaded: command.run(loaded, trace, since_s=since_s, as_lines=as_json)
    )


@app.command(short_help="Say what a config would come to in a day.")
def estimate(
    config: ConfigPath = DEFAULT_CONFIG,
    minutes: Annotated[
        int, typer.Option(min=1, max=10080, metavar="N", help="How far back to read.")
    ] = 10,
    as_json: AsJson = False,
) -> None:
    """Say what a config would come to in a day: matches, evaluations and judge spend.

    Reads the last minutes of the spans topics, joins no group, and asks no judge. Run it before a
    route or its sample is changed. Exit code 1: nothing was written in that time.
    """
    from .commands import common  # noqa: PLC0415
    from .commands import estimate as command  # noqa: PLC0415

    common.with_config(
        config, lambda loaded: command.run(loaded, minutes=minutes, as_lines=as_json)
    )


@app.command(short_help="Watch scores as they come.")
def top(
    config: ConfigPath = DEFAULT_CONFIG,
    window: Annotated[
        str, typer.Option(metavar="AGE", help="How far back to count: 30s, 15m, 24h, 7d.")
    ] = "15m",
    once: Annotated[bool, typer.Option("--once", help="Look once, and end.")] = False,
    as_json: AsJson = False,
) -> None:
    """Watch what each evaluator says of each route, and what it costs, until Ctrl-C.

    Reads the scores topic alone. Where the output is no terminal, it looks once; with --json, a
    line for each look.
    """
    from .commands import common  # noqa: PLC0415
    from .commands import top as command  # noqa: PLC0415

    window_s = command.window_seconds(window)
    common.with_config(
        config,
        lambda loaded: command.run(loaded, window_s=window_s, once=once, as_lines=as_json),
    )


app.command(short_help="Make failed and skipped evaluations again.")(retry)
app.command(short_help="Evaluate what the spans topics hold of a time.")(backfill)
app.command(short_help="Say how a judge agrees with people.")(calibrate)


@app.command(short_help="Write Prometheus alert rules for a config.")
def rules(
    config: ConfigPath = DEFAULT_CONFIG,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where rules/ and tests/ go.")] = Path(
        "prometheus"
    ),
    scrape_interval: Annotated[
        str, typer.Option(metavar="DURATION", help="How far apart Prometheus scrapes, up to 30s.")
    ] = "15s",
) -> None:
    """Write Prometheus recording and alert rules for a config, and promtool's tests of them.

    The evaluators' `alert` and `owner`, and `links`, are in the rules: write them again when these
    change. Exit code 1: a file cannot be written.
    """
    from .commands import common  # noqa: PLC0415
    from .commands import rules as command  # noqa: PLC0415

    scrape_s = command.scrape_seconds(scrape_interval)
    common.with_config(config, lambda loaded: command.run(loaded, folder=out, scrape_s=scrape_s))


@app.command(short_help="Write Grafana dashboards for a config.")
def dashboards(
    config: ConfigPath = DEFAULT_CONFIG,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the JSON files go.")] = Path(
        "dashboards"
    ),
) -> None:
    """Write Grafana dashboards: quality and safety, cost, pipeline health, judge health.

    `cost.group_by.name` is in them. Exit code 1: a file cannot be written.
    """
    from .commands import common  # noqa: PLC0415
    from .commands import dashboards as command  # noqa: PLC0415

    common.with_config(config, lambda loaded: command.run(loaded, folder=out))


def main() -> None:
    """Run the command; an error of ours is one message and an exit code, never a traceback."""
    try:
        app()
    except (ConfigError, PluginError) as error:
        _complain(error)
        raise SystemExit(2) from None
    except AssayError as error:
        _complain(error)
        raise SystemExit(1) from None


def _complain(error: AssayError) -> None:
    print(f"assay: {error}", file=sys.stderr)  # noqa: T201  the command's own output


if __name__ == "__main__":
    main()
