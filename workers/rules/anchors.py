"""How far judges agree with their labelled anchors, of late and in the week before."""

from .document import Group, Rule

_COMMENT = """
Anchors are judged at a steady rate, by one worker of a group; nothing of it depends on traffic, so
that what moves here is the judge and not the product.
"""


def group() -> Group:
    """The group of recording rules."""
    judged, agreed = (
        "evaluator:assay_anchors:increase6h",
        "evaluator:assay_anchors_agreed:increase6h",
    )
    agree = 'assay_anchors_total{result="agree"}'
    rules = [
        Rule(judged, "sum by (evaluator) (increase(assay_anchors_total[6h]))"),
        Rule(agreed, f"sum by (evaluator) (increase({agree}[6h]))"),
        Rule(
            "evaluator:assay_anchors_agreement:ratio6h",
            f"clamp({agreed} / ({judged} > 0), 1e-6, 0.995)",
        ),
        Rule(
            "evaluator:assay_anchors_agreement:baseline7d",
            f"clamp(\n  sum by (evaluator) (increase({agree}[7d] offset 6h))\n"
            "  / (sum by (evaluator) (increase(assay_anchors_total[7d] offset 6h)) > 0),\n"
            "  1e-6, 0.995\n)",
        ),
    ]
    return Group("assay-anchors", "1m", _COMMENT, rules)
