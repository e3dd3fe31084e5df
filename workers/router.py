"""Which evaluators judge a span, and with what probability it came to that."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from schemas.config import RouteConfig
from schemas.events import Emit, RouteFailed
from schemas.span import Span, SpanKind

from .expressions import Expression, ExpressionFailed, SpanView
from .sampler import WHOLE, decide, threshold

_STRICTNESS = {"none": 0, "redacted": 1, "full": 2}


@dataclass(frozen=True, slots=True)
class Selected:
    """One evaluator that judges a span.

    Attributes:
        evaluator: Its name in the config.
        routes: The routes that name it and match the span, in the config's order.
        probability: The largest of their probabilities: under consistent sampling the kept sets
            are nested, so that is the exact probability that the span was selected at all.
        content: The strictest of what they let a judge see: none, redacted or full.
        max_age_s: The smallest of their maximum ages; None: no limit.
    """

    evaluator: str
    routes: tuple[str, ...]
    probability: float
    content: str
    max_age_s: float | None


class Decision(StrEnum):
    """What one route makes of a span."""

    SELECTED = "selected"
    NOT_MATCHED = "not_matched"
    NOT_SAMPLED = "not_sampled"
    """It matches, but its trace is not among those that the route keeps."""
    FAILED = "failed"
    """Its expression could not be computed."""


@dataclass(frozen=True, slots=True)
class RouteDecision:
    """What one route makes of a span, and why.

    Attributes:
        route: Name of the route.
        decision: What it decided.
        sample: The share of traces that the route keeps.
        error: Why its expression failed, else None.
    """

    route: str
    decision: Decision
    sample: float
    error: str | None = None


@dataclass(frozen=True, slots=True)
class _Route:
    config: RouteConfig
    threshold: int
    expression: Expression

    def takes(self, span: Span) -> bool:
        """Whether it may select a span of this kind: LLM calls, unless it names the kind itself."""
        return span.kind is SpanKind.LLM or "kind" in self.expression.names.fields


class Router:
    """Applies the routes to one span after the other; not for use by two threads.

    A route whose expression does not name `span.kind` selects LLM calls only: whoever writes
    `span.service == "shop"` means the calls of that service, not the agents, tools and retrievers
    around them, which repeat the calls' text.

    Raises:
        ConfigError: A route's expression is wrong.
    """

    threshold: int
    """The lowest rejection threshold of all routes: no route keeps a trace that is below it."""

    def __init__(self, routes: Sequence[RouteConfig], emit: Emit) -> None:
        self._routes = [
            _Route(
                config,
                threshold(config.sample),
                Expression.compile(
                    config.when, where=f'route "{config.name}"', key=f"routes[{index}].when"
                ),
            )
            for index, config in enumerate(routes)
        ]
        self.threshold = min((route.threshold for route in self._routes), default=WHOLE)
        self._view = SpanView([route.expression for route in self._routes])
        self._emit = emit

    def select(self, span: Span) -> tuple[Selected, ...]:
        """The evaluators that judge this span, each once.

        A route that matches but does not keep the trace counts where another one keeps it: the
        policy of an evaluator then does not depend on the draw, and the outcomes that name a route
        are all spans that it matches, each weighted right by `1 / probability`.
        """
        draws = [
            (route, decide(span, route.threshold)) for route in self._routes if route.takes(span)
        ]
        kept = [(route, drawn) for route, drawn in draws if drawn is not None]
        if not kept:
            return ()
        self._view.load(span)
        matching = {route.config.name: drawn for route, drawn in kept if self._matches(route)}
        if not matching:
            return ()
        chosen = {
            name
            for route, _ in kept
            if route.config.name in matching
            for name in route.config.evaluators
        }
        for route, drawn in draws:
            shares = drawn is None and chosen.intersection(route.config.evaluators)
            if shares and self._matches(route):
                # Smaller than that of a route that kept the trace, so it never is the largest.
                matching[route.config.name] = 0.0
        return tuple(self._merge(name, matching) for name in self._ordered(chosen))

    def combine(self, one: Selected, other: Selected) -> Selected:
        """One selection of an evaluator out of those of two spans of a trace."""
        names = {*one.routes, *other.routes}
        ages = [age for age in (one.max_age_s, other.max_age_s) if age is not None]
        return Selected(
            evaluator=one.evaluator,
            routes=tuple(r.config.name for r in self._routes if r.config.name in names),
            probability=max(one.probability, other.probability),
            content=min(one.content, other.content, key=_STRICTNESS.__getitem__),
            max_age_s=min(ages, default=None),
        )

    def explain(self, span: Span) -> list[RouteDecision]:
        """What each route makes of this span; emits nothing."""
        self._view.load(span)
        decisions = []
        for route in self._routes:
            decision, error = Decision.NOT_MATCHED, None
            try:
                if route.takes(span) and route.expression.matches(self._view):
                    kept = decide(span, route.threshold) is not None
                    decision = Decision.SELECTED if kept else Decision.NOT_SAMPLED
            except ExpressionFailed as failure:
                decision, error = Decision.FAILED, str(failure)
            decisions.append(RouteDecision(route.config.name, decision, route.config.sample, error))
        return decisions

    def _matches(self, route: _Route) -> bool:
        try:
            return route.expression.matches(self._view)
        except ExpressionFailed as failure:
            self._emit(RouteFailed(route.config.name, str(failure)))
            return False

    def _ordered(self, chosen: set[str]) -> list[str]:
        names = (name for route in self._routes for name in route.config.evaluators)
        return [name for name in dict.fromkeys(names) if name in chosen]

    def _merge(self, evaluator: str, matching: dict[str, float]) -> Selected:
        routes = [
            route.config
            for route in self._routes
            if route.config.name in matching and evaluator in route.config.evaluators
        ]
        ages = [route.max_age_s for route in routes if route.max_age_s is not None]
        return Selected(
            evaluator=evaluator,
            routes=tuple(route.name for route in routes),
            probability=max(matching[route.name] for route in routes),
            content=min((route.content for route in routes), key=_STRICTNESS.__getitem__),
            max_age_s=min(ages, default=None),
        )
