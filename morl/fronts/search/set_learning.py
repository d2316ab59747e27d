"""A network from preferences to designs: the whole front in one set of parameters."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Key, PyTree

from morl.fronts.search.box import Box
from morl.fronts.search.shapes import count_objectives, expect_shape
from morl.pareto.directions import dirichlet

Layers: TypeAlias = tuple[tuple[Float[Array, "_ _"], Float[Array, " _"]], ...]


@dataclass(frozen=True)
class SetLearning:
    """Settings of :func:`learn_pareto_set`.

    Attributes:
      hidden: Widths of the hidden layers.
      batch_size: Preferences drawn a step.
      num_steps: Steps taken.
      alpha: Concentration of the Dirichlet distribution that preferences come from: 1
        is uniform on the simplex.
    """

    hidden: tuple[int, ...] = (64, 64)
    batch_size: int = 32
    num_steps: int = 2000
    alpha: float = 1.0


class ParetoSet(NamedTuple):
    """A learned map from preferences to designs; call it with preferences.

    Attributes:
      layers: Weights and biases of the network, first layer first.
      box: Bounds of the designs.
      trace: Mean utility of the batch before each step.
    """

    layers: Layers
    box: Box
    trace: Float[Array, " t"]

    def __call__(self, weights: Float[Array, "*n k"]) -> Float[Array, "*n d"]:
        """Designs for preferences on the simplex, one or many."""
        apply = partial(_design, self.layers, self.box)
        for _ in weights.shape[:-1]:
            apply = jax.vmap(apply)
        return apply(weights)


@partial(
    jax.jit,
    static_argnames=(
        "rewards",
        "num_objectives",
        "scalarizer",
        "optimizer",
        "settings",
    ),
)
def learn_pareto_set(
    rewards: Callable[[Float[Array, " d"]], Float[Array, " k"]],
    key: Key[Array, ""],
    *,
    num_objectives: int,
    box: Box,
    scalarizer: Callable[[Float[Array, " k"], Float[Array, " k"]], Float[Array, ""]],
    optimizer: optax.GradientTransformation,
    settings: SetLearning = SetLearning(),
) -> ParetoSet:
    r"""Learns a network whose design for each preference maximises its utility.

    .. math:: \max_\theta \; E_{w \sim \text{Dir}(\alpha)} \,
      u\big(r(x_\theta(w)), w\big)

    The scalarizer decides what is learned: with a linear one the network jumps between
    the ends of a concave front, with a Chebyshev one it covers it. The output layer
    is a sigmoid between the bounds, so a design on a bound is only approached.

    Args:
      rewards: From a design to its reward vector, maximised; differentiable.
      key: Consumed once.
      num_objectives: Number of rewards, K.
      box: Finite bounds of the designs.
      scalarizer: From rewards and weights to a utility, such as
        :func:`morl.scalarize.smooth_chebyshev` with its ideal bound.
      optimizer: Any of optax's.
      settings: Sizes of the network and of the run.

    Returns:
      The learned set.

    Raises:
      InputError: Bounds of different lengths, or another number of rewards.

    Examples:
      >>> learned = learn_pareto_set(
      ...     lambda x: -jnp.stack([x[0] ** 2, (x[0] - 1) ** 2]),
      ...     jax.random.key(0),
      ...     num_objectives=2,
      ...     box=Box(-2 * jnp.ones(1), 2 * jnp.ones(1)),
      ...     scalarizer=jnp.dot,
      ...     optimizer=optax.adam(1e-2),
      ...     settings=SetLearning(hidden=(16,), num_steps=300),
      ... )
      >>> print(learned(jnp.array([0.5, 0.5])).round(1))
      [0.5]

    References:
      Lin et al., Pareto Set Learning for Expensive Multi-Objective Optimization
      (arXiv:2210.08495) and Pareto Set Learning for Neural Multi-Objective
      Combinatorial Optimization (arXiv:2203.15386), 2022; Ruchte and Grabocka, Scalable
      Pareto Front Approximation for Deep Multi-Objective Learning (COSMOS,
      arXiv:2103.13392), 2021, for the conditioning on drawn preferences.
    """
    box = Box(*(jnp.asarray(end, jnp.result_type(float)) for end in box))
    found = count_objectives(rewards, jnp.asarray(box.lower)[None], box)
    expect_shape("rewards", (found,), (num_objectives,))
    grown, drawn = jax.random.split(key)
    widths = (num_objectives, *settings.hidden, box.lower.size)
    layers = _init(grown, widths)

    def loss(layers: Layers, weights: Float[Array, "b k"]) -> Float[Array, ""]:
        designs = jax.vmap(partial(_design, layers, box))(weights)
        return -jnp.mean(jax.vmap(scalarizer)(jax.vmap(rewards)(designs), weights))

    def step(
        carry: PyTree[Array], key: Key[Array, ""]
    ) -> tuple[PyTree[Array], Float[Array, ""]]:
        layers, memory = carry
        weights = dirichlet(
            key, num_objectives, settings.batch_size, alpha=settings.alpha
        )
        value, slope = jax.value_and_grad(loss)(layers, weights)
        updates, memory = optimizer.update(slope, memory, layers)
        return (optax.apply_updates(layers, updates), memory), -value

    keys = jax.random.split(drawn, settings.num_steps)
    carry, trace = jax.lax.scan(step, (layers, optimizer.init(layers)), keys)
    return ParetoSet(carry[0], box, trace)


def _init(key: Key[Array, ""], widths: tuple[int, ...]) -> Layers:
    keys = jax.random.split(key, len(widths) - 1)
    return tuple(
        (
            jax.nn.initializers.he_normal()(key, (before, after)),
            jnp.zeros(after),
        )
        for key, (before, after) in zip(keys, pairwise(widths), strict=True)
    )


def _design(
    layers: Layers, box: Box, weights: Float[Array, " k"]
) -> Float[Array, " d"]:
    # Preferences are centred: the first layer then sees both signs.
    value = weights - 1 / weights.size
    for matrix, bias in layers[:-1]:
        value = jax.nn.gelu(value @ matrix + bias)
    matrix, bias = layers[-1]
    share = jax.nn.sigmoid(value @ matrix + bias)
    lower, upper = jnp.asarray(box.lower), jnp.asarray(box.upper)
    return lower + (upper - lower) * share
