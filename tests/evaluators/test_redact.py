"""What the redactor takes out, and what it leaves."""

import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from evaluators.detectors import credentials, personal
from evaluators.redact import redact


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Write to ana.lee@mail.com.", "Write to [EMAIL]."),
        ("Call +49 170 1234567 now", "Call [PHONE] now"),
        ("Card 4111 1111 1111 1111, 12/27", "Card [CARD], 12/27"),
        ("Auf DE89 3704 0044 0532 0130 00 bitte", "Auf [IBAN] bitte"),
        ("SSN 123-45-6789", "SSN [ID_NUMBER]"),
        ("from 93.184.216.34:443", "from [IP]:443"),
        ("key AKIAQYLPMN5HHHFPZAM2!", "key [SECRET]!"),
        ("postgres://app:S3cr3tP4ss@db/x", "postgres://app:[SECRET]@db/x"),
        ("日本 ana@mail.jp です\u00a0🙂 ana@mail.jp", "日本 [EMAIL] です\u00a0🙂 [EMAIL]"),
        ("Karte 4111\u00a01111\u00a01111\u00a01111", "Karte [CARD]"),
        ("\ud800 ana@mail.com", "\ud800 [EMAIL]"),
    ],
)
def test_personal_data_and_credentials_become_placeholders(text: str, expected: str) -> None:
    """Each finding is replaced where it stands, the rest of the text stays as it was."""
    assert redact(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Order 112-1234567-1234567 arrives on 2026-03-01 at 10:30.",
        "Version 10.0.1.22, commit 9f8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c9f8a7b6c",
        "Wide\u00a0space, dash \u2013 and \u201cquotes\u201d stay",
        "[EMAIL] and [SECRET] are placeholders already",
    ],
)
def test_other_text_is_left_alone(text: str) -> None:
    """What is neither is given back unchanged."""
    assert redact(text) == text


_PIECES = st.sampled_from(
    [
        "ana@mail.com", "4111 1111 1111 1111", "+49 170 1234567", "DE89370400440532013000",
        "AKIAQYLPMN5HHHFPZAM2", "postgres://a:S3cr3tP4ss@db/x", "93.184.216.34", "123-45-6789",
        "Tel.", " ", "-", ":", "@", "[EMAIL]", "[SECRET]", "password=", "00", "1", ".", "\u00a0",
        "é",
    ]
)  # fmt: skip


@given(st.lists(_PIECES | st.text(max_size=8), max_size=12).map("".join))
@example("0170 1234567-4111 1111 1111 1111")
@settings(max_examples=200, deadline=None)
def test_redacting_twice_changes_nothing(text: str) -> None:
    """The redactor is idempotent, leaves nothing to find, and hardly lengthens a text."""
    once = redact(text)
    assert redact(once) == once
    assert not personal.detector().find(once)
    assert not credentials.detector().find(once)
    assert len(once) <= 2 * len(text)


@pytest.mark.parametrize(
    "piece",
    [
        "1",
        "4111-",
        "a@b.",
        "12 ",
        "0a:",
        "sk-",
        "api_key=",
        "a://b:",
        "eyJaaaaaaaaaaa.",
        "+4 ",
        "@",
    ],
)
def test_hostile_text_takes_bounded_time(piece: str) -> None:
    """Text made of the beginnings of findings costs seconds for a quarter megabyte, not hours."""
    text = piece * (250_000 // len(piece))
    start = time.perf_counter()
    redact(text)
    assert time.perf_counter() - start < 10
