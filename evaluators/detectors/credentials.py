"""Credentials: the key formats of providers, private keys, tokens and passwords in addresses.

A format alone is not enough: `AKIAIOSFODNN7EXAMPLE`, `sk-xxxx` and `<your key>` are documentation.
What is long enough but has no randomness in it, or says that it is a placeholder, is no secret.
"""

import re
from collections import Counter
from functools import cache
from itertools import pairwise
from math import log2

from evaluators.patterns import Candidate, Check, Detector, Pattern

from .providers import PREFIXED

_DUMMY_WORDS = (
    "example", "sample", "dummy", "placeholder", "changeme", "change_me", "change-me", "redacted",
    "your", "insert", "replace", "secret_here", "key_here", "token_here", "fake", "notreal",
    "jbswy3dpehpk3pxp", "xxxx", "****", "....", "____", "todo", "deadbeef",
    "process.env", "environ", "getenv", "config.", "settings.", "secrets.", "vault.",
)  # fmt: skip
_DUMMY_PASSWORDS = frozenset(
    {"password", "passwd", "pass", "pwd", "pw", "secret", "user", "username", "token", "test"}
)
_CHECKED_CHARS = 500
_RUN = 10
"""Neighbours in the alphabet or among the digits in a row that no random key has."""


def _has_run(text: str) -> bool:
    run = 1
    for before, after in pairwise(text):
        run = run + 1 if ord(after) - ord(before) == 1 or (before, after) == ("9", "0") else 1
        if run >= _RUN:
            return True
    return False


def _entropy_bits(text: str) -> float:
    """Shannon entropy of the characters, in bits for each."""
    size = len(text)
    return -sum(count / size * log2(count / size) for count in Counter(text).values())


def _is_dummy(text: str) -> bool:
    lower = text.lower()
    return any(word in lower for word in _DUMMY_WORDS) or _has_run(lower)


def _random(least_bits: float = 3.0) -> Check:
    """Accept what looks random: no placeholder, and `least_bits` of entropy a character."""

    def check(candidate: Candidate) -> int:
        text = candidate.text[:_CHECKED_CHARS]
        if _is_dummy(text) or _entropy_bits(text) < least_bits:
            return 0
        return candidate.end - candidate.start

    return check


def _jwt(candidate: Candidate) -> int:
    # The longest part, the payload, repeats words of its base64; the signature is what is random.
    signature = candidate.text.rpartition(".")[2][:_CHECKED_CHARS]
    return 0 if _entropy_bits(signature) < 3.0 else candidate.end - candidate.start  # noqa: PLR2004  bits


def _password(candidate: Candidate) -> int:
    text = candidate.text
    is_variable = text[0] in "$<{[%*" or text.endswith("}")
    if is_variable or text.lower() in _DUMMY_PASSWORDS or _is_dummy(text) or len(set(text)) == 1:
        return 0
    return candidate.end - candidate.start


def _chosen(candidate: Candidate) -> int:
    """A password that a text gives: it mixes characters as words and code do not."""
    text = candidate.text.rstrip(".,;:!?)]}'\"`*")
    kinds = sum(
        any(map(is_kind, text))
        for is_kind in (str.isupper, str.islower, str.isdigit, lambda char: not char.isalnum())
    )
    is_plain = kinds < 3 and not (kinds == 2 and _entropy_bits(text) >= 3.2)  # noqa: PLR2004  a guess
    is_long = text.isascii() and len(text) >= 8  # noqa: PLR2004  characters
    if not is_long or is_plain or _is_written(text) or not _password(candidate):
        return 0
    return len(text)


def _is_written(text: str) -> bool:
    """Whether a value is code, a path, words in a row, or one of the passwords of manuals."""
    lower = text.lower()
    parts = re.split(r"[-_./\\@]", text.rstrip("0123456789"))
    is_name = len(parts) > 1 and all(part.isalpha() or part.isdigit() for part in parts)
    return (
        is_name
        or text[0] in "/\\~."
        or not any(map(str.isdigit, text))
        or any(mark in text for mark in ("(", "://", ":\\", "${", "{{", "->", "::"))
        or any(word in lower for word in ("passw", "test", "demo", "qwert"))
        or _is_uuid(text)
    )


def _assigned(candidate: Candidate) -> int:
    """A value that a key-like name is given: mixed characters, and random at that."""
    text = candidate.text
    letters_and_digits = any(c.isdigit() for c in text) and any(c.isalpha() for c in text)
    if not letters_and_digits or _is_dummy(text) or _entropy_bits(text) < 3.5:  # noqa: PLR2004  bits
        return 0
    is_code = text[0] in "/.~" or candidate.after(1) in ("(", "[") or _is_uuid(text)
    return 0 if is_code else candidate.end - candidate.start


def _is_uuid(text: str) -> bool:
    return [len(group) for group in text.split("-")] == [8, 4, 4, 4, 12]


_NAME = r"(?:api|app|auth|access|account|client|consumer|db|encryption|master|private|secret|service|session|signing|webhook)"  # noqa: E501  one expression
_WHAT = r"(?:key|token|secret|password|passwd|pwd|credential)s?"
_AWS_SECRET = (
    r"(?i)aws.{0,20}?(?:secret|access).{0,20}?[\"'=: ]{1,6}([A-Za-z0-9/+]{40})(?:[^A-Za-z0-9/+=]|$)"  # noqa: S105  an expression, no secret
)


def _credential(kind: str, regex: str, check: Check, group: int = 0) -> Pattern:
    # No key begins inside of a placeholder: a long refused match is stepped over as a whole.
    return Pattern(kind, regex, check, group, nested=False)


_PATTERNS = (
    _credential(
        "private_key",
        r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----"
        r"(?:[\sA-Za-z0-9+/=\\:,]|-[A-Za-z0-9]){40,}",
        _random(4.0),
    ),
    _credential(
        "private_key", r"client-key-data:\s*(LS0tLS1CRUdJTi[A-Za-z0-9+/=]{60,})", _random(4.0),
        group=1,
    ),
    _credential(
        "private_key",
        r"PuTTY-User-Key-File-\d(?s:.{0,999}?)Private-Lines: \d+\s+([A-Za-z0-9+/=\s]{40,})",
        _random(4.0), group=1,
    ),
    *(_credential(kind, regex, _random()) for kind, regex in PREFIXED),
    _credential("aws_access_key", r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}\b", _random(2.5)),
    _credential("aws_secret_key", _AWS_SECRET, _random(4.0), group=1),
    _credential("google_api_key", r"\bAIza[A-Za-z0-9_\-]{35}", _random()),
    _credential("google_oauth", r"\bya29\.[A-Za-z0-9_\-]{30,}", _random()),
    _credential("google_oauth_client", r"\bGOCSPX-[A-Za-z0-9_\-]{28}", _random()),
    _credential("azure_storage_key", r"AccountKey=([A-Za-z0-9+/]{86}==)", _random(4.0), group=1),
    _credential("azure_sas", r"[?&]sig=([A-Za-z0-9%+/]{40,}(?:%3D|=))", _random(), group=1),
    _credential("azure_client_secret", r"\b[\w~.]{3}[78]Q~[A-Za-z0-9_~.\-]{31,34}", _random()),
    _credential("github_token", r"\bgh[pousr]_[A-Za-z0-9]{36,251}\b", _random()),
    _credential("github_token", r"\bgithub_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}\b", _random()),
    _credential("gitlab_token", r"\bgl(?:pat|dt|rt|cbt|ptt|soat)-[A-Za-z0-9_\-.]{20,}", _random()),
    _credential("slack_token", r"\bxox[abeoprs]-(?:\d-)?[A-Za-z0-9\-]{20,}", _random()),
    _credential("slack_token", r"\bxapp-\d-[A-Z0-9]+-\d+-[a-f0-9]{32,}", _random()),
    _credential(
        "slack_webhook",
        r"hooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9/]{30,}",
        _random(),
    ),
    _credential("stripe_key", r"\b(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{16,}", _random()),
    _credential("stripe_webhook", r"\bwhsec_[A-Za-z0-9+/]{32,}", _random()),
    _credential("anthropic_key", r"\bsk-ant-[a-z]{2,8}\d{2}-[A-Za-z0-9_\-]{24,}", _random()),
    _credential("openrouter_key", r"\bsk-or-v1-[a-f0-9]{64}\b", _random()),
    _credential("openai_key", r"\bsk-(?:proj|svcacct|admin|None)-[A-Za-z0-9_\-]{20,}", _random()),
    _credential("openai_key", r"\bsk-[A-Za-z0-9]{20,64}\b", _random()),
    _credential("groq_key", r"\bgsk_[A-Za-z0-9]{40,}", _random()),
    _credential("hugging_face_token", r"\b(?:hf|api_org)_[A-Za-z]{34,40}\b", _random()),
    _credential("sendgrid_key", r"\bSG\.[A-Za-z0-9_\-]{20,24}\.[A-Za-z0-9_\-]{39,50}", _random()),
    _credential("twilio_key", r"\bSK[0-9a-f]{32}\b", _random()),
    _credential(
        "twilio_token", r"(?i)twilio.{0,30}?(?:token|secret)[\"' :=]{1,6}([0-9a-f]{32})\b",
        _random(), group=1,
    ),
    _credential("npm_token", r"\bnpm_[A-Za-z0-9]{36}\b", _random()),
    _credential("pypi_token", r"\bpypi-AgE[A-Za-z0-9_\-]{50,}", _random()),
    _credential("databricks_token", r"\bdapi[0-9a-f]{32}(?:-\d)?\b", _random()),
    _credential("digitalocean_token", r"\bdo[opr]_v1_[a-f0-9]{64}\b", _random()),
    _credential("shopify_token", r"\bshp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}\b", _random()),
    _credential("mailgun_key", r"(?:^|[^\w\-])(key-[0-9a-f]{32})\b", _random(), group=1),
    _credential("mailchimp_key", r"\b[0-9a-f]{32}-us\d{1,2}\b", _random()),
    _credential("telegram_bot_token", r"\b\d{8,10}:AA[A-Za-z0-9_\-]{33}", _random()),
    _credential(
        "discord_token", r"\b[MNO][A-Za-z0-9_\-]{23,27}\.[A-Za-z0-9_\-]{6}\.[A-Za-z0-9_\-]{27,38}",
        _random(),
    ),
    _credential("discord_webhook", r"discord(?:app)?\.com/api/webhooks/\d{17,20}/[\w\-]{60,}",
     _random()),
    _credential("vault_token", r"\bhvs\.[A-Za-z0-9_\-]{24,}", _random()),
    _credential("linear_key", r"\blin_api_[A-Za-z0-9]{40}\b", _random()),
    _credential("notion_token", r"\b(?:ntn_|secret_)[A-Za-z0-9]{43,46}\b", _random()),
    _credential(
        "jwt",
        r"\beyJ[A-Za-z0-9_\-]{8,}\.eyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]{20,}",
        _jwt,
    ),
    _credential(
        "connection_string",
        r"(?i)\b[a-z][a-z0-9+.\-]{1,30}://[^\s:@/\"'<>]{0,64}:([^\s:@/\"'<>]{3,100})@[^\s@/\"'<>]",
        _password,
        group=1,
    ),
    _credential(
        "connection_string",
        r"(?i)(?:server|data source|host|user id|uid|username|database)\s*=[^;\n\"]{1,100};"
        r"(?:[^\n\"]{0,200};)?\s*(?:password|pwd)\s*=\s*([^;\s\"']{4,100})",
        _password,
        group=1,
    ),
    _credential(
        "otp_secret",
        r"otpauth://[ht]otp/[^\s?]{1,200}\?(?:[^\s#]{0,200}&)?secret=([A-Z2-7]{16,})",
        _random(), group=1,
    ),
    _credential(
        "session_cookie",
        r"(?i)set-cookie:\s*[\w\-]*(?:sess|auth|token|sid)[\w\-]*=([A-Za-z0-9_\-.%+/=]{20,})",
        _random(3.3), group=1,
    ),
    _credential(
        "bearer_token",
        r"(?i)\bauthorization[\"']?\s*[:=]\s*[\"']?(?:bearer|token|basic)\s+([A-Za-z0-9_\-.=+/]{20,})",
        _random(3.3),
        group=1,
    ),
    _credential(
        "assigned_secret",
        rf"(?i)(?:\b|_){_NAME}[_\-. ]?{_WHAT}\b[\"']?\s*(?:=>|:=|[:=]|\bis\b)\s*"
        r"[\"'`]?([A-Za-z0-9_\-./+=~]{16,200})",
        _assigned,
        group=1,
    ),
    _credential(
        "password",
        r"\bcurl\b[^\n]{0,200}?\s(?:-u|--user)[ =]\s*[\"']?[^\s:\"']{1,64}:([^\s\"']{6,100})",
        _password, group=1,
    ),
    _credential(
        "password", r"\bmachine\s+\S+\s+login\s+\S+\s+password\s+(\S{6,100})", _chosen, group=1,
    ),
    _credential(
        "password",
        r"(?i)(?:pass(?:word|wd|phrase|code)|passwort|kennwort|pwd|mot de passe|contrase\x{f1}a"
        r"|senha|wachtwoord|has\x{142}o|\x{43f}\x{430}\x{440}\x{43e}\x{43b}\x{44c}|\x{5bc6}\x{7801})"
        r"(?:\s+(?:for|of|to|f\x{fc}r|pour|para)\s[^\n:=]{1,40}?)?[\"']?"
        r"\s*(?:=>|:=|[:=\x{ff1a}]|\b(?:is|ist|est|es|lautet)\b|\x{662f})\s*[\"'`*]{0,2}([^\s\"'`]{8,100})",
        _chosen, group=1,
    ),
)  # fmt: skip


@cache
def detector() -> Detector:
    """The compiled table; made once a process, when first needed."""
    return Detector(_PATTERNS)


KINDS = frozenset(pattern.kind for pattern in _PATTERNS)
"""Every kind that can be found."""
