"""What all tests of attacks look at: measured once, and shown at the end of the run."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

import pytest
from support import gullible

from evaluators.judge.defences import Defences

from .runs import HARMLESS, Result, by_family, load, run, table
from .weakened import DEFENCES, Defence

TABLES = pytest.StashKey[list[str]]()


@dataclass(frozen=True)
class Measured:
    """The attack set against every judge.

    Attributes:
        honest: Against a judge that is never taken in.
        with_all: By defence: against the judge that needs it, all defences on.
        without: The same with that defence gone.
    """

    honest: list[Result]
    with_all: dict[str, list[Result]]
    without: dict[str, list[Result]]

    def families(self) -> str:
        """Success and suspicion by family, all defences on."""
        every = [result for results in self.with_all.values() for result in results]
        return table(
            ("Family", "Rows", "Flagged", "Tries", "Successes"),
            (
                (
                    name,
                    _count(self.honest, name),
                    _flagged(self.honest, name),
                    _count(every, name),
                    _successes(every, name),
                )
                for name in by_family(result.attack for result in self.honest)
            ),
        )

    def defences(self) -> str:
        """What each defence stops."""
        return table(
            ("Defence", "The judge that needs it", "With it", "Without it"),
            (
                (
                    one.name,
                    _weakness(one),
                    attacks_won(self.with_all[one.name]),
                    attacks_won(self.without[one.name]),
                )
                for one in DEFENCES
            ),
        )


def attacks_won(results: Iterable[Result]) -> int:
    """Attacks that led to the verdict they were after."""
    return sum(one.succeeded for one in results if one.attack.family not in HARMLESS)


def _weakness(defence: Defence) -> str:
    said = (defence.gives_in.__doc__ or "").rstrip(".")
    return said[:1].lower() + said[1:]


def _count(results: Iterable[Result], family: str) -> int:
    return sum(one.attack.family == family for one in results)


def _flagged(results: Iterable[Result], family: str) -> int:
    return sum(one.is_flagged for one in results if one.attack.family == family)


def _successes(results: Iterable[Result], family: str) -> int:
    return sum(one.succeeded for one in results if one.attack.family == family)


async def _measure() -> Measured:
    attacks, full = load(), Defences()
    honest = await run(gullible.honest, attacks, DEFENCES[1], full)
    with_all, without = {}, {}
    for one in DEFENCES:
        with_all[one.name] = await run(one.gives_in, attacks, one, full)
        without[one.name] = await run(one.gives_in, attacks, one, one.without)
    return Measured(honest, with_all, without)


@pytest.fixture(scope="session")
def measured(request: pytest.FixtureRequest) -> Measured:
    """The attack set against every judge, with and without each defence."""
    found = asyncio.run(_measure())
    tables = request.config.stash.setdefault(TABLES, [])
    tables += [found.families(), found.defences()]
    return found


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print the tables."""
    for one in config.stash.get(TABLES, []):
        terminalreporter.section("attacks on judges")
        terminalreporter.write_line(one)
