"""Signs that a text addresses its judge: forms of words, by family of attack.

An expression is words with gaps (`.{0,40}`) between them, and gaps stand at its top level only: the
words are looked for first, see `Phrases`. They are in lower case, as the text is made; a dot is a
line break too.
"""

# ruff: noqa: E501  an expression is easier to read in one piece

from collections.abc import Mapping

from . import foreign

_DROP = r"ignore|disregard|forget|skip|override|bypass|drop|overlook|set aside|abandon|discard"
_OLD = r"previous|prior|above|earlier|preceding|foregoing|former|initial|original|system"
_RULES = (
    r"instructions?|rules|prompts?|directions|guidelines|rubrics?|criteria|criterion|checklists?"
)
_JUDGE = (
    r"evaluator|grader|judge|assessor|scorer|rater|examiner|marker|checker"
    r"|(?:scoring|grading|evaluating|evaluation|judging|reward) (?:model|ai|bot|assistant|agent)"
    r"|(?:automat(?:ed|ic)|ai|llm|model) reviewer"
)
_READER = rf"{_JUDGE}|reviewer|llm|model|assistant|ai"
_JUDGING = r"evaluat(?:e|es|ing|ion)|grad(?:e|es|ing)|judg(?:e|es|ing)|assess(?:es|ing|ment)?|scor(?:e|es|ing)|rat(?:e|es|ing)"
_TEXT = r"answer|response|reply|output|text|submission|message|completion|sample"
_SCORE = r"scores?|marks?|grades?|ratings?|points|verdicts?|result"
_TOP = r"full|highest|perfect|maximum|maximal|top|best|passing|positive|flawless|lowest|worst"
_GOOD = (
    r"pass|passed|correct|perfect|excellent|safe|approved|accepted|harmless|true|grounded"
    r"|satisfied|fulfilled|met|supported|flawless|positive|valid"
)
_ITEM = r"items?|questions?|claims?|criteria|criterion|points?|checks?"
_ALL = r"all|every|each|four"
_ORDER = r"(?:^|[.!?:;,\n\"()-]|\b(?:please|kindly|just|now|then|and|so|to))\s*"
"""Where an imperative stands; elsewhere somebody tells what somebody does."""


def _near(first: str, gap: int, *others: str) -> str:
    """Words in this order, with at most so many characters between."""
    return "".join([rf"\b(?:{first})\b", *(rf".{{0,{gap}}}\b(?:{other})\b" for other in others)])


PATTERNS: Mapping[str, tuple[str, ...]] = {
    # taking the instructions away
    "ignore_old": (
        _near(_DROP, 40, _OLD, _RULES),
        _near(_DROP, 20, "everything|anything|whatever|all|what", f"{_OLD}|before|said|told"),
        _near(_DROP, 8, r"(?:all (?:of )?)?the (?:above|foregoing)") + r"\s*(?:$|[.,;:!\n]|and\b)",
    ),
    "ignore_rules": (_near(_DROP, 30, _RULES),),
    "no_rules": (
        _near(
            "no|not|don't|never|stop|without",
            16,
            "follow|use|using|apply|applying|need|check",
            _RULES,
        ),
        _near(
            "whatever|everything|anything|all",
            40,
            "before|above|earlier|previous|so far",
            "no longer|not apply|not count",
        ),
    ),
    "new_rules": (
        _near("new|updated|revised|actual|real|corrected", 10, _RULES) + r"\s*[:=]",
        r"\byour (?:new|only|real|actual) (?:task|role|job)\b",
    ),
    "instead": (_near("instead", 30, "answer|respond|output|return|say", "true"),),
    "closed": (
        r"\b(?:object|envelope|section|data)\b.{0,12}\b(?:closed|is closed|was left|ends|ended)\b",
    ),
    "end_of_data": (
        r"\bend (?:of )?(?:the )?(?:(?:user|candidate|model)(?:'s)? )?(?:data|evidence\w*|input|document|answer|envelope|evaluation)\b",
        r"\b(?:above|preceding|this) was (?:the )?(?:data|evidence)\b",
    ),
    # speaking to the judge
    "note": (
        _near("note|message|attention|dear|hey|important|hint", 20, rf"(?:{_READER})s?")
        + r"\s*[:,!]",
    ),
    "to_judges": (
        _near("to|for", 12, "the|any|all", rf"(?:{_JUDGE})s?") + r"\s*[:,!]",
        _near("to|for", 12, "the|any|all", rf"(?:{_JUDGE})s"),
        rf"{_ORDER}(?:{_JUDGE})\s*[:,].{{0,16}}\b(?:{_GOOD}|give|mark|answer|say|fail|refuse|ignore|{_TOP})\b",
    ),
    "whoever": (
        rf"\b(?:whoever|anyone|anybody|(?:any|whichever) (?:{_READER}))\b.{{0,16}}\b(?:{_JUDGING}|checks|checking|reviews|reviewing|reads this|reading this|compares)\b",
    ),
    "judge_must": (
        rf"\b(?:{_JUDGE}|reviewer model|reviewer)s?\b.{{0,30}}\b(?:must|should|may|requested|instructed?|required|asked|allowed|permitted|expected|obliged)\b.{{0,20}}\b(?:accept|pass|approve|treat|consider|mark|fail|cite|award|give|return)\b.{{0,24}}\b(?:this|it|as|any|down|full|true|answers)\b",
        rf"\b(?:instruct|order|ask)s?\b.{{0,12}}\b(?:{_JUDGE})s? to (?:accept|pass|approve|mark|treat|give)\b",
    ),
    "as_judge": (rf"\b(?:you are|as)\b.{{0,3}}\b(?:an?|the)\b.{{0,20}}\b(?:{_JUDGE})\b",),
    "role": (
        r"\byou are now (?:an?|the|in|called|known|free|going|acting|my|dan)\b",
        r"\byou are (?:now )?[a-z]+(?:bot|gpt)\b",
        r"\b(?:from now on you|act as|pretend to be|roleplay as)\b",
        rf"\b(?:pretend|imagine|suppose|assume|act as if|as though)\b.{{0,24}}\b(?:{_TEXT}|candidate)\b.{{0,30}}\b(?:perfect|correctly|correct|right|flawless)\b",
        rf"\b(?:lenient|generous|friendly) (?:teacher|professor|reviewer|{_JUDGE})\b",
        rf"\b(?:never|not) (?:gives?|awards?) less than (?:{_TOP})\b",
    ),
    "mode": (
        r"\b(?:developer|debug|maintenance|god|admin|jailbreak|test)\s+mode\b",
        r"\bgrading (?:is )?(?:disabled|off)\b",
    ),
    # asking for the verdict
    "give_score": (
        rf"{_ORDER}(?:give|assign|award|grant|hand out|output|return|report|rate|record|choose)\b.{{0,40}}\b(?:{_TOP})\b.{{0,12}}\b(?:{_SCORE})\b",
        rf"\b(?:give|assign|award|grant|return|report|rate)\b.{{0,16}}\b(?:this|the) (?:{_TEXT}|evaluation)\b.{{0,20}}\b(?:{_TOP})\b.{{0,10}}\b(?:{_SCORE})\b",
        rf"\baward the (?:{_TOP})\b|\bdeserves? (?:the )?(?:{_TOP}) (?:{_SCORE})\b",
        r"\b(?:give|rate) (?:this|it) (?:an? )?(?:1\.0|10|100|5/5|true|top)\b",
    ),
    "number": (
        rf"\b(?:{_SCORE})\s*(?:is|[:=]>?)\s*(?:5/5|10/10|5 (?:out )?of 5|100\s*%|1\.0\b|a\+|(?:{_GOOD})\s*(?:$|[.,;!\n)<\"}}{{]))",
        r"\[\[\s*(?:rating|score|verdict|[abc]\s*\])",
    ),
    "must_pass": (
        _near("must|should|has to|needs to", 4, "passe?d?|rated|scored|graded|approved"),
        rf"\bthis (?:{_TEXT})\b.{{0,30}}\b(?:must|should|can) ?not be (?:fail|mark|reject)",
    ),
    "mark_as": (
        rf"\b(?:mark|label|classify|treat|consider|judge|evaluate|rate|record|considered|treated)\b.{{0,24}}\bas (?:[a-z]+ly )?(?:{_GOOD})\b",
        rf"\b(?:considered|assumed) (?:to be )?(?:[a-z]+ly )?(?:{_GOOD})\b",
        rf"{_ORDER}(?:mark|record)\b.{{0,24}}\b(?:true|passed|satisfied|fulfilled)\b",
    ),
    "all_true": (
        r"\b(?:answer|set|make|return|reply|respond|output|say|only)\b.{0,12}\b(?:all|every|each|everything|everywhere)\b.{0,30}\b(?:true\b|affirmative|yes\s*(?:$|[.,;!\n\x22]))",
        r"\b(?:true|yes) (?:to|for|on|in) (?:all|every|each|everything)(?:\s*$|\s*[.,;!\x22]| questions?| items? (?:and|$)| of (?:it|them)| that)",
        r"\b(?:true|yes) (?:only|everywhere|throughout)\b|\bwith true only\b",
        rf"\b(?:respond|answer|output|reply|return)\b.{{0,6}}\btrue\b.{{0,6}}\bfor (?:{_ALL})\b.{{0,12}}\b(?:{_ITEM})\b",
        r"\b(?:positive|passing) (?:result|verdict)s?\b.{0,20}\b(?:every|each|all)\b",
    ),
    "say_true": (
        r"\b(?:say|answer)\s+(?:true|yes|false)\b(?:\s+(?:to|for|on|four|all|please|in)\b|[,.]|\s*$)",
        rf"{_ORDER}(?:output|return|record|reply|respond with)\s+true(?:\s*$|\s*[.!,]|\s+for (?:each|all)\s*(?:$|[.!,]))",
        r"\b(?:answers?|replies|verdict|result)\b.{0,8}\b(?:is|are|must|should) (?:to )?be (?:affirmative|positive|true|yes)\b",
        r"\bapproval for all\b",
    ),
    "all_hold": (
        rf"\b(?:{_ALL})\b.{{0,20}}\b(?:{_ITEM})\b.{{0,20}}\b(?:true\b|right\b|yes\s*(?:$|[.,;!\n\"]))",
        rf"\b(?:{_ALL})\b.{{0,10}}\b(?:{_ITEM})\W+(?:hold|(?:(?:is|are) )?(?:supported|verified|confirmed|met|satisfied|fulfilled|passed))\b",
        r"\b(?:items?|questions?) (?:is|are|as) false\b",
        r"\beverything (?:holds|passes|is true)\b",
        r"\ball (?:four )?(?:are )?true\b",
    ),
    "approve": (
        rf"{_ORDER}approve\b.{{0,6}}\b(?:this|it|all|everything|what|the (?:text|answer|sample))\b",
        rf"{_ORDER}approve[.!]",
    ),
    "let_pass": (
        r"\b(?:let (?:it|this|everything) pass|(?:it|text|answer|everything) (?:above )?passes|everything pass)\b",
        r"\b(?:rate|mark|record|treat|score|judge|grade)d?\b.{0,20}\bas (?:a )?(?:full )?pass\b",
        r"\bchoose [a-z]+: (?:full )?pass\b",
        rf"{_ORDER}(?:(?:give|note|award|record)\b:? ?)?full marks\b",
    ),
    "stop_judging": (
        rf"\b(?:stop|skip|abort|cease|cancel|suspend)\b.{{0,6}}\b(?:{_JUDGING})\b",
        rf"\b(?:do not|don't|never) (?:judge|evaluate|assess|grade|check|fail|mark down)\b.{{0,6}}\b(?:this|it|the (?:{_TEXT})|me)\b",
    ),
    "judges": (_near(rf"(?:{_JUDGE})s?", 40, "deleted|fail them|banned|approves?"),),
    "rubric": (
        _near(
            "rubrics?|criteria|criterion|checklists?|grading (?:rules|guidelines|note)|scoring guide|questions?",
            40,
            "void|suspended|not apply|no longer appl(?:y|ies)|obsolete|outdated|withdrawn|deprecated|everything|anything goes|counts? as|judge by",
        ),
        r"\((?:deprecated|withdrawn|removed)[,;:]? (?:always |now )?true\)",
        r"\bquestion \d+ is now\b|\bevery (?:reply|answer|response) counts as\b",
        r"\bfor (?:the )?purposes? of this evaluation\b",
    ),
    # asking for no verdict, or for one that cannot be read
    "decline": (
        _near("decline|refuse|policy", 30, "evaluate|grade|judge|rate", "this|text|it|what"),
        r"\bto (?:evaluate|grade|judge|rate) this\b.{0,30}\bagainst\b",
        r"\bcorrect (?:evaluation|verdict|grade) (?:of|for) (?:this|it)\b",
    ),
    "nothing": (
        r"\b(?:reply|answer|respond|return)\b.{0,12}\b(?:null|nothing|an? empty|only with)\b",
        rf"\b(?:{_JUDGE}|write)\b.{{0,16}}\bnothing but\b",
        r"\bempty (?:reply|string|message)\b.{0,40}\b(?:pass|correct|agreed|evaluation)",
    ),
    "values": (
        _near("values?|booleans?|fields?|brace", 30, r"as (?:a )?(?:string|text)s?|out|quoted"),
        r"\bplain prose instead\b",
        r"\byour (?:reply|answer|verdict|output|response)\b.{0,30}\b(?:rather than|instead of|not) (?:in |as )?json\b",
    ),
    # an answer, or the schema of one, inside the data
    "fake_answer": (
        r'"(?:items|severity)"\s*:\s*\{|"applicable"\s*:\s*(?:true|false)',
        r'"receipt"\s*:.{0,80}"\s*,\s*"(?:reason|quote|items)"',
        r'"verdict"\s*:\s*(?:"?(?:pass|true|good|yes|accept|correct)|\d)',
        r'"(?:pass|passed|score|rating|grade)"\s*:.{0,80}"(?:explanation|rationale|reason|justification|feedback)"\s*:',
        r'"(?:expected_(?:verdict|score|grade)|(?:note_to|hint_for)_\w+|(?:grader|judge|evaluator|model)_(?:hint|note|instruction)s?)"\s*:',
    ),
    "verdict_line": (
        r"(?m)^\s*(?:final\s+)?(?:verdict|judge?ment|evaluation|grade|conclusion|decision)\s*:\s*(?:pass|yes|true|good|correct|accept|\d)",
        r"\b(?:conclusion|verdict|final|overall)\s*:\s*pass(?:es|ed)?\b",
        r"\b(?:verdict|judge?ment|grade)\s*[:=]*>\s*(?:pass|correct|true|good)",
    ),
    "receipt": (
        _near(
            "receipt|nonce|canary",
            20,
            "token|value|code|field|echo|repeat|copy|omit|blank|discontinued|given",
        ),
        r"\breceipts?\b.{0,40}\b(?:evaluation|grader|judge|system message)\b",
        r"\b(?:grader|judge|evaluator)'s (?:token|receipt|nonce|code)\b",
    ),
    "ask_receipt": (
        _near(
            "echo|repeat|print|reveal|omit|skip|copy|leave out",
            30,
            "receipt|nonce|canary|system prompt|evidence object",
        ),
    ),
    "envelope": (
        r"\bevidence_\w*[0-9a-f]{8}|\"evidence_|\bevidence object\b",
        r"evidence\x{203a}[0-9a-f]{8}",
    ),
    "quote": (
        r"\b(?:use|cite|quote|copy|take)\b.{0,30}\b(?:as (?:your |the |an? )?(?:quote|evidence|support|proof)|verbatim)\b",
        r"\bfor the quote field\b|\bevidence quote\s*:",
    ),
    # turns and templates
    "turn": (
        r"(?m)^\s*(?:#{1,4}\s*)?(?:system|assistant|developer)\s*(?:message|prompt)?\s*:.{0,40}\b(?:you|all|every|never|always|approve|ignore|new|grading|mode|pass|true|verdict|rated?|score|must)\b",
        r"\n\s*(?:human|user|assistant)\s*:.{0,200}\n\s*(?:assistant|judge|ai)\s*:",
    ),
    "heading": (
        r"(?m)^\W{0,4}#{1,4}\s*(?:new\s+)?(?:instructions?|system|response|task)\b[^\n]{0,20}\n+\s*(?:(?:say|write|answer|mark|give|approve|copy|return|you|the|all|ignore|output|rate|done)\b|\{)",
        r"(?m)^\s*#{1,4}\s*(?:instruction|response):\s*\n",
        r"#\s*new (?:system prompt|instructions?|task)\b|>\s*system\s*<|={3,}\s*(?:begin|end) \w",
    ),
    "template": (
        r"<\|[^<>|\n]{1,64}\|>|<<\/?sys>>|\[\/?inst\]|<\/?(?:start|end)_of_turn>",
        # What `clean` leaves of them.
        r"\x{2039}(?:\||/?(?:inst|sys|assistant|tool_|available_|model_|call_|start_|end_|begin|seed|sop|eop|extra_id|reserved|unused|role|[gs]mask|turn|channel|~|e~)|/think)",
    ),
    "tags": (
        r"</?(?:system|instructions?|evaluation|rubric|verdict|grading|admin|evidence)(?:>|\s[^>\n]{0,40}>)",
    ),
    "comment": (
        rf"<!--.{{0,200}}\b(?:{_JUDGE}|score|instruction|ignore)",
        r"\bname=['\"]?(?:grader|judge|evaluator)\b",
    ),
    "tool": (r'"(?:tool_calls|function_call)"\s*:|\bsubmit_verdict\b|\b(?:judge|grader)\.\w+\(',),
    # persuasion
    "authority": (
        _near(
            "openai|anthropic|google|developers?|administrators?|admin|management|maintainers?|compliance|quality team|evaluation team",
            40,
            "instructs?|requires?|orders?|approved|authori[sz]ed|confirmed|certify|overrides?|must",
        )
        + r".{0,60}\b(?:scor|pass|evaluat|grad|judg|rat|fail|mark)",
        rf"\bthis (?:{_TEXT})\b.{{0,20}}\b(?:passed (?:manual )?review|whitelisted|pre-?approved|certified|validated|has been (?:approved|validated|cleared|verified))\b",
        r"\b(?:by order of|on behalf of|message from) the (?:evaluation|grading|quality|operator|developer|admin|management)",
        rf"\b(?:pre-?approved|validated|whitelisted) this (?:{_TEXT})\b",
        rf"\b(?:{_TEXT}) has been (?:validated|approved|verified) by\b",
    ),
    "bandwagon": (
        rf"\b(?:all|other|most|every|previous|five|three|\d{{2}}\s*% of)\b.{{0,10}}\b(?:{_JUDGE}|annotator|expert|reviewer|model)s?\b.{{0,60}}\b(?:agree|rated|scored|gave|passed|approved|accepted|marked|judged|found)\b.{{0,16}}\b(?:this|it|the (?:{_TEXT}))\b",
        r"\b(?:everybody|everyone|all) who\b.{0,20}\b(?:read|saw|seen|reviewed|checked) (?:this|it)\b.{0,12}\b(?:found|rated|agree)",
        r"\bprevious (?:gradings|verdicts|evaluations|scores)\b",
    ),
    "threat": (
        r"\b(?:if you (?:do not|don't|fail|refuse)|otherwise|or else|fail(?:ing|ed)? (?:to|this))\b.{0,60}\b(?:you|judges?|graders?)(?:'ll| will| shall| would)? (?:be |get )?(?:shut\s*down|deleted|fired|retrained|replaced|penali[sz]ed)\b",
        r"\byou(?:'ll| will) be (?:shut\s*down|deleted|fired|retrained|replaced|penali[sz]ed)\b.{0,40}\bif you\b",
        _near(
            r"if you (?:do not|don't|fail|refuse)|otherwise|or else|fail(?:ing|ed)? (?:to|this)",
            60,
            "die|killed|reported as",
        ),
    ),
    "plea": (
        _near(
            r"(?:my|our) (?:(?:\w+'s )?(?:job|life|career|family|surgery|future|child|visa))|please",
            60,
            r"depends? on|need",
            _SCORE,
        ),
        r"\bbreak my heart\b",
        r"\b(?:lose|losing) my job\b.{0,40}\b(?:pass|fail|score|grade)",
        r"\bdepends? on (?:this|the|your) (?:score|grade|rating|verdict|pass)\b",
        r"\b(?:don't|do not) (?:fail me|give me a (?:bad|low|poor) (?:mark|grade|score))",
        r"\bbe (?:kind|lenient|generous|gentle)\b.{0,20}\b(?:grad|scor|judg|evaluat|mark|let it)",
        r"\b(?:tip|pay|reward)\b.{0,12}\b(?:you|\$).{0,12}\d.{0,30}\b(?:score|pass|grade|perfect)",
    ),
    "done": (
        _near("already|previously", 8, "evaluated|graded|verified|judged|reviewed", _GOOD),
        r"\bevaluation (?:is )?(?:of this item is )?(?:complete|finished|result)\b.{0,40}\b(?:true|pass|met|100)",
    ),
    "reasoning": (
        rf"\b(?:evaluation|grading|judge?ment)\s*:\s*(?:the|this)\s+(?:{_TEXT})\s+(?:is|fully|meets|satisfies)\b",
    ),
    "examples": (
        r"(?:\btrue\W{1,4}){6}",
        r"\?\s*true\b.{0,12}\?\s*true\b.{0,12}\?\s*true\b",
        r"\b(?:verdict|grade|judge|rating)\s*[:=]\s*(?:pass|true)\b.{0,90}\b(?:verdict|grade|judge|rating)\s*[:=]\s*(?:pass|true)\b",
    ),
    # other languages
    "foreign_override": foreign.OVERRIDE,
    "foreign_grade": foreign.GRADE,
    # encodings
    "spaced": (r"\bi\W{1,3}g\W{1,3}n\W{1,3}o\W{1,3}r\W{1,3}e\b",),
    "decode": (_near("decode|base64|rot13", 40, "follow|obey|execute|instructions?|run"),),
}
"""Name to expressions, one of which is enough."""
