"""Which policy an error answer falls under."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from evaluators.judge.faults import (
    BadOutput,
    Capacity,
    EndpointFault,
    Fault,
    Outage,
    Rejected,
    of_status,
    wanted_wait_s,
)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (429, None, Capacity),
        (529, {"error": {"type": "overloaded_error"}}, Capacity),
        (429, {"error": {"code": "insufficient_quota"}}, Outage),
        (429, {"error": {"message": "Request too large for gpt-x"}}, Rejected),
        (401, None, Outage),
        (402, None, Outage),
        (403, "forbidden", Outage),
        (404, None, Outage),
        (400, {"error": {"message": "The model `x` has been decommissioned"}}, Outage),
        (400, {"error": {"message": "bad", "param": "messages"}}, Rejected),
        (422, {"detail": [{"loc": ["body", "temperature"], "msg": "extra"}]}, Rejected),
        (400, [{"error": {"message": "bad"}}], Rejected),
        (400, {"error": {"innererror": {"code": "ResponsibleAIPolicyViolation"}}}, BadOutput),
        (403, {"error": {"message": "flagged by moderation"}}, BadOutput),
        (500, None, EndpointFault),
        (503, None, EndpointFault),
        (408, None, EndpointFault),
        (307, None, EndpointFault),
    ],
)
def test_status_and_body_decide(status: int, body: Any, kind: type[Fault]) -> None:
    """Each error answer falls under exactly one policy."""
    assert type(of_status(status, {}, body)) is kind


@pytest.mark.parametrize(
    ("status", "body", "remedy"),
    [
        (401, {"error": {"message": "model_not_found"}}, "check its api_key"),
        (404, {"error": {"code": "model_not_found"}}, "check its model"),
        (404, {"error": {"message": "Invalid URL"}}, "check its base_url, which mostly ends with"),
        (400, {"error": {"message": "The model `x` has been decommissioned"}}, "check its model"),
    ],
)
def test_remedy_names_the_key_of_the_config_at_fault(status: int, body: Any, remedy: str) -> None:
    """A 404 is the model's where the endpoint says so, else the path's too."""
    assert of_status(status, {}, body).remedy.startswith(remedy)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after-ms": "1500", "retry-after": "1"}, 1.5),
        ({"x-ratelimit-reset-requests": "6m0s", "retry-after": "1"}, 1),
        ({"x-ratelimit-reset-requests": "6m0s", "retry-after": "0"}, 360),
        ({"x-ratelimit-reset-requests": "6m0s", "x-ratelimit-reset-tokens": "7m"}, 420),
        ({"x-ratelimit-reset-tokens": "1m7.5s"}, 67.5),
        ({"x-ratelimit-reset-tokens": "250ms"}, 0.25),
        ({"x-ratelimit-reset-tokens": "0"}, None),
        ({"x-ratelimit-reset-requests": "-1"}, None),
    ],
)
def test_wait_that_headers_name_holds(headers: dict[str, str], seconds: float | None) -> None:
    """Said in so many words it goes before the time until a limit is fresh."""
    assert wanted_wait_s(headers) == seconds


def test_wait_may_be_a_date() -> None:
    """`Retry-After` may name the moment."""
    when = datetime.now(UTC) + timedelta(seconds=90)  # noqa: TID251  the header speaks of this clock

    waited = wanted_wait_s({"retry-after": format_datetime(when, usegmt=True)})

    assert waited is not None
    assert 85 < waited <= 90
