"""The demo's config: two routes that sample differently, and a judge that needs no key."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr, ValidationError

from evaluators.rubric import builtin_rubric
from schemas.config import Config, JudgeConfig
from schemas.errors import ConfigError

SPANS, SCORES, DEAD_LETTERS = "otlp_spans", "assay.scores", "assay.dead_letters"
PARTITIONS = 4

_SUPPORT = ("answer_relevance", "groundedness", "toxicity", "pii", "secrets")
_SHOP = ("answer_relevance", "pii", "refusal")
_JUDGED = ("answer_relevance", "groundedness", "toxicity")
_OBJECTIVES = {"answer_relevance": 0.95}
_OPENAI = "https://api.openai.com/v1"
_MODEL = "gpt-5-mini"


@dataclass(frozen=True, slots=True)
class Pace:
    """How much traffic there is; a real judge costs money and may be slow.

    Attributes:
        per_second: Conversations a second.
        patience_s: How long no outcome may come before the demo gives up on the rest.
    """

    per_second: float
    patience_s: float


STAND_IN_PACE = Pace(per_second=18.0, patience_s=15.0)
REAL_PACE = Pace(per_second=9.0, patience_s=90.0)


def real_judge(environ: Mapping[str, str]) -> JudgeConfig | None:
    """The judge that the environment names, or None: then the stand-in is asked.

    Args:
        environ: `OPENAI_BASE_URL`, `OPENAI_API_KEY` and `OPENAI_MODEL` are looked at; one of the
            first two must be there.

    Raises:
        ConfigError: What they say is no address or no model.
    """
    url, key = environ.get("OPENAI_BASE_URL"), environ.get("OPENAI_API_KEY")
    if not url and not key:
        return None
    try:
        return JudgeConfig(
            model=environ.get("OPENAI_MODEL") or _MODEL,
            base_url=url or _OPENAI,
            api_key=SecretStr(key) if key else None,
        )
    except ValidationError:
        raise ConfigError(
            f'environment variable OPENAI_BASE_URL: "{url}" is no address; '
            "set it to one that begins with http:// or https://, or unset it"
        ) from None


def config(bootstrap_servers: str, judge: JudgeConfig) -> Config:
    """What `assay run` would read from a file for this demo."""
    sections: dict[str, Any] = {
        "kafka": {
            "bootstrap_servers": bootstrap_servers,
            "group_id": "assay-demo",
            "spans": [SPANS],
            "scores": SCORES,
            "dead_letters": DEAD_LETTERS,
            "start": "earliest",
        },
        "judges": {"default": judge},
        "evaluators": {name: {"objective": mean} for name, mean in _OBJECTIVES.items()},
        "routes": [
            {
                "name": "support",
                "when": 'span.service == "support-bot"',
                "sample": 1.0,
                "evaluators": _SUPPORT,
            },
            {
                "name": "shop",
                "when": 'span.service == "shop-assistant"',
                "sample": 0.5,
                "evaluators": _SHOP,
            },
        ],
        "metrics": {"port": 0},
        "logs": {"level": "error"},
    }
    return Config.model_validate(sections)


def good_answers() -> dict[str, bool]:
    """Of every question that the demo's rubrics ask: the answer that speaks for the output."""
    return {item.id: item.good for name in _JUDGED for item in builtin_rubric(name).items}
