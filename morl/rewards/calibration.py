r"""What a head's number means: rewards in units of the reference policy.

Bradley-Terry training fixes a score only up to a shift of its own for every prompt.
Sums within a prompt do not notice; thresholds, worst cases and comparisons across
prompts do. Calibrated rewards are

.. math:: \tilde r_k(x, y) = \frac{r_k(x, y) - c_k(x)}{s_k}

where :math:`c_k(x)` is the mean or a quantile of the reference policy's samples for the
prompt, and :math:`s_k` the pooled standard deviation within prompts, frozen.
"""

from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from morl.errors import InputError
from morl.numerics import masked_mean
from morl.rewards.gates import STATIC
from morl.rewards.names import unknown_name
from morl.rewards.schedule import Arrays, Number

Centre: TypeAlias = float | Literal["mean"]

PERCENTILES = 100


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class Calibration:
    """Units of the reference policy, made by :func:`calibrate`.

    Attributes:
      names: The rewards it knows, in the order of its arrays.
      kept: Those that keep their own units.
      centre: ``"mean"``, or the quantile of a prompt's samples that becomes 0.
      scale: Pooled standard deviation within prompts ``[k]``; 1 where kept.
      quantiles: Percentiles 0, 1, ..., 100 of the reference samples in the new units
        ``[101, k]``.
    """

    names: tuple[str, ...] = field(metadata=STATIC)
    kept: tuple[str, ...] = field(metadata=STATIC)
    centre: Centre = field(metadata=STATIC)
    scale: Any
    quantiles: Any

    def apply(
        self,
        rewards: Float[Arrays, "*batch k"],
        present: Bool[Arrays, "*batch k"],
        reference: Float[Arrays, "*samples k"] | None = None,
        reference_present: Bool[Arrays, "*samples k"] | None = None,
    ) -> Float[Array, "*batch k"]:
        """Scores of responses in the units of the reference policy.

        Args:
          rewards: Scores ``[..., g, k]`` of ``g`` responses a prompt, in the order of
            ``names``.
          present: Which are there; the others may hold NaN.
          reference: Scores ``[..., n, k]`` of the reference policy's responses to the
            same prompts;
            the group itself where not given, which is right where the group was
            sampled from the reference policy.
          reference_present: Which of those are there; all where not given.

        Returns:
          Calibrated rewards in float32; zero, without meaning, where absent.
        """
        if rewards.ndim < 2 or rewards.shape[-1] != len(self.names):
            raise InputError(
                f"rewards have shape {rewards.shape}, expected [..., responses of a "
                f"prompt, {len(self.names)} rewards {self.names}]",
                where="calibration",
            )
        if reference is None:
            reference, reference_present = rewards, present
        if reference_present is None:
            reference_present = jnp.ones_like(reference, bool)
        keep = jnp.asarray([name in self.kept for name in self.names])
        level = centres(
            jnp.asarray(reference), jnp.asarray(reference_present), self.centre
        )
        level = jnp.where(jnp.expand_dims(keep, range(level.ndim - 1)), 0, level)
        scale = jnp.expand_dims(jnp.asarray(self.scale), range(rewards.ndim - 1))
        kept = jnp.where(present, rewards, 0).astype(jnp.float32)
        return jnp.where(present, (kept - level) / scale, 0)

    def within(self, names: tuple[str, ...]) -> "Calibration":
        """The same for a reward vector with other names; new ones keep their units."""
        index = {name: i for i, name in enumerate(self.names)}
        taken = jnp.asarray([index.get(name, 0) for name in names])
        known = jnp.asarray([name in index for name in names])
        return Calibration(
            names,
            tuple(n for n in names if n not in index or n in self.kept),
            self.centre,
            jnp.where(known, jnp.asarray(self.scale)[taken], 1),
            jnp.where(known[None], jnp.asarray(self.quantiles)[:, taken], jnp.nan),
        )

    def percentile_of(self, name: str, value: Number) -> Float[Array, ""]:
        """The share of reference samples below ``value``, in percent."""
        table = self._table(name)
        grid = jnp.arange(PERCENTILES + 1, dtype=jnp.float32)
        return jnp.interp(jnp.asarray(value, jnp.float32), table, grid)

    def value_at(self, name: str, percentile: Number) -> Float[Array, ""]:
        """The value below which ``percentile`` percent of reference samples lie."""
        grid = jnp.arange(PERCENTILES + 1, dtype=jnp.float32)
        return jnp.interp(jnp.asarray(percentile, jnp.float32), grid, self._table(name))

    def best(self, name: str, direction: str) -> Float[Array, ""]:
        """The best value that the reference policy reached."""
        return self._table(name)[-1 if direction == "maximize" else 0]

    def check_name(self, name: str) -> None:
        """Refuses a reward that was not calibrated."""
        if name not in self.names:
            raise unknown_name(name, self.names, where="calibration")

    def _table(self, name: str) -> Float[Array, " p"]:
        self.check_name(name)
        return jnp.asarray(self.quantiles)[:, self.names.index(name)]

    def __eq__(self, other: object) -> bool:
        """Whether names, centre and every number are equal."""
        if not isinstance(other, Calibration):
            return NotImplemented
        return (
            (self.names, self.kept, self.centre)
            == (other.names, other.kept, other.centre)
            and np.array_equal(self.scale, other.scale)
            and np.array_equal(self.quantiles, other.quantiles)
        )

    def __hash__(self) -> int:
        """Equal calibrations have equal hashes."""
        numbers = np.asarray(self.scale).tobytes(), np.asarray(self.quantiles).tobytes()
        return hash((self.names, self.kept, self.centre, numbers))


def calibrate(
    reference: Float[Arrays, "b g k"],
    present: Bool[Arrays, "b g k"],
    *,
    names: tuple[str, ...],
    centre: Centre = "mean",
    keep: tuple[str, ...] = (),
) -> Calibration:
    r"""Learns the units of the reference policy from its samples.

    The scale is :math:`s_k = \sqrt{\sum_x \sum_y (r - \bar r(x))^2 / \sum_x (n_x - 1)}`
    over the samples present. Runs once, outside of compiled code.

    Args:
      reference: Scores of ``g`` samples of the reference policy for each of ``b``
        prompts, one column a reward.
      present: Which are there; the others may hold NaN.
      names: One name a column.
      centre: ``"mean"``, or a quantile in (0, 1): 0.85 is that of log-sigmoid-centred
        rewards.
      keep: Rewards that keep their units, as those of rules should; thresholds on them
        still read as percentiles.

    Returns:
      A :class:`Calibration`; save it with ``composition.calibrated(...)``.

    Raises:
      InputError: if a count is wrong, a name unknown, or a reward does not vary within
        any prompt, so that it has no scale.

    Examples:
      >>> scores = jnp.array([[[1.0], [3.0]], [[10.0], [12.0]]])
      >>> seen = jnp.ones_like(scores, bool)
      >>> calibration = calibrate(scores, seen, names=("helpful",))
      >>> print(calibration.scale, calibration.apply(scores, seen)[0, :, 0])
      [1.4142135] [-0.70710677  0.70710677]

    References:
      Wang et al., Transforming and Combining Rewards for Aligning Large Language
      Models (arXiv:2402.00742), 2024: centring by the reference policy.
    """
    reference, present = jnp.asarray(reference), jnp.asarray(present)
    _check(reference, present, names, centre, keep)
    wide = jnp.where(present, reference, 0).astype(jnp.float32)
    away = jnp.where(present, wide - masked_mean(wide, present, 1)[:, None], 0)
    spare = jnp.maximum(jnp.sum(present, 1) - 1, 0)
    freedom = jnp.sum(spare, 0)
    variance = jnp.sum(jnp.square(away), (0, 1)) / jnp.maximum(freedom, 1)
    scale = np.asarray(jnp.sqrt(variance))
    largest = np.asarray(jnp.max(jnp.abs(wide), (0, 1)))
    kept = np.asarray([name in keep for name in names])
    for index, name in enumerate(names):
        constant = scale[index] <= 8 * np.finfo(np.float32).eps * largest[index]
        if constant and not kept[index]:
            raise InputError(
                "does not vary among the responses to any prompt, so that it has no "
                "scale; leave it out, or list it in keep",
                where=f"calibrate {name}",
            )
    calibration = Calibration(
        tuple(names),
        tuple(name for name in names if name in keep),
        centre,
        np.where(kept, np.float32(1), scale),
        np.zeros((PERCENTILES + 1, len(names)), np.float32),
    )
    units = calibration.apply(reference, present)
    seen = np.where(np.asarray(present), np.asarray(units), np.nan)
    grid = np.linspace(0, 100, PERCENTILES + 1)
    flat = seen.reshape(-1, len(names))
    table = np.nanpercentile(flat, grid, axis=0).astype(np.float32)
    return replace(calibration, quantiles=table)


def centres(
    reference: Float[Array, "*batch n k"],
    present: Bool[Array, "*batch n k"],
    centre: Centre,
) -> Float[Array, "*batch 1 k"]:
    """Mean or quantile of each prompt's reference samples; 0 where it has none."""
    wide = jnp.where(present, reference, 0).astype(jnp.float32)
    if centre == "mean":
        return masked_mean(wide, present, -2)[..., None, :]
    level = jnp.nanquantile(
        jnp.where(present, wide, jnp.nan), float(centre), axis=-2, keepdims=True
    )
    return jnp.where(jnp.any(present, -2, keepdims=True), level, 0)


def _check(
    reference: Array,
    present: Array,
    names: tuple[str, ...],
    centre: Centre,
    keep: tuple[str, ...],
) -> None:
    if reference.shape != present.shape or reference.shape[-1] != len(names):
        raise InputError(
            f"reference has shape {reference.shape}, present {present.shape}, names "
            f"are {names}",
            where="calibrate",
        )
    if len(set(names)) != len(names):
        raise InputError(f"names {names} repeat one", where="calibrate")
    checked_centre(centre, "calibrate centre")
    for name in keep:
        if name not in names:
            raise unknown_name(name, names, where="calibrate keep")
    seen = np.asarray(present)
    missing = [name for i, name in enumerate(names) if not seen[..., i].any()]
    if missing:
        raise InputError(
            f"{', '.join(missing)}: no reference sample has a value", where="calibrate"
        )


def checked_centre(centre: object, where: str) -> Centre:
    """``"mean"`` or a quantile in (0, 1)."""
    if centre == "mean":
        return "mean"
    if isinstance(centre, float) and 0 < centre < 1:
        return centre
    raise InputError(
        f"found {centre!r}, expected 'mean' or a quantile in (0, 1)", where=where
    )
