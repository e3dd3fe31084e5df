"""`assay check`: what it says of a config that is right."""

from collections.abc import Callable
from pathlib import Path

import pytest

_CONFIG = """
kafka: {bootstrap_servers: "127.0.0.1:9092", spans: [spans]}
judges:
  default: {model: gpt-5-mini, base_url: "http://127.0.0.1:9/v1"}
  second: {model: %s, base_url: "http://127.0.0.1:9/v1"}
evaluators:
  toxicity: {verify: second}
routes:
  - {name: all, when: "true", evaluators: [toxicity]}
"""
_WARNING = "warning: toxicity: gpt-5-mini and o3 are both of the family openai"


@pytest.mark.parametrize(("model", "warns"), [("o3", True), ("claude-haiku-4-5", False)])
def test_a_second_judge_of_the_same_family_is_a_warning(
    tmp_path: Path, assay_here: Callable[..., object], model: str, warns: bool
) -> None:
    """It shares the mistakes of the first; it is no error."""
    (tmp_path / "assay.yaml").write_text(_CONFIG % model)
    done = assay_here("check")
    assert getattr(done, "status", None) == 0
    out = str(getattr(done, "out", ""))
    assert f"judge gpt-5-mini, verified by {model}" in out
    assert (_WARNING in out) is warns
