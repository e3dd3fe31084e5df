"""The evaluators that a config names, built: each with its judge and its identity."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import Any

import orjson

from evaluators.contract import Evaluator, JudgeUse, Scope, Settings
from evaluators.judge.client import JudgeClient
from evaluators.registry import load
from schemas.config import Config, EvaluatorConfig, JudgeConfig
from schemas.errors import ConfigError
from schemas.events import Emit, Event
from schemas.outcome import EvaluatorKind, EvaluatorRef

from .isolation.evaluator import IsolatedEvaluator

CODE = "code"
JUDGE = "judge"
TRACE = "trace"
LANES = (CODE, JUDGE, TRACE)
"""What can hold up an evaluator differs: nothing, a judge's endpoint, the time a trace takes."""


@dataclass(frozen=True, slots=True)
class Seat:
    """One judge that an evaluator may ask, and its config."""

    judge: JudgeClient
    config: JudgeConfig


@dataclass(frozen=True)
class Configured:
    """One evaluator as configured.

    Attributes:
        name: Its name in the config and on every outcome.
        config: What the config says about it.
        evaluator: The object that evaluates.
        judge: The judge that it may ask, or None.
        judge_config: That judge's config.
        others: The judge that verifies, or the rest of the jury.
    """

    name: str
    config: EvaluatorConfig
    evaluator: Evaluator
    judge: JudgeClient | None
    judge_config: JudgeConfig | None
    others: tuple[Seat, ...] = ()

    @property
    def seats(self) -> tuple[Seat, ...]:
        """All judges that it may ask, the first one first."""
        if self.judge is None or self.judge_config is None:
            return ()
        return (Seat(self.judge, self.judge_config), *self.others)

    @property
    def lane(self) -> str:
        """The lane that it runs in."""
        if self.evaluator.scope is Scope.TRACE:
            return TRACE
        return CODE if self.judge is None else JUDGE

    @property
    def deadline_s(self) -> float:
        """Seconds that its own code may take, as far as the engine has to see to it."""
        return math.inf if self.config.isolate else self.evaluator.deadline_s

    async def aclose(self) -> None:
        """End its processes, where it has any."""
        if isinstance(self.evaluator, IsolatedEvaluator):
            await self.evaluator.aclose()

    @cached_property
    def kind(self) -> EvaluatorKind:
        """What it is with the judge that it was given, or not."""
        if self.judge is None:
            return EvaluatorKind.HEURISTIC
        if self.evaluator.judge_use is JudgeUse.OPTIONAL:
            return EvaluatorKind.CASCADE
        return self.evaluator.kind

    def ref(self, content: str) -> EvaluatorRef:
        """Its identity under one content policy, which decides what a judge sees."""
        return self._refs[content if self.judge is not None else "full"]

    @cached_property
    def _refs(self) -> Mapping[str, EvaluatorRef]:
        return {content: self._ref(content) for content in ("full", "redacted", "none")}

    def _ref(self, content: str) -> EvaluatorRef:
        decides: dict[str, Any] = {
            "content": self.evaluator.content_fingerprint,
            "options": self.config.options,
            "threshold": self.evaluator.threshold,
            "judge": None if self.judge_config is None else self.judge_config.model,
            "policy": content if self.judge is not None else None,
        }
        if self.others:
            asked_besides = "verify" if self.config.jury is None else "jury"
            decides[asked_besides] = [seat.config.model for seat in self.others]
        text = orjson.dumps(decides, option=orjson.OPT_SORT_KEYS, default=str)
        fingerprint = blake2b(text, digest_size=8).hexdigest()
        return EvaluatorRef(self.name, self.evaluator.version, self.kind, fingerprint)


def contents_of(config: Config, name: str) -> list[str]:
    """The content policies under which an evaluator's judge sees text, by its routes."""
    return sorted({route.content for route in config.routes if name in route.evaluators})


def judges_of(evaluators: Iterable[Configured]) -> set[JudgeClient]:
    """All judges that these evaluators may ask."""
    return {seat.judge for evaluator in evaluators for seat in evaluator.seats}


OpenJudge = Callable[[str, JudgeConfig], JudgeClient]
"""Makes the client of a configured judge, by the judge's name."""


def ignored(_: Event) -> None:
    """Whoever looks at evaluators, and runs none, has no use for events."""


def build(config: Config, open_judge: OpenJudge, emit: Emit = ignored) -> dict[str, Configured]:
    """Build every evaluator that a route names; two that name one judge share its client.

    Whoever evaluates with them has to `aclose` each.

    Raises:
        ConfigError: A judge is missing or may not be used.
        PluginError: An evaluator cannot be found, imported or built.
    """
    clients: dict[str, JudgeClient] = {}
    built: dict[str, Configured] = {}
    for index, route in enumerate(config.routes):
        for place, name in enumerate(route.evaluators):
            if name not in built:
                key = f"routes[{index}].evaluators[{place}]"
                built[name] = _one(config, name, key, clients, open_judge, emit=emit)
            if built[name].judge is not None and route.content == "none":
                raise ConfigError(
                    f'route "{route.name}": content is none, but evaluator "{name}" asks a judge; '
                    "say content: redacted, or take the evaluator off this route",
                    key=f"routes[{index}].content",
                )
    return built


def _one(
    config: Config,
    name: str,
    key: str,
    clients: dict[str, JudgeClient],
    open_judge: OpenJudge,
    *,
    emit: Emit,
) -> Configured:
    settings = config.evaluators.get(name, EvaluatorConfig())
    evaluator = _loaded(name, settings, emit)
    seats = []
    for judge in _judges(name, settings, evaluator.judge_use):
        if judge not in config.judges:
            raise ConfigError(
                f'evaluator "{name}": it needs the judge "{judge}", which is not under judges; '
                "configure it there (model, base_url, api_key)",
                key=key,
            )
        if judge not in clients:
            clients[judge] = open_judge(judge, config.judges[judge])
        seats.append(Seat(clients[judge], config.judges[judge]))
    if not seats:
        return Configured(name, settings, evaluator, None, None)
    first, *others = seats
    return Configured(name, settings, evaluator, first.judge, first.config, tuple(others))


def _judges(name: str, settings: EvaluatorConfig, use: JudgeUse) -> tuple[str, ...]:
    """Names of the judges that an evaluator may ask, the first one first."""
    if use is JudgeUse.NEVER:
        for key in ("judge", "verify", "jury"):
            if getattr(settings, key) is not None:
                raise ConfigError(
                    f'evaluator "{name}": it asks no judge; take "{key}" away',
                    key=f"evaluators.{name}.{key}",
                )
        return ()
    if settings.jury is not None:
        return settings.jury
    judge = settings.judge
    if judge is None and use is JudgeUse.REQUIRED:
        judge = "default"
    if judge is None:
        if settings.verify is not None:
            raise ConfigError(
                f'evaluator "{name}": it asks no judge that "{settings.verify}" could verify; '
                'set "judge" too',
                key=f"evaluators.{name}.verify",
            )
        return ()
    return (judge,) if settings.verify is None else (judge, settings.verify)


def _loaded(name: str, config: EvaluatorConfig, emit: Emit) -> Evaluator:
    settings = Settings(
        name=name,
        options=config.options,
        folder=config.folder,
        threshold=config.threshold,
        has_judge=config.judge is not None or config.jury is not None,
        rubric=config.rubric_text,
        rubric_path=config.rubric,
        use=config.use,
    )
    return IsolatedEvaluator(settings, config.process, emit) if config.isolate else load(settings)
