"""What saved heads say, with the transforms that were saved with them."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import softmax

from morl.errors import InputError
from morl.models.head_files import HeadKind, HeadSet
from morl.models.heads import (
    Reading,
    States,
    ensemble,
    gated,
    head_rewards,
    linear,
)
from morl.models.truncation import Truncation
from morl.rewards import Debias, Mixture
from morl.training.head_scores import (
    head_scores,
    reward_names,
    saved_mixture,
    with_debias,
    with_mixture,
)

NAMES = ("helpful", "harmless", "honest")
WIDTH = 6
DEBIAS = Debias(np.float32([0.5, 0.0, -1.0]), np.float32(10.0), np.float32(4.0))
LENGTHS = np.array([2, 10, 18, 30])
STATES = States(*jax.random.normal(jax.random.key(0), (2, 4, WIDTH)))


def heads(head):
    return HeadSet(
        NAMES,
        Reading(1, "last"),
        head.init(jax.random.key(1), WIDTH, 3),
        "f" * 64,
        "t",
        Truncation(64, 16),
        HeadKind("some", {}, head),
    )


def test_heads_without_transforms_say_their_estimates():
    given = heads(linear())
    found = head_scores(given, STATES, LENGTHS)
    expected = np.asarray(head_rewards(given.head, STATES.response))
    np.testing.assert_allclose(found.mean, expected, atol=1e-6)
    assert reward_names(given) == NAMES


def test_a_saved_correction_takes_off_what_length_explains():
    given = heads(linear())
    plain = head_scores(given, STATES, LENGTHS).mean
    found = head_scores(with_debias(given, DEBIAS), STATES, LENGTHS).mean
    standard = (LENGTHS - 10.0) / 4.0
    expected = np.asarray(plain) - standard[:, None] * np.array([0.5, 0.0, -1.0])
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("debias", [None, DEBIAS])
def test_a_saved_mixture_is_one_more_reward(debias):
    given = heads(gated(ensemble(3), hidden_width=5))
    mixed = with_mixture(given, Mixture(2.0, 1.5, debias))
    assert reward_names(mixed) == (*NAMES, "mixture")
    found = head_scores(mixed, STATES, LENGTHS)
    plain = given if debias is None else with_debias(given, debias)
    parts = head_scores(plain, STATES, LENGTHS)
    np.testing.assert_allclose(found.mean[:, :3], parts.mean, atol=1e-6)
    gate = given.kind.head.read(given.head, STATES).gate
    weights = 1.5 * softmax(np.asarray(gate) / 2.0, axis=-1)
    score = np.sum(weights * np.asarray(parts.mean), axis=-1)
    np.testing.assert_allclose(found.mean[:, 3], score, rtol=1e-4, atol=1e-6)
    spread = np.sqrt(np.sum((weights * np.asarray(parts.deviation)) ** 2, axis=-1))
    np.testing.assert_allclose(found.deviation[:, 3], spread, rtol=1e-4)


def test_what_was_saved_is_what_was_given():
    found = saved_mixture(with_mixture(heads(gated(linear())), Mixture(3, 2, DEBIAS)))
    assert (found.temperature, found.scale) == (3, 2)
    jax.tree.map(np.testing.assert_array_equal, found.debias, DEBIAS)
    assert saved_mixture(heads(linear())) is None


def test_no_objective_is_called_like_the_mixture():
    given = replace(heads(gated(linear())), objectives=("a", "mixture", "b"))
    with pytest.raises(InputError, match="found 'mixture', expected another name"):
        with_mixture(given, Mixture())


def test_a_correction_has_one_coefficient_an_objective():
    with pytest.raises(InputError, match="found 1 coefficients, expected one for each"):
        with_debias(heads(linear()), Debias(jnp.ones(1), jnp.ones(()), jnp.ones(())))
