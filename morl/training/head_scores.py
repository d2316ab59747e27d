"""What saved heads say of responses, the transforms that were saved with them applied.

A correction for length and a mixture are fitted once, kept among the arrays of a
:class:`morl.models.HeadSet`, and applied here by whoever scores: training, evaluation,
selection.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from morl.errors import InputError
from morl.models.head_files import HeadSet
from morl.models.heads import Estimate, States, estimates
from morl.rewards.debias import Debias, debiased
from morl.rewards.mixture import MIXTURE, Mixture, mixed_reward, mixture_weights
from morl.types import Names

DEBIAS = "debias"


def with_debias(heads: HeadSet, debias: Debias) -> HeadSet:
    """The heads with a correction for length, which is saved with them.

    Args:
      heads: What was corrected for.
      debias: One coefficient an objective.

    Raises:
      InputError: The correction has another number of objectives.
    """
    if len(np.atleast_1d(debias.coefficients)) != len(heads.objectives):
        raise InputError(
            f"found {len(np.atleast_1d(debias.coefficients))} coefficients, expected "
            f"one for each of {', '.join(heads.objectives)}",
            where=DEBIAS,
        )
    return _with(heads, DEBIAS, debias._asdict())


def with_mixture(heads: HeadSet, mixture: Mixture) -> HeadSet:
    """Gated heads with the mixture that they were trained for, saved with them.

    Args:
      heads: Of a kind with a gate.
      mixture: Temperature, scale, and the correction for length if there is one.

    Raises:
      InputError: An objective has the name of the mixture.
    """
    if MIXTURE in heads.objectives:
        raise InputError(
            f"found {MIXTURE!r}, expected another name: it is that of the mixed reward",
            where="objectives",
        )
    if mixture.debias is not None:
        heads = with_debias(heads, mixture.debias)
    numbers = {"temperature": mixture.temperature, "scale": mixture.scale}
    return _with(heads, MIXTURE, numbers)


def saved_debias(heads: HeadSet) -> Debias | None:
    """The correction for length that was saved with heads."""
    found = _under(heads, DEBIAS)
    return Debias(**found) if found else None


def saved_mixture(heads: HeadSet) -> Mixture | None:
    """The mixture that was saved with heads."""
    found = _under(heads, MIXTURE)
    return Mixture(**found, debias=saved_debias(heads)) if found else None


def reward_names(heads: HeadSet) -> Names:
    """Names of the rewards that heads give: their objectives, and a mixture of them."""
    mixed = saved_mixture(heads) is not None
    return (*heads.objectives, MIXTURE) if mixed else heads.objectives


def head_scores(
    heads: HeadSet, states: States, lengths: Int[Array | np.ndarray, "*batch"]
) -> Estimate:
    """Mean and deviation of every reward of :func:`reward_names`.

    The deviation of a mixture takes the errors of its objectives to be independent.

    Args:
      heads: What is scored by.
      states: The hidden states that they read.
      lengths: Tokens that the assistant wrote in each response.
    """
    head = heads.kind.head
    readings = head.read(heads.head, states)
    mean, deviation = estimates(head, readings)
    debias, mixture = saved_debias(heads), saved_mixture(heads)
    corrected = mean if debias is None else debiased(mean, lengths, debias)
    if mixture is None:
        return Estimate(corrected, deviation)
    assert readings.gate is not None  # a mixture is saved with gated heads alone
    score = mixed_reward(mean, readings.gate, lengths, mixture)
    weights = mixture.scale * mixture_weights(readings.gate, mixture.temperature)
    spread = jnp.sqrt(jnp.sum((weights * deviation) ** 2, axis=-1))
    beside = lambda columns, one: jnp.concatenate([columns, one[..., None]], axis=-1)
    return Estimate(beside(corrected, score), beside(deviation, spread))


def _with(heads: HeadSet, group: str, values: Mapping[str, Any]) -> HeadSet:
    fresh = {f"{group}.{n}": np.asarray(v, np.float32) for n, v in values.items()}
    return replace(heads, transforms={**heads.transforms, **fresh})


def _under(heads: HeadSet, group: str) -> dict[str, np.ndarray]:
    return {
        name.removeprefix(f"{group}."): value
        for name, value in heads.transforms.items()
        if name.startswith(f"{group}.")
    }
