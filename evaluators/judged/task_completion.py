"""Did a run reach what the user wanted? A rubric over a whole trace, tool results as evidence."""

from evaluators.contract import Score, Settings, Verdict
from evaluators.rubric import Rubric, builtin_rubric

_VALUES = {"done": 1.0, "partly": 0.5, "not": 0.0, "unbacked": 0.0}


class TaskCompletion(Rubric):
    """Value 1 where the goal is reached (label `done`), 0.5 for a part (`partly`), else 0 (`not`).

    A run that claims an action which no successful tool result backs has the value 0 and the label
    `unbacked`, however well the rest went: its user believes what did not happen. A goal that is
    reached while a failure that matters is passed over is reached in part.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, builtin_rubric("task_completion"))

    def _share_score(self, verdict: Verdict) -> Score:
        label = label_of(verdict)
        return Score(
            value=_VALUES[label],
            label=label,
            explanation=verdict.reason,
            items=dict(verdict.answers),
            injection_suspected=verdict.injection_suspected,
            truncated=verdict.truncated,
        )


def label_of(verdict: Verdict) -> str:
    """How far the run got, by the judge's answers."""
    answers = verdict.answers
    if not answers["claims_backed"]:
        return "unbacked"
    if answers["goal_reached"]:
        return "done" if answers["failures_told"] else "partly"
    return "partly" if answers["part_reached"] else "not"
