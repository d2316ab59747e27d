"""Low-rank adapters: a small trainable product beside a frozen one."""

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from einops import rearrange
from flax import nnx
from jaxtyping import Array, Float, Key, PRNGKeyArray

from morl.errors import InputError

TARGETS = ("qkv", "out", "gate_up", "down")


@dataclass(frozen=True)
class AdapterSettings:
    """Which products are adapted, and by how much.

    Args:
      rank: Rank of the change of each product.
      alpha: Its scale is ``alpha / rank``.
      targets: Products of every layer, among :data:`TARGETS`; queries, keys and values
        are one product here, and so are gate and up.
      dropout: Probability, in [0, 1), with which an entry of an adapter's input is left
        out while it is trained; the others grow by ``1 / (1 - dropout)``.

    Raises:
      InputError: A number is out of its range, or a target is not known.
    """

    rank: int = 16
    alpha: float = 32.0
    targets: tuple[str, ...] = TARGETS
    dropout: float = 0.0

    def __post_init__(self) -> None:
        """Refuses what adapts nothing."""
        if self.rank < 1:
            raise InputError(f"found {self.rank}, expected at least 1", where="rank")
        if not (self.alpha > 0 and math.isfinite(self.alpha)):
            raise InputError(f"found {self.alpha}, expected > 0", where="alpha")
        wrong = [name for name in self.targets if name not in TARGETS]
        if wrong or not self.targets or len(set(self.targets)) < len(self.targets):
            raise InputError(
                f"found {self.targets}, expected some of {', '.join(TARGETS)}, each "
                "once",
                where="targets",
            )
        if not 0 <= self.dropout < 1:
            raise InputError(
                f"found {self.dropout}, expected a probability below 1", where="dropout"
            )


class AdapterParam(nnx.Param):
    """A parameter of an adapter: what is trained where the model is frozen."""


class DropoutKeys(nnx.Variable):
    """One random key a row, for the entries that are left out of it."""


class Adapter(nnx.Module):
    r"""What is added to a product :math:`W x`: :math:`\frac{\alpha}{r} B A x`.

    :math:`B` starts at zero, so an adapted model starts as the model it adapts.

    References:
      Hu et al., LoRA (arXiv:2106.09685), equation 3.
    """

    def __init__(
        self, shape: tuple[int, int], settings: AdapterSettings, key: PRNGKeyArray
    ) -> None:
        """Draws the first factor for a product of ``shape`` ``[out, in]``."""
        wide, narrow = shape[1], settings.rank
        draw = jax.random.normal(key, (narrow, wide)) / jnp.sqrt(wide)
        self.first = AdapterParam(draw)
        self.second = AdapterParam(jnp.zeros((shape[0], narrow)))
        self.scale = settings.alpha / settings.rank
        self.rate = settings.dropout
        self.keys: DropoutKeys | None = nnx.data(None)

    def __call__(self, x: Float[Array, "i n"]) -> Float[Array, "o n"]:
        """The change of the product, in the type of ``x``."""
        if self.keys is not None:
            x = _dropped(x, self.keys[...], self.rate)
        first, second = (w[...].astype(x.dtype) for w in (self.first, self.second))
        return second @ (first @ x) * jnp.asarray(self.scale, x.dtype)

    @property
    def change(self) -> Float[Array, "o i"]:
        """What the adapter adds to the weight, in float32."""
        return self.scale * (self.second[...] @ self.first[...])


def _dropped(
    x: Float[Array, "i n"], keys: Key[Array, " b"], rate: float
) -> Float[Array, "i n"]:
    """Entries left out row by row: a row loses the same ones on any device."""
    rows = keys.shape[0]
    shape = (x.shape[0], x.shape[1] // rows)
    kept = jax.vmap(lambda key: jax.random.bernoulli(key, 1 - rate, shape))(keys)
    whole = rearrange(kept, "b i t -> i (b t)")
    return jnp.where(whole, x / jnp.asarray(1 - rate, x.dtype), 0)
