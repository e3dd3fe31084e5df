"""Which evaluators judge a span, and why."""

import pytest
from support.samples import span

from schemas.config import RouteConfig
from schemas.errors import ConfigError
from schemas.events import Event, RouteFailed
from schemas.span import Span
from workers.router import Decision, RouteDecision, Router, Selected
from workers.sampler import WHOLE, threshold

_KEPT_AT_HALF = "0" * 18 + "c" + "0" * 13
_DROPPED_AT_HALF = "0" * 18 + "4" + "0" * 13


def _route(name: str, when: str = "true", **fields: object) -> RouteConfig:
    return RouteConfig.model_validate(
        {"name": name, "when": when, "evaluators": ["toxicity"]} | fields
    )


def _select(routes: list[RouteConfig], subject: Span) -> tuple[Selected, ...]:
    return Router(routes, _never).select(subject)


def _never(event: Event) -> None:
    raise AssertionError(event)


def test_a_span_gets_the_evaluators_of_the_routes_it_matches() -> None:
    """Each evaluator comes once, in the order of the config."""
    routes = [
        _route("errors", "span.error", evaluators=["refusal"]),
        _route("support", 'span.service == "support-bot"', evaluators=["pii", "toxicity"]),
        _route("all", evaluators=["toxicity", "secrets"]),
    ]
    selected = _select(routes, span())
    assert [(each.evaluator, each.routes) for each in selected] == [
        ("pii", ("support",)),
        ("toxicity", ("support", "all")),
        ("secrets", ("all",)),
    ]


def test_routes_of_one_evaluator_are_merged() -> None:
    """The largest probability, the strictest content and the smallest age hold."""
    routes = [
        _route("a", sample=0.25, content="redacted", max_age_s=60),
        _route("b", sample=0.5, content="full"),
        _route("c", sample=0.5, content="full", max_age_s=30),
    ]
    selected = _select(routes, span(trace_id="f" * 32))
    assert selected == (Selected("toxicity", ("a", "b", "c"), 0.5, "redacted", 30),)


def test_policy_does_not_depend_on_the_draw() -> None:
    """A route that matches but does not keep the trace still makes content strict."""
    routes = [_route("few", sample=0.5, content="none", max_age_s=5), _route("all", content="full")]
    kept = _select(routes, span(trace_id=_KEPT_AT_HALF))
    dropped = _select(routes, span(trace_id=_DROPPED_AT_HALF))
    assert kept == dropped == (Selected("toxicity", ("few", "all"), 1.0, "none", 5),)


def test_a_route_that_does_not_keep_the_trace_brings_no_evaluator() -> None:
    """An evaluator of a sampled route is not run only because another route keeps the span."""
    routes = [_route("few", sample=0.5, evaluators=["pii"]), _route("all")]
    selected = _select(routes, span(trace_id=_DROPPED_AT_HALF))
    assert [each.evaluator for each in selected] == ["toxicity"]


def test_an_upstream_threshold_lowers_the_probability() -> None:
    """A trace that came through a sampler of a quarter stands for four."""
    (selected,) = _select([_route("all")], span(trace_state="ot=th:c;rv:ffffffffffffff"))
    assert selected.probability == 0.25


def test_nothing_is_selected_where_nothing_matches() -> None:
    """Neither an unmatched nor an unsampled span has evaluators."""
    assert _select([_route("errors", "span.error")], span()) == ()
    assert _select([_route("none", sample=0.0)], span()) == ()


def test_a_failing_expression_does_not_match_and_is_told() -> None:
    """The other routes are not affected."""
    events: list[Event] = []
    router = Router([_route("dear", "span.cost_usd > 0.1"), _route("all")], events.append)
    (selected,) = router.select(span())
    assert selected.routes == ("all",)
    (event,) = events
    assert isinstance(event, RouteFailed)
    assert event.route == "dear"


def test_the_lowest_threshold_is_what_the_decoder_may_drop() -> None:
    """Below it no route keeps anything."""
    assert Router([_route("a", sample=0.05), _route("b", sample=0.2)], _never).threshold == (
        threshold(0.2)
    )
    assert Router([], _never).threshold == WHOLE


def test_a_wrong_expression_names_its_route() -> None:
    """The error has the route's name and the key of the config."""
    with pytest.raises(ConfigError, match='route "b": when reads unknown field') as error:
        Router([_route("a"), _route("b", "span.nope == 1")], _never)
    assert error.value.key == "routes[1].when"


def test_explain_says_what_each_route_makes_of_a_span() -> None:
    """Every route is told, also one that fails, and nothing is emitted."""
    routes = [
        _route("all"),
        _route("errors", "span.error"),
        _route("few", sample=0.5),
        _route("dear", "span.cost_usd > 0.1"),
    ]
    decisions = Router(routes, _never).explain(span(trace_id=_DROPPED_AT_HALF))
    assert [each.decision for each in decisions] == [
        Decision.SELECTED,
        Decision.NOT_MATCHED,
        Decision.NOT_SAMPLED,
        Decision.FAILED,
    ]
    assert decisions[2] == RouteDecision("few", Decision.NOT_SAMPLED, 0.5)
    assert "null was compared" in str(decisions[3].error)
