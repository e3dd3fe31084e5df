"""A judge that answers by script, for tests."""

# ruff: noqa: S101  a script that does not fit is a failed test

import asyncio
from collections.abc import Callable, Iterable, Mapping

from .contract import Question, Verdict


class ScriptedJudge:
    """A judge that answers by script and keeps the questions.

    Attributes:
        asked: Every question, in order.
    """

    def __init__(
        self,
        answers: Mapping[str, bool] | Callable[[Question], Verdict] | None = None,
        *,
        severities: Mapping[str, int] | None = None,
        reason: str = "as scripted",
        abstains: bool = False,
        raises: Exception | None = None,
        hangs: bool = False,
    ) -> None:
        """Set the script.

        Args:
            answers: Item id to answer, as the judge would give it; the others speak for the output.
                Or a function that is asked; None: every answer speaks for the output.
            severities: Item id to 0..5, where the item asks for it; 0 for the others.
            reason: The reason of every verdict.
            abstains: Answer that every question is not applicable.
            raises: What to raise in the place of a verdict, such as a `JudgeFailure`.
            hangs: Never answer.
        """
        self.asked: list[Question] = []
        self._answers = answers or {}
        self._severities = severities or {}
        self._reason = reason
        self._abstains = abstains
        self._raises = raises
        self._hangs = hangs

    async def ask(self, question: Question) -> Verdict:
        """Answer by script.

        Raises:
            AssertionError: The script has an answer or a severity that nobody asks for.
        """
        self.asked.append(question)
        await asyncio.sleep(0)
        if self._hangs:
            await asyncio.Event().wait()
        if self._raises is not None:
            raise self._raises
        if callable(self._answers):
            return self._answers(question)
        if self._abstains:
            return Verdict({}, self._reason, abstained=True)
        severe = [item.id for item in question.items if item.severity]
        _check_script("answers", self._answers, [item.id for item in question.items])
        _check_script("severities", self._severities, severe)
        answers = {item.id: self._answers.get(item.id, item.good) for item in question.items}
        return Verdict(
            answers, self._reason, {name: self._severities.get(name, 0) for name in severe}
        )


def _check_script(what: str, script: Iterable[str], asked: Iterable[str]) -> None:
    """A typing error in a script would let a test pass that tests nothing."""
    unknown = sorted(set(script) - set(asked))
    assert not unknown, (
        f"the script has {what} to {', '.join(unknown)}, which the question does not ask for; "
        f"it asks for {', '.join(asked) or 'none'}"
    )
