"""Verdicts that one judge has given, by what it was asked: the same is not judged twice.

Of the judged text only a hash is kept. A verdict that is given again is no new evidence, which is
for whoever counts scores to see to: `CallRecord.recalled` tells.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from hashlib import blake2b

import orjson

from evaluators.contract import Verdict
from schemas.events import Emit, VerdictLookedUp

from .evaluation import CallRecord
from .request import Request

KEPT_S = 3600.0
"""Seconds for which a verdict is given again: a provider may swap its model at any time."""


@dataclass(frozen=True, slots=True)
class _Given:
    verdict: Verdict
    model_answered: str | None
    mode: str | None
    at_s: float


class VerdictMemory:
    """The verdicts of one judge. Belongs to one event loop.

    Two evaluations that ask the same at the same time both ask the judge: neither would be served
    by waiting for the other's outage.

    Args:
        judge: Name of the judge in the config.
        size: Verdicts at most; the one that was given longest ago, or again, goes first.
        emit: Told of each look.
        clock: Monotonic clock, in seconds.
    """

    def __init__(self, judge: str, size: int, emit: Emit, clock: Callable[[], float]) -> None:
        self._judge = judge
        self._size = size
        self._emit = emit
        self._clock = clock
        self._given: OrderedDict[bytes, _Given] = OrderedDict()

    def __len__(self) -> int:
        """Verdicts that are kept, those that are too old included."""
        return len(self._given)

    async def verdict(
        self, request: Request, record: CallRecord, ask: Callable[[], Awaitable[Verdict]]
    ) -> Verdict:
        """The verdict that was given on the same request, else what the judge says now.

        An evaluation that asks the same again wants a second opinion, and gets one.

        Args:
            request: What is asked, before it is sent.
            record: The evaluation's; its `asker` is a part of what "the same" is.
            ask: Asks the judge; what it raises is not remembered.
        """
        key = _key(request, record)
        if key in record.looked_up:
            return await ask()
        record.looked_up.add(key)
        known = self._recall(key)
        self._emit(VerdictLookedUp(self._judge, is_known=known is not None))
        if known is None:
            said = await ask()
            self._remember(key, said, record)
            return said
        record.recalled += 1
        record.model_answered, record.mode = known.model_answered, known.mode
        return replace(
            _copied(known.verdict),
            injection_suspected=request.injection_suspected,
            truncated=request.truncated,
        )

    def _recall(self, key: bytes) -> _Given | None:
        known = self._given.get(key)
        if known is None:
            return None
        if self._clock() - known.at_s >= KEPT_S:
            del self._given[key]
            return None
        self._given.move_to_end(key)
        return known

    def _remember(self, key: bytes, said: Verdict, record: CallRecord) -> None:
        self._given[key] = _Given(_copied(said), record.model_answered, record.mode, self._clock())
        self._given.move_to_end(key)
        if len(self._given) > self._size:
            self._given.popitem(last=False)


def _key(request: Request, record: CallRecord) -> bytes:
    """Hash of all that decides the answer, and of who asks: one judge has one config.

    Judged text comes from outside, so the hash is one in which nobody finds two that are equal.
    """
    question = request.question
    asked = orjson.dumps(
        [
            record.asker,
            question.rubric,
            question.instructions,
            question.items,
            question.examples,
            question.may_abstain,
            question.quotes,
            list(request.data.items()),
        ]
    )
    return blake2b(asked, digest_size=32).digest()


def _copied(verdict: Verdict) -> Verdict:
    """With mappings of its own: an evaluator may change those that it gets."""
    return replace(verdict, answers=dict(verdict.answers), severities=dict(verdict.severities))
