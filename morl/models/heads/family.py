"""What every kind of reward head is, says and is trained by."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

HeadParams: TypeAlias = PyTree[Array]


class States(NamedTuple):
    """Hidden states that heads read, one row a response (or a token, or a step).

    Attributes:
      response: What stands for the response.
      prompt: What stands for its prompt, for heads that condition on it.
    """

    response: Float[Array, "*batch d"]
    prompt: Float[Array, "*batch d"] | None = None


class Readings(NamedTuple):
    """What heads say before any transform.

    Attributes:
      values: ``m`` raw numbers an objective: a reward, quantiles, a mean with a
        log-variance, or one reward a member of an ensemble.
      gate: Logits of the mixture over objectives, for heads that have a gate.
    """

    values: Float[Array, "*batch k m"]
    gate: Float[Array, "*batch k"] | None = None


class Estimate(NamedTuple):
    """The reward of each objective, and how sure its head is of it.

    Attributes:
      mean: One reward an objective.
      deviation: Its standard deviation; 0 where the head does not know one.
    """

    mean: Float[Array, "*batch k"]
    deviation: Float[Array, "*batch k"]


class Head(NamedTuple):
    """One kind of reward head, as pure functions; parameters are a pytree.

    All but the first two see the raw numbers of one objective on their last axis.

    Attributes:
      init: From a key, the width of the features and the number of objectives to
        parameters.
      read: From parameters and states to raw readings of all objectives.
      estimate: From ``[*batch, m]`` raw numbers to a mean and a deviation.
      quantile: From raw numbers and a level in [0, 1] to that quantile of the reward.
      gaps: From raw numbers of a better and of a worse response to ``[*batch, j]``
        log-odds of that preference, one for each member that learns by itself.
      points: From raw numbers to ``[*batch, j]`` rewards, likewise.
      least: From raw numbers to the least reward that they hold possible; None where
        there is none.
    """

    init: Callable[[PRNGKeyArray, int, int], HeadParams]
    read: Callable[[Any, States], Readings]
    estimate: Callable[[Float[Array, "*batch m"]], Estimate]
    quantile: Callable[
        [Float[Array, "*batch m"], float | Float[Array, ""]], Float[Array, "*batch"]
    ]
    gaps: Callable[
        [Float[Array, "*batch m"], Float[Array, "*batch m"]], Float[Array, "*batch j"]
    ]
    points: Callable[[Float[Array, "*batch m"]], Float[Array, "*batch j"]]
    least: Callable[[Float[Array, "*batch m"]], Float[Array, "*batch"]] | None


def single(init: Callable[..., Any], rewards: Callable[..., Any]) -> Head:
    """A head that says one number an objective, and knows no deviation of it.

    Args:
      init: As in :class:`Head`.
      rewards: From parameters and states to ``[*batch, k]`` rewards.
    """
    return Head(
        init,
        lambda params, states: Readings(rewards(params, states)[..., None]),
        lambda values: Estimate(values[..., 0], jnp.zeros_like(values[..., 0])),
        lambda values, level: values[..., 0] + 0 * level,
        lambda better, worse: better - worse,
        lambda values: values,
        lambda values: values[..., 0],
    )
