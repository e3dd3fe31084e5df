"""Anchors: which item is judged when, by whom, and what is counted."""

import asyncio
import runpy
from collections.abc import Iterable
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from support.judge_server import JudgeServer

from evaluators.judge.client import JudgeClient
from schemas.config import Config
from schemas.config_file import load
from schemas.errors import ConfigError
from workers.anchors import Anchors, AnchorSet, anchor_sets
from workers.configured import build
from workers.labelled import read_items
from workers.metrics import Metrics
from workers.offsets import Partition

_EXAMPLE = Path(__file__).parents[2] / "examples" / "anchors"
_CONFIG = """
kafka: {bootstrap_servers: "127.0.0.1:9092", spans: [spans]}
judges:
  default: {model: gpt-5-mini, base_url: "%s", cached_verdicts: 100}
evaluators:
  groundedness: {anchors: {file: "%s", per_hour: 60}}
routes:
  - {name: all, when: "true", evaluators: [groundedness]}
"""
_FIRST = ("spans", 0)


def _config(folder: Path, url: str, file: Path = _EXAMPLE / "groundedness.jsonl") -> Config:
    path = folder / "assay.yaml"
    path.write_text(_CONFIG % (url, file))
    return load(path, {}, {"groundedness"})


def _open(config: Config) -> tuple[AnchorSet, list[JudgeClient]]:
    judges: list[JudgeClient] = []

    def open_judge(name: str, one: object) -> JudgeClient:
        del one
        judges.append(JudgeClient(name, config.judges[name], emit=lambda _: None))
        return judges[-1]

    (one,) = anchor_sets(config, build(config, open_judge))
    return one, judges


def _anchors(
    one: AnchorSet, seen: list[bool | None], assigned: Iterable[Partition] = (_FIRST,)
) -> Anchors:
    return Anchors(
        [one],
        first=_FIRST,
        assigned=lambda lane: assigned if lane == "judge" else (),
        emit=lambda _: None,
        observe=lambda _, agrees: seen.append(agrees),
    )


async def test_a_judge_that_follows_the_labels_agrees(tmp_path: Path) -> None:
    """Every item in its turn; one that answers against its label is seen at once.

    Although it remembers verdicts: an anchor that is judged again is there to find another.
    """
    async with JudgeServer() as judge:
        one, clients = _open(_config(tmp_path, judge.url))
        labels = {item.output: item.human == "pass" for item in one.items}
        judge.decide = lambda data, _: labels[data["output"]]
        seen: list[bool | None] = []
        anchors = _anchors(one, seen)
        for slot in range(8):
            await anchors.judge(one, slot)
        assert seen == [True] * 8
        judge.decide = lambda *_: True
        for slot in range(4):
            await anchors.judge(one, slot)
        assert seen[8:] == [True, True, False, False]
        for client in clients:
            await client.aclose()


async def test_only_the_owner_of_the_first_partition_judges(tmp_path: Path) -> None:
    """Of all workers of a group exactly one has it, so each slot is judged once."""
    async with JudgeServer() as judge:
        one, clients = _open(_config(tmp_path, judge.url))
        seen: list[bool | None] = []
        await _anchors(one, seen, assigned=[("spans", 1), ("other", 0)]).judge(one, 0)
        assert (seen, judge.count) == ([], 0)
        await _anchors(one, seen).judge(one, 0)
        assert (len(seen), judge.count) == (1, 1)
        for client in clients:
            await client.aclose()


def test_whose_turn_it_is_follows_from_the_clock(tmp_path: Path) -> None:
    """Every minute another item, for all replicas and after each restart the same."""
    one, _ = _open(_config(tmp_path, "http://127.0.0.1:9/v1"))
    now_s = 1_790_000_040.0
    turns = [one.slot_at(now_s + 60 * minute) for minute in range(len(one.items) + 1)]
    jobs = [one.due_in(turn)[0].span.output_text for turn in turns]
    assert len(set(jobs)) == len(one.items)
    assert jobs[0] == jobs[-1]
    assert one.slot_at(now_s + 59) == one.slot_at(now_s)


async def test_anchors_are_judged_at_their_rate(tmp_path: Path) -> None:
    """At a rate of 36,000 an hour, ten a second; a slot is never judged twice."""
    async with JudgeServer() as judge:
        one, clients = _open(_config(tmp_path, judge.url))
        quick = AnchorSet(one.evaluator, one.lane, one.jobs, one.items, 0.1)
        seen: list[bool | None] = []
        task = asyncio.create_task(_anchors(quick, seen).run())
        await asyncio.sleep(1.05)
        task.cancel()
        await asyncio.wait({task})
        assert 1 <= len(seen) <= 11
        for client in clients:
            await client.aclose()


def test_anchors_are_counted_from_zero(tmp_path: Path) -> None:
    """By result; what got no score agrees with nothing and disagrees with nothing."""
    registry = CollectorRegistry()
    trust = Metrics(registry, _config(tmp_path, "http://127.0.0.1:9/v1")).trust

    def counts() -> list[float | None]:
        name = {"evaluator": "groundedness"}
        return [
            registry.get_sample_value("assay_anchors_total", {**name, "result": "agree"}),
            registry.get_sample_value("assay_anchors_total", {**name, "result": "disagree"}),
            registry.get_sample_value("assay_anchors_unscored_total", name),
        ]

    assert counts() == [0, 0, 0]
    for agrees in (True, True, False, None):
        trust.anchored("groundedness", agrees)
    assert counts() == [2, 1, 1]


def test_a_handful_of_anchors_is_refused(tmp_path: Path) -> None:
    """File, how many there are, and how many it takes."""
    few = tmp_path / "few.jsonl"
    few.write_text('{"human": "pass", "output": "x"}\n' * 19)
    with pytest.raises(ConfigError, match=r"few.jsonl: has 19 labelled items, and needs 20"):
        _open(_config(tmp_path, "http://127.0.0.1:9/v1", few))


def test_the_example_is_what_its_script_makes() -> None:
    """At least 100 items, as many good as bad, none of them twice."""
    made = runpy.run_path(str(_EXAMPLE / "make.py"))["lines"]()
    file = _EXAMPLE / "groundedness.jsonl"
    assert file.read_text("utf-8").splitlines() == list(made)
    items = read_items(file)
    assert len({item.output for item in items}) == len(items) >= 100
    assert sum(item.human == "pass" for item in items) * 2 == len(items)
