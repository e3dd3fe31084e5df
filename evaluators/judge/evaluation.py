"""What one evaluation carries from judge call to judge call: its deadline and its record."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from schemas.outcome import JudgeRecord


class Deadline:
    """A budget of seconds that stands still while a judge is waited for.

    Waiting for the limiter, for a rate limit or for an endpoint that is down is nobody's fault and
    does not count. Belongs to one event loop.

    Args:
        seconds: The budget.
        clock: Monotonic clock, in seconds.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._end = clock() + seconds
        self._pauses = 0
        self._paused_at = 0.0

    @property
    def is_paused(self) -> bool:
        """Whether it stands still now."""
        return self._pauses > 0

    def remaining(self) -> float:
        """Seconds left; zero or less once it has passed."""
        now = self._paused_at if self._pauses else self._clock()
        return self._end - now

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stand still inside the block; blocks may nest and overlap."""
        if not self._pauses:
            self._paused_at = self._clock()
        self._pauses += 1
        try:
            yield
        finally:
            self._pauses -= 1
            if not self._pauses:
                self._end += self._clock() - self._paused_at

    def give_back(self, seconds: float) -> None:
        """Uncount time that was spent on what does not count."""
        self._end += seconds

    def allow(self, seconds: float) -> None:
        """See to it that at least so much is left, but never more than the whole budget."""
        self.give_back(max(0.0, min(seconds, self._seconds) - self.remaining()))

    def restart(self) -> None:
        """Begin anew: what was spent was spent on an outage."""
        self.allow(self._seconds)


class CallRecord:
    """What the judge of one evaluation did so far, all its calls taken together.

    Args:
        route: The evaluation's; an endpoint serves routes by turns.
        asker: Whose verdicts a judge may give again: the evaluator, and all that decides its
            score. None: each is asked for anew.

    Attributes:
        asked: Questions that were put to the judge, whatever became of them.
        recalled: Questions that were not, because it has answered the same before.
        looked_up: Hashes of those that its verdicts were looked through for.
        sent: Requests that left, whatever became of them: from the first on, money is at stake.
        attempts: Requests that were sent; 429s are none.
        input_tokens: Tokens of all prompts, as the endpoint counted them.
        output_tokens: Tokens of all answers.
        cost_usd: None once a call had no known price.
        latency_s: Seconds spent in requests.
        model_answered: The model that answered last, as it called itself.
        mode: Structured-output mode of the last answer.
        injection_suspected: Some text tried to address the judge, whatever came of it.
        may_degrade: A cap was reached, and code may answer in the judge's place.
    """

    def __init__(self, route: str = "", asker: str | None = None) -> None:
        self.route = route
        self.asker = asker
        self.asked = 0
        self.recalled = 0
        self.looked_up: set[bytes] = set()
        self.sent = 0
        self.attempts = 0
        self.input_tokens = 0
        self.output_tokens = 0
        self.cost_usd: float | None = 0.0
        self.latency_s = 0.0
        self.model_answered: str | None = None
        self.mode: str | None = None
        self.injection_suspected = False
        self.may_degrade = False

    def add(self, other: "CallRecord") -> None:
        """Count what another record holds; its model and mode are the later ones."""
        self.attempts += other.attempts
        self.input_tokens += other.input_tokens
        self.output_tokens += other.output_tokens
        self.latency_s += other.latency_s
        self.injection_suspected |= other.injection_suspected
        self.model_answered = other.model_answered or self.model_answered
        self.mode = other.mode or self.mode
        if other.cost_usd is None or self.cost_usd is None:
            self.cost_usd = None
        else:
            self.cost_usd += other.cost_usd

    def to_record(self, model_asked: str) -> JudgeRecord:
        """The record for the outcome."""
        return JudgeRecord(
            model_asked=model_asked,
            model_answered=self.model_answered,
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            cost_usd=self.cost_usd,
            attempts=self.attempts,
            latency_s=round(self.latency_s, 6),
            mode=self.mode,
        )
