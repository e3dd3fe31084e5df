"""promtool's unit tests of the rules, written next to them."""

from collections.abc import Iterable, Sequence
from typing import Any

import yaml

from schemas.config import Config

from . import scenarios
from .alerts import POLICY
from .document import Group
from .series import STEP_S
from .story import Story, Times

_WATCHED_MINUTES = 40
_HEADER = """\
# Written by `assay rules`, with the rules that it tests: run `promtool test rules` on this file.
# Counters grow steadily here; each story has a service, or a label, of its own. Silent means
# that no alert of that label fired at any time.
"""


def day(groups: Sequence[Group], config: Config, rule_file: str, times: Times) -> str:
    """A day of history, then something happens."""
    policy = {
        "expr": POLICY + '{evaluator!~"cost|latency|test[.].*"}',
        "eval_time": "10m",
        "exp_samples": _policy(config),
    }
    checks = [policy, *_checks(scenarios.stories(times), times.turn)]
    return _file(groups, rule_file, scenarios.stories(times), checks)


def gap(groups: Sequence[Group], rule_file: str, times: Times) -> str:
    """Half an hour without any worker."""
    told = scenarios.absence(times)
    # A counter that is above 0 when it is first seen may be news, the first time.
    return _file(groups, rule_file, told, _checks(told, times.turn, quiet_from=60))


def season(groups: Sequence[Group], rule_file: str, times: Times) -> str:
    """Three days, of which the nights are worse."""
    told = scenarios.nights(times)
    # The first night is like none before it, and may alert.
    checks = _checks(told, 2 * times.day + 16 * times.hour, quiet_from=times.day + 12 * times.hour)
    return _file(groups, rule_file, told, checks)


def week(groups: Sequence[Group], rule_file: str, times: Times) -> str:
    """A week, for what looks back as far; evaluated less often, which only silence bears."""
    told = scenarios.week(times)
    checks = _checks(told, 7 * times.day, quiet_from=2 * times.day)
    return _file(groups, rule_file, told, checks, interval="4m")


def _file(
    groups: Sequence[Group],
    rule_file: str,
    told: Sequence[Story],
    checks: Iterable[dict[str, Any]],
    interval: str = "1m",
) -> str:
    content = {
        "rule_files": [rule_file],
        "evaluation_interval": interval,
        # promtool keeps no order of groups otherwise: alerts would look before anything is there.
        "group_eval_order": [group.name for group in groups],
    }
    lines = [_HEADER + yaml.safe_dump(content, sort_keys=False).rstrip(), "tests:"]
    lines += [f"  - interval: {STEP_S}s", "    input_series:"]
    for story in told:
        lines.append(f"      # {story.text}")
        lines += [f"      - {{series: {_yaml(one)}, values: {_yaml(v)}}}" for one, v in story.lines]
    lines.append("    promql_expr_test:")
    for check in checks:
        lines += [
            f"      - expr: {_yaml(check['expr'])}",
            f"        eval_time: {check['eval_time']}",
        ]
        lines += ["        exp_samples:" + ("" if check["exp_samples"] else " []")]
        for sample in check["exp_samples"]:
            lines.append(f"          - {{labels: {_yaml(sample['labels'])}, value: 1}}")
    return "\n".join(lines) + "\n"


def _checks(told: Sequence[Story], turn: int, *, quiet_from: int = 0) -> Iterable[dict[str, Any]]:
    """Before the turn nothing has fired; afterwards those alerts that should, and no other."""
    for story in told:
        label, value = story.label
        firing = f'ALERTS{{alertstate="firing", {label}="{value}"}}'
        for since, until, alerts in (
            (quiet_from, turn - 1, frozenset[str]()),
            (turn, turn + (story.after if story.firing else _WATCHED_MINUTES), story.firing),
        ):
            yield {
                "expr": f"group by (alertname) (count_over_time({firing}[{until - since}m]))",
                "eval_time": f"{until}m",
                "exp_samples": [{"labels": f'{{alertname="{name}"}}'} for name in sorted(alerts)],
            }


def _policy(config: Config) -> list[dict[str, Any]]:
    rows = []
    for name, settings in sorted(config.evaluators.items()):
        if settings.alert != "none":
            labels = {"evaluator": name, "severity": settings.alert}
            if settings.owner is not None:
                labels["owner"] = settings.owner
            text = ", ".join(f"{key}={_quoted(value)}" for key, value in labels.items())
            rows.append({"labels": f"{POLICY}{{{text}}}"})
    return rows


def _yaml(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
