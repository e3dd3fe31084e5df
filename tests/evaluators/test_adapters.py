"""What adapters have in common, tried on a library of three lines; no other is needed."""

import asyncio
import math
import os
import sys
import types
from collections.abc import Mapping
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

import httpx2
import pytest

from evaluators import JudgeFailure, Need, Reason, Score, Settings, Skip, Subject, ToolCall
from evaluators.adapters import scores
from evaluators.adapters.adapter import Adapter, Evidence, Found, Metric
from evaluators.adapters.chat import Chat, ForeignRequestError
from evaluators.registry import load
from evaluators.testing import ScriptedJudge, make_span, run
from schemas.errors import PluginError

_NAMES = ("autoevals", "deepeval", "openevals", "pydantic_evals")
_PROMPT = {"model": "theirs", "messages": [{"role": "user", "content": "Is it good?"}]}


class _Judge(ScriptedJudge):
    """Answers completions too, and keeps them."""

    def __init__(self, failure: JudgeFailure | None = None) -> None:
        super().__init__()
        self.requests: list[Mapping[str, Any]] = []
        self._failure = failure

    async def evidence(self, data: Mapping[str, str]) -> tuple[dict[str, str], bool]:
        return {name: text.replace("Jane", "[NAME]") for name, text in data.items()}, True

    async def complete(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        self.requests.append(request)
        if self._failure is not None:
            raise self._failure
        message = {"role": "assistant", "content": "yes"}
        return {"choices": [{"index": 0, "finish_reason": "stop", "message": message}]}


class _Asking(Adapter):
    """Measures with a library that has one metric, `Good`, and asks for what it is told."""

    distribution = "rapidfuzz"  # any that is installed
    extra = "rapidfuzz"
    module = "their_library"
    switches = {"THEIR_TELEMETRY": "off"}  # noqa: RUF012

    def prepare(self, library: Any) -> Metric:
        self.built(self.named(library, ["Good"]), self.options.args)
        return Metric(frozenset({Need.OUTPUT}))

    async def measure(self, evidence: Evidence, chat: Chat) -> Found:
        self.seen = evidence
        with suppress(Exception):
            await chat.client().chat.completions.create(**_PROMPT)  # type: ignore[call-overload]
            return Found(self.options.args["score"], "because")
        return Found(0.0, "the library swallows it")


class _Library(types.ModuleType):
    """Notes what the environment was when it was imported."""


class Good:
    """Their metric."""

    def __init__(self, score: object) -> None:
        self.score = score


@pytest.fixture
def _library(monkeypatch: pytest.MonkeyPatch) -> None:
    library = _Library("their_library")
    library.Good = Good  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "their_library", library)
    monkeypatch.setenv("THEIR_TELEMETRY", "on")


def _adapter(score: object = 0.75, **options: Any) -> _Asking:
    given = {"metric": "Good", "args": {"score": score}, **options}
    return _Asking(Settings("mine", options=given))


def _subject(judge: Any, answer: str | None = "Jane said so.") -> Subject:
    span = make_span("Who?", answer, tool_calls=(ToolCall("find", {"who": "Jane"}),))
    return Subject(span, ("Jane's page",), "Jane", judge, (span,))


@pytest.mark.parametrize(
    ("raw", "scale", "higher_is_better", "value"),
    [
        (0.25, (0.0, 1.0), True, 0.25),
        (0.25, (0.0, 1.0), False, 0.75),
        (5, (1.0, 5.0), True, 1.0),
        (2, (1.0, 5.0), False, 0.75),
        (True, (1.0, 5.0), True, 1.0),
        (False, (0.0, 1.0), True, 0.0),
    ],
)
def test_a_score_on_its_scale_becomes_a_value(
    raw: object, scale: tuple[float, float], higher_is_better: bool, value: float
) -> None:
    """0..1, and 1 is good, whatever the library's scale and direction."""
    assert scores.value_of(raw, scale, higher_is_better=higher_is_better) == pytest.approx(value)


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        (None, scores.ScoreMissing),
        ("good", scores.ScoreMissing),
        ([1.0], scores.ScoreMissing),
        (math.nan, scores.ScoreNotFinite),
        (math.inf, scores.ScoreNotFinite),
        (1.01, scores.ScoreOutOfRange),
        (-0.01, scores.ScoreOutOfRange),
        (8, scores.ScoreOutOfRange),
    ],
)
@pytest.mark.usefixtures("_library")
def test_what_is_no_score_is_an_error_and_never_0(
    raw: object, error: type[scores.ForeignScoreError]
) -> None:
    """Missing, not finite, off the scale: each has a name of its own."""
    with pytest.raises(error):
        run(_adapter(raw), _subject(_Judge()))


@pytest.mark.usefixtures("_library")
def test_the_library_sees_what_a_judge_may_see() -> None:
    """Every text, those of tool calls too, went through the judge's policy first."""
    adapter, judge = _adapter(), _Judge()
    result = run(adapter, _subject(judge))
    assert result == Score(0.75, explanation="because", truncated=True)
    seen = adapter.seen
    assert (seen.output, seen.context) == ("[NAME] said so.", ["[NAME]'s page"])
    assert (seen.reference, seen.tools) == ("[NAME]", [("find", {"who": "[NAME]"})])
    (request,) = judge.requests
    assert request["messages"] == _PROMPT["messages"]


@pytest.mark.usefixtures("_library")
def test_a_failing_judge_is_the_outcome_whatever_the_library_made_of_it() -> None:
    """A library that swallows what its client raises gets no score of its own making."""
    failure = JudgeFailure(Reason.BUDGET, 'the budget "daily" is spent')
    with pytest.raises(JudgeFailure) as caught:
        run(_adapter(), _subject(_Judge(failure)))
    assert caught.value is failure


async def test_after_a_failure_nothing_more_is_asked() -> None:
    """One failure is final for the evaluation: what the library tries again costs nothing."""
    judge = _Judge(JudgeFailure(Reason.REFUSED, "no"))
    chat = Chat(judge)
    for _ in range(3):
        with pytest.raises(JudgeFailure):
            await chat.complete(_PROMPT)
    assert len(judge.requests) == 1


async def test_what_a_library_leaves_running_spends_nothing() -> None:
    """After the evaluation its line to the judge is dead."""
    judge = _Judge()
    with Chat(judge) as chat:
        pass
    with pytest.raises(ForeignRequestError):
        await chat.complete(_PROMPT)
    assert judge.requests == []


async def test_a_cancellation_passes_a_failed_judge() -> None:
    """A worker that stops is not told of a failure in its place."""
    judge = _Judge(JudgeFailure(Reason.REFUSED, "no"))
    chat = Chat(judge)
    with pytest.raises(JudgeFailure):
        await chat.complete(_PROMPT)
    with pytest.raises(asyncio.CancelledError), chat:
        raise asyncio.CancelledError


@pytest.mark.parametrize("path", ["embeddings", "responses", "moderations"])
async def test_what_a_judge_does_not_do_reaches_no_network(path: str) -> None:
    """Embeddings and the like are an error of the library's, told by its client."""
    with Chat(_Judge()) as chat, pytest.raises(ForeignRequestError, match=f"/v1/{path}"):
        await chat.client().post(f"/{path}", cast_to=httpx2.Response, body={"input": "x"})


@pytest.mark.usefixtures("_library")
def test_the_switches_are_thrown_before_the_import(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever this machine's environment says: a worker's library does not call home."""
    monkeypatch.delitem(sys.modules, "their_library")
    with pytest.raises(ValueError, match="not installed"):
        _adapter()
    assert os.environ["THEIR_TELEMETRY"] == "off"


@pytest.mark.usefixtures("_library")
def test_a_call_without_text_is_skipped() -> None:
    """A library would judge the empty text."""
    judge = _Judge()
    assert run(_adapter(), _subject(judge, None)) == Skip("the answer has no text", Need.OUTPUT)
    assert judge.requests == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metric": "Goood"}, 'unknown metric "Goood" of rapidfuzz; did you mean "Good"?'),
        ({"args": {"scor": 1}}, "option args: Good: .*unexpected keyword argument 'scor'"),
        ({"range": [5, 1]}, "option range: should be the lowest and the highest score"),
        ({"needs": ["contxt"]}, "option needs.0"),
        ({"metrics": "Good"}, 'unknown option "metrics"; did you mean "metric"?'),
    ],
)
@pytest.mark.usefixtures("_library")
def test_bad_options_are_told_at_start(options: dict[str, Any], message: str) -> None:
    """The metric is tried before any span is judged."""
    with pytest.raises(ValueError, match=message):
        _adapter(**options)


@pytest.mark.parametrize("name", _NAMES)
def test_a_missing_library_names_the_extra(name: str) -> None:
    """One line that says what to install; nothing is imported for it."""
    distribution = name.replace("_", "-")
    with pytest.raises(metadata.PackageNotFoundError):
        metadata.version(distribution)
    options = {"metric": "Any", "higher_is_better": True}
    with pytest.raises(PluginError) as caught:
        load(Settings("mine", options=options, use=name))
    assert str(caught.value) == (
        f'evaluator "mine" of assay {metadata.version("assay")}: {distribution} is not installed; '
        f'run: pip install "assay[{distribution}]"'
    )


def test_extras_and_adapters_are_the_same() -> None:
    """What a message proposes to install is there."""
    project = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    for name in _NAMES:
        assert f"\n{name.replace('_', '-')} = [" in project
