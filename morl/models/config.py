"""The settings that make one transformer a Llama, Mistral, Qwen or Gemma."""

from dataclasses import dataclass

from morl.errors import InputError

DTYPES = ("float32", "bfloat16", "float16")


@dataclass(frozen=True)
class RotaryStretch:
    """How Llama 3.1 and later slow the rotary frequencies for longer contexts.

    Args:
      factor: Division of the frequencies that turn too seldom to be known.
      low: Frequencies with fewer turns than this over the original context are slowed.
      high: Those with more turns than this are kept; between, both are mixed.
      original_positions: Context that the frequencies were trained for.

    Raises:
      InputError: A number is not positive, or ``high`` is not above ``low``.

    References:
      Llama Team, The Llama 3 Herd of Models (arXiv:2407.21783), and its reference code.
    """

    factor: float
    low: float
    high: float
    original_positions: int

    def __post_init__(self) -> None:
        """Refuses numbers that slow nothing or everything."""
        for name, value in vars(self).items():
            if not value > 0:
                raise InputError(f"found {value!r}, expected > 0", where=name)
        if not self.high > self.low:
            raise InputError(
                f"found {self.high}, expected more than low ({self.low})", where="high"
            )


@dataclass(frozen=True)
class TransformerConfig:
    """Shape and variant of a decoder-only transformer.

    Llama and SmolLM2 are the defaults; Qwen2 adds ``qkv_bias``, Qwen3 ``qk_norm``,
    Mistral ``window``, and Gemma ``gelu_gate``, ``offset_norms``, ``scaled_embedding``.

    Args:
      vocab_size: Rows of the token embedding.
      width: Width of the residual stream.
      num_layers: Number of blocks.
      num_heads: Query heads, a multiple of ``num_kv_heads``.
      num_kv_heads: Key and value heads (grouped-query attention).
      head_dim: Width of one head, even.
      ffn_width: Inner width of the gated feed-forward block.
      rope_base: Base of the rotary frequencies.
      rope_stretch: How they are slowed for long contexts; None where they are not.
      norm_epsilon: Added to the mean square in RMSNorm.
      max_positions: Positions the model was trained for.
      tied: The output matrix is the token embedding.
      qkv_bias: Biases on the query, key and value projections.
      output_bias: Bias on the attention's output projection.
      qk_norm: RMSNorm over each query and key head before the rotation.
      window: Tokens that each token attends to, the last of them itself; None for all.
      gelu_gate: The feed-forward block gates by GELU, in its tanh form, not by SiLU.
      offset_norms: RMSNorm scales by one plus its weight.
      scaled_embedding: Token embeddings are multiplied by the square root of ``width``.
      dtype: What parameters and activations are stored in, one of :data:`DTYPES`.

    Raises:
      InputError: A size is not positive or two of them do not fit.

    References:
      Touvron et al., Llama (arXiv:2302.13971); Qwen Team, Qwen2 (arXiv:2407.10671) and
      Qwen3 (arXiv:2505.09388); Ben Allal et al., SmolLM2 (arXiv:2502.02737); Jiang et
      al., Mistral 7B (arXiv:2310.06825); Gemma Team, Gemma (arXiv:2403.08295).
    """

    vocab_size: int
    width: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    ffn_width: int
    rope_base: float = 10_000.0
    rope_stretch: RotaryStretch | None = None
    norm_epsilon: float = 1e-5
    max_positions: int = 2048
    tied: bool = True
    qkv_bias: bool = False
    output_bias: bool = False
    qk_norm: bool = False
    window: int | None = None
    gelu_gate: bool = False
    offset_norms: bool = False
    scaled_embedding: bool = False
    dtype: str = "float32"

    def __post_init__(self) -> None:
        """Refuses sizes that do not fit together."""
        for name in (
            "vocab_size",
            "width",
            "num_layers",
            "num_heads",
            "num_kv_heads",
            "head_dim",
            "ffn_width",
            "max_positions",
            "rope_base",
            "norm_epsilon",
            *(("window",) if self.window is not None else ()),
        ):
            value = vars(self)[name]
            if isinstance(value, bool) or not value > 0:
                raise InputError(f"found {value!r}, expected > 0", where=name)
        if self.num_heads % self.num_kv_heads:
            raise InputError(
                f"found {self.num_heads}, expected a multiple of num_kv_heads "
                f"({self.num_kv_heads})",
                where="num_heads",
            )
        if self.head_dim % 2:
            raise InputError(
                f"found {self.head_dim}, expected an even number", where="head_dim"
            )
        if self.dtype not in DTYPES:
            raise InputError(
                f"found {self.dtype!r}, expected one of {DTYPES}", where="dtype"
            )
