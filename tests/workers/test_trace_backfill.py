"""What the checkpoint of a backfill of traces says: which traces are done, and where to go on."""

from support.spans import llm_span, message
from support.waiting import EVALUATORS

from schemas.config import Config
from workers.backfill import TraceStretch
from workers.consumer import Record
from workers.offsets import Offsets
from workers.replay import Tally
from workers.trace_backfill import Progress, TraceBackfill


def _stretch(offset: int = 10, **done: int) -> TraceStretch:
    return TraceStretch(
        topic="spans", partition=0, begin=10, end=50, until=90, offset=offset, done=done
    )


def _written(progress: Progress, stretch: TraceStretch) -> tuple[int, dict[str, int]]:
    progress.write(stretch)
    return stretch.offset, stretch.done


def test_the_oldest_open_trace_holds_the_offset() -> None:
    """What is done behind it is named, until the offset has passed it."""
    stretch = _stretch()
    progress = Progress(stretch)
    for name, first in (("a", 12), ("b", 15), ("c", 20)):
        progress.begin(name, first)
    progress.reach(40)
    progress.settle("b", has_outcome=True)
    assert _written(progress, stretch) == (12, {"b": 15})
    progress.settle("a", has_outcome=True)
    assert _written(progress, stretch) == (20, {})
    progress.settle("c", has_outcome=True)
    assert _written(progress, stretch) == (40, {})


def test_a_trace_without_an_outcome_is_not_named() -> None:
    """No span of it was selected so far, and a later one may be."""
    stretch = _stretch()
    progress = Progress(stretch)
    progress.begin("a", 12)
    progress.begin("b", 15)
    progress.reach(30)
    progress.settle("b", has_outcome=False)
    assert _written(progress, stretch) == (12, {})


def test_what_is_read_behind_the_end_moves_nothing_beyond_it() -> None:
    """Only what began before the end is waited for there."""
    stretch = _stretch()
    progress = Progress(stretch)
    progress.begin("a", 45)
    progress.reach(80)
    assert _written(progress, stretch) == (45, {})
    progress.settle("a", has_outcome=True)
    assert _written(progress, stretch) == (50, {})


def test_what_an_earlier_run_has_done_stays_named() -> None:
    """Else a third run would make again what the first one made."""
    stretch = _stretch(12, b=15)
    progress = Progress(stretch)
    progress.begin("a", 12)
    progress.reach(30)
    assert _written(progress, stretch) == (12, {"b": 15})


def test_a_checkpoint_is_written_only_where_something_is_new() -> None:
    """It is a file that is forced to disk."""
    stretch = _stretch()
    progress = Progress(stretch)
    assert not progress.write(stretch)
    progress.reach(11)
    assert progress.write(stretch)
    assert not progress.write(stretch)


def test_what_was_read_and_has_not_begun_holds_the_offset() -> None:
    """A trace without its key gives way at once; a crash before its outcome must not lose it."""
    stretch = _stretch()
    backfill = TraceBackfill(
        [stretch],
        config=Config.model_validate(
            {
                "kafka": {"bootstrap_servers": "unused:9092", "spans": ["spans"]},
                "routes": [{"name": "all", "when": "true", "evaluators": ["task_completion"]}],
            }
        ),
        evaluators=EVALUATORS,
        takes=lambda _: True,
        tally=Tally(),
        emit=lambda _: None,
    )
    offsets = Offsets()
    backfill.assign(offsets)
    claim = offsets.deliver(("spans", 0), 10, 0.0)
    assert claim is not None
    backfill.read(Record("spans", 0, 10, None, message([llm_span()]), 0.0, claim))
    backfill.write()
    assert (stretch.offset, stretch.done) == (10, {})
