"""The statistic of `workers/signals.py` as recording rules; names and formulas are the same there.

A level of aggregation is the first part of a record's name: `evaluator` for all scores of an
evaluator's version on a service, `variant` for those of one model and prompt version of it.
"""

from collections.abc import Iterator

from workers import signals
from workers.signals import VERSION_WINDOWS, WINDOWS, Window

from .document import Group, Rule

LABELS = {
    "evaluator": "environment, service, evaluator, evaluator_version",
    "variant": "environment, service, evaluator, evaluator_version, model, prompt_version",
}
_SUMS = ("weight", "weighted", "weighted_squares", "weight_squares")
_OF_VERSION = "environment, service, model, prompt_version"
_HEAD_START_MINUTES = 5

_HOUR_MINUTES = 60
_SHORT = [window for window in WINDOWS if window.minutes < _HOUR_MINUTES]
_LONG = [window for window in WINDOWS if window.minutes >= _HOUR_MINUTES]

_BASELINES = """
The sums of the last hour, every minute, and what scores are compared with: the day that ended an
hour ago (baseline1d), for the window of six hours the day that ended six hours ago (earlier1d), and
of the last seven days the hour before this time of day (before7d), the hour after (after7d) and
these six hours (same7d). Before and after apart: a nightly job begins at the minute, and a mean of
both would make an alarm of it each night.
"""
_SIX_HOURS = """
60 hourly sums overlap at each minute. A season takes six hours only where they were whole
(whole6h): the first hour of a young series, taken for six, would make an alarm of a night two days
later.
"""
_WINDOWS = """
The windows. surprise is how much better two means explain window and baseline than one, in nats, up
or down; decline is the same where the window's mean is lower, else 0. The evidence is the least
decline over its threshold and over the noise of the series: above 1 it counts.
"""
_NOISE = """
How much more the surprise of a series spreads than that of independent scores would: its 0.9
quantile over a week, over that of chi squared with one degree of freedom. It counts once three days
are known; before, the first hours of a regression would hide the rest of it.
"""
_VERSIONS = """
Each new version against all others of its service, of their last day and of their last hour: both,
so that neither the time of day nor few numbers can deceive. Needs no history.
"""


def groups(scrape_s: float) -> list[Group]:
    """The groups of recording rules.

    Args:
        scrape_s: How far apart scrapes are: a window has seen nothing of its edges.
    """
    return [
        Group("assay-baselines", "1m", _BASELINES, list(_baseline_rules())),
        Group("assay-windows", "30s", _WINDOWS, [*_objective(), *_windows(scrape_s)]),
        Group("assay-long-windows", "1m", "The same for an hour and six.", _long_windows(scrape_s)),
        Group("assay-noise", "5m", _NOISE, [_noise(window) for window in WINDOWS]),
        Group("assay-versions", "30s", _VERSIONS, list(_version_rules(scrape_s))),
    ]


def _baseline_rules() -> Iterator[Rule]:
    for level in LABELS:
        for kind in _SUMS:
            yield _increase(level, kind, "1h")
    yield _scores("1h")
    for kind in _SUMS:
        hour = f"evaluator:assay_score_{kind}:increase1h"
        six = f"evaluator:assay_score_{kind}:increase6h"
        whole = f"evaluator:assay_score_{kind}:whole6h"
        comment = _SIX_HOURS if kind == "weight" else ""
        yield Rule(six, f"sum_over_time({hour}[5h]) / 60", comment=comment)
        yield Rule(whole, f"{six} and {hour} offset 6h")
        for name, gap in (("baseline1d", "1h"), ("earlier1d", "6h")):
            yield Rule(
                f"evaluator:assay_score_{kind}:{name}",
                f"sum_over_time({hour}[1d] offset {gap}) / 60",
            )
        for name, source, first in (("before7d", hour, 24), ("after7d", hour, 23)):
            yield Rule(f"evaluator:assay_score_{kind}:{name}", _same_time(source, first))
        yield Rule(f"evaluator:assay_score_{kind}:same7d", _same_time(whole, 24))
    for name in ("baseline1d", "earlier1d", "before7d", "after7d", "same7d"):
        yield from _described("evaluator", name)
    yield from _variant_baselines()


def _same_time(source: str, first: int) -> str:
    # An offset into the time before a series finds nothing, and must not empty the whole sum.
    hours = range(first, first + 7 * 24, 24)
    return "\n+ ".join(f"({source} offset {hour}h or {source} * 0)" for hour in hours)


def _variant_baselines() -> Iterator[Rule]:
    for kind in _SUMS:
        one = f"variant:assay_score_{kind}"
        yield Rule(f"{one}:trailing1d", f"sum_over_time({one}:increase1h[1d]) / 60")
    for name, source in (("others1d", "trailing1d"), ("others1h", "increase1h")):
        for kind in _SUMS:
            one = f"variant:assay_score_{kind}"
            yield Rule(
                f"{one}:{name}",
                f"""
sum by ({LABELS["evaluator"]}) ({one}:{source})
- on ({LABELS["evaluator"]}) group_right ()
{one}:{source}
""",
            )
        yield from _described("variant", name)
    yield Rule("variant:assay_score_active:bool", "variant:assay_score_weight:increase1h > bool 0")
    minutes = f"max by ({_OF_VERSION}) (sum_over_time(variant:assay_score_active:bool[1d]))"
    yield Rule("version:assay_score_active:minutes1d", minutes)
    yield Rule(
        "version:assay_score_new:info",
        f"""
version:assay_score_active:minutes1d + {_HEAD_START_MINUTES}
< on (environment, service) group_left ()
max by (environment, service) (version:assay_score_active:minutes1d)
unless
max by ({_OF_VERSION}) (
  max_over_time(variant:assay_score_weight:trailing1d[7d:6h] offset 1d)
) > 0
""",
        comment="A version is new that began after another one of its service, within a day. "
        "Whoever\nscores it does not matter: an edited rubric makes no version new.",
    )


def _described(level: str, name: str) -> Iterator[Rule]:
    """Mean, effective count, dispersion and entropy of a baseline."""
    at = _At(level, name)
    margin = signals.BASELINE_MARGIN
    yield Rule(
        at.mean,
        f"clamp({at.weighted} / ({at.weight} > 0), {margin:g}, 1 - {margin:g})",
    )
    yield Rule(at.effective, f"{at.weight} ^ 2 / ({at.weight_squares} > 0)")
    yield Rule(
        at.dispersion,
        f"""
clamp(
  ({at.weighted_squares} / ({at.weight} > 0) - {at.mean} ^ 2)
  / ({at.mean} * (1 - {at.mean})),
  {signals.MIN_DISPERSION:g}, 1
)
""",
    )
    yield Rule(at.entropy, _entropy(at.mean))


def _objective() -> list[Rule]:
    return [
        Rule(
            "evaluator:assay_evaluator_objective_ratio:max",
            "clamp(max by (evaluator) (assay_evaluator_objective_ratio), 1e-6, 1 - 1e-6)",
        )
    ]


def _windows(scrape_s: float) -> Iterator[Rule]:
    for window in _SHORT:
        for kind in _SUMS:
            yield _increase("evaluator", kind, window.name)
        if window.minutes == 15:  # noqa: PLR2004  what `AssayScoresStopped` looks at
            yield _scores(window.name)
        yield from _scan(window, scrape_s)


def _long_windows(scrape_s: float) -> list[Rule]:
    return [rule for window in _LONG for rule in _scan(window, scrape_s)]


def _scan(window: Window, scrape_s: float) -> Iterator[Rule]:
    """One window against its baselines and against the objective."""
    if window.minutes > 60:  # noqa: PLR2004  minutes of an hour
        past = {"baseline1d": "earlier1d", "same7d": "same7d"}
    else:
        past = {"baseline1d": "baseline1d", "before7d": "before7d", "after7d": "after7d"}
    at = _At("evaluator", window.name)
    threshold = f"{window.threshold():.2f}"
    yield from _observed(at, window, past["baseline1d"], scrape_s)
    yield from _compared(at, window, past)
    labels = f"{LABELS['evaluator']}, window"
    own = f'window="{window.name}"'
    both = "|".join(past)
    surprise, decline = "evaluator:assay_score_surprise", "evaluator:assay_score_decline"
    yield Rule(
        f"{surprise}:smallest",
        f"""
min by ({labels}) ({{__name__=~"{surprise}:({both})", {own}}})
and {surprise}:baseline1d{{{own}}}
""",
        {"window": window.name},
    )
    yield Rule(
        "evaluator:assay_score_evidence:ratio",
        f"""
min by ({labels}) ({{__name__=~"{decline}:({both})", {own}}})
/ {threshold}
/ (
  last_over_time(evaluator:assay_score_noise:factor{{{own}}}[15m])
  or {surprise}:smallest{{{own}}} * 0 + 1
)
and {decline}:baseline1d{{{own}}}
""",
        {"window": window.name},
    )
    objective = "on (evaluator) group_left () evaluator:assay_evaluator_objective_ratio:max"
    yield Rule(
        "evaluator:assay_score_objective_evidence:ratio",
        f"""
{at.effective} * (
  {at.mean} * ln({at.mean} / {objective})
  + (1 - {at.mean}) * ln((1 - {at.mean}) / {objective.replace("evaluator:", "(1 - evaluator:")}))
)
/ {threshold}
and {at.mean} < {objective}
""",
        {"window": window.name},
    )


def _version_rules(scrape_s: float) -> Iterator[Rule]:
    for window in VERSION_WINDOWS:
        if window.minutes < 60:  # noqa: PLR2004  the hour is summed with the baselines
            for kind in _SUMS:
                yield _increase("variant", kind, window.name)
        at = _At("variant", window.name)
        yield from _observed(at, window, "others1d", scrape_s)
        yield from _compared(at, window, {"others1d": "others1d", "others1h": "others1h"})
        day = f'variant:assay_score_decline:others1d{{window="{window.name}"}}'
        hour = f'variant:assay_score_decline:others1h{{window="{window.name}"}}'
        yield Rule(
            "variant:assay_score_evidence:ratio",
            f"({day} < {hour} or {hour} and {day}) / {window.threshold():.2f}",
            {"window": window.name},
        )


def _observed(at: "_At", window: Window, past: str, scrape_s: float) -> Iterator[Rule]:
    """Mean, effective count and entropy of a window, and how far it lies below the past."""
    margin = signals.WINDOW_MARGIN
    before = _At(at.level, past)
    completeness = 1 - scrape_s / (60 * window.minutes)
    usual = f"{at.weight} * {before.weight_squares} / ({before.weight} > 0)"
    yield Rule(
        at.mean,
        f"clamp({at.weighted} / ({at.weight} > 0), {margin:g}, 1 - {margin:g})",
        comment=f"{at.name}: threshold {window.threshold():.2f}; "
        f"{completeness:.4g} of it lies between scrapes",
    )
    yield Rule(
        at.effective,
        f"""
({at.weight} > 0) ^ 2 * {completeness:.4g}
/ (
  {at.weight_squares} > {usual}
  or {usual}
  or {at.weight_squares} > 0
)
""",
    )
    yield Rule(at.entropy, _entropy(at.mean))
    against = "others1d" if at.level == "variant" else "baseline1d"
    yield Rule(
        f"{at.level}:assay_score_drop:{against}",
        f"{before.mean} - {at.mean}",
        {"window": window.name},
    )


def _compared(at: "_At", window: Window, past: dict[str, str]) -> Iterator[Rule]:
    """Surprise and decline of a window against each baseline.

    Args:
        at: The window.
        window: The same.
        past: Baselines by the name that their comparison is recorded under.
    """
    for name, source in past.items():
        before = _At(at.level, source)
        pooled = f"{at.level}:assay_score_pooled:{at.name}_{source}"
        surprise = f"{at.level}:assay_score_surprise:{name}"
        least = signals.MIN_SEASON_COUNT if source.endswith("7d") else signals.MIN_BASELINE_COUNT
        weighed = f"""
({at.effective} * {at.mean} + {before.effective} * {before.mean})
/ ({at.effective} + {before.effective})
"""
        if at.level == "variant":
            weighed += f"and on ({_OF_VERSION}) version:assay_score_new:info\n"
        yield Rule(pooled, weighed)
        yield Rule(
            surprise,
            f"""
(
  {at.effective} * {at.entropy}
  + {before.effective} * {before.entropy}
  - ({at.effective} + {before.effective}) * ({_entropy(pooled)})
)
/ {before.dispersion}
and {before.effective} >= {least:g}
""",
            {"window": window.name},
        )
        yield Rule(
            f"{at.level}:assay_score_decline:{name}",
            f"""
{surprise}{{window="{window.name}"}}
* on ({LABELS[at.level]}) ({at.mean} < bool {before.mean})
""",
            {"window": window.name},
        )


def _noise(window: Window) -> Rule:
    least = f'evaluator:assay_score_surprise:smallest{{window="{window.name}"}}[7d:30m]'
    return Rule(
        "evaluator:assay_score_noise:factor",
        f"""
clamp_min(
  2 * quantile_over_time({signals.NOISE_QUANTILE}, {least}) / {signals.CHI_SQUARED_QUANTILE}, 1
)
and count_over_time({least}) >= 3 * 48
""",
        {"window": window.name},
    )


def _increase(level: str, kind: str, window: str) -> Rule:
    return Rule(
        f"{level}:assay_score_{kind}:increase{window}",
        f"sum by ({LABELS[level]}) (increase(assay_score_{kind}_total[{window}]))",
    )


def _scores(window: str) -> Rule:
    return Rule(
        f"evaluator:assay_scores:increase{window}",
        f"sum by ({LABELS['evaluator']}) (increase(assay_scores_total[{window}]))",
    )


def _entropy(mean: str) -> str:
    return f"{mean} * ln({mean}) + (1 - {mean}) * ln(1 - {mean})"


class _At:
    """Names of what is recorded of a window or a baseline."""

    def __init__(self, level: str, name: str) -> None:
        self.level = level
        self.name = name
        self.mean = f"{level}:assay_score_mean:{name}"
        self.effective = f"{level}:assay_score_effective:{name}"
        self.dispersion = f"{level}:assay_score_dispersion:{name}"
        self.entropy = f"{level}:assay_score_entropy:{name}"
        sums = f"increase{name}" if name[0].isdigit() else name
        self.weight = f"{level}:assay_score_weight:{sums}"
        self.weighted = f"{level}:assay_score_weighted:{sums}"
        self.weighted_squares = f"{level}:assay_score_weighted_squares:{sums}"
        self.weight_squares = f"{level}:assay_score_weight_squares:{sums}"
