"""The judge as other libraries want it: a client of OpenAI's that reaches no network by itself."""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import httpx2
import orjson
from openai import AsyncOpenAI

from evaluators.contract import ChatJudge
from schemas.errors import JudgeFailure
from schemas.values import int_or_none

MODEL = "judge"
"""What libraries call the model; the judge puts its own in. They must not know one by its name."""

_PATH = "/chat/completions"


class ForeignRequestError(Exception):
    """A library asks for what a judge does not do, such as embeddings."""


class Chat:
    """One evaluation's line to its judge, for use as a context manager around a library's code.

    Libraries wrap, log and swallow what their client raises. So the first `JudgeFailure` is kept:
    it ends every later call, and is raised at the end whatever the library made of it. After the
    end nobody is answered: what a library left running spends nothing more.
    """

    def __init__(self, judge: ChatJudge | None) -> None:
        self._judge = judge
        self._failure: JudgeFailure | None = None
        self._is_over = False

    async def complete(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Send the body of a chat completion; returns that of the response.

        Raises:
            JudgeFailure: There is none, and there will be none.
        """
        if self._failure is not None:
            raise self._failure
        if self._judge is None or self._is_over:
            raise ForeignRequestError("there is no judge to ask")
        try:
            return await self._judge.complete(request)
        except JudgeFailure as failure:
            self._failure = failure
            raise

    def client(self) -> AsyncOpenAI:
        """The SDK's client over this line, for libraries that take one."""
        return _Client(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._is_over = True
        # A cancellation is no `Exception` and passes.
        if self._failure is not None and (kind is None or issubclass(kind, Exception)):
            raise self._failure from None


class _Client(AsyncOpenAI):
    def __init__(self, chat: Chat) -> None:
        super().__init__(
            api_key="none",
            base_url="http://judge.invalid/v1",
            max_retries=0,
            http_client=httpx2.AsyncClient(transport=_Line(chat), trust_env=False),
        )
        # Else the SDK asks a thread for it, for a header that is not sent.
        self._platform = "Unknown"


class _Line(httpx2.AsyncBaseTransport):
    """In the place of the network."""

    def __init__(self, chat: Chat) -> None:
        self._chat = chat

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Hand a chat completion on; there is nothing else."""
        body = orjson.loads(await request.aread() or b"{}")
        if not request.url.path.endswith(_PATH) or body.get("stream"):
            raise ForeignRequestError(f"a judge does not answer {request.url.path}")
        reply = await self._chat.complete(body)
        return httpx2.Response(200, json=_filled(reply), request=request)


def _filled(reply: Mapping[str, Any]) -> dict[str, Any]:
    """A response with what small servers leave out and some libraries insist on."""
    filled = {"id": "", "object": "chat.completion", "created": 0, "model": MODEL, **reply}
    usage = reply.get("usage")
    if isinstance(usage, dict):
        counts = (int_or_none(usage.get(f"{kind}_tokens")) for kind in ("prompt", "completion"))
        total = sum(count or 0 for count in counts)
        filled["usage"] = {"total_tokens": total, **usage}
    return filled
