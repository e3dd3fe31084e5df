"""Options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

DEFAULT_CONFIG = Path("assay.yaml")

ConfigPath = Annotated[
    Path, typer.Option("--config", "-c", metavar="FILE", help="The YAML config file.")
]
AsJson = Annotated[
    bool, typer.Option("--json", help="One JSON object a line on stdout, for machines.")
]
Since = Annotated[str, typer.Option(metavar="AGE", help="How far back: 30s, 15m, 24h, 7d.")]
JudgeShare = Annotated[
    float,
    typer.Option(
        min=0.001, max=1, metavar="SHARE", help="Share of each judge's max_concurrency to use."
    ),
]
