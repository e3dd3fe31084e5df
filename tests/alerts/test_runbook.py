"""The page that alerts point to."""

import re
from importlib.resources import files
from pathlib import Path

import pytest
import yaml

from schemas.reasons import DeadLetterReason, Reason
from workers.judge_metrics import RESULTS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "alerts.md").read_text()
SECTIONS: dict[str, str] = dict(re.findall(r"(?ms)^## (Assay\w+)\n(.*?)(?=^## |\Z)", PAGE))
ALERTS = list(yaml.safe_load((files("workers") / "templates" / "alerts.yaml").read_text("utf-8")))


def test_each_alert_has_its_section_and_no_other_has_one() -> None:
    """In the order of the rules, under a heading whose anchor the rules link to."""
    assert list(SECTIONS) == ALERTS


@pytest.mark.parametrize("name", ALERTS)
def test_a_section_says_what_to_do(name: str) -> None:
    """What it means, what to look at, what to do, and how to silence it."""
    found = re.findall(r"(?m)^- \*\*(.+?):\*\* \S", SECTIONS[name])
    assert found == ["Means", "Look at", "Do", "Silence"]


def test_the_page_has_the_headings_that_all_such_pages_have() -> None:
    """A reader finds the same things under the same words."""
    headings = re.findall(r"(?m)^## (.+)$", PAGE)
    assert headings[0] == "Connect it"
    assert headings[1:6] == ["Delivery", "Ordering", "Limits", "Metrics", "When it goes wrong"]


def test_panels_that_the_page_names_exist() -> None:
    """What stands in italics is the title of a panel, or of a row of them."""
    text = "".join(
        path.read_text() for path in (ROOT / "deploy" / "grafana" / "dashboards").glob("*.json")
    )
    titles = set(re.findall(r'"title": "(.+?)"', text))
    named = set(re.findall(r"(?<!\*)\*(?!\*)([^*\n]+)\*(?!\*)", "".join(SECTIONS.values())))
    assert named
    assert named <= titles


def test_reasons_that_the_page_names_exist() -> None:
    """Code before a colon is a reason of an outcome or a dead letter, or a request's result."""
    reasons = {reason.value for reason in (*Reason, *DeadLetterReason)} | set(RESULTS)
    before = r"(?:^- \*\*(?:Do|Look at):\*\*|[.:])"
    listed = re.findall(rf"(?m){before} ((?:`[a-z_]+`(?:, )?)+):", PAGE)
    named = {name for found in listed for name in re.findall(r"`(\w+)`", found)}
    assert named >= {"no_content", "timeout", "undecodable"}
    assert named <= reasons
