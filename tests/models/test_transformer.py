import json
import runpy
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from morl.errors import InputError
from morl.models import Transformer, TransformerConfig
from morl.models.checkpoint import tensor_shapes, transformer_from_tensors
from morl.models.hugging_face import config_from_json
from morl.models.layout import stack_layers

HERE = Path(__file__).parent / "checkpoints"
RECIPE = SimpleNamespace(**runpy.run_path(str(HERE / "recipe.py")))
SMALL = TransformerConfig(50, 16, 2, 4, 2, 4, 24)


encode = jax.jit(Transformer.__call__, static_argnames="taps")


def golden_model(case):
    """The tiny checkpoint of a case, and what transformers computed with it."""
    with np.load(HERE / "golden.npz") as archive:
        prefix = f"{case}."
        names = [name for name in archive if name.startswith(prefix)]
        golden = {name.removeprefix(prefix): archive[name] for name in names}
    config = config_from_json(json.loads(str(golden["config"])))
    shapes = tensor_shapes(config)
    tensors = {name: RECIPE.tensor(name, shape) for name, shape in shapes.items()}
    return transformer_from_tensors(config, tensors), golden


def rows(tokens, segments):
    """Tokens of one row with the positions that its segments mean."""
    tokens, segments = jnp.asarray(tokens)[None], jnp.asarray(segments)[None]
    prompt = jnp.sum(segments == 0)
    place = jnp.arange(tokens.shape[1])
    starts = jax.vmap(lambda s: jnp.argmax(segments[0] == s))(segments[0])
    positions = jnp.where(segments > 0, prompt + place - starts, place)
    return tokens, positions, segments


FAST = ("llama", "qwen3")  # the other families are among the slow tests


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, marks=() if case in FAST else pytest.mark.slow)
        for case in RECIPE.CASES
    ],
)
def test_states_and_logits_are_those_of_transformers(case):
    model, golden = golden_model(case)
    tokens = jnp.asarray(RECIPE.tokens())
    places = jnp.broadcast_to(jnp.arange(tokens.shape[1])[None], tokens.shape)
    real = np.arange(tokens.shape[1])[None] < np.array(RECIPE.LENGTHS)[:, None]
    segments = jnp.where(jnp.asarray(real), 0, -1)
    encoding = encode(model, tokens, places, segments, taps=(1, 2))
    for tap, expected in zip(encoding.taps, golden["taps"], strict=True):
        np.testing.assert_allclose(tap[real], expected[real], atol=1e-4)
    np.testing.assert_allclose(encoding.hidden[real], golden["hidden"][real], atol=1e-4)
    logits = model.logits(encoding.hidden)
    np.testing.assert_allclose(logits[real], golden["logits"][real], atol=1e-4)


def test_packed_responses_equal_each_response_alone():
    model = Transformer(SMALL, rngs=nnx.Rngs(1))
    prompt, first, second = [3, 9, 4], [7, 1], [8, 2, 6, 5]
    segments = [0] * 3 + [1] * 2 + [2] * 4 + [-1] * 3
    packed = encode(
        model, *rows(prompt + first + second + [0] * 3, segments), taps=(1, 2)
    )
    for response, number, start in ((first, 1, 3), (second, 2, 5)):
        alone = encode(
            model,
            *rows(prompt + response, [0] * 3 + [number] * len(response)),
            taps=(1, 2),
        )
        here = slice(start, start + len(response))
        pairs = zip(
            (packed.hidden, *packed.taps), (alone.hidden, *alone.taps), strict=True
        )
        for together, separate in pairs:
            np.testing.assert_allclose(
                together[0, here], separate[0, 3:], rtol=1e-5, atol=1e-6
            )
            np.testing.assert_allclose(
                together[0, :3], separate[0, :3], rtol=1e-5, atol=1e-6
            )


def test_a_window_is_counted_from_each_response_back_into_the_prompt():
    model = Transformer(replace(SMALL, window=3), rngs=nnx.Rngs(1))
    prompt, first, second = [3, 9, 4, 8], [7, 1, 2], [8, 2]
    packed = encode(model, *rows(prompt + first + second, [0] * 4 + [1] * 3 + [2] * 2))
    alone = encode(model, *rows(prompt + second, [0] * 4 + [1] * 2)).hidden
    np.testing.assert_allclose(packed.hidden[0, 7:], alone[0, 4:], rtol=1e-5, atol=1e-6)


def test_a_token_before_the_window_is_not_seen():
    model = Transformer(replace(SMALL, window=3, num_layers=1), rngs=nnx.Rngs(1))
    one = encode(model, *rows([1, 2, 3, 4, 5], [0] * 5)).hidden
    other = encode(model, *rows([9, 2, 3, 4, 5], [0] * 5)).hidden
    np.testing.assert_array_equal(one[0, 3:], other[0, 3:])
    assert np.abs(one[0, 2] - other[0, 2]).max() > 1e-3


def test_a_new_model_with_offset_norms_equals_one_without():
    offset = Transformer(replace(SMALL, offset_norms=True), rngs=nnx.Rngs(1))
    plain = Transformer(SMALL, rngs=nnx.Rngs(1))
    row = rows([1, 2, 3], [0, 0, 0])
    np.testing.assert_array_equal(
        encode(offset, *row).hidden, encode(plain, *row).hidden
    )


def test_a_scaled_embedding_is_multiplied_by_the_rounded_root_of_the_width():
    config = replace(SMALL, width=24, scaled_embedding=True, dtype="bfloat16")
    model = Transformer(config, rngs=nnx.Rngs(1))
    root = jnp.asarray(4.90625, jnp.bfloat16)  # the bfloat16 nearest to sqrt(24)
    np.testing.assert_array_equal(
        model.embed(jnp.array([7]))[:, 0], model.embedding[7] * root
    )


def test_a_response_does_not_see_another():
    model = Transformer(SMALL, rngs=nnx.Rngs(1))
    segments = [0, 0, 1, 1, 2, 2]
    one = encode(model, *rows([1, 2, 3, 4, 5, 6], segments)).hidden
    other = encode(model, *rows([1, 2, 30, 40, 5, 6], segments)).hidden
    np.testing.assert_array_equal(one[0, 4:], other[0, 4:])
    assert np.abs(one[0, 2:4] - other[0, 2:4]).max() > 1e-3


@pytest.mark.parametrize("garbage", [0, 49, 10**6, -(10**6)])
def test_padding_may_hold_any_token_on_either_side(garbage):
    model = Transformer(SMALL, rngs=nnx.Rngs(2))
    tokens, places = jnp.array([[5, 6, 7]]), jnp.arange(3)[None]
    alone = encode(model, tokens, places, jnp.zeros((1, 3), int)).hidden
    padding = [garbage] * 2
    padded = encode(
        model,
        jnp.array([[*padding, 5, 6, 7, *padding]]),
        jnp.array([[0, 0, 0, 1, 2, 0, 0]]),
        jnp.array([[-1, -1, 0, 0, 0, -1, -1]]),
    ).hidden
    assert np.isfinite(padded).all()
    np.testing.assert_allclose(padded[:, 2:5], alone, rtol=1e-5, atol=1e-6)


def test_rows_of_a_batch_do_not_mix():
    model = Transformer(SMALL, rngs=nnx.Rngs(2))
    tokens = jnp.array([[1, 2, 3], [4, 5, 6]])
    places, segments = jnp.tile(jnp.arange(3), (2, 1)), jnp.zeros((2, 3), int)
    both = encode(model, tokens, places, segments).hidden
    for row in range(2):
        one = slice(row, row + 1)
        alone = encode(model, tokens[one], places[one], segments[one]).hidden
        np.testing.assert_allclose(both[one], alone, rtol=1e-5, atol=1e-6)


def test_only_the_difference_of_positions_matters():
    model = Transformer(SMALL, rngs=nnx.Rngs(2))
    tokens, segments = jnp.array([[1, 2, 3]]), jnp.zeros((1, 3), int)
    near = encode(model, tokens, jnp.arange(3)[None], segments).hidden
    far = encode(model, tokens, 40 + jnp.arange(3)[None], segments).hidden
    np.testing.assert_allclose(near, far, atol=1e-5)


@pytest.mark.parametrize("change", [{}, {"window": 3}, {"qk_norm": True}])
@pytest.mark.parametrize("arrange", [lambda model: model, stack_layers])
def test_states_at_some_places_are_those_of_a_whole_pass(change, arrange):
    model = Transformer(replace(SMALL, **change), rngs=nnx.Rngs(0))
    row = rows([3, 7, 2, 9, 4, 8, 1, 6], [0, 0, 1, 1, 1, 2, 2, -1])
    inputs = [jnp.concatenate([x, x[:, ::-1]]) for x in row]
    places = jnp.array([[4, 6, 1], [5, 3, 1]])

    def chosen(model):
        hidden = model(*inputs).hidden
        return jnp.take_along_axis(hidden, places[..., None], axis=1)

    at = lambda model: arrange(model).at(*inputs, places)
    np.testing.assert_allclose(at(model), chosen(model), atol=1e-5)
    total = lambda run: jax.grad(lambda model: jnp.sum(run(model) ** 3))(model)
    expected, found = nnx.state(total(chosen)), nnx.state(total(at))
    # The embedding's reach a thousand, in float32.
    close = partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-4)
    jax.tree.map(close, found, expected)


def test_the_last_tap_normalised_is_the_hidden_state():
    model = Transformer(SMALL, rngs=nnx.Rngs(3))
    encoding = encode(model, *rows([1, 2, 3], [0, 0, 0]), taps=(2,))
    stream = np.asarray(encoding.taps[0], np.float64)
    expected = stream / np.sqrt((stream**2).mean(-1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(encoding.hidden, expected, rtol=1e-5)


@pytest.mark.parametrize("tap", [0, 3, -1])
def test_a_tap_that_does_not_exist_is_refused(tap):
    model = Transformer(SMALL, rngs=nnx.Rngs(3))
    with pytest.raises(InputError, match="expected 1 to 2"):
        model(*rows([1, 2], [0, 0]), taps=(tap,))


def test_hidden_states_do_not_touch_the_output_matrix():
    model = Transformer(replace(SMALL, tied=False), rngs=nnx.Rngs(3))
    grads = jax.grad(lambda m: encode(m, *rows([1, 2], [0, 0])).hidden.sum())(model)
    assert np.abs(grads.embedding[...]).max() > 0
    assert not np.any(grads.head[...])


@pytest.mark.slow
def test_gradients_are_those_of_finite_differences():
    model = Transformer(replace(SMALL, qk_norm=True, qkv_bias=True), rngs=nnx.Rngs(4))
    graph, state = nnx.split(model)
    row = rows([1, 2, 3, 4, 0], [0, 0, 1, 2, -1])

    @jax.jit
    def loss(state):
        hidden = nnx.merge(graph, state)(*row).hidden
        return jnp.mean(jnp.sin(hidden[:, :4]))

    keys = iter(jax.random.split(jax.random.key(0), 100))
    step = jax.tree.map(lambda x: jax.random.normal(next(keys), x.shape), state)
    slope = sum(
        jnp.vdot(g, s)
        for g, s in zip(
            jax.tree.leaves(jax.jit(jax.grad(loss))(state)),
            jax.tree.leaves(step),
            strict=True,
        )
    )
    moved = [
        loss(jax.tree.map(lambda x, s, sign=sign: x + sign * 1e-3 * s, state, step))
        for sign in (1, -1)
    ]
    np.testing.assert_allclose(slope, (moved[0] - moved[1]) / 2e-3, rtol=2e-2)


def test_bfloat16_parameters_give_bfloat16_states_close_to_float32():
    model, _ = golden_model("llama")
    half = jax.tree.map(lambda x: x.astype(jnp.bfloat16), model)
    row = rows([1, 2, 3, 4], [0, 0, 1, 1])
    hidden, wide = encode(half, *row).hidden, encode(model, *row).hidden
    assert hidden.dtype == jnp.bfloat16
    assert half.logits(hidden).dtype == jnp.float32
    np.testing.assert_allclose(hidden.astype(jnp.float32), wide, atol=0.1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 0}, "width: found 0"),
        ({"num_heads": 3}, "multiple of num_kv_heads"),
        ({"head_dim": 5}, "even"),
        ({"dtype": "int8"}, "float32"),
        ({"rope_base": -1.0}, "rope_base"),
        ({"window": 0}, "window: found 0"),
    ],
)
def test_settings_that_do_not_fit_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        replace(SMALL, **change)
