"""The command lines of `assay retry` and `assay backfill`: arguments only, as in `cli.py`."""

from pathlib import Path
from typing import Annotated

import typer

from .cli_options import DEFAULT_CONFIG, AsJson, ConfigPath, JudgeShare, Since

Names = list[str] | None


def retry(  # noqa: PLR0917  each is an option of the command line
    config: ConfigPath = DEFAULT_CONFIG,
    since: Since = "24h",
    evaluator: Annotated[
        Names, typer.Option(metavar="NAME", help="Only of this evaluator; may be given again.")
    ] = None,
    reason: Annotated[
        Names,
        typer.Option(
            metavar="REASON",
            help="Only with this reason; may be given again. Without it: all failures, and what "
            "was skipped for budget or expired.",
        ),
    ] = None,
    limit: Annotated[
        int, typer.Option(min=1, metavar="N", help="At most so many, the oldest first.")
    ] = 100_000,
    judge_share: JudgeShare = 0.1,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be tried again.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make failed and skipped evaluations again, from the records that they came from.

    Outcomes keep their evaluation_id and say origin: retry; no alert sees them. A judge that is out
    is waited for. Ctrl-C drains; the same command then goes on with what is still failed.
    """
    from .commands import common, scores  # noqa: PLC0415  --help must not wait for imports
    from .commands import retry as command  # noqa: PLC0415

    asked = command.Asked(
        since_s=scores.seconds(since),
        evaluators=evaluator or [],
        reasons=command.reasons(reason or []),
        limit=limit,
        judge_share=judge_share,
        is_dry=dry_run,
    )
    common.with_config(config, lambda loaded: command.run(loaded, asked, as_lines=as_json))


def backfill(  # noqa: PLR0917  each is an option of the command line
    begin: Annotated[
        str, typer.Option("--from", metavar="TIME", help="Such as 2026-11-01T00:00:00Z.")
    ],
    end: Annotated[
        str, typer.Option("--to", metavar="TIME", help="Up to there, at most to the end now.")
    ],
    config: ConfigPath = DEFAULT_CONFIG,
    route: Annotated[
        Names, typer.Option(metavar="NAME", help="Only what it selects; may be given again.")
    ] = None,
    evaluator: Annotated[
        Names, typer.Option(metavar="NAME", help="Only this evaluator; may be given again.")
    ] = None,
    judge_share: JudgeShare = 0.1,
    state: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Keeps how far it is; by default beside the config."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Evaluate what the spans topics hold of a time, beside the live workers.

    Outcomes say origin: backfill; no alert sees them. It joins no group and commits no offset.
    Ctrl-C drains, and the same command goes on from there.
    """
    from .commands import backfill as command  # noqa: PLC0415  --help must not wait for imports
    from .commands import common  # noqa: PLC0415

    asked = command.Asked(
        begin=command.moment("--from", begin),
        end=command.moment("--to", end),
        routes=tuple(sorted(set(route or ()))),
        evaluators=tuple(sorted(set(evaluator or ()))),
        judge_share=judge_share,
        state=state,
    )
    file = asked.state_beside(config)
    common.with_config(config, lambda loaded: command.run(loaded, asked, file, as_lines=as_json))
