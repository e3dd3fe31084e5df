"""Identifiers that states give to people, by country: form, check digits, words nearby.

Where the form is rare and the check digits are strong the number is told by itself; otherwise one
of the words must stand shortly before it.
"""

# ruff: noqa: E501  one identifier a line

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

from .checksums import is_luhn, is_mod_11_10, weighted

_DAY = r"(?:0[1-9]|[12]\d|3[01])"
_MONTH = r"(?:0[1-9]|1[0-2])"
_HETU_CHECKS = "0123456789ABCDEFHJKLMNPRSTUVWXY"
_CURP_ORDER = "0123456789ABCDEFGHIJKLMNÑOPQRSTUVWXYZ"
_TAIWAN_ORDER = "ABCDEFGHJKLMNPQRSTUVXYWZIO"
_PPS_CHECKS = "WABCDEFGHIJKLMNOPQRSTUV"
_MRZ_WEIGHTS = (7, 3, 1)
_LONG_WORD = 6


@dataclass(frozen=True, slots=True)
class Identifier:
    """One identifier.

    Attributes:
        kind: Country and name.
        regex: Its form, in RE2's syntax.
        accept: Whether the bare characters can be one.
        words: One of these must stand before it, in lower case; none: the form is enough.
    """

    kind: str
    regex: str
    accept: Callable[[str], bool]
    words: tuple[str, ...] = ()

    def is_named(self, before: str) -> bool:
        """Whether one of its words stands in the text before it."""
        return _named(self.words).search(before.lower()) is not None


@cache
def _named(words: tuple[str, ...]) -> re.Pattern[str]:
    # A short word is no piece of another ("company", "third"); a long one may go on.
    return re.compile("|".join(map(_bounded, words)))


def _bounded(word: str) -> str:
    if not word.isascii():
        return re.escape(word)
    return rf"(?<![a-z]){re.escape(word)}" + (r"(?![a-z])" if len(word) < _LONG_WORD else "")


def _varied(text: str) -> bool:
    return len(set(text)) > 2  # noqa: PLR2004  not 000..., not 121212...


def _luhn(digits: str) -> bool:
    return _varied(digits) and is_luhn(digits)


def _belgian(digits: str) -> bool:
    head, check = digits[:9], 97 - int(digits[9:])
    return check in (int(head) % 97, int(f"2{head}") % 97)


def _bulgarian(digits: str) -> bool:
    return weighted(digits[:9], (2, 4, 8, 5, 10, 9, 7, 3, 6)) % 11 % 10 == int(digits[9])


def _czech(digits: str) -> bool:
    is_month = int(digits[2:4]) % 50 % 20 in range(1, 13)
    # Until 1985 a rest of 10 was written as 0.
    fits = int(digits) % 11 == 0 or (int(digits[:9]) % 11 == 10 and digits[9] == "0")  # noqa: PLR2004  no digit
    return is_month and fits and _varied(digits)


def _baltic(digits: str) -> bool:
    check = weighted(digits[:10], (1, 2, 3, 4, 5, 6, 7, 8, 9, 1)) % 11
    if check == 10:  # noqa: PLR2004  no digit
        check = weighted(digits[:10], (3, 4, 5, 6, 7, 8, 9, 1, 2, 3)) % 11 % 10
    return check == int(digits[10])


def _finnish(text: str) -> bool:
    # The sign of the century is no letter or digit before 2000, and may be a letter after it.
    digits = text[:6] + text[-4:-1]
    return _HETU_CHECKS[int(digits) % 31] == text[-1]


def _hungarian(digits: str) -> bool:
    return weighted(digits[:8], (3, 7) * 4) % 10 == int(digits[8]) and _varied(digits)


def _irish(text: str) -> bool:
    extra = 9 * (ord(text[8]) - 64) if len(text) > 8 and text[8] != "W" else 0  # noqa: PLR2004  a letter
    return _PPS_CHECKS[(weighted(text[:7], range(8, 1, -1)) + extra) % 23] == text[7]


def _icelandic(digits: str) -> bool:
    return -weighted(digits[:8], (3, 2, 7, 6, 5, 4, 3, 2)) % 11 == int(digits[8])


def _japanese(digits: str) -> bool:
    rest = weighted(digits[:11], (6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return (0 if rest < 2 else 11 - rest) == int(digits[11]) and _varied(digits)  # noqa: PLR2004  as the law says


def _korean(digits: str) -> bool:
    return (11 - weighted(digits[:12], (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)) % 11) % 10 == int(
        digits[12]
    )


def _mexican(text: str) -> bool:
    values = (_CURP_ORDER.index(character) for character in text[:17])
    total = sum(value * (18 - place) for place, value in enumerate(values))
    return str(-total % 10) == text[17]


def _norwegian(digits: str) -> bool:
    first = -weighted(digits[:9], (3, 7, 6, 1, 8, 9, 4, 5, 2)) % 11
    second = -weighted(digits[:10], (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return digits[9:] == f"{first}{second}"


def _portuguese(digits: str) -> bool:
    rest = weighted(digits[:8], range(9, 1, -1)) % 11
    return (0 if rest < 2 else 11 - rest) == int(digits[8])  # noqa: PLR2004  as the law says


def _romanian(digits: str) -> bool:
    rest = weighted(digits[:12], (2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9)) % 11
    return rest % 10 == int(digits[12]) or (rest == 10 and digits[12] == "1")  # noqa: PLR2004  no digit


def _yugoslav(digits: str) -> bool:
    check = 11 - weighted(digits[:12], (7, 6, 5, 4, 3, 2) * 2) % 11
    return (0 if check > 9 else check) == int(digits[12])  # noqa: PLR2004  no digit


def _snils(digits: str) -> bool:
    return weighted(digits[:9], range(9, 0, -1)) % 101 % 100 == int(digits[9:])


def _russian_tax(digits: str) -> bool:
    first = weighted(digits[:10], (7, 2, 4, 10, 3, 5, 9, 4, 6, 8)) % 11 % 10
    second = weighted(digits[:11], (3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8)) % 11 % 10
    return digits[10:] == f"{first}{second}"


def _ukrainian(digits: str) -> bool:
    return weighted(digits[:9], (-1, 5, 7, 9, 4, 6, 10, 5, 7)) % 11 % 10 == int(digits[9])


def _thai(digits: str) -> bool:
    return (11 - weighted(digits[:12], range(13, 1, -1)) % 11) % 10 == int(digits[12])


def _turkish(digits: str) -> bool:
    odd, even = sum(map(int, digits[0:9:2])), sum(map(int, digits[1:8:2]))
    tenth = (7 * odd - even) % 10
    return digits[9:] == f"{tenth}{sum(map(int, digits[:10])) % 10}"


def _taiwanese(text: str) -> bool:
    digits = f"{_TAIWAN_ORDER.index(text[0]) + 10}{text[1:]}"
    return weighted(digits, (1, 9, 8, 7, 6, 5, 4, 3, 2, 1, 1)) % 10 == 0


def _hong_kong(text: str) -> bool:
    values = [36] * (9 - len(text)) + [int(character, 36) for character in text]
    return _weighted_down(values) % 11 == 0


def _weighted_down(values: Sequence[int]) -> int:
    return sum(
        value * weight for value, weight in zip(values, range(len(values), 0, -1), strict=True)
    )


def _singaporean(text: str) -> bool:
    total = weighted(text[1:8], (2, 7, 6, 5, 4, 3, 2)) + (4 if text[0] in "TG" else 0)
    return ("JZIHGFEDCBA" if text[0] in "ST" else "XWUTRQPNMLK")[total % 11] == text[8]


def _argentinian(digits: str) -> bool:
    return (11 - weighted(digits[:10], (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11) % 11 == int(digits[10])


def _chilean(text: str) -> bool:
    weights = [2 + place % 6 for place in range(len(text) - 1)]
    return "0123456789K"[-weighted(text[-2::-1], weights) % 11] == text[-1].upper()


def _brazilian_company(digits: str) -> bool:
    weights = (6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)
    first = weighted(digits[:12], weights[1:]) % 11
    second = weighted(digits[:13], weights) % 11
    return digits[12:] == "".join(str(0 if rest < 2 else 11 - rest) for rest in (first, second))  # noqa: PLR2004  as the law says


def _australian_tax(digits: str) -> bool:
    return weighted(digits, (1, 4, 3, 7, 5, 8, 6, 9, 10)) % 11 == 0 and _varied(digits)


def _australian_medicare(digits: str) -> bool:
    return weighted(digits[:8], (1, 3, 7, 9) * 2) % 10 == int(digits[8])


def _new_zealand(digits: str) -> bool:
    digits = digits.zfill(9)
    for weights in ((3, 2, 7, 6, 5, 4, 3, 2), (7, 4, 3, 2, 5, 2, 7, 6)):
        check = -weighted(digits[:8], weights) % 11
        if check < 10:  # noqa: PLR2004  a digit
            return check == int(digits[8])
    return False


def _austrian(digits: str) -> bool:
    return weighted(digits[:3] + digits[4:], (3, 7, 9, 5, 8, 4, 2, 1, 6)) % 11 == int(digits[3])


def _mrz(text: str) -> bool:
    """The second line of a passport: each part has a check digit, and all of it one (ICAO 9303)."""
    return all(
        sum(
            (0 if char == "<" else int(char, 36)) * _MRZ_WEIGHTS[place % 3]
            for place, char in enumerate(part)
        )
        % 10
        == int(check)
        for part, check in (
            (text[:9], text[9]),
            (text[13:19], text[19]),
            (text[21:27], text[27]),
            (text[:10] + text[13:20] + text[21:43], text[43]),
        )
        if check != "<"
    )


def _any(_text: str) -> bool:
    return True


IDENTIFIERS: tuple[Identifier, ...] = (
    # told by their form
    Identifier("be_nn", rf"\b\d\d\.{_MONTH}\.{_DAY}[\-.]\d{{3}}[\-.]\d\d\b", _belgian),
    Identifier("fi_hetu", rf"\b{_DAY}{_MONTH}\d\d[\-+A-FU-Y]\d{{3}}[0-9A-FHJ-NPR-Y]\b", _finnish),
    Identifier("cz_rc", rf"\b\d\d(?:[05][1-9]|[16][0-2]){_DAY}/\d{{4}}\b", _czech),
    Identifier("kr_rrn", rf"\b\d\d{_MONTH}{_DAY}-[1-8]\d{{6}}\b", _korean),
    Identifier(
        "mx_curp",
        rf"\b[A-Z][AEIOUX][A-Z]{{2}}\d\d{_MONTH}{_DAY}[HMX][A-Z]{{5}}[A-Z0-9]\d\b",
        _mexican,
    ),
    Identifier("hk_id", r"\b[A-Z]{1,2}\d{6}\([0-9A]\)", _hong_kong),
    Identifier("sg_nric", r"\b[STFG]\d{7}[A-Z]\b", _singaporean),
    Identifier("tw_id", r"\b[A-Z][12]\d{8}\b", _taiwanese),
    Identifier("th_id", r"\b[1-8]-\d{4}-\d{5}-\d\d-\d\b", _thai),
    Identifier("ar_cuit", r"\b(?:2[03478]|3[034])-\d{8}-\d\b", _argentinian),
    Identifier("cl_rut", r"\b\d{1,2}\.\d{3}\.\d{3}-[0-9Kk]\b", _chilean),
    Identifier("br_cnpj", r"\b\d\d\.\d{3}\.\d{3}/\d{4}-\d\d\b", _brazilian_company),
    Identifier("ru_snils", r"\b\d{3}-\d{3}-\d{3}[ \-]\d\d\b", _snils),
    Identifier("us_itin", r"\b9\d\d-(?:5\d|6[0-5]|7\d|8[0-8]|9[0-24-9])-\d{4}\b", _any, ("itin", "taxpayer")),
    Identifier(
        "passport_mrz",
        r"\b[A-Z0-9<]{9}[0-9<][A-Z<]{3}\d{6}\d[FMX<]\d{6}\d[A-Z0-9<]{14}[0-9<]{2}",
        _mrz,
    ),
    # told by a word as well
    Identifier("at_svnr", rf"\b[1-9]\d{{3}} ?{_DAY}(?:0[1-9]|1[0-5])\d\d\b", _austrian, ("svnr", "sv-nummer", "sozialversicherung", "versicherungsnummer")),
    Identifier("be_nn", rf"\b\d\d{_MONTH}{_DAY}\d{{5}}\b", _belgian, ("rijksregister", "registre national", "numéro national", "insz", "niss")),
    Identifier("bg_egn", r"\b\d{10}\b", _bulgarian, ("егн", "egn")),
    Identifier("cz_rc", r"\b\d{10}\b", _czech, ("rodné číslo", "rodné čislo", "rč:")),
    Identifier("dk_cpr", rf"\b{_DAY}{_MONTH}\d\d-?\d{{4}}\b", _varied, ("cpr", "personnummer")),
    Identifier("ee_ik", rf"\b[1-6]\d\d{_MONTH}{_DAY}\d{{4}}\b", _baltic, ("isikukood", "personal code", "asmens kod")),
    Identifier("gr_amka", rf"\b{_DAY}{_MONTH}\d{{7}}\b", _luhn, ("αμκα", "amka")),
    Identifier("hr_oib", r"\b\d{11}\b", is_mod_11_10, ("oib",)),
    Identifier("hu_taj", r"\b\d{3}[ \-]?\d{3}[ \-]?\d{3}\b", _hungarian, ("taj", "társadalombiztosítás")),
    Identifier("ie_pps", r"\b\d{7}[A-W][A-IW]?\b", _irish, ("pps",)),
    Identifier("il_id", r"\b\d{9}\b", _luhn, ("teudat zehut", "ת.ז", "תעודת זהות", "israeli id")),
    Identifier("is_kt", rf"\b{_DAY}{_MONTH}\d\d-?\d{{3}}[890]\b", _icelandic, ("kennitala", "kt.")),
    Identifier("jp_my_number", r"\b\d{4}[ \-]?\d{4}[ \-]?\d{4}\b", _japanese, ("マイナンバー", "個人番号", "my number")),
    Identifier("mx_rfc", rf"\b[A-ZÑ&]{{4}}\d\d{_MONTH}{_DAY}[A-Z0-9]{{3}}\b", _any, ("rfc",)),
    Identifier("my_nric", rf"\b\d\d{_MONTH}{_DAY}-?\d\d-?\d{{4}}\b", _varied, ("mykad", "nric", "kad pengenalan", "no. ic")),
    Identifier("no_fnr", r"\b(?:[04][1-9]|[1256]\d|[37][01])(?:[04][1-9]|[15][0-2])\d\d ?\d{5}\b", _norwegian, ("fødselsnummer", "fodselsnummer", "personnummer", "fnr")),
    Identifier("nz_ird", r"\b\d{2,3}-?\d{3}-?\d{3}\b", _new_zealand, ("ird",)),
    Identifier("pk_cnic", r"\b[1-7]\d{4}-\d{7}-\d\b", _any, ("cnic", "nic ", "شناختی")),
    Identifier("pt_nif", r"\b[1235689]\d{2} ?\d{3} ?\d{3}\b", _portuguese, ("nif", "contribuinte")),
    Identifier("ro_cnp", rf"\b[1-9]\d\d{_MONTH}{_DAY}\d{{6}}\b", _romanian, ("cnp", "cod numeric")),
    Identifier("jmbg", rf"\b{_DAY}{_MONTH}[09]\d{{2}}\d{{6}}\b", _yugoslav, ("jmbg", "јмбг", "emšo", "emso", "матични")),
    Identifier("ru_snils", r"\b\d{11}\b", _snils, ("снилс", "snils")),
    Identifier("ru_inn", r"\b\d{12}\b", _russian_tax, ("инн", "inn:", "inn ")),
    Identifier("th_id", r"\b[1-8]\d{12}\b", _thai, ("เลขประจำตัว", "เลขบัตร", "thai id", "citizen id")),
    Identifier("tr_tckn", r"\b[1-9]\d{10}\b", _turkish, ("kimlik", "tckn", "tc no", "t.c.")),
    Identifier("ua_rntrc", r"\b\d{10}\b", _ukrainian, ("рнокпп", "іпн", "ідентифікаційн")),
    Identifier("za_id", rf"\b\d\d{_MONTH}{_DAY}\d{{4}}[01]\d\d\b", _luhn, ("id number", "south african", "identity number", "sa id")),
    Identifier("cl_rut", r"\b\d{7,8}-[0-9Kk]\b", _chilean, ("rut", "run ")),
    Identifier("ar_dni", r"\b\d{1,2}\.\d{3}\.\d{3}\b", _varied, ("dni",)),
    Identifier("co_cc", r"\b\d{1,3}(?:\.\d{3}){2,3}\b", _varied, ("cédula", "cedula")),
    Identifier("ec_ci", r"\b(?:[01]\d|2[0-4])\d{8}\b", _luhn, ("cédula", "cedula")),
    Identifier("do_cedula", r"\b\d{3}-\d{7}-\d\b", _luhn, ("cédula", "cedula")),
    Identifier("in_pan", r"\b[A-Z]{3}[ABCFGHJLPT][A-Z]\d{4}[A-Z]\b", _any, ("pan",)),
    Identifier("au_tfn", r"\b\d{3}[ \-]?\d{3}[ \-]?\d{3}\b", _australian_tax, ("tfn", "tax file")),
    Identifier("au_medicare", r"\b[2-6]\d{3}[ \-]?\d{5}[ \-]?\d\b", _australian_medicare, ("medicare",)),
    Identifier("id_nik", rf"\b[1-9]\d{{5}}(?:[04][1-9]|[1256]\d|[37][01]){_MONTH}\d{{6}}\b", _varied, ("nik", "ktp")),
    Identifier("vn_cccd", r"\b0\d{11}\b", _varied, ("cccd", "căn cước", "cmnd")),
    Identifier("passport", r"\b(?:[A-Z]{1,2}\d{6,8}|\d{9}|[CFGHJKLMNPRTVWXYZ][CFGHJKLMNPRTVWXYZ0-9]{8}[0-9]?)\b", _varied, ("passport", "reisepass", "personalausweis", "ausweisnummer", "passeport", "pasaporte", "passaporte", "passaporto", "paspoort", "паспорт", "护照", "護照", "パスポート", "여권")),
)  # fmt: skip
