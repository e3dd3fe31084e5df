"""`assay calibrate`: how a judge agrees with people, as a record that workers load."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import orjson
from rich.console import Console

from evaluators.contract import Scope
from schemas.calibration import Calibration, Correction, Interval
from schemas.config import Config
from schemas.errors import AssayError, ConfigError
from schemas.outcome import EvaluatorRef, Outcome
from workers.agreement import (
    MIN_LABELS,
    Estimate,
    Pair,
    Population,
    Terms,
    ac1,
    agreement,
    kappa,
    prediction_powered,
    rogan_gladen,
    sensitivity,
    specificity,
)
from workers.configured import Configured, contents_of, ignored
from workers.labelled import PASS, Labelled, jobs_of, parse_item
from workers.offline import evaluate
from workers.open_evaluators import open_evaluators
from workers.topic_reader import TopicReader

from .common import print_json, progress_bar, safe
from .kafka_client import check_client
from .written import write

_POLICIES = ("redacted", "full")


class NothingLabelled(AssayError):  # noqa: N818  named for what the command found
    """No item has both a label and a verdict: there is nothing to compare."""


def labels_of_topic(config: Config, topic: str) -> list[Labelled]:
    """All labels that stand on a topic, a record each; of one evaluation the last holds.

    Raises:
        ConfigError: A record is no item.
        TopicUnreadable: The topic is not there, or no broker answers.
    """
    check_client(config)
    labels: dict[object, Labelled] = {}
    with TopicReader(config.kafka, "calibrate") as reader:
        found = reader.stretches(topic, 0.0)
        for record in reader.read(found, found.parts):
            where = (record.partition, record.offset)
            item = parse_item(record.value or b"", f"{topic}[{where[0]}]@{where[1]}")
            labels[item.evaluation_id or where] = item
    return list(labels.values())


def run(
    labels: Sequence[Labelled],
    config: Config,
    *,
    name: str,
    out: Path | None,
    wait_s: float,
    as_lines: bool,
) -> None:
    """Compare labels with verdicts, print what comes of it, and write the record.

    Items without a verdict are judged now.

    Raises:
        ConfigError: A label is wrong, or the evaluator cannot be calibrated.
        NothingLabelled: No label could be compared.
        NotWritten: The record cannot be written.
    """
    items = [item for item in labels if item.human is not None]
    calibration = asyncio.run(_calibrate(items, config, name, wait_s))
    record = orjson.dumps(calibration.model_dump(), option=orjson.OPT_INDENT_2)
    written = None if out is None else write(out, f"{record.decode()}\n")
    if as_lines:
        print_json([calibration.model_dump()])
        return
    console = Console(highlight=False, markup=False, soft_wrap=True)
    for line in _lines(calibration):
        console.print(safe(line))
    if written is not None:
        console.print(f"{safe(written)} written; load it by evaluators.{name}.calibration")


def require_span_scope(evaluator: Configured, name: str) -> None:
    """Refuse what judges more than one call: a label is given to one.

    Raises:
        ConfigError: It has another scope.
    """
    if evaluator.evaluator.scope is not Scope.SPAN:
        raise ConfigError(
            f'--evaluator "{name}": it judges more than one call, and a label file holds '
            "single ones; name an evaluator of scope span"
        )


async def _calibrate(
    items: Sequence[Labelled], config: Config, name: str, wait_s: float
) -> Calibration:
    async with open_evaluators(config, hold=False, wait_s=wait_s) as evaluators:
        evaluator = evaluators[name]
        require_span_scope(evaluator, name)
        ref = _ref(items, evaluator, config)
        judged = await _judged(items, evaluator, config)
    if not judged:
        raise NothingLabelled(
            f'{name}: no item has a label ("human": "pass" or "fail") and a verdict; '
            "label some, and see that the judge answers"
        )
    return calibration(judged, ref, time.time())


def _ref(items: Sequence[Labelled], evaluator: Configured, config: Config) -> EvaluatorRef:
    """The evaluator that the labels are about; verdicts of several would be about none."""
    refs = [evaluator.ref(content) for content in contents_of(config, evaluator.name)]
    told = {item.fingerprint for item in items if item.judge is not None and item.fingerprint}
    found = [ref for ref in refs if not told or ref.fingerprint in told]
    if len(told) > 1 or not found:
        raise ConfigError(
            f"{evaluator.name}: the labels' verdicts are of the fingerprint "
            f"{', '.join(sorted(told))}, and by this config it has "
            f"{', '.join(sorted({ref.fingerprint for ref in refs}))}; take a new sample, or the "
            "config that the verdicts were made with"
        )
    return found[0]


async def _judged(
    items: Sequence[Labelled], evaluator: Configured, config: Config
) -> list[Labelled]:
    """The items with a verdict each; those that the evaluator does not score are left out."""
    known = [item for item in items if item.judge is not None]
    asked = [item for item in items if item.judge is None]
    content = contents_of(config, evaluator.name)[0]
    with progress_bar() as progress:
        bar = progress.add_task("judging", total=len(asked))
        outcomes = await evaluate(
            jobs_of(asked, evaluator, content, "labels"),
            config,
            ignored,
            lambda count: progress.advance(bar, count),
        )
    now = [
        item.model_copy(update={"judge": verdict})
        for item, outcome in zip(asked, outcomes, strict=True)
        if (verdict := verdict_of(outcome)) is not None
    ]
    return known + now


def verdict_of(outcome: Outcome) -> str | None:
    """`pass` or `fail`; None where there is no score."""
    if outcome.score is None:
        return None
    return PASS if outcome.score.passed else "fail"


def calibration(items: Sequence[Labelled], ref: EvaluatorRef, now_s: float) -> Calibration:
    """What labels and verdicts come to."""
    is_sample = all(item.probability is not None and item.drawn_from for item in items)
    pairs = [
        Pair(item.human == PASS, item.judge == PASS, _weight(item) if is_sample else 1.0)
        for item in items
    ]
    passes = sum(pair.human for pair in pairs)
    is_enough = min(passes, len(pairs) - passes) >= MIN_LABELS
    terms: Terms | None = None
    if is_enough:
        drawn = items[0].drawn_from
        terms = (
            rogan_gladen(pairs)
            if not is_sample or drawn is None
            else prediction_powered(pairs, Population(drawn.count, drawn.pass_rate))
        )
    return Calibration(
        evaluator=ref.name,
        evaluator_version=ref.version,
        fingerprint=ref.fingerprint,
        made_at=datetime.fromtimestamp(now_s, UTC).isoformat(timespec="seconds"),
        passes=passes,
        fails=len(pairs) - passes,
        agreement=agreement(pairs),
        sensitivity=_interval(sensitivity(pairs)),
        specificity=_interval(specificity(pairs)),
        kappa=kappa(pairs),
        ac1=ac1(pairs),
        is_calibrated=is_enough,
        correction=None
        if terms is None
        else Correction(method="ppi" if is_sample else "rogan_gladen", **asdict(terms)),
    )


def _weight(item: Labelled) -> float:
    return 1 / (item.probability or 1.0)


def _interval(estimate: Estimate | None) -> Interval | None:
    return None if estimate is None else Interval(**asdict(estimate))


def _lines(found: Calibration) -> list[str]:
    kappa_text = "?" if found.kappa is None else f"{found.kappa:.3f}"
    lines = [
        f"{found.evaluator} {found.evaluator_version}, fingerprint {found.fingerprint}",
        f"{found.passes} items that people pass, {found.fails} that they fail",
        f"sensitivity (good that it passes)  {_shown(found.sensitivity)}",
        f"specificity (bad that it fails)    {_shown(found.specificity)}",
        f"agreement {found.agreement:.3f}, kappa {kappa_text}, AC1 {found.ac1:.3f}",
    ]
    if not found.is_calibrated:
        lines.append(
            f"not calibrated: {MIN_LABELS} items of each kind are needed; no rate is corrected"
        )
    elif found.correction is None:
        lines.append("not correctable: the judge tells too little of what people say")
    else:
        at = [f"{rate:.2f} is {_corrected(found.correction, rate)}" for rate in (0.8, 0.9, 0.95)]
        lines.append(f"corrected by {found.correction.method}: a pass rate of {', '.join(at)}")
    return lines


def _shown(interval: Interval | None) -> str:
    if interval is None:
        return "?"
    return f"{interval.value:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


def _corrected(correction: Correction, rate: float) -> str:
    terms = Terms(**correction.model_dump(exclude={"method"}))
    found = terms.correct(rate, 1e9)
    return f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]"
