"""What a calibrated judge's pass rate is worth: the corrected rate and its interval.

For dashboards and objectives. It adds no evidence to the raw rate, whose interval is narrower, so
that no alert looks at it.
"""

from workers.agreement import Z

from .document import Group, Rule
from .records import LABELS

_COMMENT = """
The pass rate as people would see it, by the calibration that workers have loaded (assay calibrate),
with its 95 % interval. A calibration holds for the version and the fingerprint that it was made of:
scores of any other, or by code in the judge's place, have no corrected rate. The sums of all
workers are corrected, not each worker's: the rate is a line in the raw one, its interval is not.
"""
_TERMS = "evaluator:assay_calibration_term:max"
_RAW = "evaluator:assay_score_calibrated:ratio1h"
_COUNT = "evaluator:assay_score_calibrated_count:increase1h"
_INNER = "evaluator:assay_score_calibrated_inner:ratio1h"
_RATE = "evaluator:assay_score_corrected:ratio1h"
_CENTRE = "evaluator:assay_score_corrected_centre:ratio1h"
_ERROR = "evaluator:assay_score_corrected_error:ratio1h"
_JOINED = "on (evaluator, calibrated) group_left ()"


def group() -> Group:
    """The group of recording rules."""
    weight = "evaluator:assay_score_weight:increase1h"
    squares = "evaluator:assay_score_weight_squares:increase1h"
    rules = [
        Rule(_TERMS, "max by (evaluator, calibrated, term) (assay_calibration_term)"),
        Rule(
            _RAW,
            'label_replace(evaluator:assay_score_pass:ratio1h{evaluator_version!~".*/degraded"}, '
            '"calibrated", "$1", "evaluator_version", "([^/]+).*")',
        ),
        Rule(
            _RATE,
            f"clamp(\n  {_RAW} * {_JOINED} {_term('slope')}\n"
            f"  + {_JOINED} {_term('intercept')},\n  0, 1\n)",
        ),
        # Kish's effective number of verdicts, and what Agresti and Coull add to it.
        Rule(
            _COUNT,
            f"{_RAW} * 0\n  + on ({LABELS['evaluator']}) group_left () "
            f"({weight} ^ 2 / ({squares} > 0))\n  + {Z**2:.6f}",
        ),
        Rule(_INNER, f"({_RAW} * ({_COUNT} - {Z**2:.6f}) + {Z**2 / 2:.6f}) / {_COUNT}"),
        Rule(
            _CENTRE,
            f"{_INNER} * {_JOINED} {_term('centre_slope')}\n"
            f"  + {_JOINED} {_term('centre_intercept')}",
        ),
        Rule(
            _ERROR,
            f"""
{Z:.4f} * sqrt(
  {_INNER} * (1 - {_INNER}) / {_COUNT} * {_JOINED} {_term("centre_slope")} ^ 2
  + {_JOINED} {_term("constant")}
  + (1 - {_CENTRE}) ^ 2 * {_JOINED} {_term("of_fails")}
  + {_CENTRE} ^ 2 * {_JOINED} {_term("of_passes")}
)
""",
        ),
        Rule("evaluator:assay_score_corrected_low:ratio1h", f"clamp({_CENTRE} - {_ERROR}, 0, 1)"),
        Rule("evaluator:assay_score_corrected_high:ratio1h", f"clamp({_CENTRE} + {_ERROR}, 0, 1)"),
    ]
    return Group("assay-corrected", "1m", _COMMENT, rules)


def _term(name: str) -> str:
    return f'{_TERMS}{{term="{name}"}}'
