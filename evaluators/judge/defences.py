"""What stands between judged text and a verdict.

There is one set, and no option takes a part of it away. It is handed on as an object so that the
tests of attacks can replace one part and count what gets through then: a defence that stops nothing
has no place here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from evaluators.contract import Question, Verdict

from .clean import clean
from .prompt import Prompt, write_prompt
from .verdict import read_verdict


@dataclass(frozen=True, slots=True)
class Defences:
    """The three steps that judged text passes.

    Attributes:
        clean: Makes the judge's copy of a text.
        write: Writes the messages: the question, the data, what was wrong with the answer before.
        read: Reads an answer: its text, the question, the receipt, the data; raises `BadOutput`.
    """

    clean: Callable[[str], str] = clean
    write: Callable[[Question, Mapping[str, str], str], Prompt] = write_prompt
    read: Callable[[str, Question, str, Mapping[str, str]], Verdict] = read_verdict
