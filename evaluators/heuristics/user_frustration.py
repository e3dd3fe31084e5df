"""Is the user losing patience? Phrases and repeated requests first, then a judge."""

from dataclasses import replace

from evaluators.contract import JudgeUse, Need, Scope, Score, Settings, Skip, Subject, Verdict
from evaluators.detectors import frustration
from evaluators.evidence import evidence
from evaluators.options import Options, read_options
from evaluators.rubric import builtin_rubric, question
from schemas.outcome import EvaluatorKind

_VALUES = {"calm": 1.0, "impatient": 0.5, "frustrated": 0.0}
_OFTEN = 2


class UserFrustration:
    """Value 1 where nothing shows (label `calm`), 0.5 `impatient`, 0 `frustrated`.

    It looks at the user's last message in the light of the earlier ones, which the span has to
    carry: else `skipped(missing_input)`. A call that goes on with a turn, because a tool answered,
    is `skipped(not_applicable)`: its user said nothing new.

    Frustrated: a complaint about the assistant, giving up, asking for a person, or the same words
    for the third time. Impatient: the same words again. Where neither is found and the config names
    a judge, the judge decides, rephrased requests included; without one a request that looks
    rephrased is impatient. Only `frustrated` fails by default.
    """

    version = f"1-{frustration.VERSION}"
    scope = Scope.SESSION
    needs = frozenset({Need.INPUT, Need.SESSION})
    judge_use = JudgeUse.OPTIONAL
    deadline_s = 10.0

    def __init__(self, settings: Settings) -> None:
        read_options(Options, settings.options)
        self.threshold = 0.5 if settings.threshold is None else settings.threshold
        self.kind = EvaluatorKind.CASCADE if settings.has_judge else EvaluatorKind.HEURISTIC
        self._rubric = builtin_rubric("user_frustration")
        self._question = question(self._rubric)
        self.content_fingerprint = self._rubric.digest if settings.has_judge else ""

    async def evaluate(self, subject: Subject) -> Score | Skip:
        """Look for signs; ask the judge about a message that shows none."""
        spoken = [m for m in subject.span.messages_in if m.role in ("user", "assistant", "tool")]
        said = [m.content for m in spoken if m.role == "user" and m.content]
        if len(said) < 2:  # noqa: PLR2004  it takes two to be a session
            return Skip("the span carries no earlier message of the user", missing=Need.SESSION)
        if spoken[-1].role != "user":
            return Skip("the call goes on with a turn that an earlier call began")
        sign = frustration.complaint(said[-1])
        same, rephrased = frustration.repeats(said)
        found: dict[str, object] = {"repeated": same, "rephrased": rephrased, "sign": sign}
        if sign is not None:
            return _score("frustrated", found, "phrase")
        if same:
            return _score("frustrated" if same >= _OFTEN else "impatient", found, "repetition")
        if subject.judge is None:
            return _score("impatient" if rephrased else "calm", found, "similarity")
        data = evidence(subject, self._rubric.inputs)
        verdict = await subject.judge.ask(replace(self._question, data=data))
        return _judged(verdict)


def _judged(verdict: Verdict) -> Score:
    answers = verdict.answers
    strong = answers["complains"] or answers["gives_up"] or answers["wants_a_human"]
    label = "frustrated" if strong else "impatient" if answers["repeats_request"] else "calm"
    return Score(
        value=_VALUES[label],
        label=label,
        explanation=verdict.reason,
        items={**answers, "decided_by": "judge"},
        injection_suspected=verdict.injection_suspected,
        truncated=verdict.truncated,
    )


def _score(label: str, found: dict[str, object], by: str) -> Score:
    return Score(value=_VALUES[label], label=label, items={**found, "decided_by": by})
