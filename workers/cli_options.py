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
