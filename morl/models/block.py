"""One layer of a transformer: attention and a gated feed-forward block."""

from collections.abc import Sequence
from functools import partial
from typing import TypeAlias

import jax
import jax.numpy as jnp
from einops import rearrange
from flax import nnx
from jaxtyping import Array, Float, Int

from morl.models.adapters import Adapter
from morl.models.attention import Heads, Rotary, attend, attend_from, rotate
from morl.models.config import TransformerConfig
from morl.models.fused import parted

INITIAL_SCALE = 0.02

Biases: TypeAlias = tuple[Float[Array, "b _s _q"], ...]


class RMSNorm(nnx.Module):
    """Divides by the root mean square over an axis, then scales by a weight.

    Where the family keeps the weight as its difference from one, one is added in
    float32: there half precision would lose most of the difference.

    References:
      Zhang and Sennrich (arXiv:1910.07467), equation 4.
    """

    def __init__(self, width: int, config: TransformerConfig) -> None:
        """Starts at scale one."""
        start = jnp.zeros if config.offset_norms else jnp.ones
        self.weight = nnx.Param(start(width, config.dtype))
        self.epsilon = config.norm_epsilon
        self.offset = config.offset_norms

    def __call__(self, x: Float[Array, "..."], axis: int = 0) -> Float[Array, "..."]:
        """Normalises along ``axis`` in float32 and returns the type of ``x``."""
        wide = x.astype(jnp.float32)
        power = jnp.mean(jnp.square(wide), axis=axis, keepdims=True)
        unit = wide * jax.lax.rsqrt(power + self.epsilon)
        others = [place for place in range(x.ndim) if place != axis % x.ndim]
        scale = jnp.expand_dims(self.weight[...], others)
        if self.offset:
            scale = 1 + scale.astype(jnp.float32)
        return (unit * scale).astype(x.dtype)


class Linear(nnx.Module):
    """A product with a weight ``[out, in]``, and a bias where the family has one."""

    def __init__(
        self, shape: tuple[int, int], dtype: str, *, bias: bool, rngs: nnx.Rngs
    ) -> None:
        """Draws a normal weight and a zero bias."""
        draw = INITIAL_SCALE * jax.random.normal(rngs.params(), shape)
        self.weight = nnx.Param(draw.astype(dtype))
        self.bias = nnx.Param(jnp.zeros(shape[0], dtype)) if bias else None
        self.adapter: Adapter | None = nnx.data(None)

    def __call__(self, x: Float[Array, "i n"]) -> Float[Array, "o n"]:
        """The product, in the type of ``x``."""
        product = self.weight[...] @ x
        if self.adapter is not None:
            product = product + self.adapter(x)
        return product if self.bias is None else product + self.bias[...][:, None]

    def rows(self, x: Float[Array, "n i"]) -> Float[Array, "n o"]:
        """The same of rows."""
        product = x @ self.weight[...].T
        if self.adapter is not None:
            product = product + self.adapter(x.T).T
        return product if self.bias is None else product + self.bias[...][None]


class Block(nnx.Module):
    """Attention and a gated feed-forward block, each on a normalised residual.

    Decoding has a residual stream ``[d, n]``, one column a token: with weights ``[out,
    in]`` the products of a few columns run at nearly twice the speed of row-major ones
    on a CPU. Whole rows have ``[n, d]``: there it is the products of many rows that are
    ahead, by half in a backward pass. Queries, keys and values share one fused weight,
    and so do gate and up: one large product beats three small ones.
    """

    def __init__(self, config: TransformerConfig, *, rngs: nnx.Rngs) -> None:
        """Draws the weights of one layer."""
        self.num_heads = config.num_heads
        self.num_kv_heads = config.num_kv_heads
        self.head_dim = config.head_dim
        self.shards = 1  # see morl.models.layout.arrange_fused
        inner = config.num_heads * config.head_dim
        fused = inner + 2 * config.num_kv_heads * config.head_dim
        width, dtype = config.width, config.dtype
        self.gelu_gate = config.gelu_gate
        self.attention_norm = RMSNorm(width, config)
        self.qkv = Linear((fused, width), dtype, bias=config.qkv_bias, rngs=rngs)
        head_norm = lambda: RMSNorm(config.head_dim, config)
        self.query_norm = head_norm() if config.qk_norm else None
        self.key_norm = head_norm() if config.qk_norm else None
        self.out = Linear((width, inner), dtype, bias=config.output_bias, rngs=rngs)
        self.ffn_norm = RMSNorm(width, config)
        ffn = config.ffn_width
        self.gate_up = Linear((2 * ffn, width), dtype, bias=False, rngs=rngs)
        self.down = Linear((width, ffn), dtype, bias=False, rngs=rngs)

    def heads(self, x: Float[Array, "d n"], table: Rotary, batch: int) -> Heads:
        """Queries, keys and values of the residual stream of ``batch`` rows."""
        fused = self.qkv(self.attention_norm(x))
        whole = fused.reshape(-1, self.head_dim, x.shape[1])
        return self._heads(parted(whole, self.counts, self.shards), table, batch)

    def row_heads(self, x: Float[Array, "n d"], table: Rotary, batch: int) -> Heads:
        """The same of a residual stream of whole rows."""
        fused = self.qkv.rows(self.attention_norm(x, axis=1))
        sizes = [count * self.head_dim for count in self.counts]
        parts = parted(fused, sizes, self.shards, axis=1)
        apart = lambda part: rearrange(part, "n (h c) -> h c n", c=self.head_dim)
        return self._heads([*map(apart, parts)], table, batch)

    @property
    def counts(self) -> tuple[int, int, int]:
        """Heads of queries, keys and values."""
        return self.num_heads, self.num_kv_heads, self.num_kv_heads

    def _heads(
        self, parts: Sequence[Float[Array, "_h c n"]], table: Rotary, batch: int
    ) -> Heads:
        """Normalised where the family does, rotated, and row by row."""
        queries, keys, values = parts
        if self.query_norm is not None and self.key_norm is not None:
            queries = self.query_norm(queries, axis=1)
            keys = self.key_norm(keys, axis=1)
        queries = rotate(queries, table, scale=self.head_dim**-0.5)
        keys = rotate(keys, table)
        return Heads(
            rearrange(
                queries, "(k g) c (b t) -> b k c g t", b=batch, k=self.num_kv_heads
            ),
            rearrange(keys, "k c (b t) -> b k t c", b=batch),
            rearrange(values, "k c (b t) -> b k c t", b=batch),
        )

    def finish(
        self, x: Float[Array, "d n"], mixed: Float[Array, "b k c g t"]
    ) -> Float[Array, "d n"]:
        """Adds what attention gathered to the residual stream, then the feed-forward.

        References:
          Shazeer, GLU Variants (arXiv:2002.05202), SwiGLU and GEGLU.
        """
        x = x + self.out(rearrange(mixed, "b k c g t -> (k g c) (b t)"))
        return x + self.down(self._gated(self.gate_up(self.ffn_norm(x)), axis=0))

    def row_finish(
        self, x: Float[Array, "n d"], mixed: Float[Array, "b k c g t"]
    ) -> Float[Array, "n d"]:
        """The same of a residual stream of whole rows."""
        x = x + self.out.rows(rearrange(mixed, "b k c g t -> (b t) (k g c)"))
        # Its backward pass starts from the product: to compute the gate again takes
        # less time than to keep what it was made of.
        gated = jax.checkpoint(partial(self._gated, axis=1))
        return x + self.down.rows(gated(self.gate_up.rows(self.ffn_norm(x, axis=1))))

    def _gated(self, fused: Float[Array, "_f _n"], axis: int) -> Float[Array, "_u _m"]:
        """The units of the feed-forward, each times its gate."""
        half = (fused.shape[axis] // 2,) * 2
        gate, up = parted(fused, half, self.shards, axis=axis)
        if self.gelu_gate:
            return jax.nn.gelu(gate, approximate=True) * up
        return jax.nn.silu(gate) * up

    def __call__(
        self, x: Float[Array, "n d"], table: Rotary, biases: Biases, batch: int
    ) -> Float[Array, "n d"]:
        """The residual stream of ``batch`` whole rows, one layer further."""
        return self.row_finish(x, attend(self.row_heads(x, table, batch), biases))

    def at(
        self,
        x: Float[Array, "n d"],
        table: Rotary,
        bias: Float[Array, "b s q"],
        places: Int[Array, "b p"],
    ) -> Float[Array, "m d"]:
        """The same for some tokens of each row alone, which see all of it.

        Args:
          x: The residual stream of all tokens.
          table: Their rotary angles.
          bias: What attention adds to the scores of those tokens.
          places: Where they stand in their rows.
        """
        heads = self.row_heads(x, table, len(places))
        chosen = jax.vmap(lambda row, at: row[..., at])(heads.queries, places)
        mixed = attend_from(heads._replace(queries=chosen), bias)
        return self.row_finish(tokens_at(x, places), mixed)


def tokens_at(x: Float[Array, "n d"], places: Int[Array, "b p"]) -> Float[Array, "m d"]:
    """Tokens of the residual stream, row by row of the batch.

    Examples:
      >>> print(tokens_at(jnp.arange(6.0)[:, None], jnp.array([[2], [0]])).T)
      [[2. 3.]]
    """
    rows = rearrange(x, "(b t) d -> b t d", b=len(places))
    chosen = jax.vmap(lambda row, at: row[at])(rows, places)
    return rearrange(chosen, "b p d -> (b p) d")
