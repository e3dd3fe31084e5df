"""Shares of scores that passed, and how fast objectives of 0.99 and more are used up."""

from .document import Group, Rule
from .records import LABELS


def group() -> Group:
    """The group of recording rules."""
    by = f"sum by ({LABELS['evaluator']})"
    passed, weight = "assay_score_weighted_passed_total", "assay_score_weight_total"
    counted = "evaluator:assay_score_failed"
    rules = [
        Rule(
            f"{counted}_weight:increase1h",
            f"clamp_min({by} (increase({weight}[1h])) - {by} (increase({passed}[1h])), 0)",
        ),
        Rule(
            f"{counted}:increase1h",
            f"clamp_min({by} (increase(assay_scores_total[1h])) "
            f"- {by} (increase(assay_scores_passed_total[1h])), 0)",
        ),
        Rule(f"{counted}:increase6h", f"sum_over_time({counted}:increase1h[6h]) / 60"),
    ]
    rules += [
        Rule(
            f"evaluator:assay_score_pass:ratio{window}",
            f"{by} (increase({passed}[{window}]))\n/ ({by} (increase({weight}[{window}])) > 0)",
        )
        for window in ("5m", "30m", "1h")
    ]
    rules += [
        Rule(
            "evaluator:assay_score_pass:ratio6h",
            f"1 - sum_over_time({counted}_weight:increase1h[6h])\n"
            "/ (sum_over_time(evaluator:assay_score_weight:increase1h[6h]) > 0)",
        )
    ]
    rules += [
        Rule(
            f"evaluator:assay_score_burn:{window}",
            f"(1 - evaluator:assay_score_pass:ratio{window})\n"
            "/ on (evaluator) group_left ()\n"
            "(1 - (evaluator:assay_evaluator_objective_ratio:max >= 0.99))",
        )
        for window in ("5m", "30m", "1h", "6h")
    ]
    return Group("assay-passes", "1m", "Burn rates, for objectives of 0.99 and more.", rules)
