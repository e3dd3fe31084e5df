"""What a CEL expression reads, told from its text: fields, literal keys, bound variables.

The CEL library names variables and functions only; which fields of `span` are meant decides what
has to be converted for each span, and lets a misspelt one be refused before any span came.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_MAPPINGS = ("attributes", "resource")
_MACROS = frozenset({"all", "exists", "exists_one", "filter", "map"})

_TOKEN = re.compile(
    r"""
    (?P<skip> \s+ | //[^\n]* )
  | (?P<string> (?: [bB]?[rR][bB]? (?: \"{3}.*?\"{3} | '{3}.*?'{3} | "[^"\n]*" | '[^'\n]*' ) )
              | (?: [bB]? (?: \"{3}(?:\\.|[^\\])*?\"{3} | '{3}(?:\\.|[^\\])*?'{3}
                          | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*' ) ) )
  | (?P<number> \d[\w.]* )
  | (?P<name> [A-Za-z_]\w* )
  | (?P<sign> . )
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Names:
    """What an expression reads.

    Attributes:
        fields: Fields of `span`.
        keys: For `attributes` and `resource`: the keys that are read, or None where that cannot be
            told (all are needed); a mapping that is not read is not here.
        kinds: Texts that `span.kind` is compared with.
        bound: Variables that its own macros bind.
        literals: All literal keys and fields: they come from the config, so they may be shown.
        whole: It uses `span` itself as a value.
    """

    fields: frozenset[str]
    keys: Mapping[str, frozenset[str] | None]
    kinds: frozenset[str]
    bound: frozenset[str]
    literals: frozenset[str]
    whole: bool


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str

    @property
    def literal(self) -> str | None:
        """Value of a plain string literal; None where escapes or a prefix would have to be read."""
        if self.kind != "string" or self.text[0] not in "\"'" or "\\" in self.text:
            return None
        quotes = 3 if self.text[:3] in ('"""', "'''") else 1
        return self.text[quotes:-quotes]


_END = _Token("end", "")


def read_names(source: str) -> Names:
    """Find what an expression that compiles reads."""
    tokens = [
        _Token(str(found.lastgroup), found.group())
        for found in _TOKEN.finditer(source)
        if found.lastgroup != "skip"
    ]
    tokens = [_END, *tokens, _END, _END, _END, _END, _END]
    fields: set[str] = set()
    keys: dict[str, frozenset[str] | None] = {}
    kinds: set[str] = set()
    bound: set[str] = set()
    whole = False
    for index, token in enumerate(tokens):
        if token.kind != "name" or (token.text != "span" and token.text not in _MACROS):
            continue
        if token.text in _MACROS:
            if [each.text for each in tokens[index + 1 : index + 4 : 2]] == ["(", ","]:
                bound.add(tokens[index + 2].text)
        elif tokens[index - 1].text != ".":
            field, after = _member(tokens, index + 1)
            if field is None:
                whole = True
                continue
            fields.add(field)
            if field == "kind":
                kinds.update(_compared(tokens, index, after))
            if field in _MAPPINGS and keys.get(field, frozenset()) is not None:
                key = _key(tokens, index, after)
                keys[field] = None if key is None else (keys.get(field) or frozenset()) | {key}
    literals = {token.literal or token.text for token in tokens if token.kind in ("name", "string")}
    return Names(
        frozenset(fields), keys, frozenset(kinds), frozenset(bound), frozenset(literals), whole
    )


def _member(tokens: list[_Token], index: int) -> tuple[str | None, int]:
    """The member that `.name` or `["name"]` at this index names, and the index behind it."""
    opening, name, closing = tokens[index : index + 3]
    if opening.text == "." and name.kind == "name" and closing.text != "(":
        return name.text, index + 2
    if opening.text == "[" and closing.text == "]" and name.literal is not None:
        return name.literal, index + 3
    return None, index


def _key(tokens: list[_Token], start: int, after: int) -> str | None:
    key, _ = _member(tokens, after)
    if key is None and tokens[after].text not in (".", "["):
        operator, literal = tokens[start - 1], tokens[start - 2]
        if operator.text == "in":
            key = literal.literal
    return key


def _compared(tokens: list[_Token], start: int, after: int) -> set[str]:
    """Literals that the field from `start` to `after` is compared with by ==, != and `in [...]`."""
    found: list[_Token] = []
    if tokens[after].text in ("=", "!") and tokens[after + 1].text == "=":
        found.append(tokens[after + 2])
    if tokens[start - 1].text == "=" and tokens[start - 2].text in ("=", "!"):
        found.append(tokens[start - 3])
    if [token.text for token in tokens[after : after + 2]] == ["in", "["]:
        texts = [token.text for token in tokens]
        found += tokens[after + 2 : texts.index("]", after)]
    return {token.literal for token in found if token.literal is not None}
