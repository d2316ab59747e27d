"""How good heads are: accuracies with intervals, baselines, calibration, conflicts."""

from morl.assess.accuracy import (
    Accuracy,
    Comparison,
    Difference,
    accuracy_difference,
    beats,
    compare_accuracy,
    ordered,
    pair_accuracy,
)
from morl.assess.agreement import order_agreement
from morl.assess.baselines import (
    Baselines,
    length_margins,
    length_rule_margins,
    length_rule_scores,
    response_only_logits,
    response_only_margins,
)
from morl.assess.calibration import (
    Calibration,
    Reliability,
    expected_calibration_error,
    label_calibration,
    pair_calibration,
    reliability,
)
from morl.assess.console import render_cross_table, render_head_table
from morl.assess.cross import CrossMatrix, cross_accuracy
from morl.assess.outside import outside_accuracy
from morl.assess.ranking import area_under_roc, compare_areas, label_accuracy
from morl.assess.tables import (
    BASELINES,
    Baseline,
    cross_rows,
    head_table,
    label_row,
    report_rows,
    verdict,
)

__all__ = [
    "BASELINES",
    "Accuracy",
    "Baseline",
    "Baselines",
    "Calibration",
    "Comparison",
    "CrossMatrix",
    "Difference",
    "Reliability",
    "accuracy_difference",
    "area_under_roc",
    "beats",
    "compare_accuracy",
    "compare_areas",
    "cross_accuracy",
    "cross_rows",
    "expected_calibration_error",
    "head_table",
    "label_accuracy",
    "label_calibration",
    "label_row",
    "length_margins",
    "length_rule_margins",
    "length_rule_scores",
    "order_agreement",
    "ordered",
    "outside_accuracy",
    "pair_accuracy",
    "pair_calibration",
    "reliability",
    "render_cross_table",
    "render_head_table",
    "report_rows",
    "response_only_logits",
    "response_only_margins",
    "verdict",
]
