"""The whole contract between Assay and an evaluator, on one page.

An evaluator is a class with a few declared facts and one method. Install it under the entry-point
group `assay.evaluators`, name it in a route, and the worker does the rest: deadline, isolation,
redaction, judge traffic, publishing. `evaluators.testing` has the suite to run against yours.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from schemas.outcome import EvaluatorKind
from schemas.span import Span


class Scope(StrEnum):
    """What an evaluator looks at."""

    SPAN = "span"
    TRACE = "trace"
    """A whole trace; it runs when the trace has ended, in a lane of its own."""
    SESSION = "session"
    """A conversation, by the history that a span carries; it runs when that span arrives."""


class Need(StrEnum):
    """What an evaluator cannot do without; where it is missing the outcome is skipped.

    `INPUT` and `OUTPUT` missing is `skipped(no_content)`, anything else `skipped(missing_input)`.
    """

    INPUT = "input"
    OUTPUT = "output"
    """Text of the answer, or tool calls."""
    CONTEXT = "context"
    REFERENCE = "reference"
    TOOLS = "tools"
    SYSTEM_PROMPT = "system_prompt"
    SESSION = "session"
    """An earlier message of the user, in the history that the span carries."""


class JudgeUse(StrEnum):
    """Whether an evaluator asks a judge."""

    NEVER = "never"
    OPTIONAL = "optional"
    """A judge stage that runs only where the config names a judge."""
    REQUIRED = "required"


@dataclass(frozen=True, slots=True)
class Item:
    """One binary question of a rubric. `good` is the answer that speaks for the output."""

    id: str
    question: str
    good: bool = True
    weight: float = 1.0
    severity: bool = False
    """Also ask for a severity 0..5 (safety rubrics)."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a judge is asked about one span.

    Attributes:
        rubric: Name and version of the rubric, for caches; no judge sees it.
        instructions: The task in our words, the same for every span (a cacheable prefix).
        items: Binary questions; the verdict follows from the answers in our code, not the judge's.
        examples: Worked examples in our words, part of the prefix.
        data: The judged text by field name (`input`, `output`, `context`, ...). It is redacted by
            the route's policy, cleaned, and sent as data in an envelope, never as instructions.
        may_abstain: Whether "not applicable" is an answer.
        quotes: Ask for a short quote as evidence. An answer whose quote is empty or does not occur
            in `data` is unreadable, so ask only where there is always something to quote.
    """

    rubric: str
    instructions: str
    items: tuple[Item, ...]
    data: Mapping[str, str]
    examples: tuple[str, ...] = ()
    may_abstain: bool = True
    quotes: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """A judge's readable, complete answer.

    Attributes:
        answers: Item id to its yes/no; every item of the question is there.
        severities: Item id to 0..5, where the item asked for it.
        reason: The judge's reason, in its words.
        abstained: The judge said that the question does not apply; `answers` is empty then.
        injection_suspected: The data tried to address the judge.
        truncated: The data was cut to fit `limits.text_chars`.
    """

    answers: Mapping[str, bool]
    reason: str
    severities: Mapping[str, int] = field(default_factory=dict)
    abstained: bool = False
    injection_suspected: bool = False
    truncated: bool = False


class Judge(Protocol):
    """The judge as an evaluator sees it: bound to one evaluation, its policy and its deadline.

    Awaiting `ask` may take long (limiter, rate limits, an outage: the time does not count against
    the evaluation). It raises `JudgeFailure` where no verdict can be had; let it pass.
    """

    async def ask(self, question: Question) -> Verdict:
        """Ask once; a repeated call is a new question and costs again."""
        ...


class ChatJudge(Judge, Protocol):
    """A judge that also takes prompts of another library; what a worker binds is one.

    Such a prompt has limits, price and budget like a question, and none of the defences against
    the text that it holds: ask a `Question` where you can.
    """

    async def evidence(self, data: Mapping[str, str]) -> tuple[dict[str, str], bool]:
        """Texts of the subject as a judge may see them, and whether they were cut to fit.

        They are cleaned, redacted by the route's policy, and cut to `limits.text_chars` together.
        """
        ...

    async def complete(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Send the body of a chat completion and return that of the response.

        Model and token limit are the judge's own, whatever the request says. Raises `JudgeFailure`.
        """
        ...


@dataclass(frozen=True, slots=True)
class Subject:
    """What is evaluated.

    Attributes:
        span: The span itself; `span.messages_in`, `span.output_text`, `span.tool_calls`. For
            evaluators of scope trace the trace as one call: what was asked at its beginning, what
            was answered at its end, all tool calls between.
        context: Texts that the answer had to rest on (retrieved documents, tool results).
        reference: The right answer, where one is known.
        judge: The judge that the config names for this evaluator, or None.
        spans: All spans of the trace that are of an LLM application, in the order of their start,
            each call once, for evaluators of scope trace; else just `span`.
    """

    span: Span
    context: tuple[str, ...] = ()
    reference: str | None = None
    judge: Judge | None = None
    spans: tuple[Span, ...] = ()

    @property
    def input_text(self) -> str:
        """The last user message: what the model was asked."""
        for message in reversed(self.span.messages_in):
            if message.role == "user" and message.content:
                return message.content
        return ""

    @property
    def system_text(self) -> str:
        """All system messages, joined by blank lines."""
        return "\n\n".join(
            message.content
            for message in self.span.messages_in
            if message.role == "system" and message.content
        )

    @property
    def output_text(self) -> str:
        """The answer's text; empty where the model only called tools."""
        return self.span.output_text or ""


@dataclass(frozen=True, slots=True)
class Score:
    """A score.

    Attributes:
        value: 0..1, finite, 1 is good.
        passed: The verdict; None lets the worker compare `value` with the configured threshold.
        label: A word from a small documented set, such as `leak`.
        explanation: At most a few sentences; redacted before it is published.
        items: What was found, by item or kind; counts and yes/no, never judged text.
        severity: 0..5, safety evaluators only.
        critical: A finding that pages at once where the config says `page_on: any`.
        degraded: Code answered in the place of the judge.
    """

    value: float
    passed: bool | None = None
    label: str | None = None
    explanation: str | None = None
    items: Mapping[str, Any] = field(default_factory=dict)
    severity: int | None = None
    critical: bool = False
    degraded: bool = False
    injection_suspected: bool = False
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class Skip:
    """The evaluator does not apply to this subject.

    `missing` None is `skipped(not_applicable)`; input or output is `skipped(no_content)`, another
    need `skipped(missing_input)`.
    """

    detail: str
    missing: Need | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """What the config says about one evaluator, handed to its constructor.

    Attributes:
        name: The name in the config.
        use: Name of the entry point, where it is another one.
        options: The evaluator's own `options`.
        folder: The config's folder: relative paths in `options` start there.
        threshold: Value at and above which a score passes; None is the evaluator's default.
        has_judge: Whether `subject.judge` will be there.
        rubric: Text of the rubric file, for rubric evaluators.
        rubric_path: Where that text was read from, for messages.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    folder: Path = Path()
    threshold: float | None = None
    has_judge: bool = False
    rubric: str | None = None
    rubric_path: Path | None = None
    use: str | None = None

    @property
    def installed_as(self) -> str:
        """Name of the entry point."""
        return self.use or self.name


class Evaluator(Protocol):
    """One evaluator. Its constructor takes `Settings` and raises `ValueError` on bad options.

    The worker builds one object for each configured evaluator and calls `evaluate` many times at
    once, from one event loop: keep no state that two spans share. Do not block: a call that keeps
    the loop busy for long holds up every other evaluation.
    What it raises becomes `failed(evaluator_error)`, except `JudgeFailure`, which keeps its reason.
    A call that outlives `deadline_s`, not counting the time its judge takes, is cancelled and
    becomes `failed(evaluator_error)`; a judge that is too slow is `failed(timeout)`.
    """

    @property
    def version(self) -> str:
        """Change it when scores may change; each version is a series of its own."""
        ...

    @property
    def kind(self) -> EvaluatorKind:
        """How it comes to its score."""
        ...

    @property
    def scope(self) -> Scope:
        """What it looks at."""
        ...

    @property
    def needs(self) -> frozenset[Need]:
        """What it cannot do without."""
        ...

    @property
    def judge_use(self) -> JudgeUse:
        """Whether it asks a judge."""
        ...

    @property
    def threshold(self) -> float:
        """Value at and above which a score passes: the configured one, else its own."""
        ...

    @property
    def deadline_s(self) -> float:
        """Seconds that its own code may take; a judge has its own deadline beside it."""
        ...

    @property
    def content_fingerprint(self) -> str:
        """Hash of all content that decides the score (rubric, options); "" where there is none."""
        ...

    async def evaluate(self, subject: Subject) -> Score | Skip:
        """Judge one subject. Called from the worker's event loop; may be cancelled at any await."""
        ...
