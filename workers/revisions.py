"""Which of several outcomes with one `evaluation_id` holds."""

from schemas.outcome import Outcome


class Revisions:
    """The highest revision holds, then the last; the outcomes are told in the topic's order.

    It remembers the evaluations of whole traces alone: that of a span has one revision.
    """

    def __init__(self) -> None:
        self._highest: dict[str, int] = {}

    def holds(self, outcome: Outcome) -> bool:
        """Whether it holds until the next one comes."""
        key = outcome.evaluation_id
        if outcome.revision < self._highest.get(key, 1):
            return False
        if outcome.revision > 1:
            self._highest[key] = outcome.revision
        return True
