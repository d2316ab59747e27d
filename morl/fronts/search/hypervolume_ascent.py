"""Designs that climb the hypervolume of the whole set together."""

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PyTree

from morl.fronts.search.box import Box, inside
from morl.fronts.search.found import Found
from morl.fronts.search.shapes import count_objectives, expect_shape
from morl.pareto.dominance import front_rank
from morl.pareto.hypervolume import hypervolume

Potential: TypeAlias = Callable[
    [Float[Array, "n k"], Float[Array, " k"]], Float[Array, ""]
]


def layered_hypervolume(
    points: Float[Array, "n k"], reference: Float[Array, " k"]
) -> Float[Array, ""]:
    r"""A height of a set of points whose gradient moves each of them, dominated or not.

    .. math:: \Phi(P) = \sum_f HV(P_f, z) - \sum_{p \in P} \sum_k (z_k - p_k)_+

    The hypervolume of the whole set has no gradient at dominated points. Here the
    points are peeled into fronts :math:`P_f` by non-dominated sorting and each front
    climbs its own hypervolume, so that those behind follow. Points that do not exceed
    the reference are pulled towards it, objective by objective. Once all points are
    above the reference and none is dominated, this is their hypervolume.

    Args:
      points: Reward vectors, maximised. Equal ones keep moving together.
      reference: The point :math:`z` below what counts.

    Returns:
      The height, differentiable in the points within one sorting.

    Examples:
      >>> points = jnp.array([[1.0, 2.0], [2.0, 1.0], [1.0, 1.0]])
      >>> print(layered_hypervolume(points, jnp.zeros(2)))
      4.0

    References:
      Wang, Deutz, Bäck and Emmerich, Hypervolume Indicator Gradient Ascent
      Multi-objective Optimization (HIGA-MO), EMO 2017, which sorts into fronts and
      takes a reference that all points exceed; the pull below it is Touré et al.'s,
      Uncrowded Hypervolume Improvement (arXiv:1904.08823), 2019, with distances in the
      sum norm.
    """
    rank = front_rank(jax.lax.stop_gradient(points))

    # Recomputed in the backward pass: the grids of all fronts at once may not fit.
    @jax.checkpoint
    def add(total: Float[Array, ""], front: Array) -> tuple[Float[Array, ""], None]:
        members = rank == front
        volume = jax.lax.cond(
            jnp.any(members),
            lambda: hypervolume(points, reference, mask=members),
            lambda: jnp.zeros((), total.dtype),
        )
        return total + volume, None

    below = jnp.sum(jnp.maximum(reference[None] - points, 0))
    total, _ = jax.lax.scan(add, -below, jnp.arange(points.shape[0]))
    return total


@partial(jax.jit, static_argnames=("rewards", "optimizer", "num_steps", "potential"))
def hypervolume_ascent(
    rewards: Callable[[Float[Array, " d"]], Float[Array, " k"]],
    starts: Float[Array, "n d"],
    *,
    reference: Float[Array, " j"],
    optimizer: optax.GradientTransformation,
    num_steps: int,
    box: Box | None = None,
    potential: Potential = layered_hypervolume,
) -> Found:
    """Moves a set of designs up the gradient of its hypervolume.

    The gradient of each design is the product of the hypervolume's gradient at its
    reward vector and the Jacobian there, so the designs spread out by themselves: each
    is paid for what it alone adds. The whole run is one compiled loop.

    Args:
      rewards: From a design to its reward vector, maximised; differentiable.
      starts: First designs, different from each other: equal ones stay equal.
      reference: Below the rewards that count.
      optimizer: Any of optax's. A step length that decays (``optax.adam`` with a
        cosine schedule) settles the last digits.
      num_steps: Steps taken.
      box: Bounds of the designs, kept by projection; None for none.
      potential: What is climbed, from points and reference to a number.

    Returns:
      The designs whose hypervolume was largest, among the first ones and those after
      each step. The trace is the hypervolume before each step.

    Raises:
      InputError: Shapes that do not match.

    Examples:
      >>> found = hypervolume_ascent(
      ...     lambda x: jnp.stack([x[0], 1 - x[0]]),
      ...     jnp.array([[0.2], [0.3]]),
      ...     reference=jnp.zeros(2),
      ...     optimizer=optax.adam(optax.cosine_decay_schedule(0.05, 200)),
      ...     num_steps=200,
      ... )
      >>> print(*(f"{x:.3f}" for x in found.designs[:, 0]))
      0.333 0.667

    References:
      Emmerich and Deutz, Time Complexity and Zeros of the Hypervolume Indicator
      Gradient Field, EVOLVE III, 2014; Wang et al., HIGA-MO, EMO 2017 (which adapts one
      step length a design; here the optimizer does).
    """
    k = count_objectives(rewards, starts, box)
    expect_shape("reference", reference.shape, (k,))
    evaluate = jax.vmap(rewards)

    def height(
        designs: Float[Array, "n d"],
    ) -> tuple[Float[Array, ""], Float[Array, "n k"]]:
        points = evaluate(designs)
        return potential(points, reference.astype(points.dtype)), points

    def step(carry: PyTree[Array], _: None) -> tuple[PyTree[Array], Float[Array, ""]]:
        designs, memory, best, most = carry
        slope, points = jax.grad(height, has_aux=True)(designs)
        volume = hypervolume(points, reference.astype(points.dtype))
        best = jnp.where(volume >= most, designs, best)
        updates, memory = optimizer.update(-slope, memory, designs)
        moved = jnp.asarray(optax.apply_updates(designs, updates))
        return (inside(moved, box), memory, best, jnp.maximum(volume, most)), volume

    first = inside(starts, box)
    least = jnp.full((), -jnp.inf, jax.eval_shape(evaluate, first).dtype)
    carry = first, optimizer.init(first), first, least
    # One turn more, whose move is left out: it measures the designs of the last step.
    (_, _, best, _), trace = jax.lax.scan(step, carry, length=num_steps + 1)
    return Found(best, evaluate(best), trace[:-1])
