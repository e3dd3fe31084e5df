"""Stories of the money that judges may cost."""

from collections.abc import Iterable

from .series import gauge
from .story import AFTER_MINUTES, Story, Times


def budgets(times: Times) -> Iterable[Story]:
    """A budget that is nearly spent, one that is not, and one whose period ends."""
    ratio, nearly = "assay_budget_spent_ratio", frozenset({"AssayBudgetNearlySpent"})
    yield Story(
        "more than nine tenths of a budget are spent",
        ("budget", "nearly-spent"),
        [gauge(ratio, {"budget": "nearly-spent"}, [(times.turn, 0.5), (AFTER_MINUTES, 0.95)])],
        nearly,
    )
    yield Story(
        "nine tenths of a budget are spent",
        ("budget", "nine-tenths"),
        [gauge(ratio, {"budget": "nine-tenths"}, [(times.turn, 0.5), (AFTER_MINUTES, 0.9)])],
        near=nearly,
    )
