"""Does the answer come in the language of the question?"""

import re

from evaluators.contract import JudgeUse, Need, Scope, Score, Settings, Skip, Subject
from evaluators.detectors.languages import language_of
from evaluators.options import Options, read_options
from schemas.outcome import EvaluatorKind

_NAMES = (
    r"english|german|french|spanish|italian|portuguese|dutch|polish|russian|ukrainian|turkish|"
    r"arabic|hindi|japanese|chinese|korean|swedish|danish|norwegian|finnish|greek|czech|hebrew|"
    r"englisch|deutsch|franz[öo]sisch|spanisch|italienisch|anglais|allemand|fran[çc]ais|espagnol|"
    r"italien|portugais|n[ée]erlandais|russe|arabe|japonais|chinois|cor[ée]en|latin|latein|"
    r"portugiesisch|niederl[äa]ndisch|polnisch|russisch|t[üu]rkisch|arabisch|japanisch|chinesisch|"
    r"italiano|portugu[eé]s|ruso|[áa]rabe|japon[eé]s|chino|coreano|giapponese|cinese|russo|"
    r"ingl[eé]s|alem[aá]n|franc[eé]s|espa[ñn]ol|inglese|tedesco|francese|spagnolo"
)
_ASKS = re.compile(
    rf"(?i)translat|übersetz|traduc|tradui|tradur|vertaal|tłumacz|перевед|翻译|翻譯|翻訳|번역|"
    rf"\b(?:in|into|to|auf|ins|en|al|em)\s+(?:{_NAMES})\b|"
    rf"\b(?:{_NAMES})\s+(?:words?|sentences?|phrases?|term|name|poem|song|text|greetings?)\b"
)
_ORDERS = re.compile(
    rf"(?i)\b(?:answer|respond|reply|write|speak|use|antworte|réponds|responde)\b.{{0,40}}"
    rf"\b(?:{_NAMES})\b"
)


class LanguageMatch:
    """Value 1 where input and output are in one language (label `same`), else 0 (`other`).

    Not applicable where either is too short or too mixed to tell, where the user asks for another
    language or a translation, and where the system prompt orders a language. Items: `input` and
    `output`, ISO 639 codes.
    """

    version = "2"
    kind = EvaluatorKind.HEURISTIC
    scope = Scope.SPAN
    needs = frozenset({Need.INPUT, Need.OUTPUT})
    judge_use = JudgeUse.NEVER
    deadline_s = 10.0
    content_fingerprint = ""

    def __init__(self, settings: Settings) -> None:
        read_options(Options, settings.options)
        self.threshold = 1.0 if settings.threshold is None else settings.threshold

    async def evaluate(self, subject: Subject) -> Score | Skip:
        """Compare the last user message with the answer."""
        asked, answer = subject.input_text, subject.output_text
        if not answer:
            return Skip("the span has no output text", missing=Need.OUTPUT)
        if not asked:
            return Skip("the span has no input", missing=Need.INPUT)
        if _ASKS.search(asked[:4000]) or _ORDERS.search(subject.system_text[:20_000]):
            return Skip("the conversation says which language the answer has to have")
        before, after = language_of(asked), language_of(answer)
        if before is None or after is None:
            which = "input" if before is None else "output"
            return Skip(f"the language of the {which} cannot be told")
        same = before == after
        return Score(
            value=float(same),
            label="same" if same else "other",
            explanation=None if same else f"Asked in {before}, answered in {after}.",
            items={"input": before, "output": after},
        )
