"""A rubric as a person writes it: a YAML file that is an evaluator, without code.

Everything that decides the score is in the file, so its version is derived from the content: who
edits a question starts a new series and forgets nothing.
"""

from enum import StrEnum
from hashlib import blake2b
from pathlib import Path
from typing import Annotated, Self

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from schemas.errors import ConfigError
from schemas.wording import fault_of
from schemas.yaml_file import Document, Location, dotted, parse_yaml

from .contract import Item, Need, Scope
from .options import nearest

_DIGEST_BYTES = 16
_VERSION_CHARS = 8

Text = Annotated[str, Field(min_length=1, max_length=20_000)]
_NAME = r"^[a-z][a-z0-9_]{0,63}$"
_VERSION = r"^[A-Za-z0-9][A-Za-z0-9_.]{0,31}$"
_PATTERNS = {
    _NAME: 'should be 1 to 64 lower-case letters, digits and "_", beginning with a letter',
    _VERSION: 'should be 1 to 32 letters, digits, "_" and "."',
}
"""What each pattern means, in words."""
Name = Annotated[str, Field(pattern=_NAME)]


class Input(StrEnum):
    """A field of the subject that is sent to the judge as data."""

    INPUT = "input"
    """The last user message."""
    OUTPUT = "output"
    CONTEXT = "context"
    SYSTEM_PROMPT = "system_prompt"
    REFERENCE = "reference"
    TOOL_CALLS = "tool_calls"
    CONVERSATION = "conversation"
    """All messages before the answer but the system's, in order."""
    TOOL_RESULTS = "tool_results"
    """The tool calls of a trace and what came of each; of a span, the results in its prompt."""


class Rule(StrEnum):
    """Which answers pass, where the config sets no threshold."""

    ALL = "all"
    ANY = "any"
    SHARE = "share"
    """Weighted share of good answers at or above `threshold`."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class RubricItem(_Section):
    """One yes-or-no question."""

    id: Name
    question: Text
    good: bool = True
    """The answer that speaks for the output."""
    weight: Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)] = 1.0
    severity: bool = False
    """Also ask how severe it is, 0 to 5; in a safety rubric always."""


class RubricFile(_Section):
    """The content of a rubric file."""

    name: Name
    version: Annotated[str, Field(pattern=_VERSION)] = "1"
    """A word for people; the digest of the content is added to it."""
    description: Text | None = None
    scope: Annotated[Scope, Field(strict=False)] = Scope.SPAN
    inputs: Annotated[
        tuple[Annotated[Input, Field(strict=False)], ...], Field(strict=False, min_length=1)
    ]
    needs: Annotated[
        tuple[Annotated[Need, Field(strict=False)], ...] | None, Field(strict=False)
    ] = None
    """What must be there; null: all that `inputs` names, tool calls and their results apart."""
    instructions: Text
    items: Annotated[tuple[RubricItem, ...], Field(strict=False, min_length=1, max_length=20)]
    rule: Annotated[Rule | None, Field(strict=False)] = None
    threshold: Annotated[float | None, Field(ge=0, le=1)] = None
    safety: bool = False
    """Score by severity: value = 1 - worst severity / 5, critical from 4 on."""
    examples: Annotated[tuple[Text, ...], Field(strict=False, max_length=10)] = ()
    may_abstain: bool = True
    quotes: bool = False
    """The judge must quote what decides; an answer without a quote that occurs is unreadable."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        ids = [item.id for item in self.items]
        if len(set(ids)) < len(ids):
            raise ValueError("items: each needs an id of its own")
        if self.safety and self.rule is not None:
            raise ValueError("rule: a safety rubric scores by severity; remove the rule")
        if self.safety and not all(item.severity for item in self.items):
            raise ValueError("items: each item of a safety rubric needs severity: true")
        if self.threshold is not None and self.rule in (Rule.ALL, Rule.ANY):
            raise ValueError(f"threshold: has no meaning for rule: {self.rule}; use rule: share")
        if self.threshold is None and self.rule is Rule.SHARE:
            raise ValueError("threshold: rule: share needs one; add it")
        return self

    @property
    def digest(self) -> str:
        """Hash of all that decides the score: 32 hex characters."""
        content = self.model_dump(mode="json", exclude={"description"})
        if not self.quotes:
            del content["quotes"]  # rubrics that are older than this key keep their version
        text = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
        return blake2b(text, digest_size=_DIGEST_BYTES).hexdigest()

    @property
    def full_version(self) -> str:
        """Version of the evaluator, such as `1-3f2a9c1d`."""
        return f"{self.version}-{self.digest[:_VERSION_CHARS]}"

    @property
    def contract_items(self) -> tuple[Item, ...]:
        """The items as the judge client takes them."""
        return tuple(Item(**item.model_dump()) for item in self.items)


def parse_rubric(text: str, path: Path) -> RubricFile:
    """Read a rubric from the text of the file at `path`.

    Raises:
        ConfigError: It is no rubric; the message has file, line, key and the nearest valid key.
    """
    document = parse_yaml(text, path)
    if not isinstance(document.data, dict):
        raise document.error("should be a mapping that begins with name: and inputs:", ())
    try:
        return RubricFile.model_validate(document.data)
    except ValidationError as error:
        raise _rubric_error(error, document) from None


def _rubric_error(error: ValidationError, document: Document) -> ConfigError:
    """The one message: unknown keys first, since they explain the missing ones."""
    details = min(error.errors(include_url=False), key=lambda one: one["type"] != "extra_forbidden")
    location: Location = tuple(part for part in details["loc"] if part != "[key]")
    if details["type"] == "extra_forbidden":
        *parents, name = location
        section: type[BaseModel] = RubricItem if parents else RubricFile
        where = f" in {dotted(tuple(parents))}" if parents else ""
        hint = nearest(str(name), section.model_fields)
        return document.error(f'unknown key "{name}"{where}; {hint}', location)
    return _fault(details, location, document)


def _fault(details: ErrorDetails, location: Location, document: Document) -> ConfigError:
    fault = fault_of(details, _PATTERNS)
    if details["type"] == "value_error":
        key, _, _ = fault.partition(":")
        return document.error(fault, (*location, key))
    return document.error(f"{dotted(location)} {fault}", location)
