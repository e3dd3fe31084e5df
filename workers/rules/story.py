"""What a story is that alerts are tested with, and how long things take in it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from .series import Line, Phase, Stratum, Stream

GOOD = Stratum(60, 0.95)
DROP = frozenset({"AssayScoreRegressed", "AssayScoreDegraded"})
AFTER_MINUTES = 45
"""How long a story goes on after its turn."""


@dataclass(frozen=True, slots=True)
class Times:
    """How long things take, in minutes: in full, or short where a day is made to be less.

    Attributes:
        hour: An hour of the rules.
        day: A day of them.
        turn: When a story takes its turn; a day of baseline lies before.
        end: When it is over.
    """

    factor: int = 1

    @property
    def hour(self) -> int:
        """An hour of the rules, in ticks."""
        return 60 // self.factor

    @property
    def day(self) -> int:
        """A day of them."""
        return 24 * self.hour

    @property
    def turn(self) -> int:
        """When a story takes its turn; a day of baseline lies before."""
        return self.day + 2 * self.hour

    @property
    def end(self) -> int:
        """When it is over."""
        return self.turn + AFTER_MINUTES


@dataclass(frozen=True, slots=True)
class Story:
    """One service, or one part of the pipeline, and which alerts it should raise.

    Attributes:
        text: What happens, and what should follow.
        label: Label and value that tell this story's alerts.
        lines: What workers export.
        firing: Alerts that fire `after` minutes after the turn; all others stay silent throughout.
        after: When to look.
        near: Alerts that it comes close to, and for which it is the test that they stay silent.
    """

    text: str
    label: tuple[str, str]
    lines: Sequence[Line]
    firing: frozenset[str] = field(default_factory=frozenset)
    after: int = 20
    near: frozenset[str] = field(default_factory=frozenset)


def silent(
    text: str,
    service: str,
    phases: Sequence[Phase],
    *labels: dict[str, str],
    near: Collection[str] = DROP,
) -> Story:
    """A story of scores that no alert comes of; `near` says which ones might."""
    streams = [Stream({"service": service, **more}, phases) for more in labels or ({},)]
    lines = [line for one in streams for line in one.lines()]
    return Story(text, ("service", service), lines, near=frozenset(near))
