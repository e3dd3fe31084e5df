"""When a trace is whole, what it holds until then, and what gives way where there is no room."""

from dataclasses import replace

import pytest
from support.waiting import EVALUATORS, SELECTED, P, Waiting, call, trace_id

from schemas.events import (
    SpanRedelivered,
    SpansLate,
    TraceConcluded,
    TraceEvicted,
    TraceSplit,
)
from schemas.reasons import Reason
from workers.offset_metadata import Beginning
from workers.trace import Trace
from workers.traces import ROOT_GRACE_S
from workers.whole_trace import Head


def _head(number: int, parent: str | None) -> Head:
    return Head.of(call(number, parent=parent))


def _ids(traces: list[Trace]) -> list[str]:
    return [trace.trace_id for trace in traces]


def test_a_trace_without_a_root_is_whole_once_nothing_came_for_a_while() -> None:
    """Each record that comes starts the time of idleness anew."""
    waiting = Waiting(idle_s=30)
    waiting.read(call(1))
    assert waiting.after(20) == []
    waiting.read(call(2))
    assert waiting.after(29) == []
    (trace,) = waiting.after(2)
    assert set(trace.spans) == {call(1).span_id, call(2).span_id}
    assert waiting.told(TraceConcluded) == [TraceConcluded("idle")]


def test_a_trace_whose_root_has_ended_waits_for_late_children_only() -> None:
    """A child in another process is exported some seconds after the root, and starts them anew."""
    waiting = Waiting(idle_s=30)
    waiting.read(call(1))
    waiting.read(call(0, parent=None))
    assert waiting.after(ROOT_GRACE_S - 1) == []
    waiting.read(call(2))
    assert waiting.after(ROOT_GRACE_S - 1) == []
    (trace,) = waiting.after(1)
    assert len(trace.spans) == 3
    assert waiting.told(TraceConcluded) == [TraceConcluded("root")]


def test_a_root_that_no_convention_recognises_ends_its_trace_too() -> None:
    """The HTTP request around the calls: its head is all that is read of it."""
    waiting = Waiting(idle_s=30)
    waiting.read(call(1))
    waiting.read(heads=[_head(0, None)], selected={})
    (trace,) = waiting.after(ROOT_GRACE_S)
    assert len(trace.spans) == 1
    assert len(trace.heads) == 2


def test_the_order_in_which_spans_come_is_no_matter() -> None:
    """A root that comes before its children, in a record of its own, is the root all the same."""
    waiting = Waiting(idle_s=30)
    waiting.read(call(0, parent=None))
    waiting.read(call(2))
    waiting.read(call(1))
    (trace,) = waiting.after(ROOT_GRACE_S)
    (job,) = trace.jobs(EVALUATORS)
    assert job.span.span_id == call(0).span_id
    assert job.whole is not None
    assert [span.span_id for span in job.whole.spans] == [call(n).span_id for n in range(3)]
    assert job.whole.revision == 3
    assert [source.offset for source in job.whole.sources] == [0, 1, 2]


def test_without_a_root_the_earliest_span_stands_for_the_trace() -> None:
    """Earliest by its start, not by when it came."""
    waiting = Waiting(idle_s=30)
    waiting.read(call(2))
    waiting.read(call(1))
    (trace,) = waiting.after(30)
    (job,) = trace.jobs(EVALUATORS)
    assert job.span.span_id == call(1).span_id


def test_a_fragment_that_is_judged_alone_never_wins() -> None:
    """It lacks the root, and has all the same the identity of the whole and a lower revision."""
    jobs = []
    for numbers in ((0, 1, 2), (2,)):  # before a crash, and what was not committed by then
        waiting = Waiting(idle_s=30)
        for number in numbers:
            waiting.read(call(number, parent=None if number == 0 else call(0).span_id))
        (trace,) = waiting.after(30)
        jobs += trace.jobs(EVALUATORS)
    whole, fragment = jobs
    assert whole.span.span_id != fragment.span.span_id
    assert whole.evaluation_id == fragment.evaluation_id
    assert whole.whole is not None
    assert fragment.whole is not None
    assert whole.whole.revision > fragment.whole.revision


def test_a_trace_that_never_ends_is_taken_as_it_is_at_its_maximum_age() -> None:
    """It is evaluated, for it was not cut for lack of room."""
    waiting = Waiting(idle_s=30, max_age_s=100)
    for number in range(5):
        waiting.read(call(number))
        assert waiting.after(20) == [] or number == 4
    assert waiting.told(TraceConcluded) == [TraceConcluded("max_age")]
    assert waiting.told(TraceEvicted) == []
    assert waiting.traces.waiting == 0


def test_nothing_of_a_trace_is_committed_before_its_claim_is_released() -> None:
    """Its first record holds the watermark, whatever was finished above it."""
    waiting = Waiting(idle_s=30)
    waiting.read(call(1, trace=1))
    waiting.read(call(1, trace=2))
    waiting.read(call(2, trace=1))
    assert waiting.committed() == 0
    first, second = waiting.after(30)
    assert waiting.committed() == 0
    second.claim.release()
    assert waiting.committed() == 0
    first.claim.release()
    assert waiting.committed() == 3


def test_a_record_is_done_when_the_last_of_its_traces_is() -> None:
    """Released by the first, it would be committed while the other one still waits."""
    waiting = Waiting(idle_s=30)
    waiting.read(call(1, trace=1), call(1, trace=2))
    waiting.read(call(2, trace=1))
    first, second = waiting.after(30)
    first.claim.release()
    assert waiting.committed() == 0
    second.claim.release()
    assert waiting.committed() == 2


def test_a_trace_that_no_route_selects_is_let_go_without_an_outcome() -> None:
    """Until then a later span of it could have been selected."""
    waiting = Waiting(idle_s=30)
    waiting.read(call(1), selected={})
    waiting.read(call(1, trace=2), selected={})
    waiting.read(call(2, trace=2))
    let_go, selected = waiting.after(30)
    assert let_go.jobs({}) == []
    assert set(selected.selected) == {"task_completion"}


def test_a_trace_is_selected_with_the_largest_probability_of_its_spans() -> None:
    """And with every route that named the evaluator, the strictest content, the least age."""
    waiting = Waiting(idle_s=30)
    other = replace(SELECTED, probability=0.9, content="full", max_age_s=60)
    waiting.read(call(1), selected={"task_completion": SELECTED})
    waiting.read(call(2), selected={"task_completion": other})
    (trace,) = waiting.after(30)
    assert trace.selected["task_completion"] == replace(SELECTED, probability=0.9, max_age_s=60)


def test_spans_that_come_after_the_conclusion_evaluate_nothing() -> None:
    """They are counted, and their record is done at once."""
    waiting = Waiting(idle_s=30)
    waiting.read(call(1))
    (trace,) = waiting.after(30)
    trace.claim.release()
    waiting.read(call(2), call(3))
    assert waiting.told(SpansLate) == [SpansLate(2)]
    assert waiting.traces.waiting == 0
    assert waiting.committed() == 2


def test_a_trace_without_an_outcome_may_begin_again() -> None:
    """Nothing was published of it, so a span that is selected later still gets its outcome."""
    waiting = Waiting(idle_s=30)
    waiting.read(call(1), selected={})
    waiting.after(30)
    waiting.read(call(2))
    (trace,) = waiting.after(30)
    assert trace.selected
    assert waiting.told(SpansLate) == []


def test_beyond_max_count_the_oldest_gives_way() -> None:
    """It is concluded at once, unevaluated: skipped(trace_evicted)."""
    waiting = Waiting(idle_s=30, max_count=2)
    for number in (1, 2, 3):
        waiting.read(call(1, trace=number))
    (evicted,) = waiting.after(0)
    assert evicted.trace_id == trace_id(1)
    assert evicted.cut is not None
    assert evicted.cut[0] is Reason.TRACE_EVICTED
    assert "traces.max_count" in evicted.cut[1]
    assert waiting.told(TraceEvicted) == [TraceEvicted("max_count")]
    assert waiting.traces.waiting == 2


def test_beyond_max_bytes_the_oldest_give_way_until_there_is_room() -> None:
    """As many as it takes, and what gave way does not count any more."""
    waiting = Waiting(idle_s=30, max_bytes=1000)
    for number in (1, 2, 3):
        waiting.read(call(1, trace=number), size_bytes=300)
    waiting.read(call(1, trace=4), size_bytes=600)
    assert _ids(waiting.after(0)) == [trace_id(1), trace_id(2)]
    assert waiting.traces.size_bytes == 900


def test_a_trace_of_too_many_records_gives_way() -> None:
    """Its outcome names every record, and must be one that Kafka takes."""
    waiting = Waiting(idle_s=30)
    for number in range(2000):
        waiting.read(call(number))
    (evicted,) = waiting.after(0)
    assert len(evicted.sources) == 2000
    assert waiting.told(TraceEvicted) == [TraceEvicted("records")]


def test_a_trace_that_gave_way_before_it_was_selected_is_skipped_when_it_is() -> None:
    """An eviction is an outcome, not a loss, and no fragment is judged in its place."""
    waiting = Waiting(idle_s=30, max_count=1)
    waiting.read(call(1, trace=1), selected={})
    waiting.read(call(1, trace=2))
    assert _ids(waiting.after(0)) == [trace_id(1)]
    waiting.read(call(2, trace=1))
    (skipped,) = waiting.after(0)
    assert skipped.selected
    assert skipped.cut is not None
    assert skipped.cut[0] is Reason.TRACE_EVICTED


def test_crowded_commits_make_the_oldest_give_way() -> None:
    """Only where a waiting trace holds the watermark: one that is judged frees it by itself."""
    waiting = Waiting(idle_s=30)
    for number in range(1, 21):
        waiting.read(call(1, trace=number))
    waiting.traces.make_room(P, 0)
    evicted = waiting.after(0)
    assert _ids(evicted) == [trace_id(1), trace_id(2), trace_id(3)]
    waiting.traces.make_room(P, 0)  # those hold it still: their outcomes are on their way
    assert waiting.after(0) == []
    for trace in evicted:
        trace.claim.release()
    waiting.traces.make_room(P, waiting.committed())
    assert _ids(waiting.after(0))[0] == trace_id(4)


def test_a_trace_in_a_record_without_its_key_is_split() -> None:
    """It is skipped at once; further records of it are late, so that it is skipped once."""
    waiting = Waiting(idle_s=30)
    waiting.read(call(1), is_keyed=False)
    waiting.read(call(2), is_keyed=False)
    (split,) = waiting.after(0)
    assert split.cut is not None
    assert split.cut[0] is Reason.TRACE_SPLIT
    assert waiting.told(TraceSplit) == [TraceSplit("spans")]
    assert waiting.told(SpansLate) == [SpansLate(1)]


def test_a_span_that_comes_twice_is_in_its_trace_once() -> None:
    """An exporter that got no reply sends again; both records are held."""
    waiting = Waiting(idle_s=30)
    waiting.read(call(1))
    waiting.read(call(1))
    (trace,) = waiting.after(30)
    assert len(trace.spans) == len(trace.heads) == 1
    assert waiting.told(SpanRedelivered) == [SpanRedelivered("trace", 1)]
    trace.claim.release()
    assert waiting.committed() == 2


def test_one_call_that_two_libraries_traced_is_one_call_of_the_trace() -> None:
    """Across records too; the spans of both count for the revision."""
    waiting = Waiting(idle_s=30)
    waiting.read(call(1, response_id="chatcmpl-1", input_tokens=10))
    waiting.read(call(2, response_id="chatcmpl-1", input_tokens=10))
    (trace,) = waiting.after(30)
    (job,) = trace.jobs(EVALUATORS)
    assert job.whole is not None
    assert len(job.whole.spans) == 1
    assert job.whole.revision == 2
    assert job.span.input_tokens == 10


def test_what_waits_of_a_partition_that_leaves_is_dropped_without_an_outcome() -> None:
    """None of its records is committed: the next owner reads all of them."""
    waiting = Waiting(idle_s=30, max_count=1)
    waiting.read(call(1, trace=1))
    waiting.read(call(1, trace=2))  # the first one gives way, and is not taken yet
    waiting.traces.forget([P])
    assert waiting.after(60) == []
    assert (waiting.traces.waiting, waiting.traces.size_bytes) == (0, 0)
    assert waiting.committed() == 0


def test_a_partition_that_comes_back_begins_anew() -> None:
    """Its records come again; were the trace remembered, they would be late and lost."""
    waiting = Waiting(idle_s=30)
    waiting.read(call(1))
    waiting.after(30)
    waiting.traces.forget([P])
    waiting.offsets.assign(P, 0, Beginning(1, 0, "cjt"), None)
    waiting._next = 0
    waiting.read(call(1))
    assert len(waiting.after(30)) == 1


def test_a_trace_that_a_lost_partition_left_behind_takes_in_nothing_new() -> None:
    """A drain that came too late leaves it: records of the next assignment must not join it."""
    waiting = Waiting(idle_s=30)
    waiting.read(call(1))
    waiting.offsets.assign(P, 0, Beginning(1, 0, "cjt"), None)
    waiting._next = 0
    waiting.read(call(1))
    (trace,) = waiting.after(30)
    assert not trace.claim.is_lost
    assert len(trace.sources) == 1


def test_time_stands_still_unless_it_is_told_to_pass() -> None:
    """While the lane cannot read, nothing becomes idle."""
    waiting = Waiting(idle_s=30)
    waiting.read(call(1))
    assert waiting.after(0) == []
    assert waiting.traces.oldest_s == 0
    assert waiting.after(29.9) == []
    assert waiting.traces.oldest_s == pytest.approx(29.9)


def test_a_trace_that_is_passed_over_begins_no_more() -> None:
    """Its beginning was not seen, so what comes of it is late; it is known, and does not wait."""
    waiting = Waiting(idle_s=30)
    waiting.traces.pass_over(P, trace_id(1))
    waiting.read(call(1), call(2, trace=2))
    assert [waiting.traces.waits(P, trace_id(number)) for number in (1, 2)] == [False, True]
    assert waiting.traces.knows(P, trace_id(1))
    assert waiting.told(SpansLate) == [SpansLate(1)]
    assert _ids(waiting.after(30)) == [trace_id(2)]
