"""What all adapters share: options, the evidence by the names that libraries use, one result.

An adapter for another library is a subclass with two methods, `prepare` and `measure`.
"""

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from typing import Annotated, Any, ClassVar, Self, cast

import orjson
from pydantic import AfterValidator, Field

from evaluators.contract import ChatJudge, JudgeUse, Need, Scope, Score, Settings, Skip, Subject
from evaluators.judge.exchange import not_traced
from evaluators.options import nearest, read_options
from evaluators.references import ReferenceOptions
from schemas.outcome import EvaluatorKind

from .chat import Chat
from .scores import value_of

_REVISION = 1
"""Raise it when adapters come to other scores with the same library."""


def _scale(value: tuple[float, float] | None) -> tuple[float, float] | None:
    if value is not None and not value[0] < value[1]:
        raise ValueError("should be the lowest and the highest score, such as [1, 5]")
    return value


class AdapterOptions(ReferenceOptions):
    """Options of every adapter."""

    metric: str = Field(min_length=1)
    """The library's name for what it measures."""
    args: dict[str, Any] = Field(default_factory=dict)
    """Arguments of the metric, by the library's names."""
    range: Annotated[tuple[float, float] | None, Field(strict=False), AfterValidator(_scale)] = None
    """Its lowest and highest score; what is outside fails. Null: the metric's own, else 0..1."""
    higher_is_better: bool = True
    """Whether its highest score is good."""
    needs: Annotated[
        tuple[Annotated[Need, Field(strict=False)], ...] | None, Field(strict=False)
    ] = None
    """What a span must have; null: as far as it can be told from the metric."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a library gets to see of a subject.

    With a judge the texts are as the judge may see them: cleaned, redacted by the route's policy,
    cut to fit. Without one they stay in this process and are as they are.
    """

    input: str
    output: str
    context: list[str]
    reference: str | None
    tools: list[tuple[str, Any]]
    """Name and arguments of each tool call."""
    duration_s: float
    truncated: bool = False

    @classmethod
    async def of(cls, subject: Subject, judge: ChatJudge | None) -> Self:
        """What there is to see."""
        calls = subject.span.tool_calls
        texts = {"input": subject.input_text, "output": subject.output_text}
        if subject.reference is not None:
            texts["reference"] = subject.reference
        texts |= {f"context {place}": text for place, text in enumerate(subject.context)}
        texts |= {f"tool {place}": _as_json(call.arguments) for place, call in enumerate(calls)}
        truncated = False
        if judge is not None:
            texts, truncated = await judge.evidence(texts)
        return cls(
            input=texts["input"],
            output=texts["output"],
            context=[texts[f"context {place}"] for place in range(len(subject.context))],
            reference=texts.get("reference"),
            tools=[
                (call.name or "", _from_json(texts[f"tool {place}"]))
                for place, call in enumerate(calls)
            ],
            duration_s=subject.span.duration_s,
            truncated=truncated,
        )


@dataclass(frozen=True, slots=True)
class Metric:
    """A library's metric as far as it is known before anything is judged.

    Attributes:
        needs: What it looks at.
        asks_judge: Whether it asks a judge.
        scale: Its lowest and highest score.
    """

    needs: frozenset[Need]
    asks_judge: bool = True
    scale: tuple[float, float] = (0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Found:
    """What a library came to: its score as it gave it, and its reason."""

    score: object
    reason: str | None = None


class Adapter(ABC):
    """A metric of another library, as an evaluator.

    Attributes:
        distribution: The library's distribution; its version is part of the evaluator's.
        extra: Extra of Assay's that brings it.
        module: What is imported.
        switches: Environment variables that turn off what it sends home, set before the import.
    """

    distribution: ClassVar[str]
    extra: ClassVar[str]
    module: ClassVar[str]
    switches: ClassVar[Mapping[str, str]] = {}
    Options: ClassVar[type[AdapterOptions]] = AdapterOptions

    scope = Scope.SPAN
    deadline_s = 30.0
    content_fingerprint = ""  # the options are part of the identity

    def __init__(self, settings: Settings) -> None:
        self.options = read_options(self.Options, settings.options)
        os.environ.update(self.switches)
        metric = self.prepare(self._library())
        needs = metric.needs if self.options.needs is None else self.options.needs
        self.needs = frozenset(needs)
        self.judge_use = JudgeUse.REQUIRED if metric.asks_judge else JudgeUse.NEVER
        self.kind = EvaluatorKind.JUDGE if metric.asks_judge else EvaluatorKind.HEURISTIC
        self.version = f"{_REVISION}-{version(self.distribution)}"
        self.threshold = 0.5 if settings.threshold is None else settings.threshold
        self._scale = self.options.range or metric.scale

    @abstractmethod
    def prepare(self, library: Any) -> Metric:
        """Find the metric and try its arguments.

        Raises:
            ValueError: There is none of that name, or it does not take these arguments.
        """

    @abstractmethod
    async def measure(self, evidence: Evidence, chat: Chat) -> Found:
        """Let the library measure; called many times at once.

        Whatever it raises is `failed(evaluator_error)`, except where the judge failed before.
        """

    async def evaluate(self, subject: Subject) -> Score | Skip:
        """Let the library measure, with our judge."""
        if Need.OUTPUT in self.needs and not subject.output_text:
            return Skip("the answer has no text", missing=Need.OUTPUT)
        judge = cast(ChatJudge | None, subject.judge)
        evidence = await Evidence.of(subject, judge)
        with not_traced(), Chat(judge) as chat:
            found = await self.measure(evidence, chat)
        value = value_of(found.score, self._scale, higher_is_better=self.options.higher_is_better)
        return Score(value=value, explanation=found.reason, truncated=evidence.truncated)

    def _library(self) -> Any:
        try:
            return import_module(self.module)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{self.module}.".startswith(f"{error.name}."):
                raise
            raise ValueError(
                f'{self.distribution} is not installed; run: pip install "assay[{self.extra}]"'
            ) from error

    def named(self, library: Any, names: list[str]) -> Any:
        """What the library has under the metric's name.

        Raises:
            ValueError: The name is none of `names`.
        """
        if self.options.metric not in names:
            raise ValueError(
                f'unknown metric "{self.options.metric}" of {self.distribution}; '
                f"{nearest(self.options.metric, names)}"
            )
        return getattr(library, self.options.metric)

    def built(self, metric: Any, args: Mapping[str, Any], **ours: Any) -> Any:
        """The metric with arguments of the config and with ours.

        Raises:
            ValueError: It does not take them.
        """
        try:
            return metric(**{**args, **ours})
        except (TypeError, ValueError) as error:
            raise ValueError(f"option args: {self.options.metric}: {error}") from error


def _as_json(arguments: Any) -> str:
    return arguments if isinstance(arguments, str) else json.dumps(arguments, default=str)


def _from_json(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
