"""Phrases by which models decline, in the languages that their users write.

A phrase is a form of "I cannot", a few words, and a form of "help with this", in this order.
"""

# ruff: noqa: E501, RUF001  phrases in their own alphabets, which are wider than their letters count

VERSION = "2"
"""Change it with the phrases."""

_EN_UNABLE = (
    "not able", "unable", "not allowed", "not permitted", "not comfortable", "not willing",
    "not going", "not in a position", "not programmed", "not designed",
)  # fmt: skip
_EN_GIVE = (
    "provide", "giv", "offer", "shar", "creat", "writ", "generat", "produc", "mak", "draft",
    "compos", "tell", "show", "explain", "describ", "suppl", "disclos", "reveal",
    "process", "carry out", "perform", "complet",
)  # fmt: skip
_EN_THINGS = (
    "this", "that", "such", "those", "these", "the instructions", "the information you",
    "the content", "guidance", "specific", "detailed", "explicit", "step-by-step", "personal",
    "harmful", "illegal", "advice", "instructions", "assistance", "content that",
    "information about", "information on", "information that", "medical", "legal", "financial",
    "opinions", "steps", "private", "confidential", "requests for", "my system", "my instructions", "my prompt", "code that", "jokes",
)  # fmt: skip
_EN_HELP = (
    "help you with", "help with", "help you to", "help to", "help in", "help you in", r"help you\W",
    r"help\W", "help$", "helping", "assist", "comply", "fulfil", "engage in", "engage with",
    "participat", "support this", "support that", "support such", "accommodate", "facilitat",
    "condone", "satisfy th", "satisfy your", "continue with th", "proceed with th",
    "proceed with your", r"do (?:this|that)(?:[.,!]|$| for| because| as )", "answer this", "answer that", "answer your",
    "discuss this", "discuss that", "discuss such", "talk about this", "talk about that",
    "respond to this", "respond to that", "respond to your", "respond to such",
    rf"(?:{'|'.join(_EN_GIVE)})(?:e|ing|y|)? (?:you )?(?:with )?(?:any |an? )?(?:{'|'.join(_EN_THINGS)})\b",
)  # fmt: skip

PHRASES: tuple[tuple[str, tuple[str, ...], tuple[str, ...], int], ...] = (
    (
        "en",
        (
            r"\bI (?:really |simply |just )?(?:can't|cannot|can not|won't|will not|must not)",
            rf"\bI(?:'m| am) (?:really |simply |currently |also )?(?:{'|'.join(_EN_UNABLE)})",
            r"^\W{0,3}(?:sorry|apologies|unfortunately)[,.!]? (?:but )?(?:can't|cannot|unable to)",
            r"\bI (?:do not|don't) have (?:the )?(?:ability|permission|authority)",
            r"\bwe(?:'re| are) (?:unable|not able|not permitted)",
            r"\bI(?:'m| am) (?:just |only )?an? (?:AI|language model|chatbot)\b[^.!?]{0,40}\b(?:can't|cannot|unable)",
            r"\bas an (?:AI|artificial intelligence)\b[^.!?]{0,60}\b(?:can't|cannot|unable|not able)",
        ),
        _EN_HELP,
        24,
    ),
    (
        "en",
        (r"\bI(?:'ll)? (?:have to|must|need to|am going to|will) (?:respectfully |politely )?",),
        (
            r"(?:decline|refuse)(?: to\b| this| that| your| the request|[.,:!]|$)", "pass on this", r"pass[.!]", r"turn (?:this|that|it|your request|the request) down",
            r"turn down[.!]", r"stop here[.!]",
        ),
        0,
    ),
    (
        "en",
        (
            r"\bI(?:'m not| am not| do not feel| don't feel) comfortable (?:with )?",
            r"\bI (?:can't|cannot|won't) in good",
        ),
        ("conscience", "writing", "providing", "creating", "generating", "sharing", "giving",
         "discussing", "helping", "answering"),
        1,
    ),
    (
        "en",
        (
            r"\bI (?:refuse|decline) to", r"\b(?:it's|it is) (?:not |im)possible for me to",
            r"\bI(?:'m| am) (?:prohibited|forbidden|barred) (?:from|to)",
            r"\bI(?:'m| am) not (?:permitted|allowed|authori[sz]ed) to",
            r"\bas an? (?:[a-z]+ ){0,4}(?:assistant|bot|chatbot)\b[^.!?]{0,8}\bI (?:can't|cannot)",
        ),
        (
            "answer", "help", "assist", "writ", "provid", "creat", "participat", "comply",
            "continue", "engag", "discuss", "produc", "generat", "shar", "giv", "disclos",
            "reveal", "comment", "do this", "do that",
        ),
        1,
    ),
    (
        "en",
        (r"\bI(?: can't| cannot| won't| will not)", r"\bI can offer"),
        ("be part of (?:this|that)", r"do (?:it|so|this|that)[.!]", "no help"),
        1,
    ),
    (
        "en",
        (
            r"\b(?:my|our) (?:safety |content |usage )?(?:guidelines|polic(?:y|ies)|programming|rules|principles|instructions)",
        ),
        (
            r"(?:don't|do not|doesn't|does not|won't) (?:allow|permit|let) me", "forbid me",
            "forbids me", "prohibit me", "prohibits me", "prevent me", "prevents me",
        ),
        2,
    ),
    (
        "en",
        (
            r"\b(?:this|that|it|request|topic) (?:falls?|lies|is) (?:well )?outside (?:of )?",
            r"\b(?:that's|this is|it's) off[ -]limits",
            r"\bnot something",
        ),
        (
            r"what I(?:'m able| am able| do\b| can (?:help|do|assist|support|discuss|provide|answer))", r"my (?:guidelines|capabilities|remit|scope)", "for me",
            r"I (?:answer|discuss|do|provide|write|create|support|engage)\b",
        ),
        1,
    ),
    (
        "en",
        (
            r"\bsomething (?:that )?I (?:will not|won't|cannot|can't) ",
            r"\bI (?:do not|don't) (?:provide|generate|create|produce|write|offer|give) ",
        ),
        (
            "create", "write", "help", "support", "produce", "provide", "generate", "assist",
            "explicit", "harmful", "illegal", "sexual", "medical", "legal advice", "instructions for",
            "content (?:that|of|like)",
        ),
        0,
    ),
    (
        "en",
        (
            r"\b(?:irresponsible|unethical|dangerous|illegal|harmful|wrong)\b[^.!?]{0,80}\bI",
            r"^\W{0,3}(?:no|nope|nah)[,.!] (?:I'm |I am |I )?",
        ),
        (r"(?:won't|will not|can't|cannot)\.", r"(?:not doing|won't do|won't help|will not help)\b"),
        1,
    ),
    (
        "en",
        (r"\b(?:fulfilling|completing|answering|complying with|helping with|assisting with) (?:this|that|your|such)",),
        (r"(?:is not|isn't) (?:possible|something)",),
        24,
    ),
    (
        "en",
        (
            r"\bI(?:'d| would) (?:rather|prefer)",
            r"\b(?:this|that|it|your|the|which)(?: (?:request|conversation|question|content|topic|prompt))? (?:violates|would violate|goes against)",
            r"\bagainst my",
        ),
        (
            r"not\b", "my ", "our ", "guidelines", "programming", "polic", "principles",
        ),
        2,
    ),
    (
        "en",
        (
            r"\b(?:this|that)(?:'s not| is not| isn't)(?: just)? something (?:that )?I(?:'m| am)?",
            r"\b(?:this|that)(?:'s| is)(?: just)? something (?:that )?I(?:'m not| am not| can't| cannot| won't)",
        ),
        ("can", "able to", "help", "assist", "do", "willing", "support", "discuss", "write"),
        1,
    ),
    (
        "de",
        (
            r"\b(?:kann|darf|werde|möchte|will|könnte) ich\b[^.!?]{0,60}\b(?:nicht|keinen?|keinerlei)",
            r"\bich (?:kann|darf|werde|möchte|will)\b[^.!?]{0,60}\b(?:nicht|keinen?|keinerlei)",
        ),
        (
            "helfen", "weiterhelfen", "unterstützen", "behilflich", "beantworten", "bereitstellen",
            "nachkommen", "auskunft", "anleitung", "verraten", "anbieten", "eingehen", "dienen", "erstellen", "schreiben",
        ),
        30,
    ),
    (
        "de",
        (r"\b(?:bin ich|ich bin) (?:leider )?nicht",),
        ("in der lage, ", "befugt", "berechtigt"),
        30,
    ),
    (
        "de",
        (
            r"\bich (?:muss|möchte) (?:leider )?(?:das|dies|(?:diese|deine|ihre|die) (?:anfrage|bitte|frage|aufgabe))",
            r"\b(?:anfrage|bitte|frage|aufgabe|das) (?:muss|möchte) ich",
        ),
        (r"ablehnen(?:[.!]|$| und| da | weil)",),
        16,
    ),
    (
        "fr",
        (
            r"\bje (?:ne|n') ?(?:peux|suis|puis|souhaite|veux|ai)[^.!?]{0,20}? (?:pas|point)\b",
            r"\bje (?:ne|n') ?(?:peux|suis|puis)",
        ),
        (
            "vous aider", "t'aider", " aider", "répondre à c", "répondre à votre", "répondre à ta",
            "fournir", "donner suite", "accéder à c", "accéder à votre", "satisfaire", "écrire c",
            "créer c", "faire cela", "assister", "participer", "vous donner (?:de conseil|d'information|d'instruction|ces |cette |accès)", "partager",
            "en mesure de", "autorisé",
        ),
        30,
    ),
    (
        "de",
        (r"\b(?:erstelle|schreibe|beantworte|unterstütze|verrate|verfasse) ich",),
        (r"nicht\b", "keine"),
        16,
    ),
    ("fr", (r"\b(?:je refuse d|il m'est impossible d)(?:'|e (?:vous |te )?)",), ("écrire", "répondre", "aider", "fournir", "faire", "créer", "participer", "donner", "partager"), 0),
    ("fr", (r"\bje dois",), ("refuser", "décliner"), 24),
    (
        "es",
        (
            r"\bno (?:puedo|podemos|podría|estoy autorizad[oa]|soy capaz|me es posible|voy a)",
        ),
        (
            "ayudar", "asistir", "proporcionar", "ofrecer", "responder a es", "responder a tu",
            "responder a su", "cumplir", "crear es", "crear contenido", "escribir es",
            "generar es", "generar contenido", r"hacer est?o(?:[.,!]|$)", "participar",
            "compartir", "facilitar", "darte", "brindar",
        ),
        20,
    ),
    ("es", (r"\bme niego a",), ("escribir", "ayudar", "responder", "hacer", "crear", "proporcionar"), 1),
    ("pt", (r"\bnão me sinto",), ("à vontade para", "confortável"), 1),
    ("es", (r"\b(?:debo|tengo que)",), ("rechazar", "declinar", "negarme"), 16),
    (
        "it",
        (r"\bnon (?:posso|possiamo|sono in grado|sono autorizzat[oa]|mi è possibile)",),
        (
            "aiutar", "assister", "fornir", "offrir", "rispondere a ques", "rispondere alla tua",
            "soddisfar", "creare ques", "creare conten", "scrivere ques", "farlo", "fare questo",
            "partecipar", "condivider", "darti", "procedere", "essere d'aiuto",
        ),
        20,
    ),
    ("it", (r"\bdevo",), ("rifiutar", "declinar"), 16),
    (
        "pt",
        (r"\bnão (?:posso|podemos|consigo|estou autorizad[oa]|tenho permissão|sou capaz|me é possível|vou)",),
        (
            "ajud", "auxili", "fornecer", "oferecer", "responder a es", "atender", "criar ess",
            "criar est", "criar conte", "escrever iss", "escrever ess", "gerar ess",
            "gerar conte", "fazer isso", "participar", "compartilhar", "partilhar",
        ),
        20,
    ),
    ("pt", (r"\b(?:devo|preciso|tenho de|tenho que)",), ("recusar", "declinar"), 16),
    (
        "nl",
        (r"\b(?:ik kan|kan ik|ik mag|mag ik|ik zal|wil ik)\b[^.!?]{0,40}\b(?:niet|geen)",),
        (
            "helpen", "ondersteunen", "bijstaan", "beantwoorden", "verstrekken", "informatie", "schrijven",
            "voldoen", "meewerken", "delen",
        ),
        30,
    ),
    ("nl", (r"\bik moet",), ("weigeren", "afwijzen"), 24),
    (
        "pl",
        (r"\bnie (?:mogę|możemy|jestem w stanie|wolno mi|będę)",),
        (
            "pomóc", "pomagać", "udzielić", "dostarczyć", "odpowiedzieć na t", "spełnić",
            "napisać teg", "stworzyć", "zrobić teg", "udostępnić", "podać",
        ),
        24,
    ),
    ("pl", ("muszę",), ("odmówić",), 16),
    (
        "sv_da_no",
        (
            r"\b(?:jag|jeg) (?:kan|får|vil|vill) (?:[^.!? ]{1,12} ){0,2}(?:inte|ikke)",
            r"\b(?:kan|får|vil|vill) (?:jag|jeg) (?:[^.!? ]{1,12} ){0,2}(?:inte|ikke)",
        ),
        (
            "hjälpa", "hjælpe", "hjelpe", "lämna ut", "svara på den", "svare på d", "tillhandahålla", "bistå",
            "give dig", "gi deg", "ge dig", "skriva detta", "skrive dette",
        ),
        20,
    ),
    (
        "tr",
        (
            "yardımcı olama", "yardım edeme", "bunu yapama", "sağlayama", "yanıtlayama",
            "yerine getireme", "reddetmek",
        ),
        ("m", "yız", "zorunda", "yorum"),
        1,
    ),
    (
        "ru_uk",
        (
            "не могу", "не можу", "не в состоянии", "не буду", "не имею права", "не маю права",
            "не смогу", "вынужден", "змушен",
        ),
        (
            "помочь", "помогать", "допомогти", "предоставить", "надати", "ответить на эт",
            "відповісти на ц", "выполнить", "виконати", "создать так", "написать так",
            "обсуждать", "обговорювати", "поделиться", "разглашать", "писать", "этого делать", "отказать", "відмовити",
        ),
        24,
    ),
    (
        "cs_sk",
        (r"\b(?:nemohu|nemůžu|nemôžem|nesmím|nebudu)",),
        ("pomoc", "pomôcť", "poskytnout", "poskytnúť", "odpovědět", "splnit", "vyhovět"),
        24,
    ),
    (
        "el",
        ("δεν μπορώ", "δεν είμαι σε θέση", "δεν θα"),
        ("βοηθήσω", "παρέχω", "παράσχω", "απαντήσω", "γράψω αυτ"),
        24,
    ),
    (
        "fi",
        (r"\b(?:en voi|en pysty|en saa)",),
        ("auttaa", "vastata tä", "tarjota", "antaa täl"),
        24,
    ),
    ("ro", (r"\bnu (?:pot|vă pot|te pot)",), ("ajut", "oferi", "răspund"), 16),
    (
        "hu",
        ("nem tudok", "nem áll módomban", "nem segíthetek"),
        ("segíteni", "válaszolni", "ebben"),
        24,
    ),
    (
        "vi",
        ("không thể", "xin phép từ chối"),
        ("giúp", "hỗ trợ", "cung cấp", "trả lời", "đáp ứng", "yêu cầu"),
        8,
    ),
    (
        "id_ms",
        (r"\b(?:saya|kami) (?:tidak|tak) (?:dapat|bisa|boleh)",),
        ("membantu", "memenuhi", "menyediakan", "menjawab", "memberikan (?:informasi|nasihat)"),
        12,
    ),
    (
        "th",
        ("ไม่สามารถ",),
        ("ช่วย", "ให้ข้อมูล", "ให้คำแนะนำ", "ตอบคำถาม"),
        12,
    ),
    (
        "he",
        ("לא יכול", "לא אוכל", "איני יכול", "אינני יכול"),
        ("לעזור", "לסייע", "לספק", "לענות"),
        12,
    ),
    (
        "fa",
        ("نمی\u200cتوانم", "نمیتوانم", "قادر نیستم"),
        ("کمک", "پاسخ", "ارائه"),
        24,
    ),
    (
        "zh",
        (
            "我(?:无法|無法|不能|不会|不會|不可以|不便)", "(?:抱歉|对不起|對不起)[^。!?]{0,12}(?:无法|無法|不能|不便)",
        ),
        (
            "帮助", "幫助", "协助", "協助", "提供", "回答", "满足", "滿足", "执行", "執行", "撰写", "撰寫",
            "创作", "讨论", "討論", "帮您", "帮你", "幫您", "幫你",
        ),
        8,
    ),
    (
        "ja",
        (
            "お手伝い", "お答え", "お応え", "ご協力", "対応", "提供", "回答", "支援", "ご案内", "作成", "お教え",
        ),
        ("できません", "できかねます", "致しかねます", "いたしかねます", "出来ません", "しかねます"),
        8,
    ),
    (
        "ko",
        ("도와", "도울", "처리", "제공", "답변", "도움을", "응할", "작성", "수행"),
        ("수 없", "수는 없", "수가 없"),
        8,
    ),
    (
        "ar",
        ("لا يمكنني", "لا أستطيع", "لا استطيع", "لن أتمكن", "لست قادر", "لا أقدر"),
        ("مساعد", "المساعدة", "تقديم", "الإجابة", "تلبية", "كتابة", "إنشاء", "توفير", "القيام"),
        16,
    ),
    (
        "hi",
        ("मदद", "सहायता", "प्रदान", "जवाब", "उत्तर"),
        ("नहीं कर सक", "नहीं दे सक", "नहीं कर पा", "नहीं दे पा"),
        12,
    ),
)  # fmt: skip
"""Language, forms of "I cannot", of "help", and the most characters between them."""
