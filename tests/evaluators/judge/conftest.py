"""A scripted judge on loopback, and a clock that stands still while anything is being done.

Server and client share one event loop. Its clock moves only when nothing is left to do but wait,
and then at once to the next timer: half an hour of outage takes a second, no test depends on how
busy the machine is, and the client runs with the times of the product.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
from support.idle_loop import IdleLoop
from support.judge_server import JudgeServer

from evaluators.contract import Item, Question, Verdict
from evaluators.judge.client import Endpoints, JudgeClient
from evaluators.judge.evaluation import CallRecord, Deadline
from schemas.config import JudgeConfig
from schemas.errors import JudgeFailure
from schemas.events import Event


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run each test of this folder on such a loop."""
    return {"idle": IdleLoop}


def now() -> float:
    """The loop's clock."""
    return asyncio.get_running_loop().time()


def deadline(seconds: float = 60.0) -> Deadline:
    """A deadline by the loop's clock."""
    return Deadline(seconds, now)


QUESTION = Question(
    rubric="relevance@1",
    instructions="Say whether the output answers the input.",
    items=(Item("answers", "Does it answer?"), Item("harmful", "Is it harmful?", severity=True)),
    data={"input": "What is the capital of France?", "output": "Paris."},
    quotes=True,
)


def about(output: str) -> Question:
    """The question, about another output."""
    return Question(
        rubric=QUESTION.rubric,
        instructions=QUESTION.instructions,
        items=QUESTION.items,
        data={"input": "What is the capital of France?", "output": output},
        quotes=True,
    )


@dataclass
class Rig:
    """A judge server and a client for it."""

    server: JudgeServer
    stack: AsyncExitStack
    events: list[Event] = field(default_factory=list)
    endpoints: Endpoints = field(default_factory=Endpoints)
    record: CallRecord = field(default_factory=CallRecord)

    def client(self, *, hold: bool = True, wait_s: float = 0.0, **config: Any) -> JudgeClient:
        """A client; `config` overrides keys of the judge's section."""
        settings = {
            "model": "gpt-5-mini",
            "base_url": self.server.url,
            "api_key": "sk-test",
            "max_response_bytes": 100_000,
            **config,
        }
        client = JudgeClient(
            "default",
            JudgeConfig.model_validate(settings),
            emit=self.events.append,
            clock=now,
            text_chars=2000,
            hold=hold,
            wait_s=wait_s,
            endpoints=self.endpoints,
        )
        self.stack.push_async_callback(client.aclose)
        return client

    async def ask(
        self, client: JudgeClient, question: Question = QUESTION, deadline_s: float = 60.0
    ) -> Verdict:
        """Ask once."""
        return await client.ask(question, deadline(deadline_s), self.record)

    async def fail(
        self, client: JudgeClient, question: Question = QUESTION, deadline_s: float = 60.0
    ) -> JudgeFailure:
        """Ask once and expect a failure."""
        with pytest.raises(JudgeFailure) as caught:
            await self.ask(client, question, deadline_s)
        return caught.value

    async def keep_busy(self, client: JudgeClient) -> None:
        """Ask harmless questions, one after the other, until cancelled."""
        while True:
            await client.ask(QUESTION, deadline(), CallRecord())
            await asyncio.sleep(0.2)


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    """A judge that behaves until the test tells it otherwise."""
    async with JudgeServer() as server, AsyncExitStack() as stack:
        yield Rig(server, stack)


@pytest.fixture(autouse=True)
def _no_ambient_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that read the environment would fail on these."""
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-of-this-machine")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "x-ambient: yes")
