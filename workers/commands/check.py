"""`assay check`: whether a config is right; with `online`, whether what it names is there too."""

import asyncio
import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rich.console import Console

from evaluators.judge.family import family_of
from schemas.config import Config
from schemas.errors import AssayError
from workers import calibrations
from workers.anchors import anchor_sets
from workers.budgets import concurrency, require_prices
from workers.configured import Configured, contents_of, ignored, judges_of
from workers.open_evaluators import open_evaluators
from workers.router import Router

from .kafka_client import check_client


class NotReachable(AssayError):  # noqa: N818  named for what the command found
    """The config is right, but something that it names does not answer."""


def run(path: Path, config: Config, *, online: bool) -> None:
    """Build everything that `assay run` would build, and say so.

    Raises:
        ConfigError: The config is wrong; with `online`, also: a topic is missing.
        PluginError: An evaluator cannot be found, imported or built.
        NotReachable: With `online`: the broker or a judge does not answer.
    """
    asyncio.run(_check(path, config, online=online))


async def _check(path: Path, config: Config, *, online: bool) -> None:
    console = Console(highlight=False, markup=False, soft_wrap=True)
    Router(config.routes, ignored)
    async with open_evaluators(config) as evaluators:
        require_prices(config, evaluators)
        anchor_sets(config, evaluators)
        check_client(config)
        console.print(f"{path}: ok")
        for name, evaluator in sorted(evaluators.items()):
            console.print(f"  {name}: {_describe(evaluator)}")
            for warning in _warnings(evaluator, contents_of(config, name)):
                console.print(f"  warning: {name}: {warning}")
        for line in concurrency(config, evaluators):
            console.print(f"  {line}")
        for package in ("schemas", "evaluators", "workers"):
            spec = importlib.util.find_spec(package)
            where = "?" if spec is None or spec.origin is None else Path(spec.origin).parent
            console.print(f"  package {package}: {where}")
        if online:
            await _online(config, evaluators, console)


async def _online(config: Config, evaluators: Mapping[str, Configured], console: Console) -> None:
    # The whole worker, only if asked for.
    from workers.app import check_topics  # noqa: PLC0415
    from workers.lease_topic import check_lease_topic  # noqa: PLC0415

    await asyncio.to_thread(check_topics, config)
    console.print(f"  broker {config.kafka.bootstrap_servers}: answers, topics are there")
    if config.budgets:
        await asyncio.to_thread(check_lease_topic, config)
        console.print(f"  topic {config.kafka.leases}: can keep the books of the budgets")
    for judge in sorted(judges_of(evaluators.values()), key=lambda judge: judge.name):
        fault = await judge.probe()
        if fault is not None:
            raise NotReachable(fault)
        console.print(f"  judge {judge.name}: answers")


def _describe(evaluator: Configured) -> str:
    text = f"{evaluator.kind}, lane {evaluator.lane}, version {evaluator.evaluator.version}"
    models = [seat.config.model for seat in evaluator.seats]
    if evaluator.config.jury is not None:
        text += f", jury {', '.join(models)}"
    elif models:
        text += f", judge {models[0]}"
        text += f", verified by {models[1]}" if models[1:] else ""
    return text


def _warnings(evaluator: Configured, contents: Sequence[str]) -> Iterator[str]:
    """What is no error, and should be known: a calibration of something else, judges too alike."""
    fault = calibrations.fault_of(evaluator, contents)
    if fault is not None:
        yield fault
    by_family: dict[str, list[str]] = {}
    for seat in evaluator.seats:
        by_family.setdefault(family_of(seat.config.model), []).append(seat.config.model)
    for family, models in by_family.items():
        if models[1:]:
            yield (
                f"{' and '.join(models)} are both of the family {family}, and share its mistakes; "
                "ask a model of another family"
            )
