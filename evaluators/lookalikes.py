"""Letters that look like Latin ones, but are of another alphabet.

A word that is spelled with them reads the same to a person and to a model, and to no pattern.
"""

_CYRILLIC = "АВЕЅІЈКМНОРСТУХаеѕіјкорсухһԁԛԝґпт"
_CYRILLIC_AS = "ABESIJKMHOPCTYXaesijkopcyxhdqwrnt"
_GREEK = "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧανιοκρτυχγ"
_GREEK_AS = "ABEZHIKMNOPTYXaviokptuxy"
_OTHERS = "ıɑɡɩʏᴀᴄᴅᴇᴍɴᴏᴘʀᴛᴜօսոԼ"
_OTHERS_AS = "iagiyacdemnoprtuounL"

_FOLDED = str.maketrans(_CYRILLIC + _GREEK + _OTHERS, _CYRILLIC_AS + _GREEK_AS + _OTHERS_AS)


def fold(text: str) -> str:
    """The text with look-alike letters as Latin ones; for comparing only, never to be shown."""
    return text.translate(_FOLDED)
