"""`assay dashboards`: Grafana dashboards for a config."""

from pathlib import Path

from rich.console import Console

from schemas.config import Config
from workers.dashboards.build import contents

from .written import write


def run(config: Config, *, folder: Path) -> None:
    """Write the dashboards, in the place of those that are there.

    Raises:
        NotWritten: A file cannot be written.
    """
    console = Console(highlight=False, markup=False, soft_wrap=True)
    for name, text in contents(config).items():
        console.print(write(folder / name, text))
