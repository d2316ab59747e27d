"""The choice of heads' penalties, and readings by heads that missed what they read."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from morl.models.heads import head_rewards
from morl.numerics import WeightedSum
from morl.training.features import Progress
from morl.training.heads import HeadData, HeadFit, fit_heads, head_loss

L2_GRID = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0, 3.0)


class CrossValidation(NamedTuple):
    """Out-of-fold readings, and the penalty that did best.

    Attributes:
      margins: ``[p, k]`` reward of the better response less that of the worse, by heads
        that did not see the pair's fold.
      logits: ``[s, k]`` reward of each labelled response, likewise.
      l2: ``[k]`` penalty of the lowest out-of-fold loss.
      losses: ``[penalties, k]`` out-of-fold loss, from the largest penalty down to the
        last that was tried.
      residual: Largest gradient norm that any fit was left with.
    """

    margins: Float[np.ndarray, "p k"]
    logits: Float[np.ndarray, "s k"]
    l2: Float[np.ndarray, " k"]
    losses: Float[np.ndarray, "penalties k"]
    residual: float


def cross_validate(
    data: HeadData,
    pair_folds: Int[np.ndarray, " p"],
    label_folds: Int[np.ndarray, " s"],
    *,
    num_folds: int,
    grid: tuple[float, ...] = L2_GRID,
    margin: float = 0.0,
    progress: Progress | None = None,
) -> CrossValidation:
    """Fits every fold at every penalty, and reads each pair by heads that missed it.

    Penalties are tried from the largest down, until one gives no objective a lower
    out-of-fold loss than those before it: the loss falls and then rises along them, and
    fits at small penalties take longest. The penalty is chosen on the same folds that
    are read: one number out of a handful an objective, so the optimism is small beside
    the interval, but it is not zero.

    Args:
      data: Pairs and labels.
      pair_folds: Fold of each pair, by its prompt, in ``[0, num_folds)``.
      label_folds: Fold of each label, by its prompt.
      num_folds: Number of folds.
      grid: Penalties to try.
      margin: Nats of log-odds that a unit of strength asks for.
      progress: Called with fits done and fits in all.

    Returns:
      Readings at the chosen penalty, and the losses that chose it.
    """
    num_objectives = data.pair_mask.shape[1]
    folds = [
        _Fold(
            _masked(data, pair_folds != fold, label_folds != fold),
            _masked(data, pair_folds == fold, label_folds == fold),
            pair_folds == fold,
            label_folds == fold,
        )
        for fold in range(num_folds)
    ]
    total = num_folds * len(grid)
    tried: list[_Readings] = []
    for penalty in sorted(grid, reverse=True):
        l2 = jnp.full(num_objectives, penalty, jnp.float32)
        found = []
        for fold in folds:
            fit = fit_heads(fold.seen, l2, margin=margin)
            found.append(jax.tree.map(np.asarray, _read(fit, fold.unseen, margin)))
            if progress is not None:
                progress(len(tried) * num_folds + len(found), total)
        tried.append(_gathered(found, folds))
        losses = np.stack([each.missed.mean for each in tried])
        if len(tried) > 1 and not np.any(losses[-1] < np.min(losses[:-1], axis=0)):
            break
    if progress is not None and len(tried) < len(grid):
        progress(total, total)
    best = np.argmin(losses, axis=0)
    choose = lambda readings: np.take_along_axis(
        np.stack(readings), best[None, None], axis=0
    )[0]
    return CrossValidation(
        choose([each.margins for each in tried]),
        choose([each.logits for each in tried]),
        np.array(sorted(grid, reverse=True))[best],
        losses,
        max(float(np.max(each.residual)) for each in tried),
    )


class _Fold(NamedTuple):
    """Data of the other folds and of this one, and which pairs and labels are in it."""

    seen: HeadData
    unseen: HeadData
    pairs: Bool[np.ndarray, " p"]
    labels: Bool[np.ndarray, " s"]


class _Readings(NamedTuple):
    """What fitted heads make of pairs and labels.

    Attributes:
      margins: Reward of each pair's better response less that of the worse.
      logits: Reward of each labelled response.
      missed: Loss on what the heads did not see.
      residual: What the fit is left with.
    """

    margins: Float[Array | np.ndarray, "p k"]
    logits: Float[Array | np.ndarray, "s k"]
    missed: WeightedSum
    residual: Float[Array | np.ndarray, " k"]


@jax.jit
def _read(
    fit: HeadFit, unseen: HeadData, margin: float | Float[Array, ""]
) -> _Readings:
    read = head_rewards(fit.head, unseen.features)
    return _Readings(
        read[unseen.better] - read[unseen.worse],
        read[unseen.labelled],
        head_loss(fit.head, unseen, margin=margin),
        fit.residual,
    )


def _gathered(found: Sequence[_Readings], folds: Sequence[_Fold]) -> _Readings:
    """The readings of each fold by the heads that missed it, as one."""
    margins, logits = np.zeros_like(found[0].margins), np.zeros_like(found[0].logits)
    for each, fold in zip(found, folds, strict=True):
        margins[fold.pairs] = each.margins[fold.pairs]
        logits[fold.labels] = each.logits[fold.labels]
    missed = jax.tree.map(lambda *parts: sum(parts), *(each.missed for each in found))
    residual = np.max([each.residual for each in found], axis=0)
    return _Readings(margins, logits, missed, residual)


def _masked(
    data: HeadData, pairs: Bool[np.ndarray, " p"], labels: Bool[np.ndarray, " s"]
) -> HeadData:
    return data._replace(
        pair_mask=data.pair_mask & pairs[:, None],
        label_mask=data.label_mask & labels[:, None],
    )
