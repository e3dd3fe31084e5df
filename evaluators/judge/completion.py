"""A chat completion in the words of another library, on the way that our own questions take.

Limiter, breaker, attempts, deadline, price and budget are the same. The defences are not: the
library writes the prompt and reads the answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson

from schemas.own import PREAMBLE

from .exchange import Draft, Exchange, Reply, check_whole
from .modes import Mode

_CHARS_PER_TOKEN = 4.0
_NOT_SENT = frozenset({"model", "messages", "n", "stream", "stream_options", "user", "store"})
"""What is ours to say, or is of no use for one short answer."""


@dataclass(slots=True)
class Completion:
    """One request of a library's; its texts are cleaned and redacted.

    Attributes:
        messages: As the library wrote them.
        parameters: What else it asks for.
        max_tokens: What the judge may produce, by the judge's own config.
    """

    messages: Sequence[Mapping[str, Any]]
    parameters: Mapping[str, Any]
    max_tokens: int
    is_extended: bool = False

    @classmethod
    def of(cls, request: Mapping[str, Any], max_tokens: int) -> "Completion":
        """Make a request ready: with our model and limit, marked as a judge's."""
        parameters = {name: value for name, value in request.items() if name not in _NOT_SENT}
        return cls(_marked(request.get("messages", ())), parameters, max_tokens)

    @property
    def likely_tokens(self) -> float:
        """What an endpoint counts against a token limit: about the prompt, and all the answer."""
        size = len(orjson.dumps([self.messages, self.parameters]))
        return size / _CHARS_PER_TOKEN + self.max_tokens

    def extend(self) -> bool:
        """Allow twice the tokens; False where that was done before."""
        if self.is_extended:
            return False
        self.is_extended = True
        self.max_tokens *= 2
        return True

    def correct(self, why: str) -> bool:
        """Only the library can tell what is wrong with an answer."""
        del why
        return False

    def draft(self, exchange: Exchange) -> Draft[Mapping[str, Any]]:
        """Write it down as it can be sent now: without what the endpoint does not know."""
        parameters = exchange.modes.known(self.parameters, self.max_tokens)
        return exchange.drafted(
            self.messages,
            parameters,
            self,
            mode=_mode(parameters),
            adapt=partial(exchange.modes.drop, parameters),
            read=_whole,
        )


def _marked(messages: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The messages behind our preamble, by which a span about this call is known as a judge's."""
    first, *rest = messages or [{}]
    if first.get("role") == "system" and isinstance(first.get("content"), str):
        return [{**first, "content": f"{PREAMBLE}\n\n{first['content']}"}, *rest]
    return [{"role": "system", "content": PREAMBLE}, *messages]


def _mode(parameters: Mapping[str, Any]) -> str:
    """How the library asks for structure, in the words of our own modes."""
    if "tools" in parameters:
        return Mode.TOOL
    wanted = parameters.get("response_format")
    return str(wanted.get("type")) if isinstance(wanted, Mapping) else Mode.TEXT


def _whole(reply: Reply) -> Mapping[str, Any]:
    check_whole(reply)
    return reply.body
