"""A weighting as a step of an optax chain."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, PyTree

from morl.errors import InputError
from morl.numerics.rows import combine, gramian
from morl.weighting.contract import Signals, Solution, State, Weighting


class TransformationState(NamedTuple):
    """The weighting's state, and its last answer to look at.

    Attributes:
      inner: What the weighting carries from step to step.
      solution: Weights and residual of the last step; zeros before the first.
    """

    inner: State
    solution: Solution


def as_transformation(
    weighting: Weighting, num_objectives: int
) -> optax.GradientTransformationExtraArgs:
    """Turns K gradients into one, to head a chain of optax transformations.

    Its updates are the rows of :func:`~morl.weighting.rows`: like the parameters, with
    a leading objective axis. Its ``init`` takes the parameters as they are. Extra
    arguments of ``update``, all optional: ``losses [k]``, ``present [k]`` (rows that
    are absent may hold NaN), ``cross [k, k]`` of two independent batches, and
    ``gramian [k, k]`` in place of that of the updates (an unbiased one, one over some
    parameters only, or one that was summed over devices).

    Args:
      weighting: What chooses the weights.
      num_objectives: K.

    Returns:
      A transformation whose state is a :class:`TransformationState`; the combined
      updates have the type of the parameters.

    Raises:
      InputError: On ``update``, where a leaf has another leading axis.

    Examples:
      >>> from morl.weighting import constant
      >>> params, grads = {"a": jnp.zeros(2)}, {"a": jnp.ones((3, 2))}
      >>> chain = optax.chain(as_transformation(constant(), 3), optax.sgd(0.5))
      >>> updates, state = chain.update(grads, chain.init(params), params)
      >>> updates["a"].tolist(), state[0].solution.weights.shape
      ([-0.5, -0.5], (3,))
    """

    def init(params: PyTree[Any]) -> TransformationState:
        del params
        start = jnp.zeros(num_objectives)
        return TransformationState(
            weighting.init(num_objectives), Solution(start, jnp.sum(start))
        )

    def update(
        updates: PyTree[Any],
        state: Any,
        params: PyTree[Any] = None,
        *,
        losses: Float[Array, " k"] | None = None,
        present: Bool[Array, " k"] | None = None,
        cross: Float[Array, "k k"] | None = None,
        gramian: Float[Array, "k k"] | None = None,
        **extra: Any,
    ) -> tuple[PyTree[Any], TransformationState]:
        del extra  # what a chain passes to its other members
        _check(updates, num_objectives)
        signals = Signals(
            _gramian(updates) if gramian is None else gramian, losses, present, cross
        )
        solution, inner = weighting.update(signals, state.inner)
        mixed = combine(solution.weights, updates, present=present)
        if params is not None:
            mixed = jax.tree.map(lambda new, p: new.astype(p.dtype), mixed, params)
        stored = zip(solution, state.solution, strict=True)
        shown = Solution(*(new.astype(old.dtype) for new, old in stored))
        return mixed, TransformationState(inner, shown)

    return optax.GradientTransformationExtraArgs(init, update)


# The extra argument of the same name hides it.
_gramian = gramian


def _check(updates: PyTree[Any], num_objectives: int) -> None:
    shapes = [jnp.shape(leaf) for leaf in jax.tree.leaves(updates)]
    if any(shape[:1] != (num_objectives,) for shape in shapes):
        raise InputError(
            f"updates have shapes {shapes}, expected {num_objectives} objectives on a "
            "leading axis",
            where="as_transformation",
        )
