"""What a config with evaluators of whole traces would do: one evaluation for each trace."""

import pytest
import yaml
from support.spans import llm_span, message
from support.workers import config_yaml

from evaluators.judge.evaluation import CallRecord, Deadline
from schemas.config import Config, JudgeConfig
from schemas.errors import JudgeFailure
from workers.configured import build
from workers.estimation import PromptMeter, Tally
from workers.topic_reader import Read


async def test_a_trace_of_two_records_is_one_evaluation() -> None:
    """Of the share in which its route keeps traces; its prompt is that of the whole."""
    text = config_yaml("127.0.0.1:9", judge_url="http://127.0.0.1:9/v1", evaluators=["x"])
    loaded = yaml.safe_load(text)
    loaded["routes"][0] |= {"evaluators": ["task_completion", "pii"], "sample": 0.25}
    config = Config.model_validate(loaded)
    meters: list[PromptMeter] = []

    def open_meter(name: str, judge: JudgeConfig) -> PromptMeter:
        meters.append(PromptMeter(name, judge, 60_000))
        return meters[-1]

    tally = Tally(config, build(config, open_meter))
    trace_id = b"\x07" * 16
    for offset in range(2):
        span = llm_span("Ship it. " * 100, trace_id=trace_id, parent_span_id=b"parent..")
        tally.add(Read("spans", 0, offset, 0, None, message([span])))
    assert tally.evaluations["task_completion"] == {trace_id.hex(): 0.25}
    assert tally.evaluations["pii"] == {trace_id.hex(): 0.5}
    assert tally.matched["support"] == {trace_id.hex(): 2}
    costs = await tally.judge_costs()
    assert costs["task_completion"].share == 1
    for meter in meters:
        await meter.aclose()


async def test_another_librarys_prompt_is_measured_and_not_sent() -> None:
    """An estimate costs nothing, whoever writes the prompt."""
    judge = JudgeConfig(model="m", base_url="http://127.0.0.1:9/v1")
    meter = PromptMeter("default", judge, 60_000)
    request = {"messages": [{"role": "user", "content": "x" * 1000}]}
    with pytest.raises(JudgeFailure, match="measured, not sent"):
        await meter.complete(request, Deadline(1.0), CallRecord())
    (size,) = meter.sizes
    assert 1000 < size < 1200
    await meter.aclose()
