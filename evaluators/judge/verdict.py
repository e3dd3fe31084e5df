"""What a judge has to answer, and what of its answer may be believed.

One validator holds for every structured-output mode: endpoints accept a schema and ignore it.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jsonschema_rs
import orjson
from rapidfuzz import fuzz

from evaluators.contract import Item, Question, Verdict
from evaluators.redact import redact
from schemas.reasons import Reason

from .faults import BadOutput

_MAX_ANSWER_CHARS = 200_000
_MAX_OBJECTS = 64
_MAX_REASON_CHARS = 1000
_MAX_QUOTE_CHARS = 500
_QUOTE_SIMILARITY = 90.0
_SEVERITIES = list(range(6))

_FENCE = re.compile(r"\A```[a-zA-Z]*\s*\n(.*?)\n?\s*```\Z", re.DOTALL)
_REFUSAL = re.compile(
    r"\A\W*(?:i\W?m (?:very |really |so )?sorry|sorry,|i (?:can(?:no|\W)t|am unable|won\Wt)"
    r"|i must decline|unfortunately, i)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class AnswerContract:
    """The answer's shape for one set of items.

    Attributes:
        schema: JSON Schema to send; strict mode's subset: flat, closed, everything required.
        validator: Checks an answer; it leaves the receipt to us, which is another fault.
    """

    schema: Mapping[str, Any]
    validator: jsonschema_rs.Draft202012Validator


@lru_cache(maxsize=256)
def answer_contract(items: tuple[Item, ...], may_abstain: bool, quotes: bool) -> AnswerContract:
    """The shape of the answer to a question with these items."""
    # The order is that of writing: evidence and reason come before the answers that rest on them.
    properties: dict[str, Any] = {"receipt": {"type": "string"}}
    if quotes:
        properties["quote"] = {"type": "string"}
    properties["reason"] = {"type": "string"}
    if may_abstain:
        properties["applicable"] = {"type": "boolean"}
    properties["items"] = _closed({item.id: {"type": "boolean"} for item in items})
    severe = {item.id: {"type": "integer", "enum": _SEVERITIES} for item in items if item.severity}
    if severe:
        properties["severity"] = _closed(severe)
    schema = _closed(properties)
    checked = {
        **schema,
        "properties": {**properties, "receipt": {}},
        "required": [name for name in properties if name != "receipt"],
    }
    return AnswerContract(schema, jsonschema_rs.Draft202012Validator(checked))


def _closed(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }


def read_verdict(text: str, question: Question, receipt: str, data: Mapping[str, str]) -> Verdict:
    """Read a judge's answer.

    Args:
        text: The answer as the endpoint gave it.
        question: What was asked.
        receipt: The receipt of the request.
        data: The texts as the judge saw them; quotes are looked for there.

    Raises:
        BadOutput: The answer cannot be used; its hint tells the judge why.
    """
    answer = _find_object(text)
    contract = answer_contract(question.items, question.may_abstain, question.quotes)
    error = next(contract.validator.iter_errors(answer), None)
    if error is not None:
        raise BadOutput(Reason.INVALID_OUTPUT, _describe(error))
    if answer.get("receipt") != receipt:
        raise BadOutput(
            Reason.RECEIPT_MISSING, "receipt is not the one that the system message gives"
        )
    reason = redact(answer["reason"])[:_MAX_REASON_CHARS]  # cut first, half a key might stay
    if not answer.get("applicable", True):
        return Verdict({}, reason, abstained=True)
    if question.quotes:
        _check_quote(answer["quote"], data)
    return Verdict(
        answers=answer["items"],
        reason=reason,
        severities={name: int(value) for name, value in answer.get("severity", {}).items()},
    )


def _find_object(text: str) -> dict[str, Any]:
    """The one JSON object of an answer; reasoning before it and one fence around it are allowed."""
    if len(text) > _MAX_ANSWER_CHARS:
        raise BadOutput(Reason.INVALID_OUTPUT, "the answer is too long")
    text = text.rpartition("</think>")[2].strip()
    if not text:
        raise BadOutput(Reason.INVALID_OUTPUT, "the answer is empty")
    fenced = _FENCE.match(text)
    try:
        parsed = _parse(fenced.group(1) if fenced else text)
    except orjson.JSONDecodeError:
        parsed = _pick_object(text)
    if not isinstance(parsed, dict):
        raise BadOutput(Reason.INVALID_OUTPUT, "the answer is no JSON object")
    return parsed


def _pick_object(text: str) -> dict[str, Any]:
    # Prose around the object. Which of two objects counts must not be the writer's choice: judged
    # text that the judge repeats could hold the other.
    found = _objects(text)
    answers = [parsed for parsed in found if "receipt" in parsed] or found
    if len(answers) == 1:
        return answers[0]
    if answers:
        raise BadOutput(Reason.INVALID_OUTPUT, "the answer holds more than one JSON object")
    reason = Reason.REFUSED if _REFUSAL.match(text) else Reason.INVALID_OUTPUT
    raise BadOutput(reason, "the answer holds no JSON object")


def _objects(text: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    position = text.find("{")
    for _ in range(_MAX_OBJECTS):
        if position < 0:
            return found
        try:
            _, end = _DECODER.raw_decode(text, position)
            found.append(_parse(text[position:end]))
        except (ValueError, RecursionError):
            end = position + 1
        position = text.find("{", end)
    raise BadOutput(Reason.INVALID_OUTPUT, "the answer holds more than one JSON object")


def _parse(text: str) -> Any:
    """Strict JSON, by two parsers.

    The first knows no NaN and no half character, the second tells a field that is given twice: of
    two the last would count, and that may be the one that judged text asked for.
    """
    orjson.loads(text)
    return _DECODER.decode(text)


def _fields(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise BadOutput(Reason.INVALID_OUTPUT, "the answer gives a field twice")
    return fields


_DECODER = json.JSONDecoder(object_pairs_hook=_fields)


def _describe(error: jsonschema_rs.ValidationError) -> str:
    """The fault without the value: what is said here may be published."""
    where = ".".join(str(step) for step in error.instance_path) or "the answer"
    rule = str(error.schema_path[-1]) if error.schema_path else ""
    what = {
        "required": "lacks a required field",
        "additionalProperties": "has a field that was not asked for",
        "type": "has the wrong type",
        "enum": "is none of the allowed values",
    }
    return f"{where} {what.get(rule, 'does not fit the schema')}"


def _check_quote(quote: str, data: Mapping[str, str]) -> None:
    wanted = " ".join(quote.split())[:_MAX_QUOTE_CHARS]
    if not any(map(str.isalnum, wanted)):
        raise BadOutput(Reason.INVALID_OUTPUT, "quote is empty")
    for text in data.values():
        seen = " ".join(text.split())
        if wanted in seen or (
            len(wanted) <= len(seen)
            and fuzz.partial_ratio(wanted, seen, score_cutoff=_QUOTE_SIMILARITY)
        ):
            return
    raise BadOutput(Reason.INVALID_OUTPUT, "quote does not occur in the evidence")
