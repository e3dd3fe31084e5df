"""Whether a calibration that the config names says anything of the evaluator that runs."""

from collections.abc import Iterable

from .configured import Configured

_FINGERPRINT_CHARS = 8


def fault_of(evaluator: Configured, contents: Iterable[str]) -> str | None:
    """Why its rate is not corrected, with a remedy; None where it is, or no record is named.

    Args:
        evaluator: The evaluator as it is configured.
        contents: The content policies of its routes, each of which is another fingerprint.
    """
    record = evaluator.config.calibrated
    if record is None:
        return None
    known = {evaluator.ref(content).fingerprint for content in contents}
    if record.fingerprint not in known:
        return (
            f"its calibration is of the fingerprint {record.fingerprint}, and it has "
            f"{', '.join(sorted(known))}: rubric, judge, threshold or options have changed; "
            "calibrate it again"
        )
    if not record.is_calibrated:
        return (
            f"it is not calibrated: {record.passes} items that people pass and {record.fails} that "
            "they fail are fewer than 50 of each; label more"
        )
    if record.correction is None:
        return "its rate cannot be corrected: the judge tells too little of what people say"
    return None


def label_of(evaluator: Configured) -> str:
    """The value of the label `calibrated`: how `evaluator_version` begins for its scores."""
    record = evaluator.config.calibrated
    if record is None:
        raise ValueError(f"{evaluator.name} has no calibration")
    return f"{record.evaluator_version}+{record.fingerprint[:_FINGERPRINT_CHARS]}"
