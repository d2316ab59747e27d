"""Mean 0 and deviation 1, over a run or within a group."""

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp

from morl.errors import InputError
from morl.rewards.gates import STATIC
from morl.rewards.moments import (
    Moments,
    merge,
    moments,
    nothing_seen,
    pool,
    standardized,
)
from morl.rewards.schedule import Number, nonnegative
from morl.rewards.transforms.transform import Here, State, Transform, Values


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Standardize(Transform):
    """Built by :func:`standardize`."""

    eps: Number = 0.0
    axis_name: str | None = field(default=None, metadata=STATIC)

    def init(self) -> Moments:
        """Nothing seen."""
        return nothing_seen()

    def observe(self, values: Values, present: Here, state: Moments) -> Moments:
        """Moments with those of the batch merged in."""
        batch = moments(values.reshape(-1), present.reshape(-1))
        batch = jax.tree.map(lambda x: x.astype(jnp.float32), batch)
        if self.axis_name is not None:
            batch = pool(jax.lax.all_gather(batch, self.axis_name, axis=-1))
        return merge(state, batch)

    def apply(self, values: Values, present: Here, state: Moments) -> Values:
        """Standardized values; unchanged before anything was seen."""
        kept = jnp.where(present, values, 0)
        flat = standardized(kept.reshape(-1), state, self.eps)
        changed = flat.reshape(values.shape).astype(values.dtype)
        return jnp.where(state.count > 0, changed, kept)

    def ceiling(self, high: Number | None) -> Number | None:
        """Not known without the state."""
        del high
        return None


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class GroupStandardize(Transform):
    """Built by :func:`group_standardize`."""

    eps: Number = 0.0
    ddof: int = field(default=0, metadata=STATIC)

    @property
    def centres_prompts(self) -> bool:
        """A shift of its own for every prompt drops out."""
        return True

    def apply(self, values: Values, present: Here, state: State) -> Values:
        """Standardized along the last axis, exactly 0 in constant groups."""
        del state
        if not values.ndim:
            raise InputError(
                "needs rewards [..., responses of a prompt, k]: found one vector",
                where="group_standardize",
            )
        seen = moments(values, present)
        spare = jnp.maximum(seen.count - self.ddof, 1)
        seen = seen._replace(std=seen.std * jnp.sqrt(seen.count / spare))
        kept = jnp.where(present, values, 0)
        return standardized(kept, seen, self.eps).astype(values.dtype)

    def ceiling(self, high: Number | None) -> Number | None:
        """Not known: it depends on the group."""
        del high
        return None


def standardize(*, eps: Number = 0.0, axis_name: str | None = None) -> Standardize:
    r"""Mean 0 and standard deviation 1 over everything seen.

    The state merges batches of any size by the formula of Chan et al.; a reward that
    never varied becomes exactly 0. What comes out compares across prompts only if
    what goes in does.

    Args:
      eps: Added to the deviation before dividing.
      axis_name: Mapped axis of devices whose batches are seen together.

    Examples:
      >>> transform = standardize()
      >>> values, here = jnp.array([1.0, 3.0]), jnp.ones(2, bool)
      >>> state = transform.observe(values, here, transform.init())
      >>> print(transform.apply(values, here, state))
      [-1.  1.]
    """
    return Standardize(nonnegative(eps, "standardize eps"), axis_name)


def group_standardize(*, eps: Number = 0.0, ddof: int = 0) -> GroupStandardize:
    r"""Mean 0 and standard deviation 1 among the responses to one prompt.

    .. math:: z = (r - \bar r) / (\sigma + \epsilon)

    The group is the last axis before the rewards: ``[..., g, k]``. A group whose
    spread is within 4 float32 ulp of its largest magnitude is constant and gives
    exactly 0, at any scale; absent responses are left out of the statistics.

    Args:
      eps: Added to the deviation before dividing.
      ddof: 0 for the population deviation, 1 for the sample deviation.

    References:
      Shao et al., DeepSeekMath (arXiv:2402.03300), 2024, Section 4.1.2.
    """
    if ddof not in (0, 1):
        raise InputError(f"found {ddof}, expected 0 or 1", where="group_standardize")
    return GroupStandardize(nonnegative(eps, "group_standardize eps"), ddof)
