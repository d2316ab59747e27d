"""What a search checks of its input before it compiles."""

from collections.abc import Callable

import jax
from jaxtyping import Array, Float

from morl.errors import InputError
from morl.fronts.search.box import Box


def expect_shape(name: str, found: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    """Refuses an argument of another shape.

    Raises:
      InputError: The shapes differ.

    Examples:
      >>> expect_shape("ideal", (3,), (2,))
      Traceback (most recent call last):
      ...
      morl.errors.InputError: ideal: found shape (3,), expected (2,)
    """
    if found != wanted:
        raise InputError(f"found shape {found}, expected {wanted}", where=name)


def count_objectives(
    rewards: Callable[[Float[Array, " d"]], Float[Array, " k"]],
    starts: Float[Array, "n d"],
    box: Box | None,
) -> int:
    """Number of rewards of the designs that a search starts from.

    Args:
      rewards: From a design to its reward vector.
      starts: Designs, one a row.
      box: Their bounds.

    Returns:
      K, at least 1.

    Raises:
      InputError: The bounds are of designs of another length, or the rewards no vector.

    Examples:
      >>> count_objectives(lambda x: x[:2], jax.numpy.zeros((5, 3)), None)
      2
    """
    width = starts.shape[1:]
    if box is not None:
        expect_shape("box.lower", box.lower.shape, width)
        expect_shape("box.upper", box.upper.shape, width)
    found = jax.eval_shape(rewards, jax.ShapeDtypeStruct(width, starts.dtype)).shape
    if len(found) != 1 or not found[0]:
        raise InputError(
            f"rewards of one design have shape {found}, expected a vector",
            where="rewards",
        )
    return found[0]
