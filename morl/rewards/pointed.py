"""Scalarizers of rewards that measure from a point: an ideal, a reference, a goal."""

from morl import scalarize
from morl.rewards.compose import Point, Weighted, listed
from morl.rewards.composition import Composition
from morl.rewards.schedule import Number


def chebyshev(parts: Weighted, *, ideal: Point = None) -> Composition:
    """The worst weighted shortfall from an ideal point.

    See :func:`morl.scalarize.chebyshev`.

    Args:
      parts: Weight of each reward or composition, at least 0.
      ideal: A number for all parts, or one for some of them by reward or name; in the
        unit of the reward after its transforms, larger better. The best value that is
        known stands for the others: declared, or reached by the reference policy on a
        calibrated composition. Evaluating without either is an error.
    """
    return listed(scalarize.chebyshev, parts, ideal=ideal)


def augmented_chebyshev(
    parts: Weighted, *, rho: Number = 0.05, ideal: Point = None
) -> Composition:
    """The worst weighted shortfall from an ideal point, and a little of all of them.

    See :func:`morl.scalarize.augmented_chebyshev`.

    Args:
      parts: Weight of each reward or composition, at least 0.
      rho: Share of the sum, at least 0.
      ideal: As for :func:`chebyshev`.
    """
    return listed(
        scalarize.augmented_chebyshev, parts, ideal=ideal, settings={"rho": rho}
    )


def smooth_chebyshev(
    parts: Weighted, *, temperature: Number = 0.1, ideal: Point = None
) -> Composition:
    """The soft worst case of weighted shortfalls from an ideal point.

    See :func:`morl.scalarize.smooth_chebyshev`.

    Args:
      parts: Weight of each reward or composition, at least 0.
      temperature: Smoothing, above 0, in units of weighted reward; a schedule such as
        ``schedules.geometric(1.0, 0.01, steps=1000)`` anneals it.
      ideal: As for :func:`chebyshev`.

    Examples:
      >>> import jax.numpy as jnp
      >>> from morl.rewards import objectives
      >>> helpful, harmless = objectives("helpful", "harmless")
      >>> fair = smooth_chebyshev({helpful: 0.5, harmless: 0.5}, ideal=1.0)
      >>> utility, _ = fair.utility(jnp.zeros(2), jnp.ones(2, bool))
      >>> print(f"{utility:.4f}")
      -0.5693
    """
    return listed(
        scalarize.smooth_chebyshev,
        parts,
        ideal=ideal,
        settings={"temperature": temperature},
    )


def penalty_boundary(
    parts: Weighted, *, penalty: Number = 5.0, ideal: Point = None
) -> Composition:
    """Distance from the ideal along the ray of the weights, and a penalty off the ray.

    See :func:`morl.scalarize.penalty_boundary`. The weights are the direction of
    what is given up: more weight, more shortfall.

    Args:
      parts: Weight of each reward or composition, at least 0.
      penalty: Price of distance from the ray, at least 0.
      ideal: As for :func:`chebyshev`.
    """
    return listed(
        scalarize.penalty_boundary, parts, ideal=ideal, settings={"penalty": penalty}
    )


def lp_distance(
    parts: Weighted, *, p: Number = 2.0, ideal: Point = None
) -> Composition:
    """The weighted Lp distance short of an ideal point, as a utility.

    See :func:`morl.scalarize.lp_distance`.

    Args:
      parts: Weight of each reward or composition, at least 0.
      p: Order of the norm, at least 1.
      ideal: As for :func:`chebyshev`.
    """
    return listed(scalarize.lp_distance, parts, ideal=ideal, settings={"p": p})


def nash_product(parts: Weighted, *, disagreement: Point) -> Composition:
    """The weighted geometric mean of the gains over a disagreement point.

    See :func:`morl.scalarize.nash_product`.

    Args:
      parts: Weight of each reward or composition, at least 0.
      disagreement: A number for all parts, or one for each by reward or name, in the
        unit of the reward after its transforms: what there is without an agreement.

    Examples:
      >>> import jax.numpy as jnp
      >>> from morl.rewards import objectives
      >>> helpful, harmless = objectives("helpful", "harmless")
      >>> deal = nash_product({helpful: 0.5, harmless: 0.5}, disagreement=0.0)
      >>> utility, _ = deal.utility(jnp.array([4.0, 9.0]), jnp.ones(2, bool))
      >>> print(f"{utility:.3f}")
      6.000
    """
    return listed(scalarize.nash_product, parts, points={"disagreement": disagreement})


def lexicographic(
    parts: Weighted, *, threshold: Point, floor: Point, resolution: Number = 0.01
) -> Composition:
    """First things first: a reward counts once those before it are good enough.

    See :func:`morl.scalarize.lexicographic` for what a scalar can keep of the order.

    Args:
      parts: Priority of each reward or composition: the largest weight comes first.
      threshold: What is good enough: a number for all parts, or one for each by reward
        or name, in the unit of the reward after its transforms.
      floor: Their lower bounds, likewise.
      resolution: What a step of priority multiplies by, above 0 and below 1/2.
    """
    return listed(
        scalarize.lexicographic,
        parts,
        settings={"resolution": resolution},
        points={"threshold": threshold, "floor": floor},
    )


def cosmos(parts: Weighted, *, reference: Point, penalty: Number = 1.0) -> Composition:
    """The weighted sum of gains, and their cosine with the weights.

    See :func:`morl.scalarize.cosmos`.

    Args:
      parts: Weight of each reward or composition, at least 0.
      reference: Point from which gains are counted: a number for all parts, or one for
        each by reward or name, in the unit of the reward after its transforms.
      penalty: Weight of the cosine, at least 0, in units of reward.
    """
    return listed(
        scalarize.cosmos,
        parts,
        settings={"penalty": penalty},
        points={"reference": reference},
    )


def hypervolume_scalarization(parts: Weighted, *, reference: Point) -> Composition:
    """The scalarization whose mean over directions is the hypervolume.

    See :func:`morl.scalarize.hypervolume_scalarization`.

    Args:
      parts: Weight of each reward or composition, at least 0: a direction.
      reference: As for :func:`cosmos`; below the front.
    """
    return listed(
        scalarize.hypervolume_scalarization, parts, points={"reference": reference}
    )
