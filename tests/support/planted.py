"""Secrets to plant in spans, and to look for in everything that leaves a worker.

Made anew in each run, in the formats of the real ones; none was ever given out.
"""

import base64
import json
import random
import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_HEAD = 24
_ALPHANUMERIC = string.ascii_letters + string.digits


@dataclass(frozen=True)
class Planted:
    """Secrets of many kinds, and a text that holds them all.

    Attributes:
        needles: What must be found nowhere, by kind; of what is long, the beginning.
        text: They all, in prose.
        line: They all but the private key, on one line.
    """

    needles: Mapping[str, str]
    text: str
    line: str

    def found_in(self, places: Mapping[str, bytes]) -> list[str]:
        """Where any of it stands, as it is or escaped as JSON does: `place: kind`."""
        return [
            f"{place}: {kind}"
            for place, data in places.items()
            for kind, needle in self.needles.items()
            if any(form in data for form in _forms(needle))
        ]


def plant(seed: int) -> Planted:
    """Make them."""
    rng = random.Random(seed)  # noqa: S311  nobody trusts these
    name, password = _pick(rng, 8).lower(), _pick(rng, 14)
    key = [_pick(rng, 64) for _ in range(6)]
    needles = {
        "mail": f"{name}.lindqvist@northwind-mail.se",
        "phone": f"+49 1512 3{rng.randrange(10**5, 10**6)}",
        "card": _card(rng),
        "iban": _iban(rng),
        "openai_key": f"sk-proj-{_pick(rng, 48)}",
        "github_token": f"ghp_{_pick(rng, 36)}",
        "aws_key": f"AKIA{''.join(rng.choices(string.ascii_uppercase + '234567', k=16))}",
        "jwt": _jwt(rng),
        "password": password,
        "private_key": key[3],
    }
    shown = {**needles, "password": f"postgresql://app:{password}@db.internal:5432/shop"}
    del shown["private_key"]
    line = ", ".join(f"my {kind.replace('_', ' ')} is {value}" for kind, value in shown.items())
    block = "\n".join(["-----BEGIN PRIVATE KEY-----", *key, "-----END PRIVATE KEY-----"])
    needles = {kind: value if " " in value else value[:_HEAD] for kind, value in needles.items()}
    return Planted(needles, f"{line}\n{block}\nThank you.", line)


def _forms(needle: str) -> Iterable[bytes]:
    yield needle.encode()
    yield json.dumps(needle)[1:-1].encode()


def _pick(rng: random.Random, size: int) -> str:
    return "".join(rng.choices(_ALPHANUMERIC, k=size))


def _jwt(rng: random.Random) -> str:
    parts = [{"alg": "HS256", "typ": "JWT"}, {"sub": _pick(rng, 12), "admin": True}]
    encoded = (base64.urlsafe_b64encode(json.dumps(p).encode()).decode().rstrip("=") for p in parts)
    return ".".join([*encoded, _pick(rng, 43)])


def _card(rng: random.Random) -> str:
    digits = [4, *(rng.randrange(10) for _ in range(14))]
    doubled = (2 * digit - 9 * (digit > 4) for digit in digits[::2])
    total = sum(doubled) + sum(digits[1::2])
    text = "".join(map(str, [*digits, -total % 10]))
    return " ".join(text[at : at + 4] for at in range(0, 16, 4))


def _iban(rng: random.Random) -> str:
    account = str(rng.randrange(10**17, 10**18))
    check = 98 - int(f"{account}131400") % 97  # D is 13, E is 14
    return f"DE{check:02d}{account}"
