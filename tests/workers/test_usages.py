"""Each LLM call once, however many spans tell of it."""

from support.samples import usage

from workers.usages import CallLedger


def test_a_span_that_comes_again_is_no_new_call() -> None:
    """Whether its call has a response id or not."""
    ledger = CallLedger(10)
    first = [usage(span_id="1" * 16), usage(span_id="2" * 16, response_id="r1")]
    assert ledger.new_calls(first) == first
    assert ledger.new_calls(first) == []
    assert ledger.new_calls([first[0]]) == []


def test_two_libraries_that_tell_of_one_response_tell_of_one_call() -> None:
    """In one message the one with most token counts is taken; later ones are none."""
    poor = usage(span_id="1" * 16, response_id="r1", output_tokens=None)
    rich = usage(span_id="2" * 16, response_id="r1")
    ledger = CallLedger(10)
    assert ledger.new_calls([poor, rich]) == [rich]
    assert ledger.new_calls([poor]) == []


def test_a_span_around_a_call_of_the_same_model_is_that_call() -> None:
    """Without response ids parentage tells; a parent of another model is a call of its own."""
    parent = usage(span_id="1" * 16)
    child = usage(span_id="2" * 16, parent_span_id="1" * 16)
    assert CallLedger(10).new_calls([parent, child]) == [child]
    other = usage(span_id="1" * 16, request_model="gpt-4o")
    assert CallLedger(10).new_calls([other, child]) == [other, child]


def test_a_failed_attempt_within_a_call_hides_no_spend() -> None:
    """What was paid for stands on the span around it, unless another attempt within tells it."""
    nothing = {"input_tokens": None, "output_tokens": None}
    parent = usage(span_id="1" * 16, response_id="r1")
    failed = usage(span_id="2" * 16, parent_span_id="1" * 16, **nothing)
    assert CallLedger(10).new_calls([parent, failed]) == [parent]
    worked = usage(span_id="3" * 16, parent_span_id="1" * 16, response_id="r1")
    assert CallLedger(10).new_calls([parent, failed, worked]) == [failed, worked]


def test_calls_with_ids_of_their_own_are_not_one_call() -> None:
    """An agent that is recorded as a call, around one of the same model."""
    parent = usage(span_id="1" * 16, response_id="r1")
    child = usage(span_id="2" * 16, parent_span_id="1" * 16, response_id="r2")
    assert CallLedger(10).new_calls([parent, child]) == [parent, child]


def test_one_response_id_of_two_services_is_two_calls() -> None:
    """Some servers begin to count at 1 again, and gateways and applications pay apart."""
    one = usage(span_id="1" * 16, response_id="r1")
    two = usage(span_id="2" * 16, response_id="r1", service="gateway")
    assert CallLedger(10).new_calls([one, two]) == [one, two]


def test_memory_is_bounded() -> None:
    """What was forgotten counts again; what was asked for lately is remembered."""
    ledger = CallLedger(2)
    one, two, three = (usage(span_id=str(number) * 16) for number in (1, 2, 3))
    assert ledger.new_calls([one]) == [one]
    assert ledger.new_calls([two]) == [two]
    assert ledger.new_calls([one]) == []
    assert ledger.new_calls([three]) == [three]
    assert ledger.new_calls([one]) == []
    assert ledger.new_calls([two]) == [two]
