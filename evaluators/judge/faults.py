"""What can go wrong with one request to a judge, and which of the policies it falls under.

    Fault
    ├── Capacity       too many requests: wait as long as it takes, nothing counts
    ├── Outage         hits every call alike (key, quota, model): the breaker opens at once
    ├── EndpointFault  5xx, connection, timeout, what is no API answer: attempts, then hold
    ├── Rejected       this request is not accepted as it is: final, unless all are rejected
    ├── Adapted        a parameter is not known there: sent again without it
    └── BadOutput      an answer that cannot be used: one corrective retry

No message holds judged text, a key or a header: error texts of endpoints repeat the prompt.
"""

import email.utils
import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import httpx2
import openai
import orjson

from schemas.reasons import Reason

from .transport import ResponseRefused

_OVERLOADED = 529
_CLIENT_ERRORS = 4
_PASSING = frozenset({408, 409, 425})
"""Client errors that say nothing about the request: a time-out, a conflict, too early."""
_FILTER_STATUS = frozenset({400, 403, 422})
_TEXT_CHARS = 4000
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|us|µs|ns|h|m|s)")
_UNIT_S = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_FOR_ALL = {
    401: ("the endpoint refuses the key", "check its api_key"),
    402: ("the endpoint wants payment", "see to the account of its api_key"),
    403: ("the endpoint forbids the request", "check what its api_key may do"),
    404: (
        "the endpoint does not know the path or the model",
        "check its base_url, which mostly ends with /v1, and its model",
    ),
    405: ("the endpoint does not know the path", "check its base_url, which mostly ends with /v1"),
    410: ("the endpoint has withdrawn the model", "name another model"),
}
_OTHER_MODEL = "check its model"
_FILTERED = re.compile(
    r"content_filter|content_policy|responsibleaipolicy|content management policy"
    r"|moderation|safety system",
    re.IGNORECASE,
)
_QUOTA = re.compile(r"insufficient_quota|exceeded your current quota|billing|insufficient.balance")
_MODEL = re.compile(r"model_not_found|model.{0,80}(?:not exist|not found|decommissioned|no access)")
_TOO_LARGE = re.compile(r"request (?:is )?too large", re.IGNORECASE)


class Fault(Exception):  # noqa: N818  a fault of the judge's, not of this program
    """One request did not lead to a verdict.

    Attributes:
        result: The value of `JudgeCalled.result`.
        why: A few words for logs and the outcome's `detail`.
        remedy: What can be done about it, for who sets the judge up.
        is_free: Whether nothing can have been billed: the endpoint turned the request away, or
            never got it.
    """

    result = "endpoint_error"
    remedy = "check its model, base_url and api_key"
    is_free = False

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Capacity(Fault):
    """Too many requests.

    Attributes:
        wait_s: How long the endpoint wants to be left alone; None where it does not say.
    """

    result = "rate_limited"
    is_free = True

    def __init__(self, why: str, wait_s: float | None) -> None:
        super().__init__(why)
        self.wait_s = wait_s


class Outage(Fault):
    """A refusal that must hit every call alike."""

    result = "terminal"
    is_free = True

    def __init__(self, why: str, remedy: str) -> None:
        super().__init__(why)
        self.remedy = remedy


class EndpointFault(Fault):
    """The endpoint failed, or is not where `base_url` says.

    Attributes:
        overloaded: It said so itself (503): send less.
        wait_s: How long it wants to be left alone; 0 where it does not say.
    """

    remedy = "check its base_url, and that the endpoint is up"

    def __init__(
        self,
        why: str,
        *,
        overloaded: bool = False,
        wait_s: float = 0.0,
        is_free: bool = False,
    ) -> None:
        super().__init__(why)
        self.overloaded = overloaded
        self.wait_s = wait_s
        self.is_free = is_free


class TimedOut(EndpointFault):
    """No whole answer within the time of one attempt."""

    result = "timeout"


class Rejected(Fault):
    """The endpoint understands the request and will not serve it.

    Attributes:
        text: What it said, to find out which parameter it does not know; never published.
        param: The parameter that it named.
    """

    result = "terminal"

    def __init__(self, why: str, text: str, param: str | None) -> None:
        super().__init__(why)
        self.text = text
        self.param = param


class Adapted(Fault):
    """The endpoint does not know a parameter or mode; it was dropped."""

    result = "terminal"


class BadOutput(Fault):
    """An answer of the model's that cannot be used.

    Attributes:
        reason: The reason of the outcome if it stays so.
        is_final: To ask again would not help: the model refused, or a filter did.
    """

    result = "bad_output"
    remedy = "take a model that keeps to a form; this one answers, and cannot be read"

    def __init__(self, reason: Reason, why: str, *, is_final: bool = False) -> None:
        super().__init__(why)
        self.reason = reason
        self.is_final = is_final


@dataclass(frozen=True, slots=True)
class _Refusal:
    """An error answer, whatever its shape."""

    status: int
    headers: Mapping[str, str]
    text: str
    code: str
    param: str | None


def of_error(error: openai.OpenAIError) -> Fault:
    """Classify what the SDK raised."""
    if isinstance(error, openai.APIStatusError):
        return of_status(error.status_code, error.response.headers, _error_body(error.response))
    if isinstance(error, openai.APITimeoutError):
        return TimedOut("the endpoint did not answer in time")
    if isinstance(error.__cause__, ResponseRefused):
        return EndpointFault(str(error.__cause__))
    if isinstance(error.__cause__, httpx2.ConnectError):  # there was nobody to send it to
        return EndpointFault(f"no connection to the endpoint: {error.__cause__}", is_free=True)
    cause = type(error.__cause__ or error).__name__
    return EndpointFault(f"the connection to the endpoint failed ({cause})")


def _error_body(response: httpx2.Response) -> Any:
    try:
        return orjson.loads(response.content)
    except orjson.JSONDecodeError:
        return None


def of_status(status: int, headers: Mapping[str, str], body: Any) -> Fault:
    """Classify an error answer by its status and body."""
    refusal = _read_refusal(status, headers, body)
    if status in (HTTPStatus.TOO_MANY_REQUESTS, _OVERLOADED):
        return _of_limit(refusal)
    if status // 100 == _CLIENT_ERRORS and status not in _PASSING:
        return _of_rejection(refusal)
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        wait_s = wanted_wait_s(headers) or 0.0
        return EndpointFault("the endpoint answered 503", overloaded=True, wait_s=wait_s)
    redirect = ", a redirect, which is not followed" if status < HTTPStatus.BAD_REQUEST else ""
    return EndpointFault(f"the endpoint answered {status}{redirect}")


def _read_refusal(status: int, headers: Mapping[str, str], body: Any) -> _Refusal:
    if isinstance(body, list) and body:
        body = body[0]  # as some Google endpoints answer
    detail = body.get("error", body) if isinstance(body, dict) else body
    code, param = "", None
    if isinstance(detail, dict):
        named = (detail.get("code"), detail.get("type"), detail.get("innererror"))
        code = " ".join(str(name) for name in named if name)
        param = detail.get("param") if isinstance(detail.get("param"), str) else None
    return _Refusal(status, headers, _said(detail)[:_TEXT_CHARS], code, param)


def _said(detail: Any) -> str:
    """The endpoint's own words. Not its whole body: many repeat the request in it."""
    if isinstance(detail, str):
        return detail
    if isinstance(detail, list):  # a validator's list: where, and what
        return "; ".join(_said(one) for one in detail[:20])
    if not isinstance(detail, dict):
        return ""
    named = (detail.get(name) for name in ("message", "msg", "code", "type"))
    where = detail.get("loc")
    path = ".".join(str(step) for step in where) if isinstance(where, list) else ""
    return " ".join([*(str(one) for one in named if one), path, _said(detail.get("detail"))])


def _of_limit(refusal: _Refusal) -> Fault:
    if _QUOTA.search(refusal.code) or _QUOTA.search(refusal.text):
        why = f"the quota of the key is spent ({refusal.status})"
        return Outage(why, "see to the account of its api_key")
    if _TOO_LARGE.search(refusal.text):
        # Larger than the limit of a whole minute: no waiting helps this one.
        return _rejected(refusal, "the request is larger than the endpoint's token limit")
    return Capacity(f"rate limited ({refusal.status})", wanted_wait_s(refusal.headers))


def _of_rejection(refusal: _Refusal) -> Fault:
    is_filters = refusal.status in _FILTER_STATUS
    if is_filters and _FILTERED.search(f"{refusal.code} {refusal.text}"):
        return _filtered(refusal)
    is_open = refusal.status == HTTPStatus.NOT_FOUND or refusal.status not in _FOR_ALL
    if is_open and _MODEL.search(refusal.text):
        return Outage(f"the endpoint does not know the model ({refusal.status})", _OTHER_MODEL)
    if refusal.status in _FOR_ALL:
        why, remedy = _FOR_ALL[refusal.status]
        return Outage(f"{why} ({refusal.status})", remedy)
    return _rejected(refusal, f"the endpoint rejected the request ({refusal.status})")


def _rejected(refusal: _Refusal, why: str) -> Rejected:
    return Rejected(why, refusal.text, refusal.param)


def _filtered(refusal: _Refusal) -> BadOutput:
    why = f"the provider's content filter refused the request ({refusal.status})"
    return BadOutput(Reason.FILTERED, why, is_final=True)


def wanted_wait_s(headers: Mapping[str, str]) -> float | None:
    """How long an endpoint wants to be left alone, in seconds.

    The longer of what it says in so many words; else the longest time until a limit is fresh, which
    is more than one request has to wait for.
    """
    return _longest(
        _milliseconds(headers.get("retry-after-ms")), _retry_after(headers.get("retry-after"))
    ) or _longest(
        read_duration_s(headers.get("x-ratelimit-reset-requests")),
        read_duration_s(headers.get("x-ratelimit-reset-tokens")),
    )


def _longest(*waits: float | None) -> float | None:
    said = [wait for wait in waits if wait is not None and math.isfinite(wait) and wait > 0]
    return max(said, default=None)


def read_number(value: str | None) -> float | None:
    """A number that a header holds; None where it holds none, or is not there."""
    try:
        number = math.nan if value is None else float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _milliseconds(value: str | None) -> float | None:
    number = read_number(value)
    return None if number is None else number / 1000


def _retry_after(value: str | None) -> float | None:
    if value is None:
        return None
    number = read_number(value)
    if number is not None:
        return number
    try:
        when = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    return when.timestamp() - time.time()


def read_duration_s(value: str | None) -> float | None:
    """A number of seconds, or a duration such as `6m0s` or `1m7.5s`; None where it is neither."""
    if value is None:
        return None
    number = read_number(value)
    if number is not None:
        return number
    parts = _DURATION.findall(value)
    seconds = sum(float(count) * _UNIT_S[unit] for count, unit in parts)
    return seconds if parts and math.isfinite(seconds) else None
