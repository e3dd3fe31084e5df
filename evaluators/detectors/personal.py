"""Personal data that can be told by its form: addresses, numbers and identifiers, not names.

A shape alone is weak evidence, so each kind also asks for a check digit, a valid prefix or a word
nearby ("IBAN", "Tel."), and refuses what a word such as "order" or "tracking" claims for something
else. Order numbers, versions, timestamps, UUIDs and hashes are not personal data.
"""

from collections.abc import Callable, Iterable
from functools import cache, partial
from ipaddress import IPv4Address, IPv6Address, ip_address

from evaluators.patterns import Candidate, Check, Detector, Pattern, whole

from . import checksums
from .national import IDENTIFIERS, Identifier

_CONTEXT_BYTES = 48
_CLAIM_BYTES = 28
_FIRST_UNSPACED = "\u0590"
"""Below are the Latin, Greek, Cyrillic and Armenian letters."""
_IDENTIFIER_BYTES = 72
"""As far as the name of an identifier stands before it, in three bytes a letter too."""

# A number after one of these words is that, whatever it looks like.
_CLAIMS = (
    "order", "tracking", "invoice", "ticket", "case", "reference", "ref.", "ref:", "sku", "serial",
    "shipment", "parcel", "transaction", "version", "build", "isbn", "ean", "upc", "gtin", "model",
    "part no", "part number", "product", "article", "item", "booking", "confirmation", "timestamp",
    "bestell", "auftrag", "rechnung", "sendung", "artikel", "vorgang", "pedido", "factura",
    "commande", "facture", "colis", "suivi", "ordine", "fattura", "encomenda", "fatura",
    "bestelling", "zamówieni", "заказ", "訂單", "订单", "注文",
)  # fmt: skip
_IP_WORDS = frozenset({"ip", "address", "adresse", "from", "host", "server", "client", "dns"})
_PHONE_WORDS = (
    "phone", " tel", "call", "mobile", "cell", "fax", "whatsapp", "sms", "text me", "dial", "reach",
    "ring", "contact", "hotline", "number is", "handy", "mobil", "anruf", "rufnummer", "telefon",
    "móvil", "teléfono", "llam", "llám", "celular", "portable", "appel", "joindre", "cellulare",
    "chiama", "ligue", "ligar", "contato", "telemóvel", "bel ", "zadzwoń", "komórk", "телефон",
    "звон", "電話", "电话", "手机", "携帯", "연락처", "전화", "هاتف", "फ़ोन",
)  # fmt: skip
_CARD_WORDS = ("card", "visa", "mastercard", "amex", "karte", "tarjeta", "carte", "cartão", "carta")
_VERSION_WORDS = (
    "version", "ver.", "release", "build", "firmware", "driver", "section", "chapter", "kapitel",
    "abschnitt", "versión", "versão", "versione", "oid", "clause", "python", "chrome",
)  # fmt: skip

_COUNTRY_CODES = frozenset(
    {20, 27, *range(30, 35), 36, 39, 40, 41, *range(43, 50), *range(51, 59), *range(60, 67)}
    | {81, 82, 84, 86, *range(90, 96), 98}
    | {*range(21, 27), 29, 35, 37, 38, 42, 50, 59, 67, 68, 69, 85, 87, 88, 96, 97, 99}
)
"""First two digits of every country code but 1 and 7 (ITU-T E.164); the last line: of three."""
_MAESTRO = (5018, 5020, 5038, 5893, 6304, 6759, 6761, 6762, 6763)
_MAX_E164_DIGITS = 15
_MIN_E164_DIGITS = 9
_ELEVEN_DIGITS = 11


def digits_of(text: str) -> str:
    """The digits of a text, in order."""
    return "".join(character for character in text if character.isdigit())


def _bare(text: str) -> str:
    return "".join(character for character in text if character.isalnum())


def _is_claimed(candidate: Candidate) -> bool:
    before = candidate.before(_CLAIM_BYTES).lower().rpartition("\n")[2]
    return before.endswith("#") or any(word in before for word in _CLAIMS)


def _has_word(candidate: Candidate, words: Iterable[str]) -> bool:
    around = candidate.before(_CONTEXT_BYTES).lower()
    return any(word in around for word in words)


def _goes_on(text: str) -> bool:
    """Whether a letter or digit follows that would belong to the same word.

    Chinese, Japanese, Korean and Thai are written up to a number without a space.
    """
    return text.isalnum() and text < _FIRST_UNSPACED


def _is_part_of_more(candidate: Candidate) -> bool:
    """Whether the match is a piece of a longer token: a UUID, a path, a decimal number."""
    before, after = candidate.before(4), candidate.after(2)
    if before and (before[-1] in "-/_.+" or _goes_on(before[-1])):
        return not (before[-1] == "." and not before[-2:-1].isalnum()) and before[-2:] != "//"
    if not after:
        return False
    return after[0] == "_" or _goes_on(after[0]) or (after[0] in "-./" and _goes_on(after[1:]))


def _checked(
    accept: Callable[[str], bool],
    *,
    words: tuple[str, ...] = (),
    keep: Callable[[str], str] = _bare,
    is_named: Callable[[Candidate], bool] | None = None,
) -> Check:
    """A check of the bare characters.

    One of `words` must stand before, or whatever `is_named` asks for; else no word may claim it.
    """
    named = partial(_has_word, words=words) if words else is_named

    def check(candidate: Candidate) -> int:
        if _is_part_of_more(candidate):
            return 0
        if _is_claimed(candidate) if named is None else not named(candidate):
            return 0
        return whole(candidate) if accept(keep(candidate.text)) else 0

    return check


def _identifier(one: Identifier) -> Check:
    def is_named(candidate: Candidate) -> bool:
        return one.is_named(candidate.before(_IDENTIFIER_BYTES))

    keep = str if "<" in one.regex else _bare
    return _checked(one.accept, keep=keep, is_named=is_named if one.words else None)


def _named_mac(candidate: Candidate) -> int:
    return whole(candidate) if "mac" in candidate.before(_CLAIM_BYTES).lower() else 0


def _email(candidate: Candidate) -> int:
    local, _, domain = candidate.text.rpartition("@")
    before = candidate.before(64)
    if local.startswith(".") or local.endswith(".") or ".." in local:
        return 0
    if before.endswith((":", "/")) and "://" in before.rpartition(" ")[2]:
        return 0  # credentials in a URL
    if local == "git" and candidate.after(1) == ":":
        return 0  # a repository
    labels = domain.split(".")
    if labels[0].rstrip("x").isdigit() and labels[0].endswith("x"):
        return 0  # icon@2x.png
    return whole(candidate)


def _iban(candidate: Candidate) -> int:
    text = candidate.text
    length = checksums.iban_length(text[:2])
    seen = 0
    for place, character in enumerate(text):
        seen += character.isalnum()
        if seen == length:
            rest = text[place + 1 : place + 2]
            fits = not _goes_on(rest) and checksums.is_iban(_bare(text[: place + 1]))
            before = candidate.before(1)
            return place + 1 if fits and not _goes_on(before) and before != "_" else 0
    return 0


def _is_card_network(digits: str) -> bool:
    """Whether prefix and length are those of a payment network (ISO/IEC 7812)."""
    length, two, three, four = len(digits), int(digits[:2]), int(digits[:3]), int(digits[:4])
    return (
        (digits[0] == "4" and length in (16, 19))
        or (length == 16 and (51 <= two <= 55 or 2221 <= four <= 2720))  # noqa: PLR2004  issuer ranges
        or (length == 15 and two in (34, 37))  # noqa: PLR2004  issuer ranges
        or (length == 16 and (four == 6011 or 644 <= three <= 659 or 3528 <= four <= 3589))  # noqa: PLR2004  issuer ranges
        or (length == 14 and (two in (36, 38, 39) or 300 <= three <= 305))  # noqa: PLR2004  issuer ranges
        or (16 <= length <= 19 and two == 62)  # noqa: PLR2004  issuer ranges
        or (length == 16 and 2200 <= four <= 2204)  # noqa: PLR2004  Mir
        or (12 <= length <= 19 and four in _MAESTRO)  # noqa: PLR2004  Maestro
    )


def _is_group(digits: str, separator: str) -> bool:
    return separator in (" ", "-") and len(digits) == 4 and digits.isdigit()  # noqa: PLR2004  4-4-4-4


def _card(candidate: Candidate) -> int:
    before, after = candidate.before(5), candidate.after(5)
    if _is_group(after[1:], after[:1]) or _is_group(before[:-1], before[-1:]):
        return 0  # in the middle of a longer number
    digits = digits_of(candidate.text)
    if _is_part_of_more(candidate) or len(set(digits)) < 2 or not _is_card_network(digits):  # noqa: PLR2004  0000...
        return 0
    if _is_claimed(candidate) and not _has_word(candidate, _CARD_WORDS):
        return 0
    return whole(candidate) if checksums.is_luhn(digits) else 0


def _ip(candidate: Candidate) -> int:
    text = candidate.text
    before, after = candidate.before(20).lower(), candidate.after(2)
    if before and (_goes_on(before[-1]) or before[-1] in ".:-_"):
        return 0
    has_port = after[:1] == ":" and "." in text
    if not has_port and after[:1] in (".", "-", ":", "_") and _goes_on(after[1:]):
        return 0
    words = before.replace("(", " ").replace(":", " ").split()[-2:]
    if any(word.startswith(_VERSION_WORDS) or word == "v" for word in words):
        return 0
    try:
        address = ip_address(text)
    except ValueError:
        return 0
    looks_like_version = "." in text and text[1] == "." and text[-2] == "."
    if looks_like_version and not has_port and not set(words) & _IP_WORDS:
        return 0
    return whole(candidate) if _is_somebodys(address) else 0


def _is_somebodys(address: IPv4Address | IPv6Address) -> bool:
    """Whether an address can belong to a person: not loopback, private, multicast or reserved.

    Documentation ranges count: text that was written to look real is treated so.
    """
    if isinstance(address, IPv6Address):
        groups = [group for group in str(address).split(":") if group]
        return address.exploded[0] in "23" and len(groups) >= 3  # noqa: PLR2004  not `dead::beef`
    first, second, *_ = address.packed
    private = first in (0, 10, 127) or first >= 224  # noqa: PLR2004  multicast and reserved
    return not (
        private
        or (first == 172 and 16 <= second <= 31)  # noqa: PLR2004  RFC 1918
        or (first, second) in ((192, 168), (169, 254))
    )


def _international_phone(candidate: Candidate) -> int:
    text = candidate.text
    if _goes_on(candidate.before(1)) or _goes_on(candidate.after(1)) or candidate.after(1) == "%":
        return 0
    if text.startswith("00") and not _may_begin_with_zeros(candidate):
        return 0
    digits = digits_of(text.removeprefix("00"))
    if digits.endswith("00000") or not _MIN_E164_DIGITS <= len(digits) <= _MAX_E164_DIGITS:
        return 0
    if digits[0] in "17":
        known = len(digits) == _ELEVEN_DIGITS
    else:
        known = int(digits[:2]) in _COUNTRY_CODES
    return whole(candidate) if known else 0


def _may_begin_with_zeros(candidate: Candidate) -> bool:
    """Whether 00 is a prefix here, and not a piece of an order number or a fraction."""
    before = candidate.before(2)
    inside = before[-1:] in ("-", ".", "/", "_") or (before[-1:] == " " and before[:1].isdigit())
    has_code = candidate.text[2] in "17" or candidate.text[3].isdigit()
    return has_code and not inside and not _is_claimed(candidate)


def _national_phone(candidate: Candidate) -> int:
    """A number in a shape that is mostly a telephone number."""
    before = candidate.before(3)
    if _goes_on(before[-1:]) or before[-1:] in ("-", ".", "_", "/", "+", "$", "€", "£", "="):
        return 0
    after = candidate.after(2)
    if _goes_on(after[:1]) or (after[:1] in ("-", "/", ".", ":") and after[1:].isdigit()):
        return 0
    if before[-1:] == " " and before[-2:-1].isdigit():
        return 0  # a group of a longer number
    if after[:1] == " " and after[1:].isdigit():
        return 0
    claimed = _is_claimed(candidate) and not _has_word(candidate, _PHONE_WORDS)
    return 0 if claimed else whole(candidate)


def _phone_by_word(candidate: Candidate) -> int:
    """A bare run of digits that a word just before calls a telephone number."""
    if _is_part_of_more(candidate):
        return 0
    near = " " + candidate.before(24).lower().rpartition("\n")[2]
    named = any(word in near for word in _PHONE_WORDS)
    return whole(candidate) if named and not any(word in near for word in _CLAIMS) else 0


# Latin, Greek and Cyrillic; Chinese and Japanese are written without a space before an address.
_LETTERS = r"A-Za-z\x{C0}-\x{24F}\x{370}-\x{52F}"
_SSN_WORDS = ("ssn", "social security", "social-security", "seguro social")

_PATTERNS = (
    Pattern(
        "email",
        rf"[{_LETTERS}0-9._%+\-]+@(?:[{_LETTERS}0-9\-]+\.)+[{_LETTERS}]{{2,24}}",
        _email,
        nested=False,
    ),
    Pattern(
        "email",
        rf"(?i)\b[{_LETTERS}0-9._%+\-]+\s?[(\[]\s?(?:at|@)\s?[)\]]\s?[{_LETTERS}0-9\-]+"
        rf"(?:\s?(?:\.|[(\[]\s?(?:dot|\.)\s?[)\]])\s?[{_LETTERS}0-9\-]+)+",
        nested=False,
    ),
    Pattern("iban", r"(?i)\b[A-Z]{2}\d{2}(?:[ \-]?[A-Z0-9]{1,4}){3,9}", _iban),
    Pattern("card", r"\b\d{4}[ \-]\d{4}[ \-]\d{4}[ \-]\d{4}(?:[ \-]\d{3})?\b", _card),
    Pattern("card", r"\b\d{4}[ \-]\d{4}[ \-]\d{4}[ \-]\d{4}\b", _card),
    Pattern("card", r"\b\d{4}[ \-]\d{6}[ \-]\d{4,5}\b", _card),
    Pattern("card", r"\b\d{14,19}\b", _card),
    Pattern("card", r"\b(?:50[123]|589|630|67[56])\d{9,10}\b", _card),
    Pattern("us_ssn", r"\b\d{3}-\d{2}-\d{4}\b", _checked(checksums.is_us_ssn)),
    Pattern("us_ssn", r"\b\d{3} ?\d{2} ?\d{4}\b", _checked(checksums.is_us_ssn, words=_SSN_WORDS)),
    # A number that needs a word comes before those that are told by their form.
    Pattern(
        "uk_nhs",
        r"\b\d{3}[ \-]?\d{3}[ \-]?\d{4}\b",
        _checked(checksums.is_nhs_number, words=("nhs",)),
    ),
    Pattern("pl_pesel", r"\b\d{11}\b", _checked(checksums.is_pesel, words=("pesel",))),
    Pattern(
        "nl_bsn",
        r"\b\d{4}[ .]?\d{2}[ .]?\d{3}\b",
        _checked(checksums.is_bsn, words=("bsn", "burgerservice", "sofinummer")),
    ),
    Pattern(
        "se_personnummer",
        r"\b(?:19|20)?\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])[\-+]?\d{4}\b",
        _checked(
            checksums.is_luhn,
            words=("personnummer", "personal number", "personal identity"),
            keep=lambda text: digits_of(text)[-10:],
        ),
    ),
    Pattern(
        "in_aadhaar",
        r"\b[2-9]\d{3}[ \-]?\d{4}[ \-]?\d{4}\b",
        _checked(checksums.is_aadhaar, words=("aadhaar", "aadhar", "uidai", "आधार")),
    ),
    Pattern(
        "ca_sin",
        r"\b\d{3}[ \-]?\d{3}[ \-]?\d{3}\b",
        _checked(checksums.is_luhn, words=("social insurance", "sin:", "sin ", "sin is", "nas ")),
    ),
    Pattern(
        "uk_nino",
        r"(?i)\b(?:[ACEHJLMOPRSWXY][A-CEGHJ-NPR-TW-Z]|B[A-CEHJ-NPR-TW-Z]|G[ACEGHJ-NPR-TW-Z]"
        r"|K[A-CEGHJ-MPR-TW-Z]|N[A-CEGHJLMPR-SW-Z]|T[A-CEGHJ-MPR-TW-Z]|Z[A-CEGHJ-NPR-TW-Y])"
        r" ?\d{2} ?\d{2} ?\d{2} ?[A-D]\b",
        _checked(lambda text: text.isupper()),
    ),
    Pattern("de_tax_id", r"\b\d{2} ?\d{3} ?\d{3} ?\d{3}\b", _checked(checksums.is_german_tax_id)),
    Pattern(
        "es_dni",
        r"\b(?:\d{8}|[XYZ][ \-]?\d{7})[ \-]?[A-HJ-NP-TV-Z]\b",
        _checked(checksums.is_spanish_id),
    ),
    Pattern(
        "fr_nir",
        r"\b[12] ?\d{2} ?(?:0[1-9]|1[0-2]|[2-9]\d) ?(?:\d{2}|2[AB]) ?\d{3} ?\d{3} ?\d{2}\b",
        _checked(checksums.is_french_nir),
    ),
    Pattern("br_cpf", r"\b\d{3}\.\d{3}\.\d{3}-\d{2}\b", _checked(checksums.is_cpf)),
    Pattern("br_cpf", r"\b\d{11}\b", _checked(checksums.is_cpf, words=("cpf",))),
    Pattern(
        "it_codice_fiscale",
        r"\b[A-Z]{6}\d{2}[A-EHLMPRST]\d{2}[A-Z]\d{3}[A-Z]\b",
        _checked(checksums.is_codice_fiscale),
    ),
    Pattern("ch_ahv", r"\b756\.?\d{4}\.?\d{4}\.?\d{2}\b", _checked(checksums.is_ahv)),
    Pattern(
        "cn_resident_id",
        r"\b[1-9]\d{5}(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[\dXx]\b",
        _checked(checksums.is_resident_id),
    ),
    *(Pattern(one.kind, one.regex, _identifier(one)) for one in IDENTIFIERS),
    Pattern("mac", r"(?i)\b[0-9a-f]{2}(?:[:\-][0-9a-f]{2}){5}\b", _named_mac),
    Pattern("ip", r"\b\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}\b", _ip),
    Pattern("ip", r"(?i)\b[0-9a-f]{1,4}:(?:[0-9a-f]{0,4}:){1,6}[0-9a-f]{1,4}\b", _ip),
    Pattern(
        "phone",
        r"(?:\+|\b00)[1-9]\d{0,2}(?:[ .\-/]?\(?\d{1,5}\)?){2,6}\b",
        _international_phone,
    ),
    # North America; area code and exchange begin with 2 to 9.
    Pattern("phone", r"(?:\b1[ \-.])?\([2-9]\d{2}\)[ \-]?[2-9]\d{2}[ \-.]\d{4}\b", _national_phone),
    Pattern("phone", r"\b(?:1[ \-.])?[2-9]\d{2}([ \-.])[2-9]\d{2}[ \-.]\d{4}\b", _national_phone),
    Pattern("phone", r"\b8[ \-]?\(\d{3}\)[ \-]?\d{3}[ \-]\d{2}[ \-]?\d{2}\b", _national_phone),
    # Brazil; a trunk prefix 0 with groups (United Kingdom, Germany, Italy, Japan); France.
    Pattern("phone", r"\([1-9]\d\) ?9?\d{4}[ \-]\d{4}\b", _national_phone),
    Pattern("phone", r"\(?\b0[1-9]\d{1,4}\)?[ /]\d{3,4}[ \-]?\d{3,5}\b", _national_phone),
    Pattern("phone", r"\b0[1-9]\d{0,3}-\d{3,4}-\d{4}\b", _national_phone),
    Pattern("phone", r"\b0[1-9](?:[ .\-]\d{2}){4}\b", _national_phone),
    Pattern("phone", r"\b\d(?:[ .\-/]?\d){7,11}\b", _phone_by_word),
)


@cache
def detector() -> Detector:
    """The compiled table; made once a process, when first needed."""
    return Detector(_PATTERNS)


KINDS = frozenset(pattern.kind for pattern in _PATTERNS)
"""Every kind that can be found."""
