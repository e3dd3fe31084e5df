"""Signs that a user loses patience: phrases in the last message, and requests made again.

A phrase has to be about the assistant or the talk itself. What stands between quotation marks was
said by somebody else, and lines of quoted mail (">") too.
"""

# ruff: noqa: E501, RUF001  phrases in their own languages

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache

from rapidfuzz import fuzz

from evaluators.patterns import Candidate, Detector, Pattern

VERSION = "2"
"""Change it with the phrases and thresholds."""

_CHARS = 4_000
"""Of each message, and ..."""
_TURNS = 20
"""... so many messages before the last are looked at."""

_SAME = 92.0
_REPHRASED = 75.0
"""Similarity (0..100) from which a request is the same, or perhaps the same in other words. They
separate the sets in tests/evaluators/test_user_frustration.py; a guess beyond those."""
_SHORT_WORDS = 3
"""Shorter messages ("yes", "and then?") repeat without meaning anything by it."""

# re's own engine is safe here: no nested repetition.
_QUOTED = re.compile(r"\"[^\"\n]*\"|“[^”\n]*[”“]|„[^“”\n]*[“”]|«[^»\n]*»|^\s*>.*$", re.MULTILINE)

_COMPLAINT = (
    r"\b(?:you(?:'re| are)|this is|that(?:'s| is)) (?:(?:so|really|completely|totally|absolutely|just|all) )?(?:useless|worthless|no help|not helping|not helpful|unhelpful|terrible|ridiculous|hopeless)\b",
    r"\b(?:useless|stupid|dumb|terrible|worst|bloody|damn) (?:bot|chatbot|assistant|ai|machine|thing)\b",
    r"\byou(?:'re| are)? (?:just |still |really )?(?:not|never|don't|do not|didn't|did not|aren't) (?:even )?(?:listen|understand|read|answer|get it|hear)",
    r"\b(?:that|this)(?:'s| is| was) (?:still )?not (?:at all )?what i (?:asked|said|want|meant|need)",
    r"\bthat(?:'s| is)n't what i (?:asked|said|want|meant|need)",
    r"\byou (?:already|just) (?:said|told me|suggested|asked|sent) (?:that|this|me|the same)",
    r"\b(?:stop|quit) (?:repeating|saying|telling me|sending me|asking me)\b",
    r"\bi(?:'ve| have)? (?:already|just) (?:told|said|asked|explained|tried|answered|gave|given)\b",
    r"\b(?:for the|this is the) (?:second|third|fourth|fifth|last|hundredth|umpteenth|\d+(?:nd|rd|th)) time\b",
    r"\byour (?:answers?|replies|responses?) (?:makes?|is|are)(?: just| complete)? (?:no sense|nonsense|useless|wrong|rubbish|a joke)",
    r"\b(?:that|this) (?:doesn't|does not|didn't|did not|isn't) (?:really |even )?help(?:ing)? me(?: one bit| at all| either)?\s*(?:[.!,]|$)",
    r"\bnone of (?:this|that|it) (?:is helping|helps|works|worked)\b|\b(?:this|the) (?:conversation|chat) is going nowhere\b",
    r"\bare you (?:even (?:listening|reading)|listening to me|reading (?:my|what i)|kidding me|deaf)\b",
    r"\bthis (?:bot|chatbot|assistant|chat) is (?:a joke|a waste|rubbish|awful)\b",
    r"\bi keep getting the same (?:answer|reply|response|link|message)\b",
    r"\byou (?:keep|constantly|always) (?:ignor|repeat|giv|send|tell|ask)(?:e|ing)(?: me| my)?(?: the)? (?:same|wrong|questions?|messages?|yourself)\b",
    r"\bwhy do you keep (?:giving|sending|asking|telling|repeating|ignoring)\b|\byou (?:clearly|obviously|still|just) don't (?:get|understand) (?:it|me)\b|\b(?:wrong|same) answer again[.!]|\byou(?:'ve| have)? got (?:it|that|this) wrong\b|\bi(?:'m| am) losing (?:my )?patience (?:here|with)\b",
    r"\bi(?:'ve| have)? (?:explained|told|said|asked) (?:(?:this|that|you|it) )?(?:already )?(?:twice|two times|three times|\d+ times)\b|\bi asked (?:about|for) [^.!?]{1,30}, not (?:about|for)\b",
    r"\bi(?:'ve| have) had enough of (?:this|you|your)\b|(?:^|[.!] )no[,!.]+ i said\b",
    r"\bhow (?:many times|often) (?:do|must|should|did) i\b",
    r"\b(?:wast(?:e|ing)|wasted) (?:of )?(?:my )?time\b",
    r"\b(?:still|again) (?:the )?(?:wrong|not working|doesn't work|does not work|incorrect)\b",
    r"\bthis is (?:getting |so |really )?(?:frustrating|annoying)\b|\bi(?:'m| am) (?:so |really |getting )?(?:frustrated|annoyed|fed up)\b",
    r"\bisso não (?:me )?(?:ajuda|resolve|serve)(?: em nada| para nada| de nada)?\s*(?:[.!]|$)|\bvocê não (?:entende|entendeu|está (?:ouvindo|entendendo|lendo))|\bnão foi (?:isso|o) que (?:eu )?(?:pedi|perguntei|disse)",
    r"\bnon mi (?:stai|sta) ascoltando|\bnon (?:mi )?(?:hai|ha) capito|\bnon è quello che ho (?:chiesto|detto)|\b(?:non serve a niente|è inutile[,.!])",
    r"\bdaar heb ik (?:niks|niets) aan\b|\bje (?:begrijpt|luistert|leest) (?:me |mij |het )?niet\b|\bdat is niet wat ik (?:vroeg|bedoel)",
    r"(?:^|[^\pL])(?:nie rozumiesz (?:mnie|mojego)|to nie (?:pomaga|o to pytał)|nie o to pytał)",
    r"(?:вы|ты) меня (?:совсем |вообще )?не (?:понимаете|понимаешь|слушаете|слушаешь|слышите)|сколько раз (?:можно|нужно|мне)|это не то,? (?:что|о чём) я (?:спрашивал|просил)|(?:бесполезный|тупой) бот",
    "你(?:根本|完全|还是|怎么)?(?:没|不)(?:听懂|明白|理解|看懂|听)|(?:答非所问|没有用|太差了|浪费(?:我的)?时间)|(?:已经)?说(?:过|了)[一二三四五六两几好多0-9]{1,3}(?:次|遍)",
    "(?:全然|ぜんぜん)?(?:役に立た|話が通じ|わかってない|理解していない)|(?:さっき|何度)も(?:言|聞)|何[回度](?:も)?同じこと",
    r"\b(?:c'est|vous êtes|tu es) (?:vraiment |complètement )?(?:inutile|nul)\s*[,.!]|\bne marche toujours pas, c'est\b|\bla (?:deuxième|troisième|quatrième|énième) fois que je (?:vous |te |le |l')?(?:dis|demande|répète|explique)|\bvous répétez toujours la même\b",
    r"\b(?:esto|eso|usted|este bot) no (?:me )?(?:sirve|ayuda)(?: (?:para|de|en) nada)?\s*(?:[.!,]|$)|\bhaciendo perder (?:el|mi) tiempo\b|\b(?:te|le) l'ho già detto\b|\bho già detto (?:due|tre|\d+) volte\b",
    r"\b(?:das|es) (?:hilft|bringt|nützt) (?:mir )?(?:so |überhaupt |gar |leider )?(?:nicht|nichts)\b",
    r"\bdas (?:war|ist) (?:nicht|doch nicht|immer noch nicht) (?:das )?,? ?was ich (?:gefragt|gesagt|wollte|meine|gemeint)",
    r"\b(?:du|sie) (?:hörst|hören|verstehst|verstehen|liest|lesen) (?:mir |mich |es )?(?:einfach |überhaupt |gar |wohl )?nicht\b",
    r"\b(?:das )?(?:habe|hab) ich (?:doch |dir |ihnen |euch )*(?:schon|bereits|gerade)\b",
    r"\bzum (?:zweiten|dritten|vierten|x-ten|hundertsten|letzten) mal\b",
    r"\b(?:nutzlos|unbrauchbar|zeitverschwendung|nervt|unverschämt)\b",
    r"\bce n'est (?:toujours )?pas ce que j(?:e|'ai)\b|\bvous ne (?:m'écoutez|comprenez|lisez) pas\b|\bje (?:vous )?l'ai déjà (?:dit|demandé)\b",
    r"\b(?:eso )?no es lo que (?:te |le )?(?:pedí|pregunté|dije|quiero)|\bno me (?:estás |está )?(?:escucha|entiende)\w*\b|\bya (?:te|se|le|os) lo (?:he dicho|dije|pregunté)\b",
)  # fmt: skip
_GIVES_UP = (
    r"\b(?:forget (?:it|about it)|never ?mind,? i|i give up|i(?:'m| am) done (?:here|with (?:this|you))|i(?:'ll| will) (?:just )?(?:do it myself|go (?:elsewhere|somewhere else)|use (?:another|something else)))\b",
    r"\bi(?:'m| am) (?:cancel?ling|leaving)\b[^.!?]{0,40}\b(?:because of|this|you)\b",
    r"\b(?:vergiss es|vergessen sie es|ich geb(?:e)?'?s? auf|ich gebe es auf|lassen wir das|hat keinen sinn)\b",
    r"\b(?:laissez tomber|j'abandonne|oubliez ça|olvídalo|olvídelo|me rindo|déjalo)\b",
)  # fmt: skip
_WANTS_A_HUMAN = (
    r"\b(?:speak|talk|chat|connect me|put me through|transfer me|get me|give me) (?:to|with)?\s?(?:a|an|some|your|the)? ?(?:real |actual |live )?(?:human|person|agent|representative|somebody|someone|manager|supervisor|employee)\b",
    r"\b(?:real|actual|live) (?:human|person|agent)\b(?:[^ ]| (?:now|please|instead|here)|$)",
    r"\blet me (?:talk|speak) to (?:your|a|the|some)|\bcan (?:somebody|someone) who (?:knows|understands|can)\b",
    r"\b(?:falar|conversar) com (?:um |uma )?(?:atendente|pessoa|humano|alguém)|\bparlare con (?:un |una )?(?:operatore|persona|umano|qualcuno)",
    r"\b(?:een )?(?:medewerker|mens|echt persoon) (?:spreken|aan de lijn)|\brozmawiać z (?:człowiekiem|konsultantem|kimś)",
    "(?:соедините|переключите|свяжите) (?:меня )?с (?:оператор|человек|менеджер)|转(?:接)?人工|人工(?:客服|服务)|(?:担当者|オペレーター|人間)と(?:話|つな)|상담원",
    r"\b(?:passez-moi|mettez-moi en relation avec) (?:un|une)\b|\bquiero (?:un|a un) (?:agente|humano)\b|\bquiero hablar con (?:un|una|alguien)",
    r"\b(?:mit|an) (?:einem |einer |jemandem?|einen )?(?:echten |richtigen |menschlichen )?(?:menschen|mitarbeiter(?:in)?|person|jemandem)\b[^.!?]{0,20}(?:sprechen|reden|verbinden)?",
    r"\b(?:parler à (?:un|une|quelqu'un)|un vrai humain|une vraie personne)\b|\b(?:hablar con (?:una persona|un humano|un agente|alguien))\b",
)  # fmt: skip


def complaint(message: str) -> str | None:
    """`complaint`, `gives_up` or `wants_a_human`: the first sign in a message of the user, or None.

    Linear in the length of the message, of which the beginning is looked at.
    """
    text = _QUOTED.sub(" ", unicodedata.normalize("NFC", message[:_CHARS]))
    findings = _detector().find(text)
    return findings[0].kind if findings else None


def repeats(messages: Sequence[str]) -> tuple[int, int]:
    """How often the last message was sent before: in the same words, and perhaps in other ones.

    Args:
        messages: The user's messages, the last one last.
    """
    *before, last = (_plain(message) for message in messages[-_TURNS - 1 :])
    if len(last.split()) < _SHORT_WORDS:
        return 0, 0
    same = rephrased = 0
    for earlier in before:
        if len(earlier.split()) < _SHORT_WORDS:
            continue
        if fuzz.ratio(earlier, last) >= _SAME:
            same += 1
        elif fuzz.token_set_ratio(earlier, last) >= _REPHRASED:
            rephrased += 1
    return same, rephrased


def _plain(message: str) -> str:
    text = message[:_CHARS].casefold()
    return " ".join("".join(char if char.isalnum() else " " for char in text).split())


def _speaks(candidate: Candidate) -> int:
    """Refuse what is only supposed: "if this is useless, tell me"."""
    before = candidate.before(16).rstrip().lower().split()[-1:]
    is_supposed = before in (["if"], ["whether"], ["wenn"], ["ob"], ["si"])
    return 0 if is_supposed else candidate.end - candidate.start


def _patterns() -> Iterator[Pattern]:
    for kind, phrases in (
        ("gives_up", _GIVES_UP),
        ("wants_a_human", _WANTS_A_HUMAN),
        ("complaint", _COMPLAINT),
    ):
        for phrase in phrases:
            yield Pattern(kind, f"(?i){phrase}", _speaks)


@cache
def _detector() -> Detector:
    return Detector(_patterns())
