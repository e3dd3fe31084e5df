"""Check digits of card numbers, bank accounts and national identifiers.

Each function takes the bare characters, without separators, and says whether the number can exist.
A random number of the right length passes with probability 1/10 to 1/97, so callers look at the
shape and the words around it as well.
"""

from collections.abc import Sequence
from string import ascii_uppercase

_IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22,
    "BR": 29, "BY": 28, "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28,
    "EE": 20, "EG": 29, "ES": 24, "FI": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23,
    "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IQ": 23, "IS": 26,
    "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20, "LU": 20,
    "LV": 21, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MR": 27, "MT": 31, "MU": 30, "NL": 18,
    "NO": 15, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "SA": 24,
    "SC": 31, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "TN": 24, "TR": 26, "UA": 29, "VA": 22,
    "VG": 24, "XK": 20,
}  # fmt: skip
"""Length by country, from the IBAN registry (https://www.swift.com/standards/data-standards/iban)."""

_DNI_LETTERS = "TRWAGMYFPDXBNJZSQVHLCKE"
_RESIDENT_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_FISCAL_ODD = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)  # fmt: skip  # noqa: E501  one table
_VERHOEFF_TIMES = (
    "0123456789", "1234067895", "2340178956", "3401289567", "4012395678",
    "5987604321", "6598710432", "7659821043", "8765932104", "9876543210",
)  # fmt: skip
_VERHOEFF_MOVES = (
    "0123456789", "1576283094", "5803796142", "8916043527",
    "9453126870", "4286573901", "2793806415", "7046913258",
)  # fmt: skip


def iban_length(country: str) -> int:
    """Number of characters of an IBAN of this country (ISO 3166-1 alpha-2); 0: it has none."""
    return _IBAN_LENGTHS.get(country.upper(), 0)


def is_luhn(digits: str) -> bool:
    """Whether the last digit is the Luhn check digit (ISO/IEC 7812-1)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (1 + place % 2)
        total += doubled - 9 if doubled > 9 else doubled  # noqa: PLR2004  the sum of its digits
    return total % 10 == 0


def is_iban(text: str) -> bool:
    """Whether country, length and check digits are those of an IBAN (ISO 13616, mod 97)."""
    text = text.upper()
    if len(text) != iban_length(text[:2]) or not text.isalnum():
        return False
    return int("".join(str(int(character, 36)) for character in text[4:] + text[:4])) % 97 == 1


def is_us_ssn(digits: str) -> bool:
    """Whether a US social security number of this form can have been given out."""
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    return area not in ("000", "666") and area < "900" and group != "00" and serial != "0000"


def is_nhs_number(digits: str) -> bool:
    """Whether the last digit fits a UK NHS number (mod 11)."""
    check = -weighted(digits[:9], range(10, 1, -1)) % 11
    return check == int(digits[9]) and len(set(digits)) > 1


def is_german_tax_id(digits: str) -> bool:
    """Whether this is a German tax identification number (ISO 7064 mod 11,10).

    Among its first ten digits exactly one stands twice or three times.
    """
    repeated = [digits[:10].count(digit) for digit in set(digits[:10])]
    if digits[0] == "0" or sorted(repeated)[-2:] not in ([1, 2], [1, 3]):
        return False
    return is_mod_11_10(digits)


def is_mod_11_10(digits: str) -> bool:
    """Whether the last digit is the check digit by ISO 7064 mod 11,10."""
    product = 10
    for digit in digits[:-1]:
        product = ((int(digit) + product) % 10 or 10) * 2 % 11
    return (11 - product) % 10 == int(digits[-1])


def is_spanish_id(text: str) -> bool:
    """Whether the letter fits a Spanish DNI or NIE (mod 23)."""
    number = text[:-1].translate(str.maketrans("XYZ", "012"))
    return _DNI_LETTERS[int(number) % 23] == text[-1]


def is_french_nir(text: str) -> bool:
    """Whether the key fits a French social security number (mod 97); 2A and 2B are Corsica."""
    number = text[:13].upper().replace("2A", "19").replace("2B", "18")
    return 97 - int(number) % 97 == int(text[13:])


def is_cpf(digits: str) -> bool:
    """Whether both check digits fit a Brazilian CPF (mod 11)."""
    if len(set(digits)) == 1:
        return False
    first = weighted(digits[:9], range(10, 1, -1)) * 10 % 11 % 10
    second = weighted(digits[:10], range(11, 1, -1)) * 10 % 11 % 10
    return digits[9:] == f"{first}{second}"


def is_codice_fiscale(text: str) -> bool:
    """Whether the last letter fits an Italian codice fiscale."""
    total = 0
    for place, character in enumerate(text[:15]):
        value = int(character) if character.isdigit() else ascii_uppercase.index(character)
        total += value if place % 2 else _FISCAL_ODD[value]
    return ascii_uppercase[total % 26] == text[15]


def is_bsn(digits: str) -> bool:
    """Whether a Dutch citizen service number passes the eleven test."""
    return int(digits) > 0 and weighted(digits, (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11 == 0


def is_pesel(digits: str) -> bool:
    """Whether birth date and check digit fit a Polish PESEL."""
    month, day = int(digits[2:4]) % 20, int(digits[4:6])
    total = weighted(digits[:10], (1, 3, 7, 9, 1, 3, 7, 9, 1, 3))
    return 1 <= month <= 12 and 1 <= day <= 31 and -total % 10 == int(digits[10])  # noqa: PLR2004  a calendar


def is_ahv(digits: str) -> bool:
    """Whether the last digit fits a Swiss AHV number (EAN-13)."""
    return -weighted(digits[:12], (1, 3) * 6) % 10 == int(digits[12])


def is_resident_id(text: str) -> bool:
    """Whether the last character fits a Chinese resident identity number (ISO 7064 mod 11-2)."""
    return "10X98765432"[weighted(text[:17], _RESIDENT_WEIGHTS) % 11] == text[17].upper()


def is_aadhaar(digits: str) -> bool:
    """Whether the last digit fits an Indian Aadhaar number (Verhoeff)."""
    check = 0
    for place, digit in enumerate(reversed(digits)):
        moved = int(_VERHOEFF_MOVES[place % 8][int(digit)])
        check = int(_VERHOEFF_TIMES[check][moved])
    return check == 0


def weighted(digits: str, weights: Sequence[int]) -> int:
    """Sum of the digits, each times its weight; as many of these as of those."""
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=True))
