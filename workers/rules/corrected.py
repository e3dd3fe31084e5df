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
_RATE = "evaluator:assay_score_corrected:ratio1h"
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
        Rule(
            _ERROR,
            f"""
{Z:.4f} * sqrt(
  {_RAW} * (1 - {_RAW})
  * {_JOINED} {_term("slope")} ^ 2
  / on ({LABELS["evaluator"]}) group_left () ({weight} ^ 2 / ({squares} > 0))
  + {_JOINED} {_term("constant")}
  + (1 - {_RATE}) ^ 2 * {_JOINED} {_term("of_fails")}
  + {_RATE} ^ 2 * {_JOINED} {_term("of_passes")}
)
""",
        ),
        Rule("evaluator:assay_score_corrected_low:ratio1h", f"clamp_min({_RATE} - {_ERROR}, 0)"),
        Rule("evaluator:assay_score_corrected_high:ratio1h", f"clamp_max({_RATE} + {_ERROR}, 1)"),
    ]
    return Group("assay-corrected", "1m", _COMMENT, rules)


def _term(name: str) -> str:
    return f'{_TERMS}{{term="{name}"}}'
