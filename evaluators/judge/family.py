"""Which family a model is of: models of one family make the same mistakes."""

import re

_FAMILIES = {
    "openai": ("gpt", "chatgpt", "o1", "o3", "o4"),
    "anthropic": ("claude",),
    "google": ("gemini", "gemma"),
    "meta": ("llama",),
    "mistral": ("mistral", "mixtral", "ministral", "magistral", "codestral", "pixtral"),
    "alibaba": ("qwen", "qwq"),
    "microsoft": ("phi",),
    "cohere": ("command", "aya"),
    "amazon": ("nova",),
}
_WORD = re.compile(r"[a-z]+[0-9]?")


def family_of(model: str) -> str:
    """The family of a model by its name, whoever serves it; an unknown one is its first word.

    Only for advice: a deployment may be called anything.
    """
    name = model.lower().rpartition("/")[2]
    for family, beginnings in _FAMILIES.items():
        if any(re.search(rf"(?:^|[^a-z]){beginning}(?![a-z])", name) for beginning in beginnings):
            return family
    word = _WORD.match(name)
    return word.group().rstrip("0123456789") if word else name
