"""The command line of `assay calibrate`: arguments only, as in `cli.py`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .cli_options import DEFAULT_CONFIG, AsJson, ConfigPath, Since

if TYPE_CHECKING:
    from schemas.config import Config


def calibrate(  # noqa: PLR0917  each is an option of the command line
    evaluator: Annotated[
        str, typer.Option(metavar="NAME", help="The evaluator that the labels are about.")
    ],
    labels: Annotated[
        Path | None, typer.Argument(metavar="[LABELS.jsonl]", help="Labelled items, one a line.")
    ] = None,
    topic: Annotated[
        str | None, typer.Option(metavar="NAME", help="Take the labels from a topic.")
    ] = None,
    sample: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Write N verdicts to be labelled.")
    ] = None,
    since: Since = "7d",
    config: ConfigPath = DEFAULT_CONFIG,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where record or sample is written.")
    ] = None,
    wait: Annotated[
        float,
        typer.Option(min=0, metavar="SECONDS", help="How long to wait for a judge that is down."),
    ] = 60.0,
    as_json: AsJson = False,
) -> None:
    """Say how an evaluator agrees with people, and what its pass rate is worth.

    --sample draws verdicts of --since from the scores topic, with their texts, for people to label.
    A label is {"human": "pass" or "fail", "input": ..., "context": [...], "output": ...}; one
    without "judge" is judged now. --out writes the record for evaluators.NAME.calibration.
    """
    from schemas.errors import ConfigError  # noqa: PLC0415  --help must not wait for imports

    from .commands import common, scores  # noqa: PLC0415

    since_s = scores.seconds(since)
    if sum(one is not None for one in (labels, topic, sample)) != 1:
        raise ConfigError("give one of LABELS.jsonl, --topic and --sample")

    def act(loaded: "Config") -> None:
        from workers.labelled import read_items  # noqa: PLC0415

        from .commands import calibrate as command  # noqa: PLC0415
        from .commands import calibrate_sample  # noqa: PLC0415

        common.check_evaluators([evaluator], loaded.named_evaluators)
        if sample is not None:
            calibrate_sample.run(loaded, name=evaluator, count=sample, since_s=since_s, out=out)
            return
        found = (
            command.labels_of_topic(loaded, topic or "") if labels is None else read_items(labels)
        )
        command.run(found, loaded, name=evaluator, out=out, wait_s=wait, as_lines=as_json)

    common.with_config(config, act)
