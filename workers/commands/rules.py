"""`assay rules`: Prometheus rules for a config, and the tests that show what they do."""

import re
from pathlib import Path

from rich.console import Console

from schemas.config import Config
from schemas.errors import ConfigError
from workers.rules.build import groups, header
from workers.rules.document import render
from workers.rules.story import Times
from workers.rules.unit_tests import day, gap, season, week

from .written import write

_SECONDS = re.compile(r"(\d+(?:\.\d+)?)s")
_RULES = Path("rules", "assay.yaml")
_TESTS = Path("tests")


def scrape_seconds(interval: str) -> float:
    """Read a scrape interval such as `15s`.

    Raises:
        ConfigError: It is none.
    """
    found = _SECONDS.fullmatch(interval)
    if found is None:
        raise ConfigError(
            f'--scrape-interval "{interval}": is no number of seconds; write it as Prometheus '
            "does, such as 15s"
        )
    return float(found[1])


def contents(config: Config, scrape_s: float) -> dict[Path, str]:
    """What is written for a config: each file, by its path below the folder.

    Raises:
        ConfigError: Scrapes are too far apart.
    """
    rules = groups(config, scrape_s)
    source = f"../{_RULES.as_posix()}"
    times = Times()
    return {
        _RULES: render(header(scrape_s), rules),
        _TESTS / "day.yaml": day(rules, config, source, times),
        _TESTS / "gap.yaml": gap(rules, source, times),
        _TESTS / "season.yaml": season(rules, source, times),
        _TESTS / "week.yaml": week(rules, source, times),
    }


def run(config: Config, *, folder: Path, scrape_s: float) -> None:
    """Write the rules and their tests, in the place of those that are there.

    Raises:
        ConfigError: Scrapes are too far apart.
        NotWritten: A file cannot be written.
    """
    console = Console(highlight=False, markup=False, soft_wrap=True)
    for name, text in contents(config, scrape_s).items():
        console.print(write(folder / name, text))
    console.print(f"check them: promtool check rules {folder / _RULES}")
    console.print(f"test them, in ten minutes or so: promtool test rules {folder / _TESTS}/*.yaml")
