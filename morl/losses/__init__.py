"""Losses of reward models; each returns an undivided ``WeightedSum``.

Besides them stand what they are built with: log-odds of distributional heads, ordered
thresholds, and the aggregations of step values to a reward.
"""

from morl.losses.distributional import (
    gaussian_log_odds,
    gaussian_nll,
    pinball_loss,
    quantile_log_odds,
)
from morl.losses.language import next_token_loss
from morl.losses.listwise import plackett_luce
from morl.losses.ordinal import ordered_thresholds, ordinal_loss
from morl.losses.pairwise import (
    bradley_terry,
    davidson,
    margin_bradley_terry,
    rao_kupper,
    scaled_bradley_terry,
    soft_bradley_terry,
)
from morl.losses.pointwise import binary_cross_entropy, huber_error, squared_error
from morl.losses.process import (
    step_last,
    step_mean,
    step_min,
    step_product,
    step_sum,
)
from morl.losses.tokenwise import token_aggregated, token_stepwise

__all__ = [
    "binary_cross_entropy",
    "bradley_terry",
    "davidson",
    "gaussian_log_odds",
    "gaussian_nll",
    "huber_error",
    "margin_bradley_terry",
    "next_token_loss",
    "ordered_thresholds",
    "ordinal_loss",
    "pinball_loss",
    "plackett_luce",
    "quantile_log_odds",
    "rao_kupper",
    "scaled_bradley_terry",
    "soft_bradley_terry",
    "squared_error",
    "step_last",
    "step_mean",
    "step_min",
    "step_product",
    "step_sum",
    "token_aggregated",
    "token_stepwise",
]
