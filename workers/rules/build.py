"""The whole rule file for one config."""

from schemas.config import Config
from schemas.errors import ConfigError
from workers import signals

from . import alerts, anchors, corrected, costs, passes, records
from .document import Group

SCRAPES_PER_WINDOW = 4
"""`increase()` over fewer scrapes than these mostly guesses."""

_HEADER = """
Written by `assay rules`; a changed config needs it again. How the statistic works and what it was
measured to do is in docs/detection.md, what to do about an alert in docs/alerts.md.

Scores are counted with weight w = 1/sampling probability; x is a score, 0..1, and 1 is good. Four
sums tell all: weight (w), weighted (wx), weighted_squares (wx²), weight_squares (the squared weight
of each trace). They are summed over workers after increase(), so that a restart costs one scrape.

  mean        weighted / weight
  effective   weight² / weight_squares: how many independent scores of one weight tell as much. A
              window has at least the usual squares of its baseline, and loses to increase(), which
              extrapolates, what lies at its edges: scrapes are {scrape_s:g} s apart.
  dispersion  variance / (mean (1 - mean)): 1 for pass/fail, less for grades
  entropy     mean ln(mean) + (1 - mean) ln(1 - mean)
  surprise    (effective entropy + the baseline's - the pooled) / dispersion: a likelihood ratio
  threshold   ln({windows} windows · {looks} · {month} / minutes / {allowed}): {allowed:g} false
              alarms a month for each series, if {looks} looks count in each stretch of a
              window's length
              {thresholds}
"""


def groups(config: Config, scrape_s: float = signals.SCRAPE_S) -> list[Group]:
    """All groups of rules, each after those that it depends on.

    Args:
        config: Its evaluators decide how alerts go out, its links where they point.
        scrape_s: How far apart Prometheus scrapes the workers, in seconds.

    Raises:
        ConfigError: Scrapes are too far apart for the shortest window.
    """
    longest_s = 60 * signals.WINDOWS[0].minutes / SCRAPES_PER_WINDOW
    if not 0 < scrape_s <= longest_s:
        raise ConfigError(
            f"scrape interval: {scrape_s:g} s is not between 0 and {longest_s:g} s, and a window "
            f"of {signals.WINDOWS[0].name} needs {SCRAPES_PER_WINDOW} scrapes; scrape more often"
        )
    policy, alerting = alerts.groups(config)
    return [
        policy,
        *records.groups(scrape_s),
        passes.group(),
        costs.group(),
        corrected.group(),
        anchors.group(),
        alerting,
    ]


def header(scrape_s: float) -> str:
    """What stands at the top of a rule file: every constant and where it comes from."""
    return _HEADER.format(
        scrape_s=scrape_s,
        windows=len(signals.WINDOWS),
        looks=signals.LOOKS_PER_WINDOW,
        month=signals.MONTH_MINUTES,
        allowed=signals.FALSE_ALARMS_PER_MONTH,
        thresholds=", ".join(f"{one.name} {one.threshold():.2f}" for one in signals.WINDOWS),
    )
