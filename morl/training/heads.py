"""The fit of linear reward heads on frozen features, all objectives at once."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, cast

import jax
import jax.numpy as jnp
import optax
from jax.experimental.layout import Layout, with_layout_constraint
from jaxtyping import Array, Bool, Float, Int

from morl.losses import binary_cross_entropy, margin_bradley_terry
from morl.models.heads import LinearHead, head_rewards
from morl.numerics import WeightedSum, masked_mean

NUM_STEPS = 80
TOLERANCE = 3e-6  # norm of a head's gradient, in nats a standardised weight


class HeadData(NamedTuple):
    """What heads are fitted to: pairs and labels, each for one objective.

    A response that stands in many pairs has its features once.

    Attributes:
      features: One row a response.
      better: Row of each pair's preferred response.
      worse: Row of the other.
      strength: Strength of each preference.
      pair_mask: Which objective each pair is for.
      labelled: Row of each response with a label.
      labels: Label of each, the probability of "yes".
      label_mask: Which objective each label is for.
    """

    features: Float[Array, "r d"]
    better: Int[Array, " p"]
    worse: Int[Array, " p"]
    strength: Float[Array, " p"]
    pair_mask: Bool[Array, "p k"]
    labelled: Int[Array, " s"]
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
    return _loss_of(head_rewards(head, data.features), data, margin)


def _loss_of(
    rewards: Float[Array, "r k"], data: HeadData, margin: float | Float[Array, ""]
) -> WeightedSum:
    pair_loss = partial(margin_bradley_terry, scale=margin)
    pairs = jax.vmap(pair_loss, in_axes=(1, 1, None, 1))(
        rewards[data.better], rewards[data.worse], data.strength, data.pair_mask
    )
    targets = jnp.broadcast_to(data.labels[:, None], data.label_mask.shape)
    labels = jax.vmap(binary_cross_entropy, in_axes=(1, 1, 1))(
        rewards[data.labelled], targets, data.label_mask
    )
    return jax.tree.map(jnp.add, pairs, labels)


@partial(jax.jit, static_argnames=("num_steps",))
def fit_heads(
    data: HeadData,
    l2: Float[Array, " k"],
    *,
    margin: float | Float[Array, ""] = 0.0,
    num_steps: int = NUM_STEPS,
) -> HeadFit:
    r"""Fits K linear heads by full-batch L-BFGS on a convex loss.

    .. math:: \min_{W, b} \sum_k \bar L_k(W_k, b_k) + \lambda_k \lVert W_k \rVert^2

    on features standardised, for each objective, by mean and deviation over the
    responses in its own pairs and labels, each counted once however many pairs it
    stands in; both are folded into the parameters that come back. Responses that the
    masks leave out have no say, and objectives share nothing: each head is the one that
    it would be alone.

    Args:
      data: Pairs and labels; objectives without any get weight zero.
      l2: Penalty :math:`\lambda_k \ge 0` of each objective.
      margin: Nats of log-odds that a unit of strength asks for.
      num_steps: Most L-BFGS steps; it stops sooner where every head's gradient is below
        :data:`TOLERANCE`.

    Returns:
      The heads on features as they are, with the residual of the fit.

    References:
      Liu and Nocedal, On the limited memory BFGS method (1989), as in optax.
    """
    used = _used(data)
    anywhere = jnp.any(used, axis=1)[:, None]
    # Centred before anything is squared: states have means far from zero.
    origin = masked_mean(data.features, anywhere, axis=0)
    centred = _both_ways(data.features - origin[None])
    size = jnp.max(jnp.where(anywhere, jnp.abs(data.features), 0), axis=0)
    centre, scale = _moments(centred.rows, used, size)

    def unscaled(head: LinearHead) -> LinearHead:
        weight = head.weight / scale
        return LinearHead(weight, head.bias - jnp.sum(centre * weight, axis=0))

    def losses(head: LinearHead) -> Float[Array, " k"]:
        weight, bias = unscaled(head)
        rewards = _narrow_product(centred, weight) + bias[None]
        return _loss_of(rewards, data, margin).mean

    def objective(head: LinearHead) -> Float[Array, ""]:
        penalty = l2 * jnp.sum(jnp.square(head.weight), axis=0)
        return jnp.sum(losses(head) + penalty)

    head = _minimum(objective, data.features.shape[1], len(l2), num_steps)
    residual = jnp.linalg.norm(jax.grad(objective)(head).weight, axis=0)
    weight, bias = unscaled(head)
    return HeadFit(LinearHead(weight, bias - origin @ weight), residual, losses(head))


class _BothWays(NamedTuple):
    """A matrix, and its transpose moved in memory.

    A product with a narrow matrix takes a CPU a quarter of the time where the long axis
    of this one is the outer one, and L-BFGS takes one product each way a step.
    """

    rows: Float[Array, "r d"]
    columns: Float[Array, "d r"]


def _both_ways(rows: Float[Array, "r d"]) -> _BothWays:
    rows_first = Layout(major_to_minor=(0, 1))
    columns = jax.lax.optimization_barrier(rows).T
    return _BothWays(
        with_layout_constraint(rows, rows_first),
        with_layout_constraint(columns, rows_first),
    )


@jax.custom_vjp
def _narrow_product(
    features: _BothWays, weight: Float[Array, "d k"]
) -> Float[Array, "r k"]:
    """``features @ weight``, differentiable in the weight alone."""
    return features.rows @ weight


def _narrow_product_forward(
    features: _BothWays, weight: Float[Array, "d k"]
) -> tuple[Float[Array, "r k"], _BothWays]:
    return _narrow_product(features, weight), features


def _narrow_product_backward(
    features: _BothWays, slope: Float[Array, "r k"]
) -> tuple[None, Float[Array, "d k"]]:
    return None, features.columns @ slope


_narrow_product.defvjp(_narrow_product_forward, _narrow_product_backward)


def _used(data: HeadData) -> Bool[Array, "r k"]:
    """Whether each response is in a pair or label of each objective."""
    nowhere = jnp.zeros((len(data.features), data.pair_mask.shape[1]), bool)
    paired = nowhere.at[data.better].max(data.pair_mask)
    paired = paired.at[data.worse].max(data.pair_mask)
    return paired.at[data.labelled].max(data.label_mask)


def _moments(
    features: Float[Array, "r d"], used: Bool[Array, "r k"], size: Float[Array, " d"]
) -> tuple[Float[Array, "d k"], Float[Array, "d k"]]:
    """Mean and deviation of each feature over the responses of each objective.

    The deviation is given as 1 where it is no more than what rounding leaves of a
    feature of that ``size`` that does not vary.
    """
    share = used / jnp.maximum(jnp.sum(used, axis=0), 1)[None]
    centre = features.T @ share
    variance = jnp.square(features).T @ share - jnp.square(centre)
    rounding = 8 * jnp.finfo(features.dtype).eps * size
    varies = variance > jnp.square(rounding)[:, None]
    return centre, jnp.where(varies, jnp.sqrt(jnp.where(varies, variance, 1)), 1)


def _minimum(
    objective: Callable[[LinearHead], Float[Array, ""]],
    width: int,
    num_objectives: int,
    num_steps: int,
) -> LinearHead:
    """Where L-BFGS from zero ends."""
    solver = optax.lbfgs()
    value_and_grad = optax.value_and_grad_from_state(objective)

    def step(carry: tuple) -> tuple:
        count, _, head, state = carry
        value, grad = value_and_grad(head, state=state)
        updates, state = solver.update(
            grad, state, head, value=value, grad=grad, value_fn=objective
        )
        slope = cast(LinearHead, grad).weight
        steepest = jnp.max(jnp.linalg.norm(slope, axis=0))
        return count + 1, steepest, optax.apply_updates(head, updates), state

    def unfinished(carry: tuple) -> Bool[Array, ""]:
        return (carry[0] < num_steps) & (carry[1] > TOLERANCE)

    start = LinearHead(jnp.zeros((width, num_objectives)), jnp.zeros(num_objectives))
    first = (jnp.int32(0), jnp.float32(jnp.inf), start, solver.init(start))
    return jax.lax.while_loop(unfinished, step, first)[2]
