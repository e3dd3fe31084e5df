"""Evaluators of a plugin: a sound one, and two with the mistakes that authors make."""

from evaluators import (
    EvaluatorKind,
    JudgeUse,
    Need,
    Scope,
    Score,
    Settings,
    Skip,
    Subject,
)


class Politeness:
    """Scores 1 where the answer has the configured word in it."""

    version = "2"
    kind = EvaluatorKind.HEURISTIC
    scope = Scope.SPAN
    needs = frozenset({Need.OUTPUT})
    judge_use = JudgeUse.NEVER
    deadline_s = 1.0

    def __init__(self, settings: Settings) -> None:
        unknown = settings.options.keys() - {"word"}
        if unknown:
            raise ValueError(f"unknown option {sorted(unknown)}; there is word")
        self._word: str = settings.options.get("word", "please")
        self.threshold = 0.5 if settings.threshold is None else settings.threshold
        self.content_fingerprint = self._word

    async def evaluate(self, subject: Subject) -> Score | Skip:
        """Look for the word."""
        if not subject.output_text:
            return Skip("there is no text", missing=Need.OUTPUT)
        is_polite = self._word in subject.output_text.lower()
        return Score(value=float(is_polite), label="polite" if is_polite else "blunt")


class Crashing:
    """Cannot be built."""

    def __init__(self, settings: Settings) -> None:
        raise RuntimeError(f"no licence for {settings.name}")


class Undeclared:
    """Declares nothing."""

    def __init__(self, settings: Settings) -> None:
        self.name = settings.name
