"""Where a training step spends its time: its parts alone, and the products' peak."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from harness import show

from morl.models import TransformerConfig
from morl.models.compiler import wide_products
from morl.training.loop import Fed
from morl.training.reward_design import Parts, TrainingSettings, flops_per_token
from morl.training.state import TrainState

# Products among which the fastest is the peak: which is, differs between processors.
PEAK_SHAPES = ((2048, 2048, 2048), (2048, 1376, 256), (4096, 512, 1024))


class Part(NamedTuple):
    """Something that is timed.

    Attributes:
      name: What it is.
      flops: Operations of its products; 0 where it has none worth counting.
      run: Computes it, to the end.
    """

    name: str
    flops: float
    run: Callable[[], Any]


def attention_flops(config: TransformerConfig, segments: np.ndarray) -> float:
    """Operations forward of the two products of attention.

    Two for every number that a query meets of each key that it sees, and as many again
    for the values; in all layers but the last, where few tokens ask.
    """
    own = segments[:, :, None] == segments[:, None, :]
    seen = own | (segments == 0)[:, None, :]
    pairs = np.sum(seen & np.tri(segments.shape[1], dtype=bool)[None])
    return (
        4.0
        * (config.num_layers - 1)
        * config.num_heads
        * config.head_dim
        * float(pairs)
    )


def products(config: TransformerConfig, tokens: int) -> dict[str, list[Any]]:
    """Weights, activations and their gradients of one layer's four products."""
    rng = np.random.default_rng(0)
    inner = config.num_heads * config.head_dim
    fused = inner + 2 * config.num_kv_heads * config.head_dim
    shapes = (
        (fused, config.width),
        (config.width, inner),
        (2 * config.ffn_width, config.width),
        (config.width, config.ffn_width),
    )
    draw = lambda *shape: jnp.asarray(rng.standard_normal(shape, np.float32))
    return {
        "weights": [draw(*shape) for shape in shapes],
        "inputs": [draw(tokens, width) for _, width in shapes],
        "gradients": [draw(tokens, height) for height, _ in shapes],
    }


def forward_products(given: dict[str, list[Any]]) -> list[Any]:
    """The products of a layer forward."""
    pairs = zip(given["weights"], given["inputs"], strict=True)
    return [each @ weight.T for weight, each in pairs]


def backward_products(given: dict[str, list[Any]]) -> list[Any]:
    """Those of its backward pass: gradients of activations, and of weights."""
    lines = zip(given["weights"], given["inputs"], given["gradients"], strict=True)
    return [(back @ weight, back.T @ each) for weight, each, back in lines]


def parts_of_step(
    parts: Parts,
    state: TrainState,
    whole: Callable[[], Any],
    fed: Fed,
    config: TransformerConfig,
) -> list[Part]:
    """The step, its parts alone, its products alone, and the peak.

    Args:
      parts: Program, update and frozen parameters.
      state: Before a step.
      whole: One step.
      fed: Its batch, of one micro-batch.
      config: Of the backbone.
    """
    compiled = partial(jax.jit, compiler_options=wide_products())
    batch = jax.tree.map(lambda leaf: leaf[0], fed.batch)
    segments = np.asarray(batch.rows.packed.segments)
    key = jax.random.wrap_key_data(state.key)

    def loss(params: Any) -> jax.Array:
        found = parts.program.outcome(params, parts.frozen, batch, key).losses
        return jnp.sum(state.weights * found.total / found.weight)

    def updated(params: Any, gradient: Any, moments: Any) -> Any:
        moves, moments = parts.update.optimizer.update(gradient, moments, params)
        return optax.apply_updates(params, moves), moments

    forward, backward = compiled(loss), compiled(jax.value_and_grad(loss))
    optimizer = compiled(updated, donate_argnums=(0, 2))
    gradient = jax.tree.map(jnp.ones_like, state.params)
    held = [jax.tree.map(jnp.copy, (state.params, state.optimizer))]

    def update() -> Any:
        held[0] = optimizer(held[0][0], gradient, held[0][1])
        return held[0]

    forth = flops_per_token(config, TrainingSettings(mode="heads")) * segments.size
    seen = attention_flops(config, segments)
    layer = products(config, segments.size)
    one_forward, one_backward = compiled(forward_products), compiled(backward_products)
    last = {name: arrays[:1] for name, arrays in layer.items()}
    layers = [layer] * (config.num_layers - 1) + [last]
    return [
        Part("the step", 3 * (forth + seen), whole),
        Part("forward alone", forth + seen, lambda: forward(state.params)),
        Part(
            "forward and backward", 3 * (forth + seen), lambda: backward(state.params)
        ),
        Part("clipping and AdamW alone", 0, update),
        Part(
            "products with weights alone, forward",
            forth,
            lambda: [one_forward(each) for each in layers],
        ),
        Part(
            "products with weights alone, backward",
            2 * forth,
            lambda: [one_backward(each) for each in layers],
        ),
        *map(peak_product, PEAK_SHAPES),
    ]


def peak_product(shape: tuple[int, int, int]) -> Part:
    """One product of the sizes ``m, k, n``."""
    m, k, n = shape
    left, right = jnp.ones((m, k)), jnp.ones((k, n))
    product = jax.jit(jnp.matmul, compiler_options=wide_products())
    name = f"a product {m}x{k}x{n}"
    return Part(name, 2.0 * m * k * n, lambda: product(left, right))


def timed_parts(
    parts: list[Part], rounds: int, clock: Callable[[], float]
) -> np.ndarray:
    """Median seconds of each; they take turns."""
    for part in parts:
        jax.block_until_ready(part.run())
    seconds = np.zeros((rounds, len(parts)))
    for row in seconds:
        for place, part in enumerate(parts):
            begin = clock()
            jax.block_until_ready(part.run())
            row[place] = clock() - begin
    return np.median(seconds, axis=0)


def show_parts(parts: list[Part], rounds: int, clock: Callable[[], float]) -> None:
    """Prints what each takes, of the step's time and of the peak."""
    seconds = timed_parts(parts, rounds, clock)
    peak = max(part.flops / each for part, each in zip(parts, seconds, strict=True))
    show(
        "Where the time of a step goes",
        ("part", "ms", "of the step", "GFLOP", "GFLOP/s", "of the peak"),
        (
            (
                part.name,
                f"{1e3 * each:.1f}",
                f"{each / seconds[0]:.0%}",
                *(
                    (
                        f"{part.flops / 1e9:.1f}",
                        f"{part.flops / each / 1e9:.0f}",
                        f"{part.flops / each / peak:.0%}",
                    )
                    if part.flops
                    else ("", "", "")
                ),
            )
            for part, each in zip(parts, seconds, strict=True)
        ),
    )
