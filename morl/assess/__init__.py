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
from morl.assess.estimates import Estimate, mean_estimate
from morl.assess.findings import Finding, finding_json
from morl.assess.length import rank_correlation
from morl.assess.outside import outside_accuracy
from morl.assess.ranking import area_under_roc, compare_areas, label_accuracy
from morl.assess.rejection import Rejection, rejection_curve
from morl.assess.render import render_finding
from morl.assess.scored import Scored, Scorer
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
    "Estimate",
    "Finding",
    "Rejection",
    "Reliability",
    "Scored",
    "Scorer",
    "accuracy_difference",
    "area_under_roc",
    "beats",
    "compare_accuracy",
    "compare_areas",
    "cross_accuracy",
    "cross_rows",
    "expected_calibration_error",
    "finding_json",
    "head_table",
    "label_accuracy",
    "label_calibration",
    "label_row",
    "length_margins",
    "length_rule_margins",
    "length_rule_scores",
    "mean_estimate",
    "order_agreement",
    "ordered",
    "outside_accuracy",
    "pair_accuracy",
    "pair_calibration",
    "rank_correlation",
    "rejection_curve",
    "reliability",
    "render_cross_table",
    "render_finding",
    "render_head_table",
    "report_rows",
    "response_only_logits",
    "response_only_margins",
    "verdict",
]
