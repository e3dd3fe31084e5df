"""The command line of `assay dead-letters`: arguments only, as in `cli.py`."""

from pathlib import Path
from typing import Annotated

import typer

from .cli_options import DEFAULT_CONFIG, AsJson, ConfigPath, JudgeShare, Since

dead_letters = typer.Typer(
    help="See what could not be read, read it again, step over what no worker survives.",
    short_help="See what could not be read; read it again; step over a record.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Where = Annotated[
    str, typer.Argument(metavar="ORIGIN", help="topic/partition/offset, as `list` prints it.")
]


@dead_letters.command(name="list", short_help="List what could not be read.")
def list_all(
    config: ConfigPath = DEFAULT_CONFIG,
    since: Since = "24h",
    reason: Annotated[
        str | None, typer.Option(metavar="REASON", help="Only with this reason.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="The newest so many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List the dead letters: records and spans that could not be read, the newest last."""
    from .commands import common, scores  # noqa: PLC0415  --help must not wait for imports
    from .commands import dead_letters as command  # noqa: PLC0415

    since_s = scores.seconds(since)
    common.with_config(
        config,
        lambda loaded: command.list_all(
            loaded, since_s=since_s, reason=reason, limit=limit, as_lines=as_json
        ),
    )


@dead_letters.command(short_help="Show the dead letters from one record.")
def show(
    origin: Where,
    config: ConfigPath = DEFAULT_CONFIG,
    since: Since = "7d",
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the bytes there, as they were.")
    ] = None,
) -> None:
    """Show what is known of the dead letters from one record, and the beginning of its bytes."""
    from .commands import common, scores  # noqa: PLC0415
    from .commands import dead_letters as command  # noqa: PLC0415

    since_s, where = scores.seconds(since), command.read_origin(origin)
    common.with_config(config, lambda loaded: command.show(loaded, where, since_s=since_s, out=out))


@dead_letters.command(short_help="Read dead letters again, after an upgrade.")
def retry(  # noqa: PLR0917  each is an option of the command line
    config: ConfigPath = DEFAULT_CONFIG,
    since: Since = "7d",
    reason: Annotated[
        str | None, typer.Option(metavar="REASON", help="Only with this reason.")
    ] = None,
    origin: Annotated[
        str | None, typer.Option(metavar="ORIGIN", help="Only from this record.")
    ] = None,
    judge_share: JudgeShare = 0.1,
    as_json: AsJson = False,
) -> None:
    """Read dead letters again, and judge what can be read by now; after an upgrade, say.

    A stub, or a span alone, is fetched from its record as long as that stands on its topic. What
    has an outcome is not judged twice, so the command may be given again.
    """
    from .commands import common, scores  # noqa: PLC0415  --help must not wait for imports
    from .commands import dead_letters as letters  # noqa: PLC0415
    from .commands import letters_retry as command  # noqa: PLC0415

    asked = command.Asked(
        since_s=scores.seconds(since),
        reason=reason,
        origin=None if origin is None else letters.read_origin(origin),
        judge_share=judge_share,
    )
    common.with_config(config, lambda loaded: command.run(loaded, asked, as_lines=as_json))


@dead_letters.command(short_help="Step over a record that no worker survives.")
def skip(origin: Where, config: ConfigPath = DEFAULT_CONFIG) -> None:
    """Let a stopped group go on behind a record, with a stub in the dead letters in its place.

    For a compression bomb: librdkafka unpacks it before Assay sees it, and the worker is killed.
    Stop all workers of the group first.
    """
    from .commands import common, dead_letters  # noqa: PLC0415
    from .commands import skip as command  # noqa: PLC0415

    where = dead_letters.read_origin(origin)
    common.with_config(config, lambda loaded: command.run(loaded, where))
