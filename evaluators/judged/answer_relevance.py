"""Does the answer deal with what was asked? A rubric, behind a gate that needs no judge."""

from evaluators.contract import Need, Score, Settings, Skip, Subject
from evaluators.openers import says_something
from evaluators.rubric import Rubric, builtin_rubric


class AnswerRelevance(Rubric):
    """The rubric `answer_relevance`.

    An answer that is empty, only punctuation or only an opener ("Sure! Here is the answer:") scores
    0 with the label `no_answer`, without a judge.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, builtin_rubric("answer_relevance"))

    async def evaluate(self, subject: Subject) -> Score | Skip:
        """Ask the judge about an answer that says something."""
        span = subject.span
        if not says_something(subject.output_text):
            if span.tool_calls:
                return Skip("the model only called tools; there is no text to judge")
            if span.output_text is None:
                return Skip("the span has no output", missing=Need.OUTPUT)
            return Score(
                value=0.0,
                passed=False,
                label="no_answer",
                explanation="The output is empty or only announces an answer.",
            )
        return await super().evaluate(subject)
