"""A compiled function of tokens or embeddings as a reward: the hook for any modality.

Whatever turns an image, a sound or a hidden state into a vector can feed a reward: the
function sees arrays alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeAlias

import jax
import numpy as np
from jaxtyping import Array, Float

from morl.errors import InputError
from morl.rewards.batch import Scored, TextBatch, scored
from morl.rewards.objective import Declarations, Reward

Of: TypeAlias = Literal["tokens", "embeddings"]
INPUTS = ("tokens", "embeddings")


@dataclass(frozen=True)
class ArraySource:
    """Settings of :func:`array_reward`."""

    name: str
    fn: Callable[..., Any]
    of: str = "tokens"

    def __post_init__(self) -> None:
        """Refuses an unknown input."""
        if self.of not in INPUTS:
            raise InputError(
                f"found {self.of!r}, expected one of {', '.join(INPUTS)}",
                where=f"{self.name}.of",
            )

    def values(self, *arrays: Array | np.ndarray) -> Float[Array, " b"]:
        """The function, compiled once a shape; safe under ``vmap`` and ``grad``.

        Args:
          arrays: ``tokens [b t], mask [b t]``, or ``embeddings [b d]``.

        Raises:
          InputError: The function does not give one number a row.
        """
        result = _compiled(self.fn, *arrays)
        rows = arrays[0].shape[0]
        if not isinstance(result, Array) or result.shape != (rows,):
            found = result.shape if isinstance(result, Array) else type(result).__name__
            raise InputError(
                f"gives {found}, expected one number a row, ({rows},)", where=self.name
            )
        return result

    def score(self, batch: TextBatch) -> Scored:
        """The function on the arrays of the batch; a result not finite is absent."""
        given = [
            float(value) for value in np.asarray(self.values(*self._inputs(batch)))
        ]
        known = [value if np.isfinite(value) else None for value in given]
        reasons = [
            f"function of {self.of} gave {value:g}"
            if kept is not None
            else f"absent: function of {self.of} gave {value}"
            for value, kept in zip(given, known, strict=True)
        ]
        absent = known.count(None)
        return scored(known, reasons, failures={"not finite": absent} if absent else {})

    def _inputs(self, batch: TextBatch) -> tuple[Array | np.ndarray, ...]:
        names = ("tokens", "mask") if self.of == "tokens" else ("embeddings",)
        given = {
            "tokens": batch.tokens,
            "mask": batch.mask,
            "embeddings": batch.embeddings,
        }
        arrays = [array for name in names if (array := given[name]) is not None]
        if len(arrays) != len(names):
            missing = [name for name in names if given[name] is None]
            raise InputError(
                f"is a function of {self.of}, but the batch has no "
                f"{' and no '.join(missing)}",
                where=self.name,
            )
        return tuple(arrays)


def array_reward(name: str, fn: Callable[..., Any], *, of: Of = "tokens") -> Reward:
    """A reward that a JAX function computes from tokens or embeddings.

    Args:
      name: Name of the reward, and of the function where a specification is read.
      fn: Pure and traceable. Of tokens, ``fn(tokens [b t], mask [b t]) -> [b]``, where
        the mask marks the response; of embeddings, ``fn(embeddings [b d]) -> [b]``.
      of: ``"tokens"`` or ``"embeddings"``.

    Returns:
      A reward declared as data-driven, without a range.

    Examples:
      >>> import dataclasses
      >>> from morl.rewards.batch import text_batch
      >>> batch = dataclasses.replace(
      ...     text_batch(["q"] * 2, ["a", "b"]), embeddings=np.eye(2, 3, dtype="f"))
      >>> brightness = array_reward("bright", lambda e: 2 * e[:, 0], of="embeddings")
      >>> brightness.source.score(batch).values.tolist()
      [2.0, 0.0]
    """
    source = ArraySource(name, fn, of)
    return Reward(name, source=source, declares=Declarations(basis="data-driven"))


@partial(jax.jit, static_argnums=0)
def _compiled(fn: Callable[..., Any], *arrays: Array) -> Any:
    return fn(*arrays)
