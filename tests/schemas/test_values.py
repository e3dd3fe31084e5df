"""One attribute's value, as other people's code may have written it."""

import math
from typing import Any

import pytest

from schemas.values import (
    dump,
    finish_reason,
    first,
    float_or_none,
    indexed,
    int_or_none,
    is_cut,
    label,
    load,
    object_or_value,
    provider_name,
    unquoted,
)


@pytest.mark.parametrize(
    ("value", "count"),
    [
        (7, 7),
        (0, 0),
        ("12", 12),
        (3.0, 3),
        (True, None),
        (-1, None),
        (2.5, None),
        (math.nan, None),
        (math.inf, None),
        ("Infinity", None),
        ("٣", None),
        (10**12, 10**12),
        (10**12 + 1, None),
        (1e300, None),
        ("9" * 19, None),
        ("9" * 5000, None),
        (None, None),
        ([1], None),
    ],
)
def test_a_count_is_a_whole_number_or_none(value: Any, count: int | None) -> None:
    """Digits and whole floats are counts; truth values, fractions and what is absurd are not."""
    assert int_or_none(value) == count


@pytest.mark.parametrize(
    ("value", "amount"),
    [
        *((0.5, 0.5), ("0.25", 0.25), (0, 0.0), (math.inf, None), ("nan", None), (-1, None)),
        *((True, None), ("", None), (None, None), ({}, None), (1e6, 1e6), ("1e308", None)),
    ],
)
def test_an_amount_is_none_or_a_plausible_one(value: Any, amount: float | None) -> None:
    """An amount of money that is none must not reach a sum."""
    assert float_or_none(value) == amount


def test_a_label_is_text_or_a_whole_number() -> None:
    """Prompt versions are numbers in some libraries."""
    values: list[Any] = ["a", 3, "", True, 1.5, None, []]
    assert [label(value) for value in values] == ["a", "3"] + [None] * 5


def test_first_skips_empty_values() -> None:
    """Libraries send empty strings and nulls for what they do not know; 0 and False are values."""
    assert first({"a": None, "b": "", "c": 0}, "a", "b", "c") == 0
    assert first({}, "a") is None


@pytest.mark.parametrize(
    "word",
    ["stop", "end_turn", "STOP", "FinishReason.STOP", ["stop", "length"], '["stop"]', ("stop",)],
)
def test_finish_reasons_of_one_meaning_are_one_word(word: Any) -> None:
    """Providers' words, enum notation, lists and lists as JSON all say that it was finished."""
    assert finish_reason(word) == "stop"


def test_other_finish_reasons() -> None:
    """Each meaning has one word; an unknown word stays itself; nothing is None."""
    words: list[Any] = [
        "tool-calls",
        "function_calls",
        "MAX_TOKENS",
        "SAFETY",
        "error",
        "Strange",
        "",
        [],
        None,
        3,
        "...",
    ]
    assert [finish_reason(word) for word in words] == [
        *("tool_calls", "tool_calls", "length", "content_filter", "error", "strange"),
        *(None, None, None, None, None),
    ]


def test_providers_have_one_spelling() -> None:
    """Google has many names; a framework that names itself is left as it is."""
    names = ["OpenAI", "gcp.gemini", "google", "bedrock", "strands-agents", "", None, 3]
    assert [provider_name(name) for name in names] == [
        *("openai", "gemini", "gemini", "aws.bedrock", "strands-agents"),
        *(None, None, None),
    ]


def test_load_reads_objects_and_arrays_only() -> None:
    """Text that is a number or a word stays text; what is native stays native."""
    assert load('{"a": [1]}') == {"a": [1]}
    assert load(' \n[{"a": 1}]') == [{"a": 1}]
    for value in ("5", "true", " hello", "", "[1] see below", {"a": 1}, [1], 3, None):
        assert load(value) == value


def test_load_takes_what_strict_json_forbids() -> None:
    """Python writes NaN, and half of a character cut in two can still be read around."""
    assert load('[{"score": NaN, "text": "a\tb"}]')[0]["text"] == "a\tb"
    assert load('["\\ud83d!"]') == ["?!"]


@pytest.mark.parametrize(
    ("value", "cut"),
    [
        ('[{"role": "us', True),
        ('{"a', True),
        ("[", True),
        ("{'a': 1}", False),
        ("[{'a': 1}]", False),
        ("plain", False),
        ('{"a": 1}', False),
    ],
)
def test_cut_json_is_told_from_pythons_notation(value: str, cut: bool) -> None:
    """An unreadable text that begins as JSON was cut; Python's notation is whole."""
    assert is_cut(load(value)) is cut


def test_unquoted_reads_json_text() -> None:
    """Other values, half a text among them, are given back as they are."""
    values: list[Any] = ['"a\\nb"', '"half', "plain", '{"a": 1}', 3, None]
    assert [unquoted(value) for value in values] == ["a\nb", *values[1:]]


def test_dump_gives_text_of_anything() -> None:
    """Strings stay; structure is compact JSON; what has no JSON is None."""
    deep: Any = []
    for _ in range(2000):
        deep = [deep]
    assert [dump("x"), dump(None), dump({"a": [1, "ö"]}), dump(b"x"), dump(deep)] == [
        *("x", None, '{"a":[1,"ö"]}', "\"b'x'\"", None),
    ]


def test_arguments_are_an_object_where_there_is_one() -> None:
    """Arguments come as JSON or native; broken JSON stays as it is, for a person to see."""
    values = ['{"a": 1}', {"a": 1}, '{"a": ', "", None]
    assert [object_or_value(value) for value in values] == [
        {"a": 1},
        {"a": 1},
        '{"a": ',
        None,
        None,
    ]


def test_indexed_orders_by_number_and_ignores_what_has_none() -> None:
    """Ten comes after two; keys without an index, or with an absurd one, are no part of it."""
    attributes = {"m.10.a": 3, "m.2.a": 2, "m.2.b.c": 1, "m.x.a": 0, f"m.{'9' * 5000}.a": 0, "n": 0}
    assert indexed(attributes, "m.") == [{"a": 2, "b.c": 1}, {"a": 3}]
