import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from morl.models import Transformer, TransformerConfig
from morl.models.backbone import (
    Backbone,
    MaskedBackbone,
    TransformerBackbone,
    attention_mask,
)

# A prompt of two tokens, two responses of two and one, and padding.
TOKENS = jnp.array([[3, 1, 4, 1, 5, 9]])
POSITIONS = jnp.array([[0, 1, 2, 3, 2, 0]])
SEGMENTS = jnp.array([[0, 0, 1, 1, 2, -1]])


def one_layer(parameters, tokens, positions, mask):
    """Attention of one head with sinusoidal positions, as another library has it."""
    angles = positions[..., None] / (10.0 ** jnp.arange(4))[None, None]
    x = parameters["table"][tokens] + jnp.concatenate(
        [jnp.sin(angles), jnp.cos(angles)], axis=-1
    )
    scores = jnp.where(mask, x @ jnp.swapaxes(x @ parameters["mix"], 1, 2), -1e9)
    return x + jax.nn.softmax(scores, axis=-1) @ x


@pytest.fixture(scope="module", params=["own", "masked"])
def backbone(request):
    if request.param == "own":
        config = TransformerConfig(10, 8, 2, 2, 1, 4, 16)
        return TransformerBackbone(Transformer(config, rngs=nnx.Rngs(0)))
    keys = jax.random.split(jax.random.key(0))
    parameters = {
        "table": jax.random.normal(keys[0], (10, 8)),
        "mix": jax.random.normal(keys[1], (8, 8)),
    }
    return MaskedBackbone(parameters, one_layer, width=8)


@jax.jit
def encode(backbone, tokens, positions, segments):
    return backbone(tokens, positions, segments)


def test_it_is_a_backbone_of_its_width(backbone):
    assert isinstance(backbone, Backbone)
    hidden = encode(backbone, TOKENS, POSITIONS, SEGMENTS)
    assert hidden.shape == (1, 6, backbone.width)
    assert np.isfinite(hidden).all()


def test_a_packed_response_is_encoded_as_it_is_alone(backbone):
    packed = encode(backbone, TOKENS, POSITIONS, SEGMENTS)
    for places in ([0, 1, 2, 3], [0, 1, 4]):
        at = jnp.array(places)
        alone = encode(
            backbone, TOKENS[:, at], POSITIONS[:, at], jnp.zeros((1, len(at)), int)
        )
        np.testing.assert_allclose(packed[:, at], alone, rtol=1e-5, atol=1e-6)


def test_gradients_reach_the_parameters_and_nothing_else(backbone):
    loss = lambda own: jnp.sum(encode(own, TOKENS, POSITIONS, SEGMENTS)[:, :5])
    gradient = jax.grad(loss)(backbone)
    assert jax.tree.structure(gradient) == jax.tree.structure(backbone)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))
    assert any(np.any(leaf) for leaf in jax.tree.leaves(gradient))


def test_the_mask_is_that_of_the_transformer():
    mask = np.asarray(attention_mask(SEGMENTS))[0]
    rows = ["100000", "110000", "111000", "111100", "110010", "110000"]
    assert ["".join(map(str, row)) for row in mask.astype(int)] == rows
