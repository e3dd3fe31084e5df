"""Rules as data, and as YAML that is meant to be read."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from textwrap import dedent, indent, wrap

_WIDTH = 100


@dataclass(frozen=True, slots=True)
class Rule:
    """A recording rule, or an alert if it has annotations.

    Attributes:
        name: Of the recorded series, or of the alert.
        expr: PromQL.
        labels: Added to the result; of an alert they may be templates.
        comment: Stands above the rule.
        annotations: Templates, for an alert.
        for_: How long an alert's expression must hold.
    """

    name: str
    expr: str
    labels: Mapping[str, str] = field(default_factory=dict)
    comment: str = ""
    annotations: Mapping[str, str] | None = None
    for_: str = "0s"


@dataclass(frozen=True, slots=True)
class Group:
    """Rules that are evaluated one after the other, at one time.

    Attributes:
        name: Unique in the file.
        interval: Between evaluations, as Prometheus writes it.
        comment: Stands above the group.
        rules: In the order of evaluation: each sees what those before it recorded.
    """

    name: str
    interval: str
    comment: str
    rules: Sequence[Rule]


def render(header: str, groups: Iterable[Group]) -> str:
    """Write a rule file."""
    lines = [*_comment(header), "groups:"]
    for group in groups:
        lines += ["", *_comment(group.comment, "  "), f"  - name: {group.name}"]
        lines += [f"    interval: {group.interval}", "    rules:"]
        for rule in group.rules:
            lines += _rule(rule)
    return "\n".join(lines) + "\n"


def shorten(groups: Iterable[Group], factor: int) -> list[Group]:
    """Make hours and days shorter by a factor, in what is looked at: for tests that cannot wait.

    Names stay, so that alerts read alike; minutes stay, because scrapes do.
    """
    return [
        replace(group, rules=[_shortened(rule, factor) for rule in group.rules]) for group in groups
    ]


def _shortened(rule: Rule, factor: int) -> Rule:
    def shorter(match: re.Match[str]) -> str:
        seconds = int(match[2]) * {"h": 3600, "d": 86400}[match[3]] / factor
        # Prometheus 2 counts a record at the far end of a range, 3 does not: here it is one of few.
        return f"{match[1]}{seconds - match[1].startswith(':'):.0f}s"

    expr = re.sub(r"(:\w+\[|\[|offset )(\d+)([hd])\b", shorter, rule.expr)
    # The step of a subquery, and the number of hourly sums that overlap.
    expr = re.sub(r"(?<=:)(\d+)m\]", lambda step: f"{int(step[1]) * 60 // factor}s]", expr)
    expr = re.sub(r"(?<=:)(\d+)h\]", lambda step: f"{int(step[1]) * 3600 // factor}s]", expr)
    return replace(rule, expr=re.sub(r"/ 60\b", f"/ {60 // factor}", expr))


def _rule(rule: Rule) -> list[str]:
    is_alert = rule.annotations is not None
    lines = [*_comment(rule.comment, "      ")]
    lines += [f"      - {'alert' if is_alert else 'record'}: {rule.name}"]
    expr = dedent(rule.expr).strip()
    if "\n" in expr or not expr[0].isalpha():  # else YAML reads it as it stands
        lines += ["        expr: |-", *indent(expr, " " * 10).splitlines()]
    else:
        lines += [f"        expr: {expr}"]
    if is_alert:
        lines += [f"        for: {rule.for_}", "        keep_firing_for: 15m"]
    if rule.labels:
        pairs = ", ".join(f"{name}: {json.dumps(value)}" for name, value in rule.labels.items())
        lines += [f"        labels: {{{pairs}}}"]
    if rule.annotations:
        lines += ["        annotations:"]
        for name, text in rule.annotations.items():
            lines += [f"          {name}: >-", *_folded(text)]
    return lines


def _folded(text: str) -> list[str]:
    """Break a text into lines that YAML folds again; templates have spaces to break at too."""
    return wrap(
        text,
        _WIDTH,
        initial_indent=" " * 12,
        subsequent_indent=" " * 12,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _comment(text: str, margin: str = "") -> list[str]:
    return [f"{margin}# {line}".rstrip() for line in dedent(text).strip().splitlines()]
