"""Which judge the demo asks, and that its parts fit together."""

import pytest

from evaluators.registry import available
from schemas.config import JudgeConfig
from schemas.errors import ConfigError
from workers.demo.setting import config, good_answers, real_judge


@pytest.mark.parametrize("environ", [{}, {"OPENAI_API_KEY": "", "OPENAI_MODEL": "x"}])
def test_without_a_key_there_is_no_real_judge(environ: dict[str, str]) -> None:
    """The stand-in is asked unless a key or an address is set."""
    assert real_judge(environ) is None


def test_a_key_alone_is_openai() -> None:
    """A key alone means OpenAI and a small model."""
    judge = real_judge({"OPENAI_API_KEY": "sk-1"})
    assert judge is not None
    assert (judge.model, judge.base_url) == ("gpt-5-mini", "https://api.openai.com/v1")
    assert judge.api_key is not None
    assert judge.api_key.get_secret_value() == "sk-1"


def test_an_address_alone_needs_no_key() -> None:
    """A server of one's own is asked without a key, for the model that the environment names."""
    judge = real_judge({"OPENAI_BASE_URL": "http://127.0.0.1:8080/v1", "OPENAI_MODEL": "own"})
    assert judge == JudgeConfig(model="own", base_url="http://127.0.0.1:8080/v1")


def test_a_wrong_address_is_told() -> None:
    """An address that is none is one message that names the variable."""
    with pytest.raises(ConfigError, match="OPENAI_BASE_URL"):
        real_judge({"OPENAI_BASE_URL": "127.0.0.1:8080"})


def test_the_config_is_one_that_a_worker_takes() -> None:
    """Two routes that sample differently, code and judges, all of them installed."""
    built = config("127.0.0.1:1", JudgeConfig(model="m", base_url="http://127.0.0.1:1/v1"))
    names = {name for route in built.routes for name in route.evaluators}
    assert names <= {offer.name for offer in available()}
    assert len({route.sample for route in built.routes}) == 2


def test_the_stand_in_knows_every_question() -> None:
    """Answers that speak against the output are known, so that the stand-in can say both."""
    assert set(good_answers().values()) == {True, False}
