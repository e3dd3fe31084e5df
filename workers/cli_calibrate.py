"""The command line of `assay calibrate`: arguments only, as in `cli.py`."""

from pathlib import Path
from typing import Annotated

import typer

from .cli_options import DEFAULT_CONFIG, AsJson, ConfigPath


def calibrate(  # noqa: PLR0917  each is an option of the command line
    labels: Annotated[
        Path, typer.Argument(metavar="LABELS.jsonl", help="Labelled items, one a line.")
    ],
    evaluator: Annotated[
        str, typer.Option(metavar="NAME", help="The evaluator that the labels are about.")
    ],
    config: ConfigPath = DEFAULT_CONFIG,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where the record is written.")
    ] = None,
    wait: Annotated[
        float,
        typer.Option(min=0, metavar="SECONDS", help="How long to wait for a judge that is down."),
    ] = 60.0,
    as_json: AsJson = False,
) -> None:
    """Say how an evaluator agrees with people, and what its pass rate is worth.

    A line is {"human": "pass" or "fail", "input": ..., "context": [...], "output": ...}; one
    without "judge" is judged now. --out writes the record for evaluators.NAME.calibration.
    """
    from .commands import calibrate as command  # noqa: PLC0415  --help must not wait for imports
    from .commands import common  # noqa: PLC0415

    common.with_config(
        config,
        lambda loaded: command.run(
            labels, loaded, name=evaluator, out=out, wait_s=wait, as_lines=as_json
        ),
    )
