"""Parameters of a transformer from and to tensors under Hugging Face names."""

from collections.abc import Iterator, Mapping

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Float

from morl.errors import InputError
from morl.models.config import TransformerConfig
from morl.models.transformer import Transformer

Tensors = Mapping[str, np.ndarray]


def tensor_shapes(config: TransformerConfig) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor that a checkpoint of ``config`` holds.

    Weights are ``[out, in]``, as ``torch.nn.Linear`` keeps them.
    """
    width, ffn = config.width, config.ffn_width
    inner = config.num_heads * config.head_dim
    outer = config.num_kv_heads * config.head_dim
    shapes: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (config.vocab_size, width),
        "model.norm.weight": (width,),
    }
    if not config.tied:
        shapes["lm_head.weight"] = (config.vocab_size, width)
    layer: dict[str, tuple[int, ...]] = {
        "input_layernorm.weight": (width,),
        "post_attention_layernorm.weight": (width,),
        "self_attn.q_proj.weight": (inner, width),
        "self_attn.k_proj.weight": (outer, width),
        "self_attn.v_proj.weight": (outer, width),
        "self_attn.o_proj.weight": (width, inner),
        "mlp.gate_proj.weight": (ffn, width),
        "mlp.up_proj.weight": (ffn, width),
        "mlp.down_proj.weight": (width, ffn),
    }
    if config.qkv_bias:
        layer |= {f"self_attn.{name}_proj.bias": (outer,) for name in "kv"}
        layer |= {"self_attn.q_proj.bias": (inner,)}
    if config.output_bias:
        layer |= {"self_attn.o_proj.bias": (width,)}
    if config.qk_norm:
        layer |= {f"self_attn.{name}_norm.weight": (config.head_dim,) for name in "qk"}
    for index in range(config.num_layers):
        shapes |= {f"model.layers.{index}.{name}": at for name, at in layer.items()}
    return shapes


def check_tensors(config: TransformerConfig, tensors: Tensors, *, where: str) -> None:
    """Refuses a checkpoint with a missing, unknown, misshapen or non-finite tensor.

    Raises:
      InputError: It names the tensor, what was found and what was expected.
    """
    if config.num_layers > len(tensors):
        # A garbled count would name more tensors than memory holds.
        raise InputError(
            f"found {len(tensors)} tensors, expected several for each of "
            f"{config.num_layers} layers",
            where=where,
        )
    shapes = tensor_shapes(config)
    for name, shape in shapes.items():
        if name not in tensors:
            raise InputError(
                f"missing tensor, expected {shape}", where=f"{where}: {name}"
            )
        if tensors[name].shape != shape:
            raise InputError(
                f"found shape {tensors[name].shape}, expected {shape}",
                where=f"{where}: {name}",
            )
        if not np.isfinite(tensors[name]).all():
            raise InputError(
                "found values that are not finite", where=f"{where}: {name}"
            )
    # Some writers store the tied head again, and old ones the rotary frequencies.
    spare = {"lm_head.weight"} if config.tied else set()
    unknown = [
        name
        for name in tensors
        if name not in shapes.keys() | spare and not name.endswith(".inv_freq")
    ]
    if unknown:
        raise InputError(
            f"found {len(unknown)} tensors that {config} does not have, the first "
            f"of shape {tensors[unknown[0]].shape}",
            where=f"{where}: {unknown[0]}",
        )


def _fused(tensors: Tensors, prefix: str, names: tuple[str, ...]) -> np.ndarray:
    """Several projections beside each other as one weight."""
    return np.concatenate([tensors[f"{prefix}.{name}.weight"] for name in names])


def _layer_state(
    config: TransformerConfig, tensors: Tensors, prefix: str
) -> Iterator[tuple[tuple[str, str], np.ndarray]]:
    """Path within a block and value of each of its parameters."""
    attention, qkv = f"{prefix}.self_attn", ("q_proj", "k_proj", "v_proj")
    yield ("attention_norm", "weight"), tensors[f"{prefix}.input_layernorm.weight"]
    yield ("ffn_norm", "weight"), tensors[f"{prefix}.post_attention_layernorm.weight"]
    yield ("qkv", "weight"), _fused(tensors, attention, qkv)
    yield ("out", "weight"), tensors[f"{attention}.o_proj.weight"]
    gate_up = _fused(tensors, f"{prefix}.mlp", ("gate_proj", "up_proj"))
    yield ("gate_up", "weight"), gate_up
    yield ("down", "weight"), tensors[f"{prefix}.mlp.down_proj.weight"]
    if config.qkv_bias:
        biases = [tensors[f"{attention}.{name}.bias"] for name in qkv]
        yield ("qkv", "bias"), np.concatenate(biases)
    if config.output_bias:
        yield ("out", "bias"), tensors[f"{attention}.o_proj.bias"]
    if config.qk_norm:
        yield ("query_norm", "weight"), tensors[f"{attention}.q_norm.weight"]
        yield ("key_norm", "weight"), tensors[f"{attention}.k_norm.weight"]


def transformer_from_tensors(
    config: TransformerConfig, tensors: Tensors, *, where: str = "checkpoint"
) -> Transformer:
    """A transformer with the weights of a checkpoint.

    Args:
      config: Its configuration; ``dtype`` is what the parameters are stored in.
      tensors: Arrays under the names of :func:`tensor_shapes`.
      where: Name of the file, for errors.

    Raises:
      InputError: See :func:`check_tensors`.
    """
    check_tensors(config, tensors, where=where)
    empty = jax.eval_shape(lambda: Transformer(config, rngs=nnx.Rngs(0)))
    graph, state = nnx.split(empty)
    flat: dict[tuple, np.ndarray] = {
        ("embedding",): tensors["model.embed_tokens.weight"],
        ("norm", "weight"): tensors["model.norm.weight"],
    }
    if not config.tied:
        flat[("head",)] = tensors["lm_head.weight"]
    for index in range(config.num_layers):
        layer = _layer_state(config, tensors, f"model.layers.{index}")
        flat |= {("layers", index, *path): value for path, value in layer}
    filled = [
        (path, parameter.replace(jnp.asarray(flat[path], config.dtype)))
        for path, parameter in nnx.to_flat_state(state)
    ]
    return nnx.merge(graph, nnx.from_flat_state(filled))


def tensors_of(model: Transformer) -> dict[str, Float[np.ndarray, "..."]]:
    """The tensors of a transformer under Hugging Face names: the inverse of loading."""
    config = model.config
    inner = config.num_heads * config.head_dim
    outer = config.num_kv_heads * config.head_dim
    bounds = (inner, inner + outer)
    found: dict[str, nnx.Param] = {}
    split: dict[str, np.ndarray] = {}
    found["model.embed_tokens.weight"] = model.embedding
    found["model.norm.weight"] = model.norm.weight
    if model.head is not None:
        found["lm_head.weight"] = model.head
    for index, layer in enumerate(model.layers):
        prefix = f"model.layers.{index}"
        attention = f"{prefix}.self_attn"
        found[f"{prefix}.input_layernorm.weight"] = layer.attention_norm.weight
        found[f"{prefix}.post_attention_layernorm.weight"] = layer.ffn_norm.weight
        parts = np.split(np.asarray(layer.qkv.weight[...]), bounds)
        for name, part in zip("qkv", parts, strict=True):
            split[f"{attention}.{name}_proj.weight"] = part
        if layer.qkv.bias is not None:
            parts = np.split(np.asarray(layer.qkv.bias[...]), bounds)
            for name, part in zip("qkv", parts, strict=True):
                split[f"{attention}.{name}_proj.bias"] = part
        found[f"{attention}.o_proj.weight"] = layer.out.weight
        if layer.out.bias is not None:
            found[f"{attention}.o_proj.bias"] = layer.out.bias
        if layer.query_norm is not None and layer.key_norm is not None:
            found[f"{attention}.q_norm.weight"] = layer.query_norm.weight
            found[f"{attention}.k_norm.weight"] = layer.key_norm.weight
        parts = np.split(np.asarray(layer.gate_up.weight[...]), 2)
        for name, part in zip(("gate", "up"), parts, strict=True):
            split[f"{prefix}.mlp.{name}_proj.weight"] = part
        found[f"{prefix}.mlp.down_proj.weight"] = layer.down.weight
    whole = {name: np.asarray(parameter[...]) for name, parameter in found.items()}
    return whole | split
