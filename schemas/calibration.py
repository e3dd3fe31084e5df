"""What a judge's verdicts were worth against people's: the record that `assay calibrate` writes.

A worker loads it by `evaluators.<name>.calibration`. It holds for one evaluator exactly as it was
configured, which its fingerprint says: of any other the corrected rate would be wrong.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .errors import ConfigError

SCHEMA_VERSION = "1.0"

Share = Annotated[float, Field(ge=0, le=1)]
Number = Annotated[int, Field(ge=0)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Interval(_Section):
    """A share and its 95 % interval."""

    value: Share
    low: Share
    high: Share


class Correction(_Section):
    """The corrected pass rate by the raw one: `workers/agreement.py`, class `Terms`."""

    method: Literal["ppi", "rogan_gladen"]
    intercept: float
    slope: float
    centre_intercept: float
    centre_slope: float
    constant: Annotated[float, Field(ge=0)]
    of_passes: Annotated[float, Field(ge=0)]
    of_fails: Annotated[float, Field(ge=0)]


class Calibration(_Section):
    """One calibration of one evaluator."""

    schema_version: Annotated[str, Field(pattern=r"^1\.")] = SCHEMA_VERSION
    evaluator: str
    evaluator_version: str
    fingerprint: Annotated[str, Field(min_length=1)]
    made_at: str
    passes: Number
    """Items that people pass."""
    fails: Number
    """Items that people fail."""
    agreement: Share
    sensitivity: Interval | None
    specificity: Interval | None
    kappa: float | None
    ac1: float
    is_calibrated: bool
    """Whether there were labels enough: 50 that people pass and 50 that they fail."""
    correction: Correction | None
    """None where the rate cannot be corrected: too few labels, or a judge that tells too little."""


def read_calibration(text: str, path: Path) -> Calibration:
    """Read a record.

    Raises:
        ConfigError: It is none, or one of another version.
    """
    try:
        return Calibration.model_validate_json(text)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, details["loc"])) or "it"
        raise ConfigError(
            f"{path}: is no calibration of schema version 1 ({where}: {details['msg'].lower()}); "
            "write it with assay calibrate LABELS.jsonl --out FILE"
        ) from error
