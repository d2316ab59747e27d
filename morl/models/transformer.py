"""One decoder-only transformer for the Llama and Qwen families, in Flax NNX."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from morl.errors import InputError
from morl.models.attention import Rotary, attend, rotary, rotate, visible
from morl.models.config import TransformerConfig

INITIAL_SCALE = 0.02


class Encoding(NamedTuple):
    """What a forward pass returns: hidden states, and the taps that were asked for."""

    hidden: Float[Array, "b t d"]
    taps: tuple[Float[Array, "b t d"], ...] = ()


class Projected(NamedTuple):
    """Rotated queries and keys, and values, of one layer."""

    queries: Float[Array, "b t h c"]
    keys: Float[Array, "b t k c"]
    values: Float[Array, "b t k c"]


class RMSNorm(nnx.Module):
    """Divides by the root mean square over the last axis, then scales by a weight.

    References:
      Zhang and Sennrich (arXiv:1910.07467), equation 4.
    """

    def __init__(self, width: int, epsilon: float, dtype: str) -> None:
        """Starts at weight one."""
        self.weight = nnx.Param(jnp.ones(width, dtype))
        self.epsilon = epsilon

    def __call__(self, x: Float[Array, "*batch d"]) -> Float[Array, "*batch d"]:
        """Normalises in float32 and returns the type of ``x``."""
        wide = x.astype(jnp.float32)
        power = jnp.mean(jnp.square(wide), axis=-1, keepdims=True)
        unit = wide * jax.lax.rsqrt(power + self.epsilon)
        weight = jnp.expand_dims(self.weight[...], range(x.ndim - 1))
        return (unit * weight).astype(x.dtype)


class Linear(nnx.Module):
    """A product with a weight ``[in, out]``, and a bias where the family has one."""

    def __init__(
        self, shape: tuple[int, int], dtype: str, *, bias: bool, rngs: nnx.Rngs
    ) -> None:
        """Draws a normal weight and a zero bias."""
        draw = INITIAL_SCALE * jax.random.normal(rngs.params(), shape)
        self.weight = nnx.Param(draw.astype(dtype))
        self.bias = nnx.Param(jnp.zeros(shape[1], dtype)) if bias else None

    def __call__(self, x: Float[Array, "b t i"]) -> Float[Array, "b t o"]:
        """The product, in the type of ``x``."""
        product = x @ self.weight[...]
        return product if self.bias is None else product + self.bias[None, None]


class Block(nnx.Module):
    """Attention and a gated feed-forward block, each on a normalised residual.

    Queries, keys and values share one fused weight, and so do gate and up: one large
    product runs faster than three small ones.
    """

    def __init__(self, config: TransformerConfig, *, rngs: nnx.Rngs) -> None:
        """Draws the weights of one layer."""
        self.num_heads = config.num_heads
        self.num_kv_heads = config.num_kv_heads
        self.head_dim = config.head_dim
        inner = config.num_heads * config.head_dim
        fused = inner + 2 * config.num_kv_heads * config.head_dim
        width, dtype, epsilon = config.width, config.dtype, config.norm_epsilon
        self.attention_norm = RMSNorm(width, epsilon, dtype)
        self.qkv = Linear((width, fused), dtype, bias=config.qkv_bias, rngs=rngs)
        head_norm = lambda: RMSNorm(config.head_dim, epsilon, dtype)
        self.query_norm = head_norm() if config.qk_norm else None
        self.key_norm = head_norm() if config.qk_norm else None
        self.out = Linear((inner, width), dtype, bias=config.output_bias, rngs=rngs)
        self.ffn_norm = RMSNorm(width, epsilon, dtype)
        ffn = config.ffn_width
        self.gate_up = Linear((width, 2 * ffn), dtype, bias=False, rngs=rngs)
        self.down = Linear((ffn, width), dtype, bias=False, rngs=rngs)

    def project(self, x: Float[Array, "b t d"], table: Rotary) -> Projected:
        """Queries, keys and values of the residual stream ``x``."""
        fused = self.qkv(self.attention_norm(x))
        heads = fused.reshape(*x.shape[:2], -1, self.head_dim)
        bounds = (self.num_heads, self.num_heads + self.num_kv_heads)
        queries, keys, values = jnp.split(heads, bounds, axis=2)
        if self.query_norm is not None and self.key_norm is not None:
            queries, keys = self.query_norm(queries), self.key_norm(keys)
        return Projected(
            rotate(queries, table, scale=self.head_dim**-0.5),
            rotate(keys, table),
            values,
        )

    def finish(
        self, x: Float[Array, "b t d"], mixed: Float[Array, "b t h c"]
    ) -> Float[Array, "b t d"]:
        """Adds what attention gathered to the residual stream, then the feed-forward.

        References:
          Shazeer, GLU Variants (arXiv:2002.05202), SwiGLU.
        """
        x = x + self.out(mixed.reshape(*x.shape[:2], -1))
        gate, up = jnp.split(self.gate_up(self.ffn_norm(x)), 2, axis=-1)
        return x + self.down(jax.nn.silu(gate) * up)


class Transformer(nnx.Module):
    """A decoder-only language model: tokens in, hidden states out.

    It is a pytree: pass it to ``jax.jit`` and ``jax.grad`` as any argument.

    Args:
      config: Shape and variant.
      rngs: Source of the initial weights, normal with standard deviation 0.02.

    Examples:
      >>> config = TransformerConfig(64, 16, 2, 4, 2, 4, 32)
      >>> model = Transformer(config, rngs=nnx.Rngs(0))
      >>> tokens = jnp.array([[5, 7, 9]])
      >>> encoding = model(tokens, jnp.arange(3)[None], jnp.zeros((1, 3), int))
      >>> encoding.hidden.shape, model.logits(encoding.hidden).shape
      ((1, 3, 16), (1, 3, 64))
    """

    def __init__(self, config: TransformerConfig, *, rngs: nnx.Rngs) -> None:
        """Draws all weights."""
        self.config = config
        shape = (config.vocab_size, config.width)
        draw = INITIAL_SCALE * jax.random.normal(rngs.params(), shape)
        self.embedding = nnx.Param(draw.astype(config.dtype))
        blocks = [Block(config, rngs=rngs) for _ in range(config.num_layers)]
        self.layers = nnx.List(blocks)
        self.norm = RMSNorm(config.width, config.norm_epsilon, config.dtype)
        draw = INITIAL_SCALE * jax.random.normal(rngs.params(), shape)
        self.head = None if config.tied else nnx.Param(draw.astype(config.dtype))

    def embed(self, tokens: Int[Array, "b t"]) -> Float[Array, "b t d"]:
        """Rows of the token embedding; a token outside the vocabulary is clipped."""
        return self.embedding[...].at[tokens].get(mode="clip")

    def rotary(self, positions: Int[Array, "b t"]) -> Rotary:
        """The rotary tables of ``positions``, shared by all layers."""
        return rotary(positions, self.config.head_dim, self.config.rope_base)

    def __call__(
        self,
        tokens: Int[Array, "b t"],
        positions: Int[Array, "b t"],
        segments: Int[Array, "b t"],
        *,
        taps: Sequence[int] = (),
    ) -> Encoding:
        """Hidden states of packed rows; the vocabulary product is not computed.

        Token ``i`` sees token ``j`` where ``j <= i`` and ``j`` belongs to the shared
        prompt (segment 0) or to the same response (segment ``r >= 1``), so a prompt and
        all its responses are one row. Padding (segment -1) is seen by nothing and may
        hold any token.

        Args:
          tokens: Token ids.
          positions: Position of each token; each response continues the prompt's.
          segments: -1 padding, 0 shared prompt, ``r`` the r-th response.
          taps: Layers, counted from 1, whose output is returned too.

        Returns:
          Hidden states after the final norm, and for each tap the residual stream after
          that many layers (before the final norm, the last one too).
        """
        causal = jnp.tri(tokens.shape[1], dtype=bool)[None]
        allowed = visible(segments, segments) & causal
        table = self.rotary(positions)
        x = self.embed(tokens)
        wrong = [tap for tap in taps if not 1 <= tap <= len(self.layers)]
        if wrong:
            raise InputError(
                f"found {wrong}, expected 1 to {len(self.layers)}", where="taps"
            )
        tapped = {}
        for count, layer in enumerate(self.layers, start=1):
            projected = layer.project(x, table)
            x = layer.finish(x, attend(*projected, allowed))
            tapped[count] = x
        return Encoding(self.norm(x), tuple(tapped[tap] for tap in taps))

    def logits(self, hidden: Float[Array, "*batch d"]) -> Float[Array, "*batch v"]:
        """Unnormalised log-probabilities of the next token, in float32.

        Args:
          hidden: Hidden states after the final norm.

        Returns:
          One logit a token of the vocabulary.
        """
        matrix = self.embedding if self.head is None else self.head
        return jnp.einsum(
            "...d,vd->...v", hidden, matrix[...], preferred_element_type=jnp.float32
        )
