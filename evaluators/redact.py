"""Takes personal data and credentials out of text before it leaves for a judge or is published."""

import re

from .detectors import credentials, personal

_PLACEHOLDERS = {
    kind: f"[{kind.upper()}]" if kind in ("email", "iban", "card", "ip", "phone") else "[ID_NUMBER]"
    for kind in personal.KINDS
}


_PLAIN = re.compile("[a-z_-]{0,20}")
"""A name or a label, shorter than any key and without what else a finding has: passed at once."""


def redact(text: str) -> str:
    """Replace what the `pii` and `secrets` evaluators find by `[EMAIL]`, `[SECRET]` and so on.

    Redacting twice changes nothing. Names and postal addresses have no form that could be told
    and stay; so do numbers without a valid check digit.
    """
    if _PLAIN.fullmatch(text):
        return text
    while (redacted := _once(text)) != text:
        # What was hidden by its neighbour may stand alone now. Each pass takes characters away
        # that no placeholder brings back, so this ends, almost always after the second.
        text = redacted
    return text


def _once(text: str) -> str:
    text = _replaced(
        text, [(f.start, f.end, "[SECRET]") for f in credentials.detector().find(text)]
    )
    found = personal.detector().find(text)
    return _replaced(text, [(f.start, f.end, _PLACEHOLDERS[f.kind]) for f in found])


def _replaced(text: str, replacements: list[tuple[int, int, str]]) -> str:
    if not replacements:
        return text
    parts, position = [], 0
    for start, end, placeholder in replacements:
        parts += [text[position:start], placeholder]
        position = end
    return "".join([*parts, text[position:]])
