"""What a single value of `assay.yaml` may be: the types that its sections are made of."""

from datetime import datetime
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field

_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"
_LABEL = r"^[a-z][a-z0-9_]{0,63}$"
_TOPIC = r"^[A-Za-z0-9_-][A-Za-z0-9._-]{0,248}$"
_URL = r"^https?://[^/]"
_COMPLETIONS = "/chat/completions"
_SMALLEST_JURY = 3

PATTERNS = {
    _NAME: 'should be a name of 1 to 64 letters, digits, "_", "-" and "."',
    _LABEL: 'should be a label name of 1 to 64 lower-case letters, digits and "_"',
    _TOPIC: 'should be a topic name of 1 to 249 letters, digits, "_", "-" and "."',
    _URL: "should be an address that begins with http:// or https://",
}
"""What each pattern means, in words."""


def _no_boolean(value: Any) -> Any:
    # Pydantic reads true as 1; in a config that is a slip.
    if isinstance(value, bool):
        raise ValueError("should be a number, not true or false")  # noqa: TRY004  pydantic's way
    return value


def _address(value: str) -> str:
    try:
        _ = urlsplit(value).port
    except ValueError:
        raise ValueError(
            "has a host or port that cannot be read; write https://host:port"
        ) from None
    return value


def _base(address: str) -> str:
    if urlsplit(address).path.rstrip("/").endswith(_COMPLETIONS):
        raise ValueError(f"should not end with {_COMPLETIONS}, which is added to it; cut that off")
    return address


def _distinct(values: tuple[str, ...]) -> tuple[str, ...]:
    for index, value in enumerate(values):
        if value in values[:index]:
            raise ValueError(f'lists "{value}" twice; keep one of them')
    return values


def _odd(values: tuple[str, ...]) -> tuple[str, ...]:
    if len(values) < _SMALLEST_JURY or len(values) % 2 == 0:
        raise ValueError(
            f"has {len(values)} judges; name three, five or another odd number of them"
        )
    return values


def _start(value: Any) -> Any:
    if not isinstance(value, str) or value in ("latest", "earliest"):
        return value
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError(
            "should be latest, earliest or a time such as 2026-11-01T00:00:00Z"
        ) from None
    if moment.tzinfo is None:
        raise ValueError(f"needs a time zone; write {value}Z for UTC")
    return moment


NUMBER = BeforeValidator(_no_boolean)
"""On a number with bounds of its own."""
DISTINCT = AfterValidator(_distinct)
ODD = AfterValidator(_odd)

Count = Annotated[int, Field(ge=1), NUMBER]
Seconds = Annotated[float, Field(gt=0), NUMBER]
Dollars = Annotated[float, Field(ge=0), NUMBER]
Fraction = Annotated[float, Field(ge=0, le=1), NUMBER]
Text = Annotated[str, Field(min_length=1)]
Url = Annotated[str, Field(pattern=_URL), AfterValidator(_address)]
BaseUrl = Annotated[Url, AfterValidator(_base)]
Name = Annotated[str, Field(pattern=_NAME)]
LabelName = Annotated[str, Field(pattern=_LABEL)]
Topic = Annotated[str, Field(pattern=_TOPIC)]
Start = Annotated[Literal["latest", "earliest"] | AwareDatetime, BeforeValidator(_start)]
