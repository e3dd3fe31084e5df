"""What another library calls a score, checked: no number that is none gets on, and none becomes 0.

What is raised here ends as `failed(evaluator_error)`, with the exception's name as its detail.
"""

from math import isfinite


class ForeignScoreError(Exception):
    """A library's result is no score."""


class ScoreMissing(ForeignScoreError):  # noqa: N818  its name is what an outcome says
    """It gave nothing, or a text."""


class ScoreNotFinite(ForeignScoreError):  # noqa: N818
    """It gave NaN, which is how some libraries say that they could not read their judge."""


class ScoreOutOfRange(ForeignScoreError):  # noqa: N818
    """Its judge left the scale that it was given."""


def value_of(raw: object, scale: tuple[float, float], *, higher_is_better: bool) -> float:
    """A library's score as a value of ours: 0..1, and 1 is good.

    Args:
        raw: What the library gave; a boolean stands for the ends of the scale.
        scale: Its lowest and its highest score.
        higher_is_better: Which end is good.

    Raises:
        ForeignScoreError: It is no number of the scale.
    """
    low, high = scale
    if isinstance(raw, bool):
        share = float(raw)
    elif not isinstance(raw, int | float):
        raise ScoreMissing(type(raw).__name__)
    elif not isfinite(raw):
        raise ScoreNotFinite
    elif not low <= raw <= high:
        raise ScoreOutOfRange
    else:
        share = (raw - low) / (high - low)
    return share if higher_is_better else 1.0 - share
