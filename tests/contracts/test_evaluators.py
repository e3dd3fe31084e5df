"""One suite over every evaluator that is installed, with and without a judge."""

from collections.abc import Callable

import pytest

from evaluators import Evaluator, Settings, registry
from evaluators.testing import EvaluatorContract

_NAMES = [
    offer.name
    for offer in registry.available()
    if offer.distribution == "assay" and ".adapters." not in offer.value
]


@pytest.mark.parametrize("has_judge", [False, True], ids=["alone", "with judge"])
@pytest.mark.parametrize("name", _NAMES)
class TestEvaluators(EvaluatorContract):
    """Each built-in keeps the contract."""

    make: Callable[[], Evaluator]

    @pytest.fixture(autouse=True)
    def _choose(self, name: str, has_judge: bool) -> None:
        self.make = lambda: registry.load(Settings(name, has_judge=has_judge))


_RUBRIC = """
name: brand_voice
inputs: [input, output, context, system_prompt, reference, tool_calls, conversation]
needs: [output]
instructions: Decide whether the output is in the voice of the brand.
items:
  - {id: plain, question: "Is it free of jargon?"}
  - {id: shouts, question: "Does it shout?", good: false, weight: 2}
rule: share
threshold: 0.6
"""


class TestRubricFile(EvaluatorContract):
    """An evaluator without code keeps the contract too."""

    def make(self) -> Evaluator:
        """Build it from a file that sends everything to the judge."""
        return registry.load(Settings("brand_voice", rubric=_RUBRIC, has_judge=True))
