"""Spans that come again, and calls that two libraries traced."""

from support.samples import span

from schemas.span import SpanKind
from workers.duplicates import RecentCalls, RecentSpans

_START = span().start_unix_nano


def test_a_span_in_another_record_was_seen_before() -> None:
    """A producer's second send of a batch is noticed, however often it comes."""
    recent = RecentSpans(10)
    assert not recent.seen("t", 0, "trace", "a", 5)
    assert recent.seen("t", 0, "trace", "a", 6)
    assert recent.seen("t", 0, "trace", "a", 9)


def test_the_same_record_again_is_not_swallowed() -> None:
    """After a seek or rebalance the record's outcomes may be missing, so it is evaluated again."""
    recent = RecentSpans(10)
    assert not recent.seen("t", 0, "trace", "a", 5)
    assert recent.seen("t", 0, "trace", "a", 6)
    assert not recent.seen("t", 0, "trace", "a", 5)


def test_another_trace_or_partition_has_spans_of_its_own() -> None:
    """A span id is random within a trace only, and a memory belongs to its partition."""
    recent = RecentSpans(10)
    recent.seen("t", 0, "trace", "a", 5)
    assert not recent.seen("t", 0, "another", "a", 6)
    assert not recent.seen("t", 1, "trace", "a", 6)
    assert not recent.seen("u", 0, "trace", "a", 6)


def test_a_partition_that_went_away_is_forgotten() -> None:
    """Its spans are evaluated when it comes back: what was in flight was never published."""
    recent = RecentSpans(10)
    recent.seen("t", 0, "trace", "a", 5)
    recent.seen("t", 1, "trace", "b", 5)
    recent.forget_partition("t", 0)
    recent.forget_partition("t", 7)
    assert not recent.seen("t", 0, "trace", "a", 6)
    assert recent.seen("t", 1, "trace", "b", 6)


def test_span_memory_is_bounded_over_all_partitions() -> None:
    """However many partitions there are, the oldest spans of each make room."""
    recent = RecentSpans(10)
    for partition in range(5):
        for number in range(100):
            recent.seen("t", partition, "trace", str(number), number)
    assert sum(len(spans) for spans in recent._partitions.values()) == 10
    assert recent.seen("t", 0, "trace", "99", 1000)
    assert not recent.seen("t", 0, "trace", "1", 1000)


def test_one_call_of_two_libraries_is_judged_once() -> None:
    """The second span, the root of another trace at the same time, is a duplicate of the first."""
    recent = RecentCalls(10)
    first = span(span_id="a", response_id="r1")
    second = span(span_id="b", response_id="r1", trace_id="1" * 32, start_unix_nano=_START + 5)
    assert recent.duplicate_of(first, "pii") is None
    assert recent.duplicate_of(second, "pii") == "a"
    assert recent.duplicate_of(first, "pii") is None, "a redelivered span is not its own duplicate"


def test_a_copy_without_content_never_stands_for_one_with_content() -> None:
    """The later copy that has the text is judged, and further ones are its duplicates."""
    recent = RecentCalls(10)
    bare = span(span_id="a", response_id="r1", output_text=None)
    assert recent.duplicate_of(bare, "pii") is None
    assert recent.duplicate_of(span(span_id="b", response_id="r1", output_text=None), "pii") == "a"
    assert recent.duplicate_of(span(span_id="c", response_id="r1"), "pii") is None
    assert recent.duplicate_of(span(span_id="d", response_id="r1"), "pii") == "c"
    assert recent.duplicate_of(bare, "pii") == "c"


def test_each_evaluator_judges_a_call_once() -> None:
    """A second span that a further evaluator is routed to is judged by that one."""
    recent = RecentCalls(10)
    recent.duplicate_of(span(span_id="a", response_id="r1"), "pii")
    assert recent.duplicate_of(span(span_id="b", response_id="r1"), "toxicity") is None
    assert recent.duplicate_of(span(span_id="b", response_id="r1"), "pii") == "a"


def test_a_server_that_gives_every_answer_one_id_makes_no_duplicates() -> None:
    """Calls of different traces at different times, or of different services, are different."""
    recent = RecentCalls(10)
    recent.duplicate_of(span(span_id="a", response_id="r"), "pii")
    later = span(
        span_id="b",
        trace_id="1" * 32,
        response_id="r",
        start_unix_nano=_START + 10**10,
        end_unix_nano=_START + 2 * 10**10,
    )
    assert recent.duplicate_of(later, "pii") is None
    other = span(
        span_id="c",
        trace_id="2" * 32,
        response_id="r",
        service="shop",
        start_unix_nano=_START + 10**10,
        end_unix_nano=_START + 2 * 10**10,
    )
    assert recent.duplicate_of(other, "pii") is None


def test_only_calls_of_a_model_are_compared() -> None:
    """An agent's span that repeats its model's response id is another subject."""
    recent = RecentCalls(10)
    recent.duplicate_of(span(span_id="a", response_id="r"), "pii")
    agent = span(span_id="b", response_id="r", kind=SpanKind.AGENT)
    assert recent.duplicate_of(agent, "pii") is None
    assert recent.duplicate_of(span(span_id="c", response_id=None), "pii") is None


def test_call_memory_is_bounded() -> None:
    """The oldest calls make room."""
    recent = RecentCalls(3)
    for number in range(5):
        recent.duplicate_of(span(span_id=f"a{number}", response_id=str(number)), "pii")
    assert recent.duplicate_of(span(span_id="b", response_id="4"), "pii") == "a4"
    assert recent.duplicate_of(span(span_id="b", response_id="0"), "pii") is None
