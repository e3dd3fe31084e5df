"""Is the answer complete and in the form that the application has to read?"""

import json
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal, Self

import jsonschema_rs
import orjson
from pydantic import Field, model_validator

from evaluators.contract import JudgeUse, Need, Scope, Score, Settings, Skip, Subject
from evaluators.options import Options, read_options
from evaluators.patterns import compile_regex
from schemas.outcome import EvaluatorKind

_FENCES = ("```", "~~~")


class FormatOptions(Options):
    """Options of `format_valid`; without any, an answer has to be complete, and valid if JSON."""

    type: Literal["json", "text", "regex"] | None = None
    """null is `json` where there is a `schema`, `regex` where there is a `regex`."""
    schema_: str | dict[str, Any] | None = Field(default=None, alias="schema")
    """JSON Schema, or the path of a file that holds one; only references inside it are followed."""
    regex: str | None = None
    """RE2 expression that must occur; anchor it with ^ and $ for the whole answer."""
    fenced: bool = False
    """Whether JSON may stand in a Markdown code fence."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.schema_ is not None and self.type not in (None, "json"):
            raise ValueError("schema needs type: json")
        if self.regex is not None and self.type not in (None, "regex"):
            raise ValueError("regex needs type: regex")
        if self.schema_ is not None and self.regex is not None:
            raise ValueError("schema and regex exclude each other; use two evaluators")
        if self.type == "regex" and self.regex is None:
            raise ValueError("type: regex needs a regex")
        return self

    @property
    def effective_type(self) -> str | None:
        """The type, told from the other options where it is not given."""
        if self.type is not None:
            return self.type
        return "json" if self.schema_ is not None else "regex" if self.regex is not None else None


class FormatValid:
    """Value 1 with the label `ok`, else 0 with the first fault found.

    Labels: `empty`, `cut_off` (the model reached its token limit), `not_json`, `schema_mismatch`
    (items: `rule`, the place in the schema), `no_match`. A call that only asked for tools has no
    form to check and is skipped, unless it was cut off.
    """

    version = "1"
    kind = EvaluatorKind.HEURISTIC
    scope = Scope.SPAN
    # An empty answer is a finding here, not a reason to skip.
    needs: frozenset[Need] = frozenset()
    judge_use = JudgeUse.NEVER
    deadline_s = 10.0

    def __init__(self, settings: Settings) -> None:
        self._options = read_options(FormatOptions, settings.options)
        self.threshold = 1.0 if settings.threshold is None else settings.threshold
        self._type = self._options.effective_type
        self._regex = compile_regex(self._options.regex) if self._options.regex else None
        schema = _read_schema(self._options.schema_, settings.folder)
        self._schema = None if schema is None else _compile_schema(schema)
        self.content_fingerprint = _fingerprint(self._options, schema)

    async def evaluate(self, subject: Subject) -> Score | Skip:
        """Check one answer."""
        span = subject.span
        if span.finish_reason == "length":
            return _fault("cut_off", "The answer ends at the token limit of the model.")
        if span.output_text is None and not span.tool_calls:
            return Skip("the span has no output", missing=Need.OUTPUT)
        text = subject.output_text.strip()
        if not text:
            if span.tool_calls:
                return Skip("the model only called tools; there is no text to check")
            return _fault("empty", "The answer is empty.")
        return self._check(text)

    def _check(self, text: str) -> Score:
        match self._type:
            case "json":
                return self._check_json(text)
            case "regex" if self._regex and not self._regex.search(_utf8(text)):
                return _fault("no_match", "The answer does not match the expression.")
            case None if _begins_like_json(text) and not _begins_with_json(text):
                return _fault("not_json", "The answer begins as JSON and does not parse.")
        return _OK

    def _check_json(self, text: str) -> Score:
        if self._options.fenced:
            text = _without_fence(text)
        try:
            value = orjson.loads(_utf8(text))
        except orjson.JSONDecodeError:
            return _fault("not_json", "The answer is not valid JSON.")
        if self._schema is None:
            return _OK
        error = next(iter(self._schema.iter_errors(value)), None)
        if error is None:
            return _OK
        # The place in our schema: the place in the answer could be text of the answer.
        rule = "/" + "/".join(str(part) for part in error.schema_path)
        return _fault("schema_mismatch", f"The answer breaks the schema at {rule}.", {"rule": rule})


_OK = Score(value=1.0, label="ok")


def _fault(label: str, explanation: str, items: Mapping[str, Any] | None = None) -> Score:
    return Score(value=0.0, label=label, explanation=explanation, items=items or {})


def _read_schema(schema: str | dict[str, Any] | None, folder: Path) -> dict[str, Any] | None:
    if not isinstance(schema, str):
        return schema
    try:
        content = orjson.loads((folder / schema).read_bytes())
    except OSError as error:
        fault = (error.strerror or str(error)).lower()
        raise ValueError(f'option schema: "{schema}" cannot be read: {fault}') from error
    except orjson.JSONDecodeError as error:
        raise ValueError(f'option schema: "{schema}" is not valid JSON: {error}') from error
    if not isinstance(content, dict):
        raise ValueError(f'option schema: "{schema}" should hold a JSON object')  # noqa: TRY004  a bad option
    return content


def _compile_schema(schema: dict[str, Any]) -> jsonschema_rs.Validator:
    try:
        # The linear-time engine for `pattern`, and no network for `$ref`.
        return jsonschema_rs.validator_for(
            schema, pattern_options=jsonschema_rs.RegexOptions(), offline=True
        )
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        fault = str(error).partition("\n")[0]
        raise ValueError(f"option schema: is no valid JSON Schema: {fault}") from error


def _fingerprint(options: FormatOptions, schema: dict[str, Any] | None) -> str:
    content = [options.effective_type, options.regex, options.fenced, schema]
    data = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    return blake2b(data, digest_size=16).hexdigest()


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "replace")  # a lone surrogate has no UTF-8


def _begins_like_json(text: str) -> bool:
    start, rest = text[0], text[1:].lstrip()[:1]
    return (start == "{" and rest in ('"', "}")) or (start == "[" and rest in ("{", "[", '"'))


def _begins_with_json(text: str) -> bool:
    """Whether the text is a JSON value, perhaps with words after it."""
    try:
        json.JSONDecoder().raw_decode(text)
    except (json.JSONDecodeError, RecursionError):
        return False
    return True


def _without_fence(text: str) -> str:
    fence = text[:3]
    if fence not in _FENCES or not text.endswith(fence) or "\n" not in text:
        return text
    _, _, body = text.partition("\n")
    return body.removesuffix(fence)
