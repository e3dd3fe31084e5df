"""What an expression reads, told from its text."""

import pytest

from workers.expression_names import read_names


@pytest.mark.parametrize(
    ("source", "fields"),
    [
        ("span.kind == 'span.name'", {"kind"}),
        ('span["kind"] == span . name', {"kind", "name"}),
        ("!span.error||span.kind=='x'", {"error", "kind"}),
        ("'''span.a''' + \"\"\"span.b\"\"\" + r'\\' + span.name == ''", {"name"}),
        ("span.kind == 'x' // && span.name", {"kind"}),
        ("x.span.kind", set()),
        ("span.a.b.c", {"a"}),
    ],
)
def test_fields_are_found_and_text_is_not(source: str, fields: set[str]) -> None:
    """Names inside strings and comments, and members that are called span, are no fields."""
    assert read_names(source).fields == fields


@pytest.mark.parametrize(
    ("source", "keys"),
    [
        ('span.attributes["a.b"] == span.attributes.c', {"a.b", "c"}),
        ('"a" in span.attributes', {"a"}),
        ("has(span.attributes.a)", {"a"}),
        ("span.attributes.size() == 1", None),
        ("span.attributes[span.name] == 1", None),
        ("span.attributes.a == 1 && span.attributes == {}", None),
        ("span.attributes == {} && span.attributes.a == 1", None),
        ('span.attributes["a\\n"] == 1', None),
        ("span.name in span.attributes", None),
    ],
)
def test_keys_are_found_or_said_to_be_unknown(source: str, keys: set[str] | None) -> None:
    """Keys are told only where every use of the mapping names one literally."""
    assert read_names(source).keys["attributes"] == keys


def test_bound_variables_are_found() -> None:
    """The variables of macros are the expression's own."""
    names = read_names("span.documents.exists(d, d.all(c, c == d)) && size(x, y) == 1")
    assert names.bound == {"d", "c"}


@pytest.mark.parametrize("source", ["span", "span == null", "f(span)", "span[0]", "span.size()"])
def test_a_span_as_a_value_is_noticed(source: str) -> None:
    """A span is not converted as a whole, so such an expression can be refused."""
    assert read_names(source).whole
