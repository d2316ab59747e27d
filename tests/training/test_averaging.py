"""Reward models averaged in their weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from morl.errors import InputError
from morl.models.heads import head_rewards, init_linear_head
from morl.training.averaging import averaged_params

KEYS = jax.random.split(jax.random.key(0), 3)
MODELS = [{"heads": init_linear_head(key, 4, 2), "backbone": {}} for key in KEYS]


def rewards(model):
    return head_rewards(model["heads"], jnp.arange(8.0).reshape(2, 4))


def same(one, other, tolerance=1e-6):
    close = lambda a, b: np.testing.assert_allclose(a, b, atol=tolerance)
    jax.tree.map(close, one, other)


def test_the_average_is_the_mean_of_every_leaf():
    found = averaged_params(MODELS)
    same(found, jax.tree.map(lambda *leaves: np.mean(leaves, axis=0), *MODELS))
    assert jax.tree.structure(found) == jax.tree.structure(MODELS[0])


def test_linear_heads_average_to_the_mean_of_their_rewards():
    mean = np.average([rewards(m) for m in MODELS], axis=0, weights=[3, 1, 0])
    same(rewards(averaged_params(MODELS, [3, 1, 0])), mean, 1e-5)


def test_the_average_of_one_model_and_that_of_its_copies_is_the_model():
    same(averaged_params(MODELS[:1]), MODELS[0], 0)
    same(averaged_params([MODELS[0]] * 3, [0.2, 0.3, 0.5]), MODELS[0])


def test_weights_count_by_their_shares():
    same(averaged_params(MODELS, [1, 2, 5]), averaged_params(MODELS, [10, 20, 50]), 0)
    same(averaged_params(MODELS, [0, 1, 0]), MODELS[1], 0)


def test_the_order_of_the_models_is_of_no_account():
    same(averaged_params(MODELS, [1, 2, 5]), averaged_params(MODELS[::-1], [5, 2, 1]))


def test_bfloat16_stays_and_is_summed_in_float32():
    parts = [jnp.full(1, value, jnp.bfloat16) for value in (256.0, 1.0, 1.0, 1.0)]
    (found,) = averaged_params([(part,) for part in parts], [1, 1, 1, 1])
    assert found.dtype == jnp.bfloat16
    assert found[0] == jnp.bfloat16((256 + 3) / 4)


def test_the_first_place_where_models_differ_is_named():
    other = {"heads": init_linear_head(KEYS[0], 4, 3), "backbone": {}}
    words = (
        r"models\[1\]: heads.weight: found float32\[4, 3\], models\[0\] has "
        r"float32\[4, 2\]"
    )
    with pytest.raises(InputError, match=words):
        averaged_params([MODELS[0], other])


def test_a_leaf_that_one_model_lacks_is_named():
    more = MODELS[1] | {"backbone": {"norm": jnp.ones(2)}}
    words = r"models\[2\]: backbone.norm: found float32\[2\], models\[0\] has nothing"
    with pytest.raises(InputError, match=words):
        averaged_params([*MODELS[:2], more])


def test_another_type_of_number_is_named():
    other = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), MODELS[0])
    with pytest.raises(InputError, match=r"found bfloat16\[4, 2\].*has float32"):
        averaged_params([MODELS[0], other])


def test_other_containers_of_the_same_leaves_are_refused():
    with pytest.raises(InputError, match="found the structure"):
        averaged_params([[jnp.ones(1)], (jnp.ones(1),)])


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ([1, 1], "found 2 weights, expected one for each of 3 models"),
        ([1, -1, 1], r"found \[1.0, -1.0, 1.0\], expected numbers of at least 0"),
        ([0, 0, 0], "and one above"),
        ([1, np.nan, 1], "expected numbers"),
    ],
)
def test_weights_that_are_none_are_refused(weights, words):
    with pytest.raises(InputError, match=words):
        averaged_params(MODELS, weights)


def test_no_model_at_all_is_refused():
    with pytest.raises(InputError, match="models: found none"):
        averaged_params([])
