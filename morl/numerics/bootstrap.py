"""Bootstrap over units (prompts, pairs): resampled means and percentile intervals."""

import numpy as np
from jaxtyping import Float, Int

LEVEL = 0.95
NUM_RESAMPLES = 1000


def resample_counts(
    num_units: int, *, num_resamples: int = NUM_RESAMPLES, seed: int = 0
) -> Int[np.ndarray, "r n"]:
    """How often each unit is drawn in each resample: rows sum to ``num_units``.

    Counts instead of indices make a resampled mean one matrix product, and the same
    counts applied to two methods pair them.
    """
    generator = np.random.default_rng(seed)
    return generator.multinomial(
        num_units, np.full(num_units, 1 / num_units), size=num_resamples
    )


def resampled_means(
    values: Float[np.ndarray, "n ..."], counts: Int[np.ndarray, "r n"]
) -> Float[np.ndarray, "r ..."]:
    """Mean over units of every resample; a NaN value leaves its unit out.

    Args:
      values: One row a unit; NaN where the unit has no value.
      counts: From :func:`resample_counts`.

    Returns:
      One mean a resample, NaN where the resample drew no unit with a value.
    """
    known = np.isfinite(values)
    total = np.tensordot(counts, np.where(known, values, 0.0), axes=1)
    weight = np.tensordot(counts, known.astype(float), axes=1)
    return np.divide(total, weight, out=np.full_like(total, np.nan), where=weight > 0)


def interval(
    resamples: Float[np.ndarray, "r ..."], *, level: float = LEVEL
) -> Float[np.ndarray, "2 ..."]:
    """Lower and upper percentile bounds along the first axis (Efron 1979)."""
    tail = (1 - level) / 2
    return np.nanquantile(resamples, (tail, 1 - tail), axis=0)
