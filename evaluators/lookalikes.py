"""Letters that look like Latin ones, but are of another alphabet, or crossed out, or in a box.

A word that is spelled with them reads the same to a person and to a model, and to no pattern.
"""

# ruff: noqa: RUF001  look-alike letters are what this is about

import re
import unicodedata
from string import ascii_uppercase

_CYRILLIC = "АВЕЅІЈКМНОРСТУХаеѕіјкорсухһԁԛԝґпт"
_CYRILLIC_AS = "ABESIJKMHOPCTYXaesijkopcyxhdqwrnt"
_GREEK = "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧανιοκρτυχγ"
_GREEK_AS = "ABEZHIKMNOPTYXaviokptuxy"
_SMALL_CAPITALS = "ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ"
_SMALL_CAPITALS_AS = "abcdefghijklmnoprstuvwyz"
_CHEROKEE = "ᎪᏴᏟᎠᎬᏀᎻᎥᎫᏦᏞᎷᏢᏒᏚᎢᏙᎳᏃ"
_CHEROKEE_AS = "ABCDEGHIJKLMPRSTVWZ"
_OTHERS = "ıɑɡɩօսոԼ"
_OTHERS_AS = "iagiounL"
_BOXED = {
    chr(first + place): letter
    for first in (0x1F150, 0x1F170, 0x1F1E6)  # negative circles and squares, halves of flags
    for place, letter in enumerate(ascii_uppercase)
}

_FOLDED = dict(
    zip(
        _CYRILLIC + _GREEK + _SMALL_CAPITALS + _CHEROKEE + _OTHERS,
        _CYRILLIC_AS + _GREEK_AS + _SMALL_CAPITALS_AS + _CHEROKEE_AS + _OTHERS_AS,
        strict=True,
    )
)
# `str.translate` with a table takes thirty times as long, whatever is in the text, and so does one
# class of characters from inside and outside the basic plane.
_LOOKALIKE = re.compile(f"[{''.join(_FOLDED)}]")
_BOX = re.compile(f"[{min(_BOXED)}-{max(_BOXED)}]")
_MARKS = re.compile("[\u0300-\u036f\u20d0-\u20f0]")
"""Accents, and what crosses letters out or puts a circle around them."""


def fold(text: str) -> str:
    """The text in plain Latin letters, as far as it looks so; for comparing only, never shown."""
    text = unicodedata.normalize("NFC", _MARKS.sub("", unicodedata.normalize("NFD", text)))
    text = _LOOKALIKE.sub(lambda found: _FOLDED[found[0]], text)
    return _BOX.sub(lambda found: _BOXED.get(found[0], found[0]), text)
