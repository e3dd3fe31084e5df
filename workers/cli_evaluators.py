"""The command line of `assay evaluators`: arguments only, as in `cli.py`."""

from pathlib import Path
from typing import Annotated

import typer

from .cli_options import AsJson

evaluators = typer.Typer(
    help="List the evaluators that are installed, show what a judge is asked, begin a new one.",
    short_help="List the evaluators that are installed; show one; begin a new one.",
    rich_markup_mode=None,
)


@evaluators.callback(invoke_without_command=True)
def list_all(context: typer.Context, as_json: AsJson = False) -> None:
    """List the evaluators that are installed; none of them is imported. `show NAME` shows one."""
    if context.invoked_subcommand is not None:
        return
    from .commands import evaluators as command  # noqa: PLC0415  --help must not wait for imports

    command.run(as_lines=as_json)


@evaluators.command(short_help="Show what an evaluator needs and asks its judge.")
def show(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A name in the config, or an installed one.")
    ],
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", "-c", metavar="FILE", help="As this file has it; assay.yaml if there."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what an evaluator needs, and the messages that its judge gets about a made-up call.

    As the config has it, where there is one: its rubric file, options and threshold. No judge is
    asked.
    """
    from .commands import show_evaluator as command  # noqa: PLC0415

    command.run(name, config, as_line=as_json)


@evaluators.command(short_help="Write an evaluator of your own to start from.")
def new(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="What a config will call it, such as brand_voice.")
    ],
    folder: Annotated[
        Path,
        typer.Option("--dir", metavar="DIR", help="Where it goes; the current folder if none."),
    ] = Path(),
    rubric: Annotated[
        bool, typer.Option("--rubric", help="A rubric file for a judge, without code.")
    ] = False,
) -> None:
    """Write a plugin package that works as it is, with tests, to DIR/NAME.

    With --rubric, a rubric file to DIR/NAME.yaml. Nothing that exists is written over.
    """
    from .commands import new_evaluator as command  # noqa: PLC0415

    command.run(name, folder, is_rubric=rubric)
