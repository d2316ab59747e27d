"""NSGA-II: an evolutionary search for a front, as one compiled program."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Bool, Float, Int, Key, UInt32

from morl.errors import InputError
from morl.fronts.search.box import Box
from morl.fronts.search.variation import Variation, cross, mutate
from morl.pareto.dominance import crowding_distance, front_rank

Rewards: TypeAlias = Callable[[Float[Array, " d"]], Float[Array, " k"]]
Repair: TypeAlias = Callable[[Float[Array, " d"]], Float[Array, " d"]]

DEFAULT = Variation()


class Evolved(NamedTuple):
    """A population, best first, and what came before it.

    Attributes:
      designs: One design a row.
      rewards: Their reward vectors.
      rank: Front of each: 0 for those that no other dominates.
      crowding: Crowding distance of each in its front, as it was when it survived.
      history: Rewards of the population after every generation; ``history[::10]`` is
        a record at a stride.
    """

    designs: Float[Array, "n d"]
    rewards: Float[Array, "n k"]
    rank: Int[Array, " n"]
    crowding: Float[Array, " n"]
    history: Float[Array, "g n k"]


def unchanged(design: Float[Array, " d"]) -> Float[Array, " d"]:
    """The design itself: every design in the box is allowed."""
    return design


def nsga2(
    rewards: Rewards,
    key: Key[Array, ""],
    *,
    box: Box,
    population: int = 100,
    generations: int = 250,
    variation: Variation = DEFAULT,
    repair: Repair = unchanged,
) -> Evolved:
    r"""Evolves designs towards the front of their rewards.

    Each generation, couples are formed by binary tournaments, their children are made
    by :func:`cross` and :func:`mutate`, and of parents and children together the best
    ``population`` survive: by front, and in the last front that fits by crowding
    distance. The whole run is one ``lax.scan``, and vmaps over keys.

    Where it departs from the paper: a child that is an exact copy of one of its parents
    survives only if places are left (pymoo mates again; the paper keeps copies), and so
    does a design whose rewards are not all finite. Ties are broken at random. pymoo
    compares parents by dominance before crowding, and mutates a design with probability
    0.9 only; here, as in the paper, it is rank before crowding, and every design.

    Args:
      rewards: From a design to its rewards, maximised. Compiled once: pass the same
        function again to run again at once.
      key: Randomness; the same key gives the same run.
      box: Bounds of each variable, finite floats. Designs have the type that JAX gives
        to its lower ends.
      population: Number of designs :math:`n`, even, at least 4.
      generations: Number of generations, at least 1.
      variation: Settings of crossover and mutation.
      repair: From a design to one that is allowed, such as a projection to the simplex
        for weightings; it is applied to every design before its rewards.

    Returns:
      The last population, and the rewards of every one before it.

    Raises:
      InputError: The box is no box of floats, or a count is too small or odd.

    Examples:
      >>> square = lambda x: -jnp.stack([x[0] ** 2, (x[0] - 2) ** 2])
      >>> box = Box(np.array([-9.0]), np.array([9.0]))
      >>> key = jax.random.key(0)
      >>> found = nsga2(square, key, box=box, population=20, generations=30)
      >>> bool(((found.designs > -0.1) & (found.designs < 2.1)).all())
      True

    References:
      Deb et al., A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II, IEEE
      Transactions on Evolutionary Computation 6(2), 2002.
    """
    _check(box, population, generations)
    lower = jnp.asarray(box.lower)
    inside = Box(lower, jnp.asarray(box.upper, lower.dtype))
    return _run(
        rewards,
        key,
        inside,
        population=population,
        generations=generations,
        variation=variation,
        repair=repair,
    )


@partial(
    jax.jit,
    static_argnames=("rewards", "population", "generations", "variation", "repair"),
)
def _run(
    rewards: Rewards,
    key: Key[Array, ""],
    box: Box,
    *,
    population: int,
    generations: int,
    variation: Variation,
    repair: Repair,
) -> Evolved:
    start_key, tie_key, run_key = jax.random.split(key, 3)
    shape = (population, box.lower.shape[0])
    ends = box.lower[None], box.upper[None]
    first = jax.random.uniform(start_key, shape, box.lower.dtype, *ends)
    designs = jax.vmap(repair)(first)
    values = jax.vmap(rewards)(designs)
    everyone = jnp.ones(population, bool)
    ties = jax.random.bits(tie_key, (population,), jnp.uint32)
    kept, rank, crowding = survivors(values, everyone, ties)

    def step(state: tuple, key: Key[Array, ""]) -> tuple[tuple, Float[Array, "n k"]]:
        designs, values = state[:2]
        draw_key, bits_key = jax.random.split(key)
        bits = jax.random.bits(bits_key, (4, population), jnp.uint32)
        parents = designs[tournaments(bits[:2])]
        children, fresh = _children(parents, draw_key, box, variation, repair)
        designs = jnp.concatenate([designs, children])
        values = jnp.concatenate([values, jax.vmap(rewards)(children)])
        fresh = jnp.concatenate([everyone, fresh])
        ranking = survivors(values, fresh, bits[2:].reshape(-1))
        kept, rank, crowding = (column[:population] for column in ranking)
        return (designs[kept], values[kept], rank, crowding), values[kept]

    state = designs[kept], values[kept], rank, crowding
    state, history = jax.lax.scan(step, state, jax.random.split(run_key, generations))
    return Evolved(*state, history)


def tournaments(draws: UInt32[Array, "2 n"]) -> Int[Array, "c 2"]:
    """Couples of parents, from a population that is sorted best first.

    Everyone takes part in two tournaments, each against a random other, so the best
    wins both and has two partners.

    Args:
      draws: Random numbers that order the population at random, twice.

    Returns:
      Indices of the two parents of each couple.

    Examples:
      >>> tournaments(jnp.array([[3, 1, 0, 2], [0, 1, 2, 3]], jnp.uint32)).tolist()
      [[1, 0], [0, 2]]
    """
    places = jnp.broadcast_to(jnp.arange(draws.shape[1])[None], draws.shape)
    _, drawn = jax.lax.sort((draws, places), num_keys=1)
    return jnp.min(drawn.reshape(-1, 2, 2), axis=-1)


def _children(
    parents: Float[Array, "c 2 d"],
    key: Key[Array, ""],
    box: Box,
    variation: Variation,
    repair: Repair,
) -> tuple[Float[Array, "n d"], Bool[Array, " n"]]:
    """Two children of each couple, and which of them are no copies of a parent."""
    couples, _, d = parents.shape
    # One draw of all the numbers is faster than one a use.
    draws = jax.random.uniform(key, (couples, 4 * d + 1), parents.dtype)
    crossing = draws[:, -1] < variation.crossover_probability
    how, what = jnp.moveaxis(draws[:, :-1].reshape(couples, 2, 2, d), 1, 0)
    of_couple = jax.vmap(lambda pair, draw: cross(pair, draw, box, variation))
    of_child = lambda child, draw: repair(mutate(child, draw, box, variation))
    pairs = jnp.where(crossing[:, None, None], of_couple(parents, how), parents)
    children = jax.vmap(jax.vmap(of_child))(pairs, what)
    copies = (children[:, :, None] == parents[:, None]).all(-1).any(-1)
    return children.reshape(-1, d), ~copies.reshape(-1)


def survivors(
    rewards: Float[Array, "n k"],
    fresh: Bool[Array, " n"],
    ties: UInt32[Array, " n"],
) -> tuple[Int[Array, " n"], Int[Array, " n"], Float[Array, " n"]]:
    """Candidates, best first: by front, then by crowding distance.

    Args:
      rewards: Reward vector of each.
      fresh: Candidates that may live; the others come last, and so do rewards that
        are not finite.
      ties: Random numbers that break ties.

    Returns:
      Their indices, and in the same order their ranks and crowding distances.

    Examples:
      >>> rewards = jnp.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
      >>> ties = jnp.arange(3, dtype=jnp.uint32)
      >>> order, rank, _ = survivors(rewards, jnp.ones(3, bool), ties)
      >>> order.tolist(), rank.tolist()
      ([1, 2, 0], [0, 0, 1])
    """
    valid = fresh & jnp.isfinite(rewards).all(-1)
    rank = front_rank(rewards, mask=valid)
    crowding = crowding_distance(rewards, rank)
    places = jnp.arange(len(rank))
    keys = (rank, -crowding, ties, places)
    rank, least, _, order = jax.lax.sort(keys, num_keys=3)
    return order, rank, -least


def _check(box: Box, population: int, generations: int) -> None:
    lower, upper = box
    if lower.shape != upper.shape or lower.ndim != 1 or not lower.size:
        raise InputError(
            f"lower has shape {lower.shape}, upper {upper.shape}, expected two vectors "
            "of one length",
            where="box",
        )
    if not jnp.issubdtype(lower.dtype, jnp.floating):
        raise InputError(f"found {lower.dtype} ends, expected floats", where="box")
    if not any(isinstance(end, Tracer) for end in box):
        width = np.asarray(upper, float) - np.asarray(lower, float)
        if not (np.isfinite(width) & (width >= 0)).all():
            raise InputError(
                f"found {lower} to {upper}, expected finite ends in order", where="box"
            )
    if population < 4 or population % 2:
        raise InputError(
            f"found {population}, expected an even number from 4", where="population"
        )
    if generations < 1:
        raise InputError(
            f"found {generations}, expected 1 or more", where="generations"
        )
