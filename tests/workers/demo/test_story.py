"""What the demo tells at its end, from outcomes and the evaluations that were asked for."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from support.samples import outcome, span

from evaluators.contract import Settings
from evaluators.heuristics.pii import Pii
from schemas.config import EvaluatorConfig
from schemas.outcome import Outcome, Sampling, Source
from schemas.reasons import Reason
from schemas.span import Message
from workers.configured import Configured
from workers.demo.story import job_id, tell
from workers.engine import Job
from workers.router import Selected

ROLLOUT = 1_790_000_000_000_000_000
PII = Configured("pii", EvaluatorConfig(), Pii(Settings("pii")), None, None)


def _pairs(count: int, passes: Callable[[int], bool]) -> tuple[list[Outcome], list[Job]]:
    """Evaluations and their outcomes, half of them from before the rollout."""
    outcomes, jobs = [], []
    for number in range(count):
        is_after = number >= count // 2
        known: dict[str, Any] = {
            "trace_id": f"{number + 1:032x}",
            "span_id": f"{number + 1:016x}",
        }
        judged = span(**known, messages_in=(Message("user", f"question {number}"),))
        job = Job(
            judged, PII, Selected("pii", ("support",), 0.5, "redacted", None), Source("t", 0, 0)
        )
        one = outcome(1.0 if passes(number) else 0.0, evaluator="pii", probability=0.5, **known)
        start = ROLLOUT + number if is_after else ROLLOUT - 1 - number
        subject = replace(
            one.subject, start_unix_nano=start, prompt_version="v8" if is_after else "v7"
        )
        at = datetime.fromtimestamp(ROLLOUT // 10**9 - count // 2 + number, UTC).isoformat()
        judged_then = replace(one, evaluation_id=job_id(job), subject=subject, evaluated_at=at)
        outcomes.append(judged_then)
        jobs.append(job)
    return outcomes, jobs


def test_a_drop_after_the_rollout_is_told_with_an_example() -> None:
    """The series that fell is named, with the version that is new and one trace that shows it."""
    outcomes, jobs = _pairs(200, lambda number: number < 100 or number % 3 > 0)
    story = tell(outcomes, jobs, ROLLOUT, {})
    (row,) = story.regressions
    assert (row.route, row.evaluator) == ("support", "pii")
    assert (row.before.count, row.before.pass_rate) == (100, 1.0)
    assert row.after.pass_rate == pytest.approx(0.66, abs=0.02)
    assert story.rollout == ("v8",)
    (alert,) = story.alerts
    assert (alert.name, alert.prompt_version) == ("AssayVersionRegressed", "v8")
    assert ROLLOUT // 10**9 < alert.fired_s < ROLLOUT // 10**9 + 100
    assert story.bad_trace is not None
    assert story.bad_trace.question == f"question {int(story.bad_trace.outcome.span_id, 16) - 1}"
    assert story.bad_trace.outcome.score is not None
    assert story.bad_trace.outcome.score.passed is False
    assert story.conservation.holds
    assert story.succeeded


def test_no_drop_is_no_regression() -> None:
    """Where the pass rate stays, nothing is noticed, and the demo has not shown its point."""
    story = tell(*_pairs(200, lambda number: number % 10 > 0), ROLLOUT, {})
    assert story.alerts == ()
    assert story.regressions == []
    assert story.bad_trace is None
    assert not story.succeeded


def test_reasons_are_counted_beside_scores() -> None:
    """What has no score is counted by its reason and takes no part in means."""
    outcomes, jobs = _pairs(40, lambda _: True)
    missing = outcome(reason=Reason.NO_CONTENT, evaluator="pii")
    outcomes[0] = replace(
        missing,
        evaluation_id=outcomes[0].evaluation_id,
        subject=outcomes[0].subject,
        sampling=Sampling(("support",), 0.5),
    )
    story = tell(outcomes, jobs, ROLLOUT, {})
    assert story.outcomes == {"scored": 39, "skipped(no_content)": 1}
    assert story.rows[0].before.count == 19
    assert story.conservation.holds


def test_the_books_find_every_disagreement() -> None:
    """A missing, a repeated and an unexpected outcome are each found, and each breaks the books."""
    outcomes, jobs = _pairs(10, lambda _: True)
    lost = tell(outcomes[1:], jobs, ROLLOUT, {}).conservation
    assert (lost.missing, lost.holds) == (1, False)
    twice = tell([*outcomes, outcomes[3]], jobs, ROLLOUT, {}).conservation
    assert (twice.repeated, twice.published, twice.holds) == (1, 11, False)
    stray = tell(outcomes, jobs[1:], ROLLOUT, {}).conservation
    assert (stray.unexpected, stray.expected, stray.holds) == (1, 9, False)
    assert not tell([], [], ROLLOUT, {}).conservation.holds
