"""Deep-sea treasure: ten ways to trade a treasure's worth for the time to reach it."""

import numpy as np

from morl.worlds.problem import Table

_STEPS = [1, 3, 5, 7, 8, 9, 13, 14, 17, 19]
_REFERENCE = (0.0, -25.0)


def deep_sea_concave() -> Table:
    """The original treasures: linear utilities find only the first and the last.

    Returns:
      Reward vectors (treasure, minus steps), in the order of the steps.

    Examples:
      >>> deep_sea_concave().rewards[-1].tolist()
      [124.0, -19.0]

    References:
      Vamplew et al., Empirical Evaluation Methods for Multiobjective Reinforcement
      Learning Algorithms, Machine Learning 84, 2011.
    """
    return _table([1.0, 2.0, 3.0, 5.0, 8.0, 16.0, 24.0, 50.0, 74.0, 124.0])


def deep_sea_convex() -> Table:
    """Treasures whose front is convex, but for (20.3, -14): linear utilities miss it.

    Returns:
      Reward vectors (treasure, minus steps), in the order of the steps.

    Examples:
      >>> deep_sea_convex().rewards[0].tolist()
      [0.7, -1.0]

    References:
      Yang, Sun and Narasimhan, A Generalized Algorithm for Multi-Objective
      Reinforcement Learning and Policy Adaptation (arXiv:1908.08342), 2019.
    """
    return _table([0.7, 8.2, 11.5, 14.0, 15.1, 16.1, 19.6, 20.3, 22.4, 23.7])


def _table(treasures: list[float]) -> Table:
    rewards = np.stack([np.array(treasures, float), -np.array(_STEPS, float)], 1)
    return Table(rewards, np.array(_REFERENCE))
