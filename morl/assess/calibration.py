"""Whether a margin means the probability that it claims."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import expit

from morl.errors import InputError

NUM_BINS = 10
NUM_DRAWS = 1000


class Reliability(NamedTuple):
    """A reliability curve: what was claimed against what happened.

    Attributes:
      confidence: Mean probability claimed in each bin, rising.
      accuracy: Share that happened in each bin.
      count: Number of pairs in each bin.
    """

    confidence: Float[np.ndarray, " bins"]
    accuracy: Float[np.ndarray, " bins"]
    count: Int[np.ndarray, " bins"]


class Calibration(NamedTuple):
    """How far probabilities are from frequencies.

    Attributes:
      error: Expected calibration error, in probability.
      chance: The error that perfectly calibrated probabilities stay below in 95 % of
        data sets of this size: below it, nothing speaks against calibration.
      brier: Mean squared distance of the probability from what happened, in [0, 1];
        0.25 for a coin.
      curve: The reliability curve.
    """

    error: float
    chance: float
    brier: float
    curve: Reliability


def pair_calibration(
    margins: Float[np.ndarray, " p"], *, num_bins: int = NUM_BINS, seed: int = 0
) -> Calibration:
    r"""Calibration of :math:`\sigma(m)` as the probability that a pair is as labelled.

    The better response is first by construction, so the event "the first is better"
    always happens and says nothing. A pair is read as its head sees it instead: the
    head prefers one response with confidence :math:`\sigma(|m|) \ge 1/2`, and is right
    where :math:`m > 0`. A tie is half right.

    Args:
      margins: Reward of the better response less that of the worse, in nats of
        log-odds, by heads that did not see the pair.
      num_bins: Bins of the curve, about equally full.
      seed: Of the draws that give ``chance``.

    Returns:
      The errors and the curve.

    Raises:
      InputError: There is no pair, a margin is NaN, or there is no bin.

    References:
      Guo et al., On Calibration of Modern Neural Networks (arXiv:1706.04599), 2017,
      equation 3; here with equally full bins, as confidences crowd near 1/2.
    """
    confidence = expit(np.abs(margins).astype(float))
    right = np.heaviside(margins, 0.5).astype(float)
    return _calibration(confidence, right, num_bins, seed, "margins")


def label_calibration(
    logits: Float[np.ndarray, " n"],
    labels: Bool[np.ndarray, " n"],
    *,
    num_bins: int = NUM_BINS,
    seed: int = 0,
) -> Calibration:
    r"""Calibration of :math:`\sigma(\ell)` as the probability of the label "yes".

    Args:
      logits: Log-odds of "yes", by heads that did not see the label.
      labels: Whether each response is labelled "yes".
      num_bins: Bins of the curve, about equally full.
      seed: Of the draws that give ``chance``.

    Returns:
      The errors and the curve.

    Raises:
      InputError: There is no label, a logit is NaN, or there is no bin.
    """
    probability = expit(logits.astype(float))
    return _calibration(probability, labels.astype(float), num_bins, seed, "logits")


def reliability(
    probability: Float[np.ndarray, " n"],
    happened: Float[np.ndarray, " n"],
    *,
    num_bins: int = NUM_BINS,
) -> Reliability:
    """What happened, in bins of equal number by what was claimed.

    Equal probabilities share a bin, so the order of rows cannot matter; bins that this
    leaves empty are dropped.

    Args:
      probability: What was claimed, in [0, 1].
      happened: 1 where it happened, 0 where not.
      num_bins: How many bins, at least 1.

    Returns:
      The curve.
    """
    place = _bins(probability, num_bins)
    count = np.bincount(place)
    mean = lambda values: np.bincount(place, weights=values) / count
    return Reliability(mean(probability), mean(happened), count)


def expected_calibration_error(curve: Reliability) -> float:
    r"""Mean distance between what was claimed and what happened.

    .. math:: \mathrm{ECE} = \sum_b \frac{n_b}{n} \lvert \mathrm{acc}_b -
              \mathrm{conf}_b \rvert

    Examples:
      >>> sure, right = np.array([0.5, 0.75]), np.array([0.75, 1.0])
      >>> expected_calibration_error(Reliability(sure, right, np.array([30, 10])))
      0.25

    References:
      Guo et al. (arXiv:1706.04599), equation 3.
    """
    gaps = np.abs(curve.accuracy - curve.confidence)
    return float(np.average(gaps, weights=curve.count))


def _calibration(
    probability: Float[np.ndarray, " n"],
    happened: Float[np.ndarray, " n"],
    num_bins: int,
    seed: int,
    name: str,
) -> Calibration:
    if not len(probability):
        raise InputError("found none, expected one or more", where=name)
    if np.isnan(probability).any():
        place = int(np.flatnonzero(np.isnan(probability))[0])
        raise InputError("found nan, expected a number", where=f"{name}[{place}]")
    if num_bins < 1:
        raise InputError(f"found {num_bins}, expected 1 or more", where="num_bins")
    curve = reliability(probability, happened, num_bins=num_bins)
    return Calibration(
        expected_calibration_error(curve),
        _error_by_chance(probability, num_bins, seed),
        # A tie is half right: its square is the mean of being right and wrong.
        float(
            np.mean(happened * (1 - probability) ** 2)
            + np.mean((1 - happened) * probability**2)
        ),
        curve,
    )


def _error_by_chance(
    probability: Float[np.ndarray, " n"], num_bins: int, seed: int
) -> float:
    """The 95 % quantile of the error if every probability were the true one.

    With few pairs a bin the error is far above zero even then (Broecker and Smith,
    Increasing the Reliability of Reliability Diagrams, 2007).
    """
    place = _bins(probability, num_bins)
    members = (place[:, None] == np.arange(place.max() + 1)[None]).astype(float)
    drawn = np.random.default_rng(seed).random((NUM_DRAWS, len(probability)))
    gaps = ((drawn < probability[None]) - probability[None]) @ members
    return float(np.quantile(np.abs(gaps).sum(axis=1) / len(probability), 0.95))


def _bins(probability: Float[np.ndarray, " n"], num_bins: int) -> np.ndarray:
    """The bin of each row, without gaps."""
    edges = np.quantile(probability, np.arange(1, num_bins) / num_bins)
    crowded = np.searchsorted(edges, probability, side="right")
    return np.unique(crowded, return_inverse=True)[1]
