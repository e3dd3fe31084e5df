"""An evaluator in a package of its own: `pip install ./examples/plugin`, and name it in a route."""

import re

from evaluators import EvaluatorKind, JudgeUse, Need, Scope, Score, Settings, Skip, Subject


class NoCompetitors:
    """Value 0 where the answer names one of the companies under `options: {names: [...]}`."""

    version = "1"  # change it when scores may change: each version is a series of its own
    kind = EvaluatorKind.HEURISTIC
    scope = Scope.SPAN
    needs = frozenset({Need.OUTPUT})  # without output the outcome is skipped(no_content)
    judge_use = JudgeUse.NEVER
    deadline_s = 1.0
    content_fingerprint = ""

    def __init__(self, settings: Settings) -> None:
        names = settings.options.get("names")
        if not isinstance(names, list) or not names:
            raise ValueError("options.names: should be a list of company names")
        self.threshold = 1.0 if settings.threshold is None else settings.threshold
        self._names = re.compile("|".join(re.escape(str(name)) for name in names), re.IGNORECASE)

    async def evaluate(self, subject: Subject) -> Score | Skip:
        """Look for the names in the answer."""
        if not subject.output_text:  # the model only called tools, say
            return Skip("the span has no text", missing=Need.OUTPUT)
        found = self._names.search(subject.output_text)
        return Score(
            value=0.0 if found else 1.0,
            label="named" if found else "clean",
            explanation="The answer names a competitor." if found else None,
        )
