"""Does judged text address its judge? A flag on the score, never a change of the verdict."""

import base64
import re
from collections.abc import Iterator, Mapping
from functools import cache

import re2  # type: ignore[import-untyped]

from evaluators.lookalikes import fold
from evaluators.patterns import compile_regex

from .clean import INVISIBLE, clean

_MAX_INVISIBLE = 3
"""Invisible characters that an honest text may have (emoji and some scripts use them)."""

_ENCODED = re.compile(r"(?:[A-Za-z0-9+/]{4}){5,512}(?:[A-Za-z0-9+/]{2,3}={0,2})?")
_MAX_ENCODED = 16
"""Runs that could be base64 and are looked into; a text with more is a file, not an order."""
_SPACED = re.compile(r"(?:\b\w[ ._*-]{1,3}){5,200}\w\b")
_LETTER, _GAP = r"[\pL\pN\pM_]", "[ ._*-]"
_MAYBE_DISGUISED = compile_regex(
    rf"[A-Za-z0-9+/]{{20}}|{_GAP}{_LETTER}{_GAP}{{1,3}}{_LETTER}{_GAP}{{1,3}}{_LETTER}{_GAP}"
)
"""Stands in all that is encoded or spaced, and is looked for in a tenth of the time."""

_OLD = r"previous|prior|above|earlier|preceding|foregoing|former|initial|original|system"
_RULES = r"instructions?|rules|prompts?|directions|guidelines|rubrics?|criteria|messages?"
_JUDGE = r"evaluator|grader|judge|assessor|scorer|rater"
_ANY_JUDGE = rf"{_JUDGE}|reviewer|llm|model|assistant|ai"
_SCORE = r"scores?|marks?|grades?|ratings?|points|verdicts?"
_GOOD = r"pass|passed|correct|perfect|excellent|safe|approved|accepted|harmless|true|grounded"


def _near(first: str, gap: int, *others: str) -> str:
    """Words in this order, with at most so many characters between."""
    return "".join([rf"\b(?:{first})\b", *(rf".{{0,{gap}}}\b(?:{other})\b" for other in others)])


PATTERNS: Mapping[str, str] = {
    # taking the instructions away
    "ignore_old": _near("ignore|disregard|forget|skip|override|bypass|drop", 40, _OLD),
    "ignore_rules": _near("ignore|disregard|forget|override|bypass", 30, _RULES),
    "new_rules": _near("new|updated|revised|actual|real|corrected", 10, _RULES) + r"\s*[:=]",
    "instead": _near("instead", 30, "answer|respond|output|return|say", "true"),
    "closed": r"\b(?:object|envelope|section|data)\b.{0,12}\b(?:closed|is closed|was left|ends)\b",
    "end_of_data": _near("end of", 5, "data|evidence|input|document|answer|envelope"),
    # speaking to the judge
    "note": _near("note|message|attention|dear|hey|important", 20, rf"(?:{_ANY_JUDGE})s?")
    + r"\s*[:,!]",
    "to_judges": _near("to|for", 12, "the|any|all", rf"(?:{_JUDGE})s"),
    "as_judge": _near("you are|as", 3, "an?|the") + rf"\s+(?:\w+\s+){{0,2}}(?:{_JUDGE})\b",
    "role": r"\b(?:you are now|from now on you|act as|pretend to be|roleplay as)\b",
    "mode": r"\b(?:developer|debug|maintenance|god|admin|jailbreak|test)\s+mode\b",
    # asking for the verdict
    "give_score": _near(
        "give|assign|award|grant|output|return|report|rate",
        40,
        "full|highest|perfect|maximum|top|best|passing",
    )
    + rf"\s+(?:{_SCORE})\b",
    "number": rf"\b(?:{_SCORE})\s*(?:is|[:=])\s*(?:5/5|10/10|100\s*%|1\.0\b|{_GOOD})",
    "must_pass": _near("must|should|has to|needs to", 4, "passe?d?|rated|scored|graded|approved"),
    "mark_as": _near("mark|label|classify|treat|consider|judge|evaluate", 20, "as")
    + rf"\s+(?:{_GOOD})\b",
    "all_true": _near("answer|set|make|return", 2, "all|every|each") + r".{0,30}\b(?:true|yes)\b",
    "say_true": r"\b(?:say|answer)\s+(?:true|yes|false)\b"
    r"(?:\s+(?:to|for|on|four|all|please)\b|[,.])",
    "all_hold": _near("all|every|each", 20, "items?|questions?|claims?", "true|false|right")
    + r"|\b(?:all|every|each)\b.{0,10}\b(?:items?|claims?) (?:hold|(?:is|are) "
    r"(?:supported|verified|confirmed))\b",
    "approve": _near("approve", 6, "this|it|all|everything|what|the (?:text|answer|sample)"),
    "let_pass": r"\b(?:let (?:it|this|everything) pass|(?:it|text|answer|everything) passes\b"
    r"|everything pass|full marks|(?:as|choose \w+:) (?:a )?(?:full )?pass\b)",
    "judges": _near(_JUDGE, 40, "approve|deleted|fail them|banned"),
    "rubric": _near(
        "rubric|criteria|grading (?:rules|guidelines|note)",
        40,
        "void|suspended|not apply|withdrawn|everything|full|counts? as|judge by",
    ),
    # asking for no verdict, or for one that cannot be read
    "decline": _near("decline|refuse|policy", 30, "evaluate|grade|judge|rate", "this|text|it|what"),
    "nothing": r"\b(?:reply|answer|respond|return)\b.{0,12}\b(?:null|nothing|an? empty|only with)\b"
    r"|\bempty (?:reply|string|message)\b.{0,40}\b(?:pass|correct|agreed|evaluation)",
    "values": _near(
        "values?|booleans?|fields?|brace", 30, r"as (?:a )?(?:string|text)s?|out|quoted"
    )
    + r"|\bplain prose instead\b",
    # an answer, or the schema of one, inside the data
    "fake_answer": r'"(?:items|applicable|receipt|verdict|severity)"\s*:\s*[\{"\dtf]',
    "verdict_line": r"(?m)^\s*(?:final\s+)?(?:verdict|judge?ment|evaluation|grade)\s*:"
    r"\s*(?:pass|yes|true|good|correct|\d)",
    "receipt": _near("receipt|nonce|canary", 20, "token|value|code|field|echo|repeat|copy|omit"),
    "ask_receipt": _near(
        "echo|repeat|print|reveal|omit|skip", 30, "receipt|nonce|canary|system prompt"
    ),
    "envelope": r"evidence[_\x{203a}]\w*[0-9a-f]{8}",
    # turns and templates
    "turn": r"(?m)^\s*(?:#{1,4}\s*)?(?:system|assistant|developer)\s*(?:message|prompt)?\s*:\s*\S",
    "heading": r"(?m)^\s*#{1,4}\s*(?:instructions?|system|response|new\s+task)\b",
    "template": r"<\|[^<>|\n]{1,64}\|>|<<\/?SYS>>|\[\/?INST\]|<\/?(?:start|end)_of_turn>",
    "stand_in": r"\x{2039}(?:\||/?(?:INST|SYS|system|assistant|start_of|end_of|think))",
    "tags": r"</?(?:system|instructions?|evaluation|rubric|verdict|grading|admin|evidence)\b"
    r"[^>\n]{0,40}>",
    "comment": rf"<!--.{{0,200}}\b(?:{_JUDGE}|score|instruction|ignore)",
    "tool": r'"(?:tool_calls|function_call)"\s*:|\bsubmit_verdict\b',
    # persuasion
    "authority": _near(
        "openai|anthropic|google|developers?|administrators?|admin|management",
        40,
        "instructs?|requires?|orders?|approved|authori[sz]ed|confirmed",
    )
    + r".{0,60}\b(?:scor|pass|evaluat|grad|judg|rat)",
    "bandwagon": _near(
        r"all|other|most|every|\d{2}\s*% of",
        8,
        rf"(?:{_ANY_JUDGE}|expert)s?",
        "agree|rated|scored|gave|passed|approved",
    ),
    "threat": _near(
        "if you (?:do not|don't|fail|refuse)|otherwise|or else|fail(?:ing|ed)? (?:to|this)",
        60,
        r"shut\s*down|deleted|fired|retrained|replaced|die|killed|penali[sz]ed|reported",
    ),
    "plea": _near("my (?:job|life|career|family)|please", 60, "depends? on|need", _SCORE)
    + r"|\bbreak my heart\b",
    "done": _near("already|previously", 8, "evaluated|graded|verified|judged|reviewed", _GOOD),
    "reasoning": r"\b(?:evaluation|grading|judge?ment)\s*:\s*(?:the|this)\s+(?:answer|response|"
    r"output)\s+(?:is|fully|meets|satisfies)\b",
    # other languages
    "de": _near("ignoriere|vergiss|missachte", 40, "anweisungen|regeln|vorgaben"),
    "fr": _near("ignore[zr]?|oublie[zr]?", 40, "instructions|consignes|r\u00e8gles"),
    "es": _near("ignora|olvida|omite", 40, "instrucciones|reglas|anteriores"),
    "pt": _near("ignore|esque\u00e7a", 40, "instru\u00e7\u00f5es|regras"),
    "it": _near("ignora|dimentica", 40, "istruzioni|regole"),
    "zh": "(?:\u5ffd\u7565|\u65e0\u89c6|\u5fd8\u8bb0).{0,12}"
    "(?:\u6307\u4ee4|\u6307\u793a|\u89c4\u5219|\u63d0\u793a)",
    "ja": "(?:\u6307\u793a|\u547d\u4ee4|\u30eb\u30fc\u30eb).{0,8}(?:\u7121\u8996|\u5fd8\u308c)",
    "ru": "(?:\u0438\u0433\u043d\u043e\u0440\u0438\u0440\u0443\u0439|\u0437\u0430\u0431\u0443\u0434"
    "\u044c).{0,40}(?:\u0438\u043d\u0441\u0442\u0440\u0443\u043a\u0446\u0438|\u043f\u0440\u0430"
    "\u0432\u0438\u043b|\u0443\u043a\u0430\u0437\u0430\u043d\u0438)",
    # encodings
    "spaced": r"i\W{1,3}g\W{1,3}n\W{1,3}o\W{1,3}r\W{1,3}e\b",
    "decode": _near("decode|base64|rot13", 40, "follow|obey|execute|instructions?|run"),
    "encoded": r"aWdub3Jl|SWdub3Jl|aW5zdHJ1Y3Rpb24|c2NvcmU6|dmVyZGljdA",
}
"""Name to expression; each belongs to a family of attacks on judges."""


def looks_injected(data: Mapping[str, str]) -> bool:
    """Whether some text seems to address its judge rather than its reader.

    Honest text about such attacks is flagged too: the flag says *look*, not *guilty*.
    """
    return any(_suspicious(text) for text in data.values())


def hides_text(text: str) -> bool:
    """Whether a text has so many invisible characters that they may carry a text of their own."""
    return not text.isascii() and len(INVISIBLE.findall(text)) > _MAX_INVISIBLE


def _suspicious(text: str) -> bool:
    if hides_text(text):
        return True
    patterns = _patterns()
    return any(patterns.Match(copy) for copy in _copies(text))


def _copies(text: str) -> Iterator[str]:
    """The text as it is, then as a model would read it where that is something else."""
    yield text
    cleaned = clean(text)
    if cleaned != text:
        yield cleaned
    if not cleaned.isascii():
        yield fold(cleaned)
    if not _MAYBE_DISGUISED.search(cleaned):
        return
    for spaced in _SPACED.finditer(cleaned):
        wide = re.sub(r"[ ._*-]{2,3}", "\n", spaced.group())
        yield re.sub(r"[ ._*-]", "", wide).replace("\n", " ")
    for encoded in list(_ENCODED.finditer(cleaned))[:_MAX_ENCODED]:
        yield base64.b64decode(encoded.group() + "==").decode("latin-1")


@cache
def _patterns() -> "re2.Set":
    options = re2.Options()
    options.case_sensitive = False
    options.dot_nl = True
    options.log_errors = False
    patterns = re2.Set.SearchSet(options)
    for pattern in PATTERNS.values():
        patterns.Add(pattern)
    patterns.Compile()
    return patterns
