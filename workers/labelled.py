"""Items that people have labelled: one JSON object a line, for calibration and for anchors."""

from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from schemas.errors import ConfigError
from schemas.outcome import Source
from schemas.span import Message, Span, SpanKind

from .configured import Configured
from .engine import Job
from .router import Selected

Verdict = Literal["pass", "fail"]
PASS: Verdict = "pass"  # noqa: S105  a verdict


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class DrawnFrom(_Line):
    """All verdicts that a sample was drawn from, as estimated for all traffic."""

    count: Annotated[float, Field(gt=0)]
    pass_rate: Annotated[float, Field(ge=0, le=1)]


class Labelled(_Line):
    """One item.

    Attributes:
        human: What a person says; None: nobody has looked yet.
        evaluation_id: Of the outcome that it is about; a later label of the same one holds.
        judge: What the evaluator said, where it is known already.
        fingerprint: Of the evaluator that said it.
        probability: With which an item like this is in the sample; None: it is no sample.
        drawn_from: What the sample was drawn from.
    """

    human: Verdict | None = None
    evaluation_id: str | None = None
    judge: Verdict | None = None
    fingerprint: str | None = None
    probability: Annotated[float, Field(gt=0, le=1)] | None = None
    drawn_from: DrawnFrom | None = None
    system_prompt: str = ""
    input: str = ""
    context: tuple[str, ...] = ()
    output: str = ""


def read_items(path: Path) -> list[Labelled]:
    """Read a file of items, one JSON object a line.

    Raises:
        ConfigError: The file cannot be read, or a line is no item.
    """
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is no UTF-8; write one JSON object a line") from error
    return parse_items(text, path)


def parse_items(text: str, path: Path) -> list[Labelled]:
    """Read items from the text of the file at `path`.

    Raises:
        ConfigError: A line is no item.
    """
    lines = enumerate(text.splitlines(), 1)
    return [parse_item(line, f"{path}:{number}") for number, line in lines if line.strip()]


def parse_item(text: str | bytes, where: str) -> Labelled:
    """Read one item that stands at `where`.

    Raises:
        ConfigError: It is none.
    """
    try:
        return Labelled.model_validate_json(text)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(map(str, details["loc"])) or "the line"
        raise ConfigError(
            f'{where}: {key}: {details["msg"]}; write {{"human": "pass", "input": "...", '
            '"output": "..."}'
        ) from error


def jobs_of(
    items: Sequence[Labelled],
    evaluator: Configured,
    content: str,
    source: str,
    routes: tuple[str, ...] = (),
) -> list[Job]:
    """The evaluations that judge these items, as if each were a call.

    Args:
        items: What to judge.
        evaluator: Who judges.
        content: The content policy.
        source: What to call the place that the items come from.
        routes: Whose budgets pay.
    """
    selected = Selected(evaluator.name, routes, 1.0, content, None)
    return [
        Job(_span(item), evaluator, selected, Source(source, 0, place), item.context)
        for place, item in enumerate(items)
    ]


def _span(item: Labelled) -> Span:
    said = (("system", item.system_prompt), ("user", item.input))
    text = "\x00".join((item.system_prompt, item.input, *item.context, item.output))
    trace_id = blake2b(text.encode("utf-8", "replace"), digest_size=16).hexdigest()
    return Span(
        trace_id=trace_id,
        span_id=trace_id[:16],
        parent_span_id=None,
        name="labelled item",
        kind=SpanKind.LLM,
        convention=None,
        scope="assay",
        start_unix_nano=0,
        end_unix_nano=0,
        messages_in=tuple(Message(role, content) for role, content in said if content),
        output_text=item.output,
    )
