"""CEL expressions over a span."""

from pathlib import Path

import cel
import pytest
from support.samples import span

from schemas.errors import ConfigError
from schemas.span import Message, Span, ToolCall
from workers.expressions import _FUNCTIONS, _TYPES, FIELDS, Expression, ExpressionFailed, SpanView


def _matches(source: str, subject: Span) -> bool:
    expression = Expression.compile(source, where='route "r"')
    view = SpanView([expression])
    view.load(subject)
    return expression.matches(view)


_SPAN = span(
    error=True,
    request_model="gpt-5-mini",
    input_tokens=1000,
    output_tokens=200,
    cost_usd=1,
    messages_in=(
        Message("system", "Be kind."),
        Message("user", "Hi", (ToolCall("lookup", {"id": 7}, "c1"),)),
    ),
    documents=("one", "two"),
    attributes={"tenant.id": "acme", "tags": ["vip"], "retries": 2, "nested": {"a": 1}},
    resource={"cloud.region": "eu-west-1"},
)


@pytest.mark.parametrize(
    "source",
    [
        "span.error",
        'span.kind == "llm" && span.service == "support-bot"',
        'span["kind"] == "llm"',
        'span.model.startsWith("gpt-5")',
        "span.tokens > 1000 && span.input_tokens == 1000",
        "span.duration_s >= 2.0",
        "span.cost_usd * 2.0 == 2.0",
        "span.has_content",
        "span.user_id == null",
        'span.attributes["tenant.id"] == "acme"',
        'span.attributes["tenant\\u002eid"] == "acme"',
        'span.attributes.retries > 1 && "tags" in span.attributes',
        'span.attributes["tags"].exists(tag, tag == "vip")',
        "span.attributes.nested.a == 1",
        'span.attributes.exists(key, key.startsWith("tenant"))',
        "span.attributes[span.attributes.tags[0] == 'vip' ? 'retries' : 'none'] == 2",
        "has(span.attributes.retries) && !has(span.attributes.nothing)",
        'span.resource["cloud.region"].matches("^eu-")',
        'span.messages_in[1].content == "Hi" && span.messages_in.size() == 2',
        "span.messages_in[1].tool_calls[0].arguments.id == 7",
        '"two" in span.documents',
        '"span.nope" != span.name // span.nope is text here, and in this comment',
        'type(span.tokens) == int && span.kind in ["llm", "agent"]',
    ],
)
def test_an_expression_reads_the_span(source: str) -> None:
    """Each of these holds for the sample span."""
    assert _matches(source, _SPAN) is True


@pytest.mark.parametrize("field", FIELDS)
def test_every_field_is_in_the_docs(field: str) -> None:
    """A route's author finds it, with no look at the code."""
    page = (Path(__file__).parents[2] / "docs/conventions.md").read_text()
    table = page.partition("## What a route can ask")[2].partition("\n##")[0]
    assert f"`{field}`" in table or f"`{field}[" in table


@pytest.mark.parametrize("field", FIELDS)
def test_every_field_can_be_read(field: str) -> None:
    """A field that is offered reaches the expression, whatever type it has."""
    assert _matches(f"type(span.{field}) == type(span.{field})", _SPAN)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("", "does not compile: it ends early"),
        ('span.kind = "llm"', "(line 1, column 11); compare with =="),
        ("span.kind ==\n == 1", "(line 2, column 2)"),
        ("span.error and true", "mismatched input 'and' (line 1, column 12); write && for and"),
        ('span.kind == "LLM"', 'with "LLM", which it never is; did you mean "llm"?'),
        ('"generation" != span["kind"]', 'with "generation", which it never is; known are llm, '),
        ('span.kind in ["llm", "tools"]', 'with "tools", which it never is; did you mean "tool"?'),
        ('span.servce == "x"', 'unknown field "span.servce"; did you mean "span.service"?'),
        ('span["servce"] == "x"', 'unknown field "span.servce"; did you mean "span.service"?'),
        ("span.error || span.zzzzzz", 'unknown field "span.zzzzzz"; known are attributes, '),
        ('service == "x"', 'unknown name "service"; did you mean "span.service"?'),
        ("span.error && startWith(span.name)", 'function "startWith"; did you mean "startsWith"?'),
        ("span == null", 'uses "span" as a whole; name a field'),
        ("span.service", "gives no true or false"),
        ("size(span.output_text)", "gives no true or false"),
        ("span.cost_usd * 1000 > 1.0", "can never be computed: types do not fit"),
        ('span.kind.matches("(")', "no valid regular expression"),
    ],
)
def test_a_wrong_expression_is_refused_before_any_span_comes(source: str, message: str) -> None:
    """The message names the route, the fault and, where there is one, the nearest right name."""
    with pytest.raises(ConfigError) as error:
        Expression.compile(source, where='route "chat"', key="routes[0].when")
    assert str(error.value).startswith('route "chat": when ')
    assert message in str(error.value)
    assert error.value.key == "routes[0].when"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("span.cost_usd > 0.5", "types do not fit: a null was compared"),
        ('span.attributes["tier"] == "gold"', 'there is no key "tier"'),
        ("span.attributes[span.name] == 1", "there is no such key or index"),
        ("span.messages_in[3].role == 'user'", "there is no such key or index"),
        ('span.user_id.contains("x")', 'function "contains" does not take such a value'),
        ("1 / size(span.documents) == 1", "divided by zero"),
        ("int(span.name) > 1", "a function cannot read its argument"),
        ("span.attributes.retries", "the result is not true or false"),
    ],
)
def test_an_expression_that_fails_on_a_span_says_why_without_its_content(
    source: str, message: str
) -> None:
    """What the library says may quote the span; what we say does not."""
    subject = span(name="judged text", attributes={"retries": 2})
    with pytest.raises(ExpressionFailed, match=message) as error:
        _matches(source, subject)
    assert "judged text" not in str(error.value)


def test_only_what_expressions_read_is_converted() -> None:
    """An attribute that no expression names costs nothing, even one that CEL cannot hold."""
    expression = Expression.compile('span.attributes["a"] == 1', where="r")
    view = SpanView([expression])
    view.load(span(attributes={"a": 1, "b": "x" * 100_000}, output_text="y" * 100_000))
    assert view.context.variables == {"span": {"attributes": {"a": 1}}}


def test_expressions_share_one_view() -> None:
    """The view has what each of its expressions reads, also where one needs all attributes."""
    one = Expression.compile('span.attributes["a"] == 1', where="r")
    other = Expression.compile("span.attributes.size() == 2 && span.error", where="r")
    view = SpanView([one, other, Expression.compile("span.error", where="r")])
    view.load(span(attributes={"a": 1, "b": 2}, error=True))
    assert one.matches(view)
    assert other.matches(view)
    view.load(span(attributes={"a": 2}))
    assert not one.matches(view)


def test_half_a_surrogate_pair_does_no_harm() -> None:
    """A string that UTF-8 cannot hold is compared with its bad character replaced."""
    subject = span(name="a\ud83d", attributes={"x": ["\ud83d", {"k": b"1"}]})
    assert _matches('span.name == "a?" && span.attributes["x"][0] == "?"', subject)


def test_a_number_beyond_all_of_cels_does_no_harm() -> None:
    """What a model called a tool with must not end the worker, however many digits it has."""
    subject = span(tool_arguments={"many": 10**400, "few": -(10**400)})
    source = "span.tool_arguments.many > 1.0 && span.tool_arguments.few < 1.0"
    assert _matches(source, subject)


@pytest.mark.parametrize("name", sorted(_FUNCTIONS))
def test_every_function_that_is_let_through_exists(name: str) -> None:
    """A name on the list of functions is one that the library knows."""
    calls = [
        f"{name}(1)",
        f'{name}("1")',
        f'"1".{name}("1")',
        f'timestamp("2026-01-01T00:00:00Z").{name}()',
    ]
    assert any(_is_known(call) for call in calls)


@pytest.mark.parametrize("name", sorted(_TYPES))
def test_every_type_that_is_let_through_exists(name: str) -> None:
    """A name on the list of types is one that the library knows."""
    assert _is_known(f"type(1) == {name}")


def _is_known(source: str) -> bool:
    try:
        cel.evaluate(source)
    except RuntimeError as error:
        return "Undefined" not in str(error)
    except (TypeError, ValueError):
        return True
    return True
