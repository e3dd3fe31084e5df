"""`assay scores`: which outcomes are shown."""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from support.kafka import KafkaServer
from support.samples import outcome

from schemas.errors import ConfigError
from schemas.outcome import Outcome
from schemas.reasons import Reason
from workers.commands.scores import Filter, Newest, seconds

from .conftest import Run

EVERYTHING = Filter()


def _outcome(number: int, value: float = 1.0, **fields: Any) -> Outcome:
    moment = datetime.fromtimestamp(1_790_000_000 + number, UTC).isoformat(timespec="milliseconds")
    known: dict[str, Any] = {"evaluation_id": f"{number:032x}", "evaluated_at": moment}
    return outcome(value, **{**known, **fields})


@pytest.mark.parametrize(
    ("text", "expected"), [("30s", 30), ("15m", 900), ("24h", 86400), ("7d", 604800)]
)
def test_ages_are_read(text: str, expected: int) -> None:
    """An age is a whole number and a unit."""
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "soon", "1.5h", "-1h", "3w", "5"])
def test_other_ages_are_refused(text: str) -> None:
    """Anything else says how an age is written."""
    with pytest.raises(ConfigError, match="write 30s, 15m, 24h or 7d"):
        seconds(text)


def test_the_filter_takes_what_it_says() -> None:
    """`failed` means not passed, or without a score because something failed; not skipped."""
    failed = Filter(failed=True)
    assert not failed.takes(outcome(1.0))
    assert failed.takes(outcome(0.0))
    assert failed.takes(outcome(reason=Reason.TIMEOUT))
    assert not failed.takes(outcome(reason=Reason.NO_CONTENT))
    assert not Filter(evaluator="pii").takes(outcome())
    assert not Filter(trace_id="0").takes(outcome())
    assert not Filter(service="billing").takes(outcome())
    assert Filter(service=outcome().subject.service).takes(outcome())
    assert EVERYTHING.takes(outcome())


def test_a_repeated_outcome_is_shown_once() -> None:
    """Of several outcomes with one id the highest revision holds, then the last."""
    newest = Newest(EVERYTHING, 10)
    for value, revision in ((0.1, 1), (0.2, 3), (0.3, 2), (0.4, 3)):
        newest.add(_outcome(1, value, revision=revision))
    (shown,) = newest.outcomes
    assert shown.score is not None
    assert shown.score.value == 0.4


def test_a_later_try_takes_a_failure_off_the_list() -> None:
    """What failed and was scored later is not listed as failed."""
    newest = Newest(Filter(failed=True), 10)
    newest.add(_outcome(1, reason=Reason.TIMEOUT))
    newest.add(_outcome(2, reason=Reason.TIMEOUT))
    newest.add(_outcome(1))
    assert [shown.evaluation_id for shown in newest.outcomes] == [f"{2:032x}"]


def test_a_fragment_never_takes_the_place_of_the_whole() -> None:
    """A whole trace passed; what a worker judged of it after a restart failed, and counts less."""
    newest = Newest(Filter(failed=True), 10)
    newest.add(_outcome(1, 1.0, revision=5))
    newest.add(_outcome(1, 0.0, revision=2))
    assert newest.outcomes == []


def test_memory_does_not_grow_with_the_topic() -> None:
    """Only the newest are kept, in whatever order the partitions are read."""
    newest = Newest(EVERYTHING, 5)
    for number in [*range(0, 9000, 2), *range(1, 9000, 2)]:
        newest.add(_outcome(number))
    assert [shown.evaluation_id for shown in newest.outcomes] == [
        f"{number:032x}" for number in range(8995, 9000)
    ]
    assert newest.matched == 9000
    assert len(newest._kept) <= 1010


@pytest.mark.kafka
def test_the_newest_outcomes_of_a_real_topic(
    assay: Run, kafka: KafkaServer, tmp_path: Path
) -> None:
    """`topics` says what is missing and makes it; `scores` lists what was written since."""
    (tmp_path / "assay.yaml").write_text(
        f'kafka: {{bootstrap_servers: "{kafka.bootstrap_servers}", spans: [cli_spans], '
        "scores: cli_scores, dead_letters: cli_dead, otlp_scores: cli_otlp}\n"
        "routes: [{name: all, when: span.error, evaluators: [pii]}]\n"
    )
    before = assay("topics")
    assert before.status == 1
    assert "cli_spans, cli_scores, cli_dead, cli_otlp: missing" in before.err
    made = assay("topics", "--create")
    assert (made.status, made.out.count("│ ok"), "missing" in made.out) == (0, 4, False)
    assert assay("topics", "--create", "--json").out.count('"state":"ok"') == 4
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})
    old = int((time.time() - 7200) * 1000)
    producer.produce("cli_scores", value=_outcome(1).to_json(), timestamp=old, partition=0)
    for number in range(2, 6):
        score = _outcome(number, 0.0 if number == 3 else 1.0)
        producer.produce("cli_scores", key=str(number), value=score.to_json())
    producer.produce("cli_scores", value=b"no outcome")
    producer.flush(10)
    recent = assay("scores", "--since", "1h", "--json")
    assert (recent.status, recent.err) == (0, "")
    ids = [Outcome.from_json(line.encode()).evaluation_id for line in recent.out.splitlines()]
    assert ids == [f"{number:032x}" for number in range(2, 6)]
    assert assay("scores", "--since", "3h", "--limit", "99", "--json").out.count("\n") == 5
    none = assay("scores", "--since", "1h", "--service", "nobody")
    assert "no outcome matches; --since looks further back" in none.out
    failed = assay("scores", "--failed")
    assert failed.status == 0
    assert failed.out.count("0.00 fail") == 1
