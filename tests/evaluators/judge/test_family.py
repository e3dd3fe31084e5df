"""Which models make the same mistakes."""

import pytest

from evaluators.judge.family import family_of


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("gpt-5-mini", "openai"),
        ("openai/o3-mini", "openai"),
        ("azure/my-gpt4o", "openai"),
        ("anthropic.claude-haiku-4-5-v1:0", "anthropic"),
        ("google/gemini-3-flash", "google"),
        ("gemma3:27b", "google"),
        ("meta-llama/Llama-4-70B", "meta"),
        ("mixtral-8x7b", "mistral"),
        ("qwen3-32b", "alibaba"),
        ("acme-judge-2", "acme"),
        ("42", "42"),
    ],
)
def test_the_family_is_told_by_the_name(model: str, family: str) -> None:
    """Whoever serves the model, and however its version is written."""
    assert family_of(model) == family
