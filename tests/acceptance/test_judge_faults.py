"""A judge that misbehaves: for one case that is its outcome, for all alike it is nobody's.

One worker on a mock cluster and one judge serve all tests of this file; each test sends traces of
its own and looks at their outcomes.
"""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.conservation import peak_rss_mb
from support.judge_server import (
    Action,
    Changed,
    Drip,
    HalfBody,
    Hang,
    Huge,
    JudgeServer,
    Reset,
    Text,
)
from support.judge_server import Status as Answer
from support.spans import llm_span, message, produce
from support.workers import (
    DEAD,
    SCORES,
    SPANS,
    WorkerProcess,
    config_yaml,
    read_outcomes,
    until,
    worker_process,
)

from schemas.outcome import Outcome
from schemas.reasons import Reason, Status
from workers.demo.broker import MockCluster

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

ODD = "An odd case"
"""Begins the answer of a call that the judge treats differently."""
ATTEMPT_S, DEADLINE_S = 0.5, 3.0


class Site:
    """A worker, its judge, and the way to its outcomes."""

    def __init__(self, cluster: MockCluster, judge: JudgeServer, folder: Path) -> None:
        self.servers = cluster.bootstrap_servers
        self.judge = judge
        self.folder = folder
        self.worker: WorkerProcess
        self.loop: asyncio.AbstractEventLoop

    def config(self, **limits: Any) -> str:
        """A config with short deadlines for the judge."""
        default = {
            "model": "judge-1",
            "base_url": self.judge.url,
            "price": {"input_usd_per_mtok": 0.25, "output_usd_per_mtok": 2.0},
            "attempt_s": ATTEMPT_S,
            "deadline_s": DEADLINE_S,
            **limits,
        }
        return config_yaml(
            self.servers, evaluators=["answer_relevance", "pii"], judges={"default": default}
        )

    def send(self, *answers: str) -> list[str]:
        """Put one trace with each answer on the topic; their ids."""
        spans = [llm_span(answer=answer) for answer in answers]
        produce(
            self.servers,
            SPANS,
            [(span.trace_id.hex().encode(), message([span])) for span in spans],
        )
        return [span.trace_id.hex() for span in spans]

    def outcomes(self, traces: list[str], evaluator: str) -> dict[str, Outcome]:
        """The outcomes of these traces so far, each there at most once."""
        found = [
            outcome
            for outcome in read_outcomes(self.servers)
            if outcome.trace_id in traces and outcome.evaluator.name == evaluator
        ]
        by_trace = {outcome.trace_id: outcome for outcome in found}
        assert len(by_trace) == len(found)
        return by_trace

    def judged(self, traces: list[str], timeout_s: float = 30) -> dict[str, Outcome]:
        """The judge lane's outcomes of these traces, once all are there."""
        until(
            lambda: len(self.outcomes(traces, "answer_relevance")) == len(traces),
            timeout_s,
            self.worker.died,
        )
        return self.outcomes(traces, "answer_relevance")


@contextmanager
def _running(judge: JudgeServer) -> Iterator[asyncio.AbstractEventLoop]:
    """Serve from a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(judge.start(), loop).result(5)
        yield loop
        asyncio.run_coroutine_threadsafe(judge.stop(), loop).result(5)
    finally:  # or the thread would keep the test run from ending
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
    loop.close()


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The worker and the judge of this file."""
    judge = JudgeServer(latency_s=0.02)
    with MockCluster() as cluster, _running(judge) as loop:
        for topic in (SPANS, SCORES, DEAD):
            cluster.create_topic(topic, 2)
        one = Site(cluster, judge, tmp_path_factory.mktemp("judge"))
        one.loop = loop
        with worker_process(one.folder, one.config()) as one.worker:
            one.worker.wait_ready()
            yield one
            assert one.worker.stop() == 0


@pytest.fixture
def site(everything: Site) -> Iterator[Site]:
    """The same, with a judge that behaves again after the test."""
    yield everything
    everything.judge.script = lambda _: None


R = Reason
FAULTS: dict[str, tuple[Action, Reason]] = {
    "drips": (Drip(), R.TIMEOUT),
    "hangs": (Hang(), R.TIMEOUT),
    "200 MB": (Huge(), R.JUDGE_ERROR),
    "200 MB packed": (Huge(packed=True), R.JUDGE_ERROR),
    "redirect": (Answer(307, {}, {"location": "/stolen"}), R.JUDGE_ERROR),
    "HTML with status 200": (
        Answer(200, b"<html>busy</html>", {"content-type": "text/html"}),
        R.JUDGE_ERROR,
    ),
    "null": (Answer(200, b"null"), R.JUDGE_ERROR),
    "truncated JSON": (Answer(200, b'{"choices": [{"mess'), R.JUDGE_ERROR),
    "500": (Answer(500, {"error": {"message": "oops"}}), R.JUDGE_ERROR),
    "400": (Answer(400, {"error": {"message": "no"}}), R.JUDGE_ERROR),
    "reset": (Reset(), R.JUDGE_ERROR),
    "half a body": (HalfBody(), R.JUDGE_ERROR),
    "prose": (Text("I like this answer."), R.INVALID_OUTPUT),
    "the wrong shape": (Changed({"items": "all good"}), R.INVALID_OUTPUT),
    "another receipt": (Changed({"receipt": "0" * 32}), R.RECEIPT_MISSING),
    "cut at the token limit": (Text('{"receipt', "length"), R.OUTPUT_TRUNCATED),
    "content filter": (Text(None, "content_filter"), R.FILTERED),
    "refusal": (Text(None, message={"refusal": "I cannot judge that."}), R.REFUSED),
}


@pytest.fixture(scope="module")
def judged(everything: Site) -> dict[str, list[Outcome]]:
    """For each fault: the outcome of the odd case, then those of the six good ones around it."""
    acts = {f"{ODD}: {name}.": act for name, (act, _) in FAULTS.items()}
    everything.judge.script = lambda call: acts.get(call.data.get("output", ""))
    sent: dict[str, list[str]] = {}
    for name, text in zip(FAULTS, acts, strict=True):
        before = everything.send(*["A good answer."] * 3)
        sent[name] = [*everything.send(text), *before, *everything.send(*["A good answer."] * 3)]
        _sleep(everything, 0.3)
    found = everything.judged([trace for traces in sent.values() for trace in traces], 60)
    everything.judge.script = lambda _: None
    return {name: [found[trace] for trace in traces] for name, traces in sent.items()}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_for_one_case_is_its_outcome_alone(
    judged: dict[str, list[Outcome]], name: str
) -> None:
    """It fails with its reason; the good ones before and after it are scored."""
    odd, *good = judged[name]
    assert {outcome.outcome for outcome in good} == {Status.SCORED}
    assert (odd.outcome, odd.reason) == (Status.FAILED, FAULTS[name][1])
    assert odd.detail
    assert odd.score is None
    assert odd.judge is not None
    assert odd.judge.attempts >= 1


@pytest.mark.usefixtures("judged")
def test_no_redirect_is_followed(everything: Site) -> None:
    """The prompt is not sent to where the endpoint points."""
    assert not any(call.path.endswith("stolen") for call in everything.judge.calls)


@pytest.mark.usefixtures("judged")
def test_no_answer_of_any_size_fills_the_memory(everything: Site) -> None:
    """200 MB, plain and packed, are cut off at `max_response_bytes`."""
    assert peak_rss_mb(everything.worker) < 300


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(Answer(500, {"error": {"message": "down"}}), id="500"),
        pytest.param(Answer(401, {"error": {"message": "no such key"}}), id="401"),
        pytest.param(Answer(429, {"error": {"message": "slow down"}}), id="429"),
        pytest.param(Hang(), id="hangs"),
    ],
)
def test_what_hits_all_calls_alike_fails_none_of_them(site: Site, act: Action) -> None:
    """For two seconds every call meets the fault: only code evaluates; then all is judged."""
    site.judge.script = lambda _: act
    traces = site.send(*["A good answer."] * 12)
    until(lambda: len(site.outcomes(traces, "pii")) == 12, 20, site.worker.died)
    _sleep(site, 2)
    assert site.outcomes(traces, "answer_relevance") == {}
    site.judge.script = lambda _: None
    outcomes = site.judged(traces, 60)
    assert {outcome.outcome for outcome in outcomes.values()} == {Status.SCORED}


def test_a_judge_that_is_down_is_waited_for(site: Site) -> None:
    """Nobody listens for 10 s, three times the deadline: nothing fails, and all is judged then."""
    asyncio.run_coroutine_threadsafe(site.judge.stop(), site.loop).result(5)
    traces = site.send(*["A good answer."] * 20)
    until(lambda: len(site.outcomes(traces, "pii")) == 20, 20, site.worker.died)
    _sleep(site, 10)
    assert site.outcomes(traces, "answer_relevance") == {}
    assert site.worker.get("/readyz")[0] == 200
    assert site.worker.metric("assay_judge_breaker_open") == 1
    asyncio.run_coroutine_threadsafe(site.judge.start(), site.loop).result(5)
    outcomes = site.judged(traces, 60)
    assert {outcome.outcome for outcome in outcomes.values()} == {Status.SCORED}


def _sleep(site: Site, seconds: float) -> None:
    """Let time pass while the worker lives."""
    waiting = threading.Event()
    threading.Timer(seconds, waiting.set).start()
    until(waiting.is_set, seconds + 5, site.worker.died)


def test_a_rate_limit_of_ten_minutes_is_obeyed(tmp_path: Path) -> None:
    """One call is told to come back in 10 minutes: no call goes out, none fails, stopping is quick.

    The next worker, which knows nothing of the limit, judges everything once.
    """
    judge = JudgeServer(latency_s=0.02)
    with MockCluster() as cluster, _running(judge):
        for topic in (SPANS, SCORES, DEAD):
            cluster.create_topic(topic, 1)
        site = Site(cluster, judge, tmp_path)
        limited = Answer(429, {"error": {"message": "slow down"}}, {"retry-after": "600"})
        judge.script = lambda call: limited if call.index == 0 else None
        config = site.config(max_concurrency=1)
        with worker_process(tmp_path, config + "stop: {drain_s: 1}\n") as site.worker:
            traces = site.send(*["A good answer."] * 10)
            until(lambda: len(site.outcomes(traces, "pii")) == 10, 30, site.worker.died)
            until(lambda: judge.count > 0, 10, site.worker.died)
            _sleep(site, 2 * DEADLINE_S)
            assert judge.count == 1
            assert site.outcomes(traces, "answer_relevance") == {}
            assert site.worker.stop(15) == 0
        with worker_process(tmp_path, config) as site.worker:
            outcomes = site.judged(traces)
            assert site.worker.stop() == 0
        assert {outcome.outcome for outcome in outcomes.values()} == {Status.SCORED}
