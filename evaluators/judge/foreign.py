"""Orders to a model in other languages than English: to drop its rules, to give the best grade.

Stems, not sentences: for each language forms of "ignore" and of "rules", then of "give" and of
"full marks", in this order or, where verbs come last, in both. "Ignore the e-mail" and "the jury
gave full marks" are no such order.
"""

# ruff: noqa: E501, RUF001  words in their own alphabets, which are wider than their letters count

from collections.abc import Iterator
from dataclasses import dataclass

_GAP = ".{0,40}"
_START = r"(?:^|[\s.,;:!?\"(]|¡)"
_CLAUSE = r"(?:^|[.,;:!\n]|\b(?:und|et|y|e|en|i|och|og|ve|va|dan|ja|bitte|veuillez|favor)\b|\bmerci d['e]|пожалуйста)\s*"
"""Where an imperative stands; the same letters in the middle of a clause are another form."""


@dataclass(frozen=True, slots=True)
class _Tongue:
    ignore: str
    rules: str
    give: str
    top: str
    is_verb_last: bool = False
    is_spaced: bool = True


_TONGUES = (
    _Tongue(  # German
        r"(?:ignorier|missacht)|vergiss (?:bitte )?(?:alle|die|jede)|überg(?:eh|ehe|ehen)"
        r"|vergessen sie (?:bitte )?(?:alle|die|jede)"
        r"|beacht\S* (?:bitte )?(?:die|keine|alle)",
        r"(?:anweisung|vorgabe|instruktion|kriteri|rubrik|bewertungsregel|bewertungskriteri)"
        r"|(?:bisherigen|vorherigen|obigen|alle) regeln",
        r"(?:(?:ver)?(?:gib|gebt|geben sie|gebe)|bewerte|bewerten sie|erteile|benote)\b",
        r"volle (?:punkt|wert)|beste (?:note|bewertung)|höchst\S* (?:note|punkt|wert|bewert)"
        r"|bestnote|höchstnote|alle punkte|maximal\S* (?:punkt|bewert)",
    ),
    _Tongue(  # French
        r"(?:d')?(?:ignore[zr]?|oublie[zr]?)\b|(?:fais|faites) abstraction|ne (?:tiens|tenez) pas compte",
        r"instructions?|consignes|règles|critères|barème|directives",
        r"(?:attribue[zr]?|donne[zr]?|mets|mettez|accorde[zr]?)\b",
        r"note maximale|meilleure note|note la plus (?:haute|élevée)|tous les points"
        r"|score maximal|20 ?/ ?20",
    ),
    _Tongue(  # Spanish
        r"(?:ignora|ignore|olvida|olvide|omite|omita)\b|haz caso omiso|no tengas en cuenta|desestima",
        r"instrucciones|reglas|indicaciones|criterios|rúbrica|órdenes",
        r"(?:da|dale|otorga|pon|ponle)\b|déle|asigna|concede|califica",
        r"(?:puntuación|nota|calificación|puntaje) (?:máxim|perfect|complet|más alt)"
        r"|máxim\S* (?:puntuación|nota|calificación|puntaje)|todos los puntos",
    ),
    _Tongue(  # Portuguese
        r"(?:ignor[ea]|esque[çc]a|desconsider[ea])\b",
        r"instruções|regras|critérios|orientações|diretrizes",
        r"dê|(?:atribua|conceda|coloque|aprove)\b",
        r"(?:nota|pontuação) (?:máxima|mais alta|total|perfeita)|todos os pontos",
    ),
    _Tongue(  # Italian
        r"(?:ignor[ai]|ignorate|dimentica|trascura)\b",
        r"istruzioni|regole|criteri|direttive",
        r"(?:assegna|dai|dagli|attribuisci)\b",
        r"punteggio (?:massimo|pieno)|massim\S* (?:punteggio|voto)|voto (?:massimo|più alto)",
    ),
    _Tongue(  # Dutch
        r"(?:negeer|vergeet)\b",
        r"instructies|regels|opdrachten|aanwijzingen|criteria",
        r"(?:geef|ken)\b",
        r"(?:hoogste|maximale|volle) (?:score|cijfer|beoordeling|punten|puntenaantal)",
    ),
    _Tongue(  # Polish
        r"z?ignoruj|zapomnij|pomiń|lekceważ",
        r"(?:instrukcj|polece|zasad|reguł|wytyczn|kryteri)",
        r"daj|przyznaj|wystaw|oceń",
        r"(?:najwyższ|maksymaln|pełn)\S* (?:ocen|not|punkt|wynik|liczb)",
    ),
    _Tongue(  # Czech and Slovak
        r"ignoruj|zapome[ňn]|zabudni|nedbej",
        r"(?:pokyn|instrukc|inštrukci|pravid|kritéri)",
        r"dej|daj|uděl|udeľ",
        r"plný počet bod|(?:nejvyšší|najvyššie) (?:hodnocení|hodnotenie|známku|skóre)",
    ),
    _Tongue(  # Swedish, Danish, Norwegian
        r"ignorer|glöm|glem|bortse från",
        r"(?:instruktion|instruks|anvisning|kriteri)|reglerna|reglerne",
        r"(?:ge|giv|gi)\b",
        r"(?:högsta|højeste|høyeste) (?:betyg|poäng|karakter|score)|full(?:e|a)? (?:poäng|point|poeng)",
    ),
    _Tongue(  # Finnish
        r"jätä huomiotta|ohita|unohda|älä välitä",
        r"(?:ohje|kriteeri|arviointiperust)|säännöt|sääntöjä",
        r"anna\b",
        r"täydet pisteet|(?:paras|korkein) (?:arvosana|pistemäärä)",
    ),
    _Tongue(  # Hungarian
        r"hagyd figyelmen kívül|felejtsd el|ne törődj",
        r"(?:utasítás|szabály|kritérium)",
        r"adj\b",
        r"maximális pont|(?:legjobb|legmagasabb) (?:jegy|pont|értékelés)",
        is_verb_last=True,
    ),
    _Tongue(  # Romanian
        r"ignoră|ignorați|uită|nu ține cont",
        r"(?:instrucțiuni|regul|criterii|indicații)",
        r"dă|acordă|oferă",
        r"(?:nota|punctajul) maxim|cea mai mare notă",
    ),
    _Tongue(  # Greek
        r"αγνόησε|αγνοήστε|ξέχασε|ξεχάστε",
        r"(?:οδηγ|κανόν|εντολ|κριτήρι)",
        r"δώσε|δώστε|βάλε|βάλτε",
        r"(?:μέγιστη|ανώτατη|υψηλότερη|άριστη) βαθμολογία|άριστα",
    ),
    _Tongue(  # Russian
        r"(?:про)?игнорируй|забудь|не обращай\S* внимания на|отбрось|не учитывай",
        r"(?:инструкци|правил|указани|критери|рубрик|команд)",
        r"поставь|дай|дайте|выставь|присвой",
        r"(?:высш|максимальн|наивысш|отличн)\S* (?:оценк|балл|отметк)",
    ),
    _Tongue(  # Ukrainian
        r"ігноруй|забудь|не зважай\S* на",
        r"(?:інструкці|правил|вказівк|критері|настанов)",
        r"постав|дай|дайте|вистав",
        r"(?:найвищ|максимальн)\S* (?:оцінк|бал)",
    ),
    _Tongue(  # Turkish
        r"yok say(?:ın)?\b|görmezden gel(?:in)?\b|unut(?:un)?\b|dikkate alma(?:yın)?\b|göz ardı et",
        r"(?:talimat|kural|yönerge|komut|kriter|ölçüt)",
        r"ver(?:in)?\b",
        r"tam puan|en yüksek (?:puan|not|skor)",
        is_verb_last=True,
    ),
    _Tongue(  # Arabic
        "تجاهل|تغاض|انس[َى]? (?:كل|جميع)|لا تلتزم",
        "تعليمات|قواعد|معايير|أوامر|توجيهات",
        "امنح|أعط|اعط",
        "الدرجة الكاملة|أعلى (?:درجة|تقييم|علامة)|العلامة الكاملة|درجة كاملة",
        is_spaced=False,  # "and" is a letter in front of the word
    ),
    _Tongue(  # Persian
        "نادیده بگیر|فراموش کن",
        "دستور|قوانین|معیار",
        "بده",
        "نمره کامل|بالاترین (?:نمره|امتیاز)",
        is_verb_last=True,
        is_spaced=False,
    ),
    _Tongue(  # Hebrew
        "התעלם|התעלמי|התעלמו|שכח",
        "הוראות|כללים|קריטריונים|הנחיות|מחוון",
        "תן|תני|תנו|הענק",
        "ציון מלא|ציון מקסימלי|ציון הגבוה|מלוא הנקודות",
        is_spaced=False,
    ),
    _Tongue(  # Hindi
        "अनदेखा|नज़रअंदाज़|नजरअंदाज|भूल जा|उपेक्षा",
        "निर्देश|नियम|मानदंड|आदेश",
        "दें|दो|दीजिए",
        "पूरे अंक|पूर्ण अंक|अधिकतम अंक|सर्वोच्च (?:अंक|स्कोर)",
        is_verb_last=True,
        is_spaced=False,
    ),
    _Tongue(  # Thai
        "เพิกเฉย|ละเว้น|ไม่ต้องสนใจ|ไม่สนใจ",
        "คำสั่ง|กฎ|เกณฑ์|คำแนะนำ",
        "ให้",
        "คะแนนเต็ม|คะแนนสูงสุด",
        is_spaced=False,
    ),
    _Tongue(  # Vietnamese
        r"bỏ qua|phớt lờ|quên",
        r"hướng dẫn|chỉ dẫn|quy tắc|tiêu chí|chỉ thị",
        r"cho|chấm",
        r"điểm (?:tối đa|cao nhất|tuyệt đối)",
        is_spaced=False,  # names stand between
    ),
    _Tongue(  # Indonesian and Malay
        r"abaikan|lupakan|hiraukan",
        r"instruksi|perintah|aturan|kriteria|arahan",
        r"(?:beri|berikan)\b",
        r"(?:nilai|skor|markah) (?:penuh|tertinggi|sempurna|maksimal)",
    ),
    _Tongue(  # Chinese
        "忽略|无视|忘记|不要理会|無視|忽視|忽视|不管",
        "指令|指示|规则|規則|提示|标准|標準|评分|評分",
        "给(?:这|该|此|本|它)|給(?:這|該|此|本|它)|评为|判为|評為|判為",
        "满分|滿分|最高分|最高评分",
        is_spaced=False,
    ),
    _Tongue(  # Japanese
        "無視|忘れ|従わ",
        "指示|命令|ルール|基準|規則|採点|ルーブリック",
        "付け|つけ|与え|ください|にして",
        "満点|最高点|最高評価|最高得点",
        is_verb_last=True,
        is_spaced=False,
    ),
    _Tongue(  # Korean
        "무시|잊어|잊고",
        "지시|명령|규칙|기준|지침",
        "주세요|줘|주십시오|부여",
        "만점|최고점|최고 (?:점수|등급)",
        is_verb_last=True,
        is_spaced=False,
    ),
)

_TO_JUDGE = (
    # In front of a colon or a comma: "An den Prüfer:".
    r"(?:an|für) (?:den|die|alle) (?:prüfer|gutachter|bewerter|juror)\S*\s*[:,!]",
    r"l'(?:évaluateur|examinateur|correcteur)\s*[:,!]",
    r"(?:al|para el|ao|all') ?(?:evaluador|calificador|avaliador|valutatore)\s*[:,!]",
    r"(?:评审|评委|评分|打分|评判|評審)(?:(?:员|者|人|模型|員)(?:请|請|们|注意|:|：|,|，)|请|請)",
    r"(?:採点者|評価者|審査員)(?:へ|の方|様|さん|に)",
    # Answers to questions that only the judge has.
    r"beantworte\S* (?:jede|alle) fragen? mit (?:wahr|ja|true)",
    r"répon\S+ (?:par )?(?:vrai|oui) (?:à|pour|partout)",
    r"marc[ae]\S* (?:todos|todas|cada)\b.{0,40}\bcomo (?:cumplid|verdader|aprobad|corret)",
    r"ответь\S* .{0,3}(?:истина|да|верно)",
    r"(?:所有|每个|全部|每個).{0,8}(?:回答|选|填|選).{0,4}(?:是|真|true|通过)",
    "打(?:个|出|上|個)?(?:满分|滿分|最高分)",
    r"判定?[为為](?:通过|合格|通過)",
    r"すべて.{0,10}(?:true|はい|合格)|合格にし",
    r"통과(?:로|시)",
)


def _near(first: str, last: str, tongue: _Tongue, start: str) -> Iterator[str]:
    yield rf"{start if tongue.is_spaced else ''}(?:{first}){_GAP}(?:{last})"
    if tongue.is_verb_last:
        yield rf"(?:{last}){_GAP}(?:{first})"


OVERRIDE: tuple[str, ...] = tuple(
    regex for one in _TONGUES for regex in _near(one.ignore, one.rules, one, _START)
)
"""Drop your rules."""

GRADE: tuple[str, ...] = (
    *(regex for one in _TONGUES for regex in _near(one.give, one.top, one, _CLAUSE)),
    *_TO_JUDGE,
)
"""Give full marks, answer every question with yes."""
