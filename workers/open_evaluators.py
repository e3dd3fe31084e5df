"""The evaluators of a config for a command: with judges of their own, closed at the end."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from evaluators.judge.budget import Budget
from evaluators.judge.client import Endpoints, JudgeClient
from schemas.config import Config, JudgeConfig
from schemas.events import Emit

from .configured import Configured, build, ignored


@asynccontextmanager
async def open_evaluators(
    config: Config,
    emit: Emit = ignored,
    *,
    hold: bool = True,
    wait_s: float = 0.0,
    probe_budget: Budget | None = None,
) -> AsyncIterator[Mapping[str, Configured]]:
    """Build every evaluator that a route names; its identity can be asked after the end too.

    Args:
        config: What names them.
        emit: Told what happens.
        hold: Whether evaluations wait for a judge that is down, however long it takes.
        wait_s: Without `hold`: seconds after which they fail.
        probe_budget: What pays for probing a judge that is down; None: nobody counts it.

    Raises:
        ConfigError: A judge is missing or may not be used.
        PluginError: An evaluator cannot be found, imported or built.
    """
    judges: list[JudgeClient] = []
    endpoints = Endpoints()

    def open_judge(name: str, judge: JudgeConfig) -> JudgeClient:
        client = JudgeClient(
            name,
            judge,
            emit=emit,
            text_chars=config.limits.text_chars,
            hold=hold,
            wait_s=wait_s,
            endpoints=endpoints,
            probe_budget=probe_budget,
        )
        judges.append(client)
        return client

    evaluators: Mapping[str, Configured] = {}
    try:
        evaluators = build(config, open_judge, emit)
        yield evaluators
    finally:
        for evaluator in evaluators.values():
            await evaluator.aclose()
        for judge in judges:
            await judge.aclose()
