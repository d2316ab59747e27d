"""Scalarizers of rewards that need no point to measure from."""

from collections.abc import Iterable, Mapping

from morl import scalarize
from morl.rewards.compose import Weighted, listed, scalarized
from morl.rewards.composition import Composition
from morl.rewards.objective import Operand
from morl.rewards.schedule import Number


def linear(parts: Weighted) -> Composition:
    """A weighted sum that stays whole: a factor in front of it is no weight.

    ``0.1 * linear({a: 1.0})`` keeps the 0.1 when call-time weights replace the 1.0,
    where ``0.1 * a`` would have it replaced.

    Args:
      parts: Weight of each reward or composition, of any sign.

    Examples:
      >>> from morl.rewards import chebyshev, objectives
      >>> helpful, harmless = objectives("helpful", "harmless")
      >>> fair = chebyshev({helpful: 0.5, harmless: 0.5}, ideal=1.0)
      >>> augmented = fair + 0.1 * linear({helpful: 0.5, harmless: 0.5})
      >>> augmented.objectives
      ('helpful', 'harmless')
    """
    return scalarized(scalarize.linear, parts)


def worst_case(parts: Weighted | Iterable[Operand]) -> Composition:
    """The smallest of the rewards that have weight.

    See :func:`morl.scalarize.worst_case`.

    Args:
      parts: Rewards or compositions, each with weight 1, or a mapping to weights, of
        which only whether they are above 0 matters.

    Examples:
      >>> import jax.numpy as jnp
      >>> from morl.rewards import objectives
      >>> team = worst_case(objectives("helpful", "harmless"))
      >>> utility, _ = team.utility(jnp.array([0.3, 0.2]), jnp.ones(2, bool))
      >>> print(utility)
      0.2
    """
    if not isinstance(parts, Mapping):
        parts = dict.fromkeys(parts, 1.0)
    return listed(scalarize.worst_case, parts)


def cvar(parts: Weighted, *, alpha: Number = 0.5) -> Composition:
    """The mean of the worst share of the rewards, the weights being their masses.

    See :func:`morl.scalarize.cvar`. The rewards must share a unit and an origin.

    Args:
      parts: Weight of each reward or composition, at least 0.
      alpha: Share, above 0 and at most 1.

    Examples:
      >>> import jax.numpy as jnp
      >>> from morl.rewards import objectives
      >>> helpful, harmless = objectives("helpful", "harmless")
      >>> careful = cvar({helpful: 0.5, harmless: 0.5}, alpha=0.5)
      >>> utility, _ = careful.utility(jnp.array([0.3, 0.2]), jnp.ones(2, bool))
      >>> print(utility)
      0.2
    """
    return listed(scalarize.cvar, parts, settings={"alpha": alpha})


def owa(parts: Weighted) -> Composition:
    """An ordered weighted average: weights belong to ranks, the worst first.

    See :func:`morl.scalarize.owa`. The first weight meets the worst reward, whichever
    it is, and not the part beside which it stands; so do weights given at call time.
    The rewards must share a unit and an origin.

    Args:
      parts: Rewards or compositions, each with the weight of the rank of its place.

    Examples:
      >>> import jax.numpy as jnp
      >>> from morl.rewards import objectives
      >>> helpful, harmless, honest = objectives("helpful", "harmless", "honest")
      >>> median = owa({helpful: 0.0, harmless: 1.0, honest: 0.0})
      >>> raw = jnp.array([0.3, 0.9, 0.5])
      >>> utility, _ = median.utility(raw, jnp.ones(3, bool))
      >>> print(utility)
      0.5
    """
    return listed(scalarize.owa, parts)


def generalized_gini(parts: Weighted) -> Composition:
    """Sorted rewards, the larger weight to the worse of them.

    See :func:`morl.scalarize.generalized_gini`. The weights belong to ranks and not to
    the parts. The rewards must share a unit and an origin.

    Args:
      parts: Rewards or compositions with weights, at least 0, in any order.

    Examples:
      >>> import jax.numpy as jnp
      >>> from morl.rewards import objectives
      >>> helpful, harmless = objectives("helpful", "harmless")
      >>> fair = generalized_gini({helpful: 0.25, harmless: 0.75})
      >>> utility, _ = fair.utility(jnp.array([0.0, 1.0]), jnp.ones(2, bool))
      >>> print(utility)
      0.25
    """
    return listed(scalarize.generalized_gini, parts)


def exponential(parts: Weighted, *, sharpness: Number = 1.0) -> Composition:
    """The exponential weighted criterion, in units of reward.

    See :func:`morl.scalarize.exponential`.

    Args:
      parts: Weight of each reward or composition, at least 0.
      sharpness: Above 0, in units of 1 / reward.
    """
    return listed(scalarize.exponential, parts, settings={"sharpness": sharpness})


def log_sum_exp(parts: Weighted, *, temperature: Number = -1.0) -> Composition:
    """The soft worst reward, or the soft best.

    See :func:`morl.scalarize.log_sum_exp`.

    Args:
      parts: Weight of each reward or composition, at least 0.
      temperature: Below 0 leans to the worst, above 0 to the best; in units of reward.
        A schedule must not cross 0.
    """
    return listed(scalarize.log_sum_exp, parts, settings={"temperature": temperature})
