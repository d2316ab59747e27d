"""The fit of linear reward heads on frozen features, all objectives at once."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float

from morl.losses import binary_cross_entropy, margin_bradley_terry
from morl.models.heads import LinearHead
from morl.numerics import WeightedSum

NUM_STEPS = 40
L2_GRID = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0)


class HeadData(NamedTuple):
    """What heads are fitted to: pairs and labels, each for one objective.

    Attributes:
      better: Features of preferred responses.
      worse: Features of the others.
      strength: Strength of each preference.
      pair_mask: Which objective each pair is for.
      labelled: Features of responses with a label.
      labels: Label of each, the probability of "yes".
      label_mask: Which objective each label is for.
    """

    better: Float[Array, "p d"]
    worse: Float[Array, "p d"]
    strength: Float[Array, " p"]
    pair_mask: Bool[Array, "p k"]
    labelled: Float[Array, "s d"]
    labels: Float[Array, " s"]
    label_mask: Bool[Array, "s k"]


class HeadFit(NamedTuple):
    """A fitted head and how far the fit is from a stationary point.

    Attributes:
      head: The parameters, on features as they are.
      residual: Norm of the loss's gradient in the standardised weights, an objective.
      loss: Mean loss an objective, without the penalty.
    """

    head: LinearHead
    residual: Float[Array, " k"]
    loss: Float[Array, " k"]


def head_loss(
    head: LinearHead, data: HeadData, *, margin: float | Float[Array, ""] = 0.0
) -> WeightedSum:
    """Undivided loss of every objective: its pairs, and its labels as log-odds.

    Args:
      head: Parameters of the heads.
      data: Pairs and labels.
      margin: Nats of log-odds that a unit of strength asks for; 0 is Bradley-Terry.

    Returns:
      ``[k]`` sums and weights.
    """
    rewards = lambda features: features @ head.weight + head.bias[None]
    pair_loss = partial(margin_bradley_terry, scale=margin)
    pairs = jax.vmap(pair_loss, in_axes=(1, 1, None, 1))(
        rewards(data.better), rewards(data.worse), data.strength, data.pair_mask
    )
    targets = jnp.broadcast_to(data.labels[:, None], data.label_mask.shape)
    labels = jax.vmap(binary_cross_entropy, in_axes=(1, 1, 1))(
        rewards(data.labelled), targets, data.label_mask
    )
    return jax.tree.map(jnp.add, pairs, labels)


@partial(jax.jit, static_argnames=("num_steps",))
def fit_heads(
    data: HeadData,
    l2: Float[Array, " k"],
    *,
    margin: float = 0.0,
    num_steps: int = NUM_STEPS,
) -> HeadFit:
    r"""Fits K linear heads by full-batch L-BFGS on a convex loss.

    .. math:: \min_{W, b} \sum_k \bar L_k(W_k, b_k) + \lambda_k \lVert W_k \rVert^2

    on features standardised by the mean and deviation of the given responses, which
    are folded into the parameters that come back. Objectives share nothing, so each
    head is the one that it would be alone.

    Args:
      data: Pairs and labels; objectives without any get weight zero.
      l2: Penalty :math:`\lambda_k \ge 0` of each objective.
      margin: Nats of log-odds that a unit of strength asks for.
      num_steps: L-BFGS steps; fixed, so that the loop compiles.

    Returns:
      The heads on features as they are, with the residual of the fit.

    References:
      Liu and Nocedal, On the limited memory BFGS method (1989), as in optax.
    """
    responses = jnp.concatenate([data.better, data.worse, data.labelled])
    centre = jnp.mean(responses, axis=0)
    spread = jnp.std(responses, axis=0)
    scale = jnp.where(spread > 0, spread, 1)
    standard = lambda x: (x - centre[None]) / scale[None]
    scaled = data._replace(
        better=standard(data.better),
        worse=standard(data.worse),
        labelled=standard(data.labelled),
    )

    def objective(head: LinearHead) -> Float[Array, ""]:
        penalty = l2 * jnp.sum(jnp.square(head.weight), axis=0)
        return jnp.sum(head_loss(head, scaled, margin=margin).mean + penalty)

    width, num_objectives = responses.shape[1], l2.shape[0]
    start = LinearHead(jnp.zeros((width, num_objectives)), jnp.zeros(num_objectives))
    solver = optax.lbfgs()
    value_and_grad = optax.value_and_grad_from_state(objective)

    def step(carry: tuple, _: None) -> tuple[tuple, None]:
        head, state = carry
        value, grad = value_and_grad(head, state=state)
        updates, state = solver.update(
            grad, state, head, value=value, grad=grad, value_fn=objective
        )
        return (optax.apply_updates(head, updates), state), None

    (head, _), _ = jax.lax.scan(step, (start, solver.init(start)), length=num_steps)
    residual = jnp.linalg.norm(jax.grad(objective)(head).weight, axis=0)
    loss = head_loss(head, scaled, margin=margin).mean
    weight = head.weight / scale[:, None]
    return HeadFit(LinearHead(weight, head.bias - centre @ weight), residual, loss)


class CrossValidation(NamedTuple):
    """Out-of-fold readings, and the penalty that did best.

    Attributes:
      margins: ``[p, k]`` reward of the better response less that of the worse, by heads
        that did not see the pair's fold.
      l2: ``[k]`` penalty of the lowest out-of-fold loss.
      losses: ``[penalties, k]`` out-of-fold loss.
    """

    margins: Float[np.ndarray, "p k"]
    l2: Float[np.ndarray, " k"]
    losses: Float[np.ndarray, "penalties k"]


def cross_validate(
    data: HeadData,
    pair_folds: np.ndarray,
    label_folds: np.ndarray,
    *,
    num_folds: int,
    grid: tuple[float, ...] = L2_GRID,
    margin: float = 0.0,
) -> CrossValidation:
    """Fits every fold at every penalty, and reads each pair by heads that missed it.

    The penalty is chosen on the same folds that are read; with a handful of penalties
    and one number chosen an objective the optimism is far below the interval, but it
    is not zero.

    Args:
      data: Pairs and labels.
      pair_folds: ``[p]`` fold of each pair, by its prompt, in ``[0, num_folds)``.
      label_folds: ``[s]`` fold of each label, by its prompt.
      num_folds: Number of folds.
      grid: Penalties to try.
      margin: Nats of log-odds that a unit of strength asks for.

    Returns:
      Margins at the chosen penalty, and the losses that chose it.
    """
    num_pairs, num_objectives = data.pair_mask.shape
    margins = np.zeros((len(grid), num_pairs, num_objectives), np.float32)
    held = [WeightedSum(np.zeros(num_objectives), np.zeros(num_objectives))] * len(grid)
    for fold in range(num_folds):
        seen = data._replace(
            pair_mask=data.pair_mask & (pair_folds != fold)[:, None],
            label_mask=data.label_mask & (label_folds != fold)[:, None],
        )
        unseen = data._replace(
            pair_mask=data.pair_mask & (pair_folds == fold)[:, None],
            label_mask=data.label_mask & (label_folds == fold)[:, None],
        )
        for index, penalty in enumerate(grid):
            fit = fit_heads(seen, jnp.full(num_objectives, penalty), margin=margin)
            missed = head_loss(fit.head, unseen, margin=margin)
            held[index] = jax.tree.map(
                lambda a, b: a + np.asarray(b), held[index], missed
            )
            gap = np.asarray((data.better - data.worse) @ fit.head.weight)
            here = pair_folds == fold
            margins[index, here] = gap[here]
    losses = np.stack([np.asarray(total.mean) for total in held])
    best = np.argmin(losses, axis=0)
    chosen = margins[
        best[None, :], np.arange(num_pairs)[:, None], np.arange(num_objectives)
    ]
    return CrossValidation(chosen, np.asarray(grid)[best], losses)
