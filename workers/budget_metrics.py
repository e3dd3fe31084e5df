"""How the caps are doing: what is given away, who was told no."""

from collections.abc import Callable, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge

from schemas.config import BudgetConfig
from schemas.events import BudgetReached, LeaseDecided


class BudgetMetrics:
    """Counts what the budgets tell; safe for use by several threads."""

    def __init__(self, registry: CollectorRegistry, budgets: Sequence[BudgetConfig]) -> None:
        self._ratio = Gauge(
            "assay_budget_spent_ratio",
            "Share of a budget that all workers together have spent or hold in this period.",
            ("budget",),
            registry=registry,
        )
        self._cap = Gauge(
            "assay_budget_cap_usd",
            "What judges may cost in one period of a budget, in US dollars.",
            ("budget",),
            registry=registry,
        )
        self._leases = Counter(
            "assay_budget_leases",
            "Requests of this worker for a part of a budget, by whether they were granted.",
            ("budget", "result"),
            registry=registry,
        )
        self._refusals = Counter(
            "assay_budget_refusals",
            "Judge calls that this worker did not make, or put off, because a budget was spent.",
            ("budget",),
            registry=registry,
        )
        for budget in budgets:
            self._cap.labels(budget.name).set(budget.usd)
            self._refusals.labels(budget.name)
            for result in ("granted", "refused"):
                self._leases.labels(budget.name, result)

    def watch(self, budget: str, spent_ratio: Callable[[], float]) -> None:
        """Show a budget's ratio from now on, computed whenever somebody looks."""
        self._ratio.labels(budget).set_function(spent_ratio)

    def decided(self, event: LeaseDecided) -> None:
        """The log has decided on a request."""
        self._leases.labels(event.budget, "granted" if event.usd > 0 else "refused").inc()

    def reached(self, event: BudgetReached) -> None:
        """A call was not made."""
        self._refusals.labels(event.budget).inc()
