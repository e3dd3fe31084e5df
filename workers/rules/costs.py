"""What an observed LLM call costs, of late and in the day before."""

from .document import Group, Rule


def group() -> Group:
    """The group of recording rules."""
    rules = []
    for name in ("assay_llm_cost_usd", "assay_llm_cost_weight"):
        rules += [
            Rule(
                f"service:{name}:increase{window}",
                f"sum by (environment, service) (increase({name}_total[{window}]))",
            )
            for window in ("15m", "1h")
        ]
        rules.append(
            Rule(
                f"service:{name}:baseline1d",
                f"sum_over_time(service:{name}:increase1h[1d] offset 1h) / 60",
            )
        )
    for mean, sums in (("mean15m", "increase15m"), ("mean1d", "baseline1d")):
        rules.append(
            Rule(
                f"service:assay_llm_cost_usd:{mean}",
                f"service:assay_llm_cost_usd:{sums} / (service:assay_llm_cost_weight:{sums} > 0)",
            )
        )
    return Group("assay-cost", "1m", "What a call costs.", rules)
