"""What an evaluation's judge has said so far, for the case that it has to begin again."""

from collections import defaultdict
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import cast

from evaluators.contract import ChatJudge, Judge
from schemas.errors import JudgeFailure
from schemas.reasons import Reason

from .messages import Asking, Completion, Reply, Texts

Said = tuple[Reply | None, tuple[Reason, str] | None]
"""A reply, or (reason, detail) of a failure."""


@dataclass(slots=True)
class Verdicts:
    """Verdicts of one evaluation: where a neighbour took its process down, none is paid twice."""

    _given: dict[bytes, list[Said]] = field(default_factory=lambda: defaultdict(list))
    _used: dict[bytes, int] = field(default_factory=lambda: defaultdict(int))

    def rewind(self) -> None:
        """The evaluation begins again."""
        self._used.clear()

    async def ask(self, judge: Judge, question: Asking) -> Said:
        """What was said to this question before the evaluation began again, else ask."""
        key = blake2b(repr(question).encode("utf-8", "surrogatepass"), digest_size=16).digest()
        given, used = self._given[key], self._used[key]
        self._used[key] += 1  # before waiting: the same question asked twice is two questions
        if used < len(given):
            return given[used]
        said = await _asked(judge, question)
        given.append(said)
        return said


async def _asked(judge: Judge, question: Asking) -> Said:
    bound = cast(ChatJudge, judge)  # a worker binds no other
    try:
        match question:
            case Completion(body):
                return await bound.complete(body), None
            case Texts(data):
                return await bound.evidence(data), None
            case _:
                return await judge.ask(question), None
    except JudgeFailure as failure:
        return None, (failure.reason, failure.detail)
