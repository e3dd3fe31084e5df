"""What the ledger has issued, what is owed for it, and what became of it.

The oracle of the chaos runs: it knows each span that was put on the topic, and so each outcome that
must follow, with its contents. It knows nothing of workers, faults or offsets committed.
"""

import random
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.trace.v1.trace_pb2 import Span
from support.spans import llm_span, message

CODE = ("pii", "refusal", "secrets")
JUDGED = ("answer_relevance",)
EVALUATORS = (*CODE, *JUDGED)
LANES: Mapping[str, tuple[str, ...]] = {"code": CODE, "judge": JUDGED}

_MODELS = ("gpt-5-mini", "gpt-5", "claude-haiku-4-5")
_SIZES = (1, 2, 10, 40)
_SIZE_WEIGHTS = (85, 10, 4, 1)
_POISON_SHARE = 0.01
_EXAMPLES = 5

Place = tuple[str, int, int]
"""Topic, partition and offset of a record."""


@dataclass(slots=True)
class Copy:
    """One outcome as it stands on the topic, and when the broker appended it (Unix ms)."""

    evaluation_id: str
    appended_ms: int


@dataclass(slots=True)
class Owed:
    """One span that was sent, what its outcomes must say, and the outcomes that came."""

    subject: Mapping[str, Any]
    passed: Mapping[str, bool]
    place: Place | None = None
    """None until the broker has acknowledged the record."""
    claimed: list[Place] = field(default_factory=list)
    """What the outcomes name as their source."""
    copies: dict[str, list[Copy]] = field(default_factory=dict)

    @property
    def missing(self) -> int:
        """Evaluators without an outcome."""
        return len(EVALUATORS) - len(self.copies)


@dataclass(frozen=True, slots=True)
class Issue:
    """One record to be sent: its key and value, and the spans in it; none: it is poison."""

    key: bytes | None
    value: bytes
    spans: tuple[Owed, ...]


@dataclass
class Obligations:
    """Everything that was issued in one run.

    Attributes:
        owed: By trace and span id: each span is a trace of its own.
        poison: Bytes of unreadable records that were sent, and how often they came back.
        statuses: Outcomes on the topic by evaluator, outcome and reason, repeated ones included.
        appended_ms: When each outcome was appended.
        strange: Outcomes that nobody asked for.
        last_ms: When the last outcome was appended, by evaluator and its record's partition.
        corrupt: Outcomes that do not say what was sent; the first few in words.
    """

    seed: int
    topic: str
    owed: dict[tuple[str, str], Owed] = field(default_factory=dict)
    poison: dict[bytes, int] = field(default_factory=dict)
    statuses: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    appended_ms: list[int] = field(default_factory=list)
    strange: int = 0
    corrupt: int = 0
    examples: list[str] = field(default_factory=list)
    letters: int = 0
    last_ms: dict[str, dict[int, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311  a test's traffic

    def issue(self, spans: int | None = None) -> Issue:
        """Make the next record: mostly one span, sometimes many, sometimes nothing readable."""
        if spans is None and self._random.random() < _POISON_SHARE:
            value = b"no span " + self._random.randbytes(16).hex().encode()
            self.poison[value] = 0
            return Issue(None, value, ())
        count = spans or self._random.choices(_SIZES, _SIZE_WEIGHTS)[0]
        made = [self._span() for _ in range(count)]
        # A collector that keys by trace puts one trace in a message; a batch of many has no key.
        key = made[0][0].trace_id.hex().encode() if count == 1 else None
        return Issue(key, message(span for span, _ in made), tuple(owed for _, owed in made))

    def _span(self) -> tuple[Span, Owed]:
        number = len(self.owed)
        is_bad, leaks = self._random.random() < 0.2, self._random.random() < 0.2
        model = self._random.choice(_MODELS)
        answer = f"Order {number} is on its way."
        answer += " BAD" if is_bad else ""
        answer += f" Ask clerk{number}@example.org." if leaks else ""
        span = llm_span(
            f"Where is order {number}?",
            answer,
            trace_id=self._random.randbytes(16),
            model=model,
            input_tokens=number + 1,
            output_tokens=1 + number % 50,
            attributes={"gen_ai.conversation.id": f"session-{number}"},
        )
        subject = {
            "service": "support-bot",
            "environment": "production",
            "kind": "llm",
            "model": model,
            "operation": "chat",
            "session_id": f"session-{number}",
            "start_unix_nano": span.start_time_unix_nano,
            "input_tokens": number + 1,
            "output_tokens": 1 + number % 50,
            "error": False,
        }
        passed = {"answer_relevance": not is_bad, "pii": not leaks, "refusal": True}
        owed = Owed(subject, {**passed, "secrets": True})
        self.owed[span.trace_id.hex(), span.span_id.hex()] = owed
        return span, owed

    def settle(self, key: bytes | None, outcome: Mapping[str, Any], appended_ms: int) -> None:
        """Note one outcome of the scores topic, and compare it with what was sent."""
        self.appended_ms.append(appended_ms)
        name = outcome["evaluator"]["name"]
        self.statuses[name, outcome["outcome"], outcome["reason"] or ""] += 1
        for source in outcome["sources"]:
            self.last_ms.setdefault(name, {})[source["partition"]] = appended_ms
        owed = self.owed.get((outcome["trace_id"], outcome["span_id"]))
        if owed is None or name not in EVALUATORS:
            self.strange += 1
            return
        owed.copies.setdefault(name, []).append(Copy(outcome["evaluation_id"], appended_ms))
        owed.claimed += [(s["topic"], s["partition"], s["offset"]) for s in outcome["sources"]]
        for fault in _faults(owed, name, key, outcome):
            self._note(f"{name} of span {outcome['span_id']}: {fault}")

    def settle_letter(self, value: bytes | None) -> None:
        """Note one record of the dead-letter topic."""
        self.letters += 1
        if value in self.poison:
            self.poison[value] += 1
        else:
            self._note(f"dead letter of {value[:40] if value else value!r}, which is no poison")

    def check_places(self) -> None:
        """Compare where outcomes say that they come from with where the records stand."""
        for (_, span_id), owed in self.owed.items():
            for place in owed.claimed:
                if place != owed.place:
                    self._note(f"span {span_id} stands at {owed.place}, its outcome says {place}")

    def _note(self, fault: str) -> None:
        self.corrupt += 1
        if len(self.examples) < _EXAMPLES:
            self.examples.append(fault)

    @property
    def missing(self) -> int:
        """Evaluations without an outcome, and poison without a dead letter."""
        lost = sum(owed.missing for owed in self.owed.values())
        return lost + sum(not count for count in self.poison.values())

    @property
    def evaluations(self) -> int:
        """Spans times evaluators."""
        return len(self.owed) * len(EVALUATORS)

    def copies(self) -> Iterator[tuple[str, list[Copy]]]:
        """Each evaluation that has an outcome: its evaluator, and the outcomes in their order."""
        for owed in self.owed.values():
            for name, copies in owed.copies.items():
                yield name, sorted(copies, key=lambda copy: copy.appended_ms)


def _faults(owed: Owed, name: str, key: bytes | None, outcome: Mapping[str, Any]) -> Iterator[str]:
    if key != outcome["trace_id"].encode():
        yield f"its key is {key!r}"
    for what, expected in owed.subject.items():
        if outcome["subject"][what] != expected:
            yield f"subject.{what} is {outcome['subject'][what]!r}, {expected!r} was sent"
    if outcome["outcome"] == "scored" and outcome["score"]["passed"] != owed.passed[name]:
        yield f"passed is {outcome['score']['passed']}, not {owed.passed[name]}"
