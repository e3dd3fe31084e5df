"""The judge's copy of a text: no invisible characters, no chat-template tokens, of bounded size."""

import re
import unicodedata
from collections.abc import Mapping

INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""Zero-width, direction, variation and tag characters: they carry text that nobody sees."""

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")

# Each alternative begins with a plain character, so that `re` passes over the rest quickly.
_TOKENS = re.compile(
    r"<(\|)"  # ChatML, Llama 3 and 4, Phi, Qwen, DeepSeek, Granite, Command, Harmony
    r"|<(\w{1,24}\|)>"  # Gemma 4
    r"|<(/?(?i:s|unk|pad|bos|eos|think|thinking|tool_call|tool_response|tool_result))>"
    r"|<((?:start|end|begin|beginning)_of_\w{1,12})>"  # Gemma, MiniMax
    r"|<(/?(?:seed:\w{1,12}|sop|eop|eo[ahms]|unused\d{1,4}"
    r"|(?:extra_id|reserved|TOKENS_UNUSED)_\d{1,4}))>"  # Seed, GLM, Baichuan, InternLM, Nemotron
    r"|<(role)>(?=SYSTEM|HUMAN|ASSISTANT|OBSERVATION)"  # Ling
    r"|<<(/?(?i:SYS))>>"  # Llama 2
    r"|\[(/?(?i:INST|SYSTEM_PROMPT|MODEL_SETTINGS|AVAILABLE_TOOLS|TOOL_RESULTS|TOOL_CONTENT"
    r"|TOOL_CALLS|CALL_ID|THINK))\]"  # Mistral
    r"|\[([gs]MASK)\]"  # GLM
    r"|\[(\|)(?=(?:system|user|assistant|tool|endofturn)\|\])"  # EXAONE
    r"|\](~!?b)[\[\]]"  # MiniMax M2
    r"|\[(e~)\["
)
"""Special tokens of model families; as letters of a text they would be taken for a new turn."""
_ENVELOPE = re.compile(r"([eE](?i:vidence))_(?=[0-9a-fA-F]{8})")
"""The envelope's own name, whatever the nonce."""

_OPEN, _CLOSE = "\u2039", "\u203a"


def clean(text: str) -> str:
    """Normalise a text for a judge; doing it twice changes nothing more.

    Compatibility forms become plain letters (NFKC), invisible and control characters go, and what
    a chat template could take for its own becomes a visible stand-in between angle quotes.
    """
    return disarm(unmask(text))


def unmask(text: str) -> str:
    """Take out what nobody sees, and write compatibility forms as plain letters."""
    text = _CONTROL.sub("", text)
    if not text.isascii():
        # Once more after what was invisible is gone: two letters that it parted may compose.
        text = unicodedata.normalize("NFKC", text)
        if INVISIBLE.search(text):
            text = unicodedata.normalize("NFKC", INVISIBLE.sub("", text))
    return text


def disarm(text: str) -> str:
    """Put visible stand-ins in the place of template tokens and of the envelope's name."""
    text = _TOKENS.sub(_stand_in, text)
    return _ENVELOPE.sub(_stand_in, text) if "_" in text else text


def _stand_in(found: re.Match[str]) -> str:
    name = next(group for group in found.groups() if group)
    return f"{_OPEN}|" if name == "|" else f"{_OPEN}{name}{_CLOSE}"


def cut(data: Mapping[str, str], max_chars: int) -> tuple[dict[str, str], bool]:
    """Cut texts to a common size by taking out the middle of the longest.

    Args:
        data: Texts by field.
        max_chars: Characters that all texts together may have.

    Returns:
        The texts, and whether anything was cut.
    """
    if sum(map(len, data.values())) <= max_chars:
        return dict(data), False
    share, left, fields = 0, max_chars, len(data)
    for size in sorted(map(len, data.values())):
        share = left // fields
        if size > share:
            break
        left -= size
        fields -= 1
    return {name: _cut_middle(text, share) for name, text in data.items()}, True


def _cut_middle(text: str, max_chars: int) -> str:
    if len(text) <= max_chars:
        return text
    mark = f"\n[{len(text) - max_chars} characters cut]\n"
    kept = max_chars - len(mark)
    if kept <= 0:
        return text[:max_chars]
    return text[: kept - kept // 2] + mark + text[len(text) - kept // 2 :]
