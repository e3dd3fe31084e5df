"""`assay calibrate --sample`: verdicts for people to look at, with the text that they are about."""

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from evaluators.contract import Subject
from evaluators.judge.clean import clean
from evaluators.redact import redact
from schemas.config import Config
from schemas.errors import ConfigError, Undecodable
from schemas.limits import Limits
from schemas.outcome import Source
from workers.configured import Configured, contents_of
from workers.intake import context_of
from workers.label_sample import Drawn, Verdicts, draw, drawn_from
from workers.labelled import PASS, DrawnFrom, Labelled
from workers.offline import Export, read_export
from workers.open_evaluators import open_evaluators
from workers.retries import Leavings, Places
from workers.topic_reader import Read, TopicReader

from .calibrate import require_span_scope
from .common import progress_bar, safe
from .kafka_client import check_client
from .written import write

_MISSING = "their span is not in its record any more"
_OTHER = "they are of another fingerprint: the evaluator, its judge or its policy was another"


@dataclass(slots=True)
class _Sample:
    """What was drawn, and what was left out and why."""

    fingerprint: str
    verdicts: int
    population: DrawnFrom
    drawn: Sequence[Drawn]
    items: list[Labelled] = field(default_factory=list)
    left: Counter[str] = field(default_factory=Counter)


def run(config: Config, *, name: str, count: int, since_s: float, out: Path | None) -> None:
    """Write the file to label, or print it; what there is to say goes to stderr.

    Raises:
        ConfigError: The evaluator cannot be sampled, or has no verdict.
        TopicUnreadable: A topic is not there, or no broker answers.
        NotWritten: The file cannot be written.
    """
    check_client(config)
    evaluator = asyncio.run(_built(config, name))
    with TopicReader(config.kafka, "calibrate") as reader:
        sample = _drawn(reader, config, evaluator, count=count, since_s=since_s)
        policy = _policy(config, evaluator, sample.fingerprint)
        _read_texts(reader, config, sample, redacts=policy != "full")
    text = "".join(f"{item.model_dump_json()}\n" for item in sample.items)
    if out is None:
        sys.stdout.write(text)
    else:
        write(out, text)
    for line in _lines(sample, name, out):
        print(f"assay: {safe(line)}", file=sys.stderr)  # noqa: T201  the command's own output


async def _built(config: Config, name: str) -> Configured:
    """The evaluator as it is configured now; its judge is asked nothing."""
    async with open_evaluators(config) as evaluators:
        evaluator = evaluators[name]
    require_span_scope(evaluator, name)
    return evaluator


def _drawn(
    reader: TopicReader, config: Config, evaluator: Configured, *, count: int, since_s: float
) -> _Sample:
    """Draw from the verdicts of the evaluator as it is now, as far as their records are there."""
    verdicts = Verdicts(evaluator.name)
    with progress_bar() as progress:
        found = reader.stretches(config.kafka.scores, time.time() - since_s)
        bar = progress.add_task("reading outcomes", total=found.records)
        for record in reader.read(found, found.parts, partial(progress.advance, bar)):
            verdicts.add_value(record.value)
    known = {evaluator.ref(content).fingerprint for content in contents_of(config, evaluator.name)}
    by_fingerprint = verdicts.by_fingerprint()
    fingerprint = next((name for name in by_fingerprint if name in known), None)
    if fingerprint is None:
        raise ConfigError(
            f"{config.kafka.scores}: no verdict of {evaluator.name} as it is configured now "
            f"({', '.join(sorted(known))}); let workers judge with this config first, or read "
            "further back by --since"
        )
    judged = by_fingerprint[fingerprint]
    gone = Places(reader, {one.source for one in judged}).gone
    there = [one for one in judged if one.source not in gone]
    if not there:
        raise ConfigError(
            f"{config.kafka.scores}: of all {len(judged)} verdicts of {evaluator.name} "
            f"{Leavings.GONE}; sample before the spans topic's retention does"
        )
    drawn = draw(there, count)
    sample = _Sample(fingerprint, len(there), drawn_from(there), drawn)
    sample.left[_OTHER] = sum(map(len, by_fingerprint.values())) - len(judged)
    sample.left[Leavings.GONE] = len(judged) - len(there)
    return sample


def _policy(config: Config, evaluator: Configured, fingerprint: str) -> str:
    """What of a text may be written down: what a judge may see of it by the routes.

    Raises:
        ConfigError: Nothing.
    """
    policies = [
        content
        for content in contents_of(config, evaluator.name)
        if evaluator.ref(content).fingerprint == fingerprint
    ]
    if "none" in policies:
        raise ConfigError(
            f'--evaluator "{evaluator.name}": a route of it says content: none, so no text of it '
            "may be written to a file; say content: redacted there"
        )
    return "redacted" if "redacted" in policies else "full"


def _read_texts(reader: TopicReader, config: Config, sample: _Sample, *, redacts: bool) -> None:
    """Read the records of what was drawn again; the items are in the order of the draw."""
    wanted: dict[Source, list[Drawn]] = {}
    for one in sample.drawn:
        wanted.setdefault(one.judged.source, []).append(one)
    places = Places(reader, wanted)
    limits = config.limits.of_message()
    texts: dict[str, Labelled] = {}
    with progress_bar() as progress:
        bar = progress.add_task("reading texts", total=len(wanted))
        for read in places.reads():
            progress.advance(bar)
            source = Source(read.topic, read.partition, read.offset)
            export = _export(read, source, limits)
            for one in wanted[source]:
                item = None if export is None else _item(export, one, sample, redacts=redacts)
                if item is not None:
                    texts[one.judged.evaluation_id] = item
                else:
                    sample.left[Leavings.UNREADABLE if export is None else _MISSING] += 1
    sample.left[Leavings.GONE] += sum(len(wanted[source]) for source in places.gone)
    ids = (one.judged.evaluation_id for one in sample.drawn)
    sample.items = [texts[each] for each in ids if each in texts]


def _export(read: Read, source: Source, limits: Limits) -> Export | None:
    try:
        return read_export(read.value or b"", source, limits)
    except Undecodable:
        return None


def _item(export: Export, one: Drawn, sample: _Sample, *, redacts: bool) -> Labelled | None:
    judged = one.judged
    ids = (judged.trace_id, judged.span_id)
    span = next((s for s in export.spans if (s.trace_id, s.span_id) == ids), None)
    if span is None:
        return None
    subject = Subject(span, context_of(span, export.spans))

    def shown(text: str) -> str:
        return redact(clean(text)) if redacts else clean(text)

    return Labelled(
        evaluation_id=judged.evaluation_id,
        judge=PASS if judged.passed else "fail",
        fingerprint=judged.fingerprint,
        probability=one.probability,
        drawn_from=sample.population,
        system_prompt=shown(subject.system_text),
        input=shown(subject.input_text),
        context=tuple(map(shown, subject.context)),
        output=shown(subject.output_text),
    )


def _lines(sample: _Sample, name: str, out: Path | None) -> Iterator[str]:
    passed = sum(item.judge == PASS for item in sample.items)
    yield (
        f"{len(sample.items)} items to label, {passed} that passed and "
        f"{len(sample.items) - passed} that failed, of {sample.verdicts} verdicts of {name} "
        f"({sample.fingerprint}); of all traffic {sample.population.pass_rate:.1%} passed"
    )
    for why, count in sample.left.items():
        if count:
            yield f"{count} are left out: {why}"
    where = "the file" if out is None else str(out)
    yield (
        f'write "pass" or "fail" into "human" of each line, without a look at "judge", then: '
        f"assay calibrate {where} --evaluator {name}"
    )
