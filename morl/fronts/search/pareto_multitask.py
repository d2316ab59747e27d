"""Designs that stay each in its own region of the front: Pareto multi-task learning."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int, PyTree

from morl.fronts.search.box import Box
from morl.fronts.search.descent import Slopes, follow
from morl.fronts.search.found import Found
from morl.fronts.search.shapes import count_objectives, expect_shape
from morl.weighting.contract import Signals
from morl.weighting.min_norm import min_norm

# A constraint counts from this close on, as a share of the length of the losses: one
# that only counts once it is broken makes the descent zigzag along the border.
MARGIN = 1e-3


@partial(jax.jit, static_argnames=("rewards", "optimizer", "num_steps", "num_initial"))
def pareto_multitask(
    rewards: Callable[[Float[Array, " d"]], Float[Array, " k"]],
    starts: Float[Array, "n d"],
    directions: Float[Array, "m j"],
    *,
    ideal: Float[Array, " i"],
    optimizer: optax.GradientTransformation,
    num_steps: int,
    num_initial: int,
    box: Box | None = None,
) -> Found:
    r"""One Pareto optimal design in each region around given directions of the losses.

    The losses are the distances from the ideal, :math:`l_k = z_k - r_k`. Direction
    :math:`u_i` owns the loss vectors that are closer in angle to it than to the others,
    :math:`G_j = (u_j - u_i) \cdot l \le 0`. In the first ``num_initial`` steps a design
    that breaks constraints descends on those alone. One that breaks none, and every one
    from then on, descends along the least-norm combination of the gradients of all
    losses and of the constraints that are broken or close to it. Where the losses alone
    cancel, so does the combination: a design that meets the front outside its region
    once ``num_initial`` is past stays there. A loss whose gradient is zero, because a
    bound holds what it depends on, does not stop the others.

    Args:
      rewards: From a design to its reward vector, maximised; differentiable.
      starts: First design of each direction.
      directions: Directions :math:`u` of the losses, at least 0, of any length: they
        are brought to length 1, as the angles require.
      ideal: :math:`z`, above each reward that is met.
      optimizer: Takes the combined gradient. Its length shrinks near the front, where
        plain ``optax.sgd`` settles by itself; far from it, normalised steps that decay
        are faster.
      num_steps: Steps taken in all.
      num_initial: Steps in which broken constraints come first. ``num_steps`` keeps
        every design in its region to the end, even one whose region has no design; a
        smaller number lets that one descend to the front elsewhere.
      box: Bounds of the designs, kept by projection; None for none.

    Returns:
      One design a direction. The trace has one row a step: for each direction the
      largest broken constraint, as a share of the length of the losses, 0 where none
      is broken.

    Raises:
      InputError: Shapes that do not match.

    References:
      Lin et al., Pareto Multi-Task Learning (arXiv:1912.12854), 2019, Algorithm 1,
      where the constraints come first only until they hold once; a long step can then
      leave the region for good. Its public code counts only broken constraints in the
      second phase, where the paper counts those within a margin, and rescales the
      weights to sum to the number of losses in absolute value; the length is left to
      the optimizer here.
    """
    k = count_objectives(rewards, starts, box)
    expect_shape("directions", directions.shape, (starts.shape[0], k))
    expect_shape("ideal", ideal.shape, (k,))
    units = directions / jnp.linalg.norm(directions, axis=1, keepdims=True)
    solve = min_norm().update

    def search(
        start: Float[Array, " d"], own: Int[Array, ""]
    ) -> tuple[Float[Array, " d"], Float[Array, " t"]]:
        rivals = units - units[own][None]

        def choose(
            here: Slopes, count: Int[Array, ""]
        ) -> tuple[Float[Array, " k"], PyTree[Array], Float[Array, ""]]:
            losses = ideal.astype(here.rewards.dtype) - here.rewards
            broken = rivals @ losses / jnp.linalg.norm(losses)
            counted, lead = _counted(broken, own, k, count < num_initial)
            # Both losses and constraints are linear in the losses: their gradients
            # are these combinations of the losses' gradients.
            mix = jnp.concatenate([jnp.eye(k, dtype=losses.dtype), rivals])
            rows = mix @ here.rows
            gramian = rows @ rows.T
            counted = counted & (jnp.diagonal(gramian) > 0)
            solution, _ = solve(Signals(gramian, present=counted), ())
            return solution.weights @ mix, count + 1, lead

        return follow(
            rewards,
            start,
            choose,
            jnp.zeros((), int),
            box=box,
            optimizer=optimizer,
            num_steps=num_steps,
        )

    owners = jnp.arange(units.shape[0])
    designs, trace = jax.vmap(search, out_axes=(0, 1))(starts, owners)
    return Found(designs, jax.vmap(rewards)(designs), trace)


def _counted(
    broken: Float[Array, " n"],
    own: Int[Array, ""],
    num_losses: int,
    initial: Bool[Array, ""],
) -> tuple[Bool[Array, " m"], Float[Array, ""]]:
    """Losses and constraints that take part in a step, and the worst violation."""
    rival = jnp.arange(broken.size) != own
    worst = jnp.max(broken, where=rival, initial=0)
    alone = initial & (worst > 0)
    close = rival & jnp.where(alone, broken > 0, broken >= -MARGIN)
    return jnp.concatenate([jnp.full(num_losses, ~alone), close]), worst
