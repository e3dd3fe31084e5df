"""Which lanes a config needs, and which evaluator runs in which."""

from collections.abc import Mapping

import pytest
import yaml
from support.workers import config_yaml

from evaluators.judge.client import JudgeClient
from schemas.config import Config, JudgeConfig
from schemas.outcome import EvaluatorKind
from workers.configured import Configured, build
from workers.lane import lanes_of


def _built(
    *evaluators: str, settings: Mapping[str, Mapping[str, str]] | None = None
) -> dict[str, Configured]:
    text = config_yaml("127.0.0.1:9", judge_url="http://127.0.0.1:9/v1", evaluators=evaluators)
    config = yaml.safe_load(text) | {"evaluators": settings or {}}

    def open_judge(name: str, judge: JudgeConfig) -> JudgeClient:
        return JudgeClient(name, judge, emit=lambda _: None)

    return build(Config.model_validate(config), open_judge)


@pytest.mark.parametrize(
    ("evaluators", "lanes"),
    [
        (("pii",), ("code",)),
        (("pii", "toxicity"), ("code", "judge")),
        (("task_completion",), ("code", "trace")),
        (("task_completion", "toxicity"), ("code", "judge", "trace")),
        (("user_frustration",), ("code",)),
    ],
)
def test_a_lane_is_there_if_an_evaluator_needs_it(
    evaluators: tuple[str, ...], lanes: tuple[str, ...]
) -> None:
    """The code lane always; a session's evaluator reads a span, and is where a span's would be."""
    assert lanes_of(_built(*evaluators)) == lanes


def test_a_session_evaluator_with_a_judge_is_in_the_judge_lane() -> None:
    """Its judge stage is optional, and it is a cascade where the config gives it one."""
    assert _built("user_frustration")["user_frustration"].kind is EvaluatorKind.HEURISTIC
    with_judge = _built("user_frustration", settings={"user_frustration": {"judge": "default"}})
    assert with_judge["user_frustration"].kind is EvaluatorKind.CASCADE
    assert lanes_of(with_judge) == ("code", "judge")
