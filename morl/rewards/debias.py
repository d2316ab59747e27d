"""What of a reward is due to length alone, and rewards without it."""

from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int
from scipy.stats import rankdata

from morl.errors import InputError
from morl.rewards.schedule import Arrays
from morl.storage import array_digest, read_arrays, write_arrays

RESOLUTION = 1e-5  # of a coefficient: coarser than what float32 rounds off
DOUBLINGS = 64


class Debias(NamedTuple):
    """A correction for length, fitted on a reference set by :func:`fit_debias`.

    Attributes:
      coefficients: Reward that a standard deviation of length earns; negative where
        the longer response has the lower reward.
      mean: Of the lengths of the reference set.
      deviation: Their standard deviation.
    """

    coefficients: Float[Arrays, " k"]
    mean: Float[Arrays, ""]
    deviation: Float[Arrays, ""]


def log_length(
    lengths: Int[Arrays, "*batch"] | Float[Arrays, "*batch"],
) -> Float[Array, "*batch"]:
    r"""Lengths as rewards go with them: :math:`\log(1 + \ell)`.

    A reward that grows with each doubling is corrected alike for short and for long
    responses; in tokens the longest would decide.

    Args:
      lengths: In tokens, 0 or more.
    """
    return jnp.log1p(jnp.asarray(lengths, jnp.float32))


def debiased(
    rewards: Float[Arrays, "*batch k"],
    lengths: Int[Arrays, "*batch"] | Float[Arrays, "*batch"],
    debias: Debias,
) -> Float[Array, "*batch k"]:
    r"""Rewards :math:`r_j - \lambda_j\, (\ell - \bar\ell) / s_\ell`.

    Args:
      rewards: One an objective.
      lengths: Of each response, in the unit of the reference set.
      debias: The correction.

    Examples:
      >>> debias = Debias(jnp.array([1.0, 0.0]), jnp.array(10.0), jnp.array(5.0))
      >>> print(debiased(jnp.array([2.0, 2.0]), jnp.array(20), debias))
      [0. 2.]
    """
    standard = (jnp.asarray(lengths) - debias.mean) / debias.deviation
    by = jnp.expand_dims(jnp.asarray(debias.coefficients), range(rewards.ndim - 1))
    return jnp.asarray(rewards) - by * standard[..., None]


def fit_debias(
    rewards: Float[Arrays, "n k"],
    lengths: Int[Arrays, " n"] | Float[Arrays, " n"],
    *,
    bound: float = 0.03,
    present: Bool[Arrays, "n k"] | None = None,
) -> Debias:
    r"""The smallest correction after which no reward goes with length.

    For every objective the :math:`\lambda_j` nearest to 0 with

    .. math:: |\rho_S(r_j - \lambda_j z(\ell),\, \ell)| \le \epsilon

    where :math:`\rho_S` is Spearman's correlation, which falls in :math:`\lambda_j`,
    and :math:`z` the standardised length. The paper takes a verbosity *score* where
    this takes the length, and only heads that favour it; a head that is averse to
    length is corrected by a negative coefficient.

    Args:
      rewards: Of a reference set, one row a response; absent ones may hold NaN.
      lengths: Its lengths, in tokens or any other unit.
      bound: Largest correlation :math:`\epsilon` that is left.
      present: Which rewards are there; all where not given.

    Raises:
      InputError: The shapes differ, the bound is not in (0, 1), a number is not finite,
        lengths are all equal, or the set is so small that no coefficient meets the
        bound; the message names the column.

    References:
      Wang et al. (arXiv:2406.12845), section 3.2.
    """
    table, length = np.asarray(rewards, float), np.asarray(lengths, float)
    here = np.ones(table.shape, bool) if present is None else np.asarray(present)
    _check(table, length, here, bound)
    mean, deviation = (np.asarray(x, np.float32) for x in (length.mean(), length.std()))
    standard = (length - mean) / deviation
    coefficients = [
        _coefficient(table[seen, j], standard[seen], bound, f"rewards[:, {j}]")
        for j, seen in enumerate(here.T)
    ]
    return Debias(np.asarray(coefficients, np.float32), mean, deviation)


def save_debias(path: str | Path, debias: Debias) -> str:
    """Writes a correction, and returns the SHA-256 of its numbers."""
    arrays = {name: np.asarray(array) for name, array in debias._asdict().items()}
    write_arrays(path, arrays)
    return array_digest(arrays)


def load_debias(path: str | Path) -> Debias:
    """Reads what :func:`save_debias` wrote.

    Raises:
      InputError: The file is missing or damaged, or holds other arrays.
    """
    arrays, _ = read_arrays(path)
    if arrays.keys() != set(Debias._fields):
        raise InputError(
            f"found arrays {sorted(arrays)}, expected {sorted(Debias._fields)}",
            where=str(path),
        )
    return Debias(**arrays)


def _check(
    rewards: np.ndarray, lengths: np.ndarray, present: np.ndarray, bound: float
) -> None:
    if lengths.shape != rewards.shape[:1] or present.shape != rewards.shape:
        raise InputError(
            f"rewards have shape {rewards.shape}, lengths {lengths.shape}, present "
            f"{present.shape}, expected [n, k], [n] and [n, k]",
            where="fit_debias",
        )
    if not 0 < bound < 1:
        raise InputError(f"found {bound}, expected a number in (0, 1)", where="bound")
    if not (np.isfinite(lengths).all() and np.isfinite(rewards[present]).all()):
        raise InputError("found NaN or infinity, expected numbers", where="fit_debias")
    if missing := np.flatnonzero(~present.any(0)).tolist():
        raise InputError(
            f"found no value in columns {missing}, expected one or more",
            where="fit_debias",
        )
    if np.unique(lengths).size < 2:
        raise InputError(
            f"found {np.unique(lengths).size} different lengths, expected 2 or more",
            where="lengths",
        )


def _coefficient(
    rewards: np.ndarray, standard: np.ndarray, bound: float, where: str
) -> float:
    ranks = rankdata(standard)
    first = _correlation(rewards, ranks)
    if abs(first) <= bound:
        return 0.0
    sign = np.sign(first)
    left = lambda size: sign * _correlation(rewards - sign * size * standard, ranks)
    low, high = 0.0, float(rewards.std())
    for _ in range(DOUBLINGS):
        if left(high) <= bound:
            break
        low, high = high, 2 * high
    while high - low > RESOLUTION * high:
        middle = (low + high) / 2
        low, high = (low, middle) if left(middle) <= bound else (middle, high)
    if abs(left(high)) > bound:
        raise InputError(
            f"found no coefficient with a correlation within {bound} of 0 (it jumps "
            f"from {left(low):.3f} to {left(high):.3f} near {sign * high:.4g}); "
            f"expected more than {len(rewards)} responses, or a wider bound",
            where=where,
        )
    return float(sign * high)


def _correlation(values: np.ndarray, ranks: np.ndarray) -> float:
    """Spearman's, of values and of what has these ranks; 0 where either is constant."""
    both = [each - each.mean() for each in (rankdata(values), ranks)]
    size = np.sqrt(np.prod([each @ each for each in both]))
    return float(both[0] @ both[1] / size) if size > 0 else 0.0
