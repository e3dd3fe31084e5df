"""Identifiers of forty countries: found in a sentence, and not with another last digit."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.documented import check_documented

from evaluators.detectors import personal

_ROWS = yaml.safe_load(Path(__file__).with_name("identifiers.yaml").read_text("utf-8"))

_LOOK_ALIKES = """\
Order 4711-0815-2231, invoice 2024-000123, PO-2024-11-00017
Version 10.15.7 of macOS; section 12.34.56-789.01 of the code
timestamp 1700000000, id=12345678901, 1,234,567,890 people
VIN 1HGCM82633A004352, tracking 1Z999AA10123456784
RFC 2822, section 3.4.1; RFC: 7231; PAN is short for primary account number
The company ABCPD1234E is a pan-European firm; a third 123-456-789 of it
ABCDE1234 is the code of the lamp, S1234567 a series of screws
A123456(1) is figure 1 of the annex; flight LH 1234 at gate A12
The HS code is 8471.30.00, CAS 50-00-0, call number QA76.73.P98
DIN 912 M8x20, norm EN 60204-1:2018, bank holidays 24-12 and 25-12-2024
The truth 12345678-5 about the third 12-345-678 significant 213147816 digits
rodn\u00e9 \u010d\u00edslo m\u00e1 deset \u010d\u00edslic; 123456/7890 is a fraction
CPR training takes 6 hours; Taj Mahal was built 1632-1653
NIF is a file format: 123456789.nif; CNP 500 is a paper size
lines 1000000-1234567, 900101-1 in the list, population 83 200 000
build 20240115.12345678, sizes 36-38-40-42, ratio 1:2:3:4
de:ad:be:ef is a joke; sha 3c:22:fb:0b:d8:38 begins a fingerprint
Meet me (at 5) or [dot by dot]; look at [at] and (dot)
hotel 2024 2025 prices; room 12-34-56; zip 10115 Berlin""".splitlines()


def _filled(rows: list[Mapping[str, Any]], change: bool = False) -> Iterator[tuple[str, str]]:
    for row in rows:
        for number in row["numbers"]:
            other = str((int(number[-1]) + 3) % 10) if number[-1].isdigit() else ""
            if not change:
                yield row["kind"], row["says"].format(number)
            elif other:
                yield row["kind"], row["says"].format(number[:-1] + other)


def _is_found(kind: str, text: str) -> bool:
    return kind in {finding.kind for finding in personal.detector().find(text)}


def test_identifiers_are_told_from_look_alikes() -> None:
    """Every kind is found; a wrong check digit, an order number and a version are none."""
    texts = [*_filled(_ROWS["checked"]), *_filled(_ROWS["open"])]
    wrong = list(_filled(_ROWS["checked"], change=True))
    missed = [row for row in texts if not _is_found(*row)]
    false = [row for row in wrong if _is_found(*row)]
    false += [("any", text) for text in _LOOK_ALIKES if personal.detector().find(text)]

    found = len(texts) - len(missed)
    precision, recall = found / (found + len(false)), found / len(texts)
    assert recall >= 0.95, missed
    assert precision >= 0.95, false
    count = len(texts) + len(wrong) + len(_LOOK_ALIKES)
    check_documented("pii, identifiers", count, precision, recall)


@pytest.mark.parametrize(
    "text",
    [
        "\u5361\u53f7\u662f4111 1111 1111 1111\uff0c\u8bf7\u6838\u5bf9",
        "\u8eab\u4efd\u8bc1\u53f711010519491231002X\u5df2\u767b\u8bb0",
        "\u96fb\u8a71\u306f+81-3-1234-5678\u3067\u3059",
        "\u0628\u0637\u0627\u0642\u0629 \u0664" + " ".join(["\u0661\u0661\u0661\u0661"] * 4)[1:],
    ],
    ids=["card", "resident id", "phone", "Arabic digits"],
)
def test_numbers_are_found_where_words_have_no_spaces(text: str) -> None:
    """A number counts where letters of Chinese or Japanese touch it, and in other digits."""
    assert personal.detector().find(text)
