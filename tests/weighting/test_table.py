"""Every cell of the table in docs/weightings.md, computed again."""

import inspect
import re
from functools import cache
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from morl import weighting
from morl.numerics.rows import combine
from morl.weighting import Signals

pytestmark = pytest.mark.slow
PAGE = Path(__file__).parents[2] / "docs" / "weightings.md"
ROW = re.compile(r"^\| `(\w+)` \|(.*)\|$", re.MULTILINE)
COLUMNS = (
    "with",
    "reads",
    "prefs",
    "hurts none",
    "all x c",
    "unit-free",
    "order",
    "state",
    "paper",
)
K, SIZE = 3, 4
FACTOR = 7.0


def rows():
    return {
        name: dict(
            zip(COLUMNS, (cell.strip() for cell in cells.split("|")), strict=True)
        )
        for name, cells in ROW.findall(PAGE.read_text())
    }


TABLE = rows()
every_row = pytest.mark.parametrize("name", TABLE)


@pytest.fixture(autouse=True)
def _in_float64():
    with jax.enable_x64(True):
        yield


def factory(name):
    return getattr(weighting, name)


def parameters(name):
    return inspect.signature(factory(name)).parameters


@cache
def runner(name):
    """From gradients, losses and cross products to the weights of every step."""
    given = [each.split("=") for each in TABLE[name]["with"].split(", ") if each]
    settings = {key: float(value) for key, value in given}
    key = [jax.random.key(1)] if "key" in parameters(name) else []
    made = factory(name)(*key, **settings)

    def step(state, now):
        solution, state = made.update(Signals(**now), state)
        return state, solution.weights

    return jax.jit(lambda signals: jax.lax.scan(step, made.init(K), signals)[1])


def drawn(num, seed=0):
    """Random gradients of unequal lengths in conflict, and positive losses."""
    random = np.random.default_rng(seed)
    gradients = random.normal(size=(20 * num, K, SIZE))
    gradients *= 10 ** random.uniform(-1, 1, (20 * num, K, 1))
    conflict = (gradients @ gradients.swapaxes(1, 2)).min((1, 2)) < 0
    return gradients[conflict][:num], random.uniform(0.2, 3, (num, K))


def directions_of(made, gradients):
    """Directions of a method without a state, or from its first one."""
    num = gradients.shape[1]
    take = lambda rows: made.update(Signals(rows @ rows.T), made.init(num))[0].weights
    gradients = jnp.asarray(gradients)
    return np.asarray(jax.vmap(combine)(jax.jit(jax.vmap(take))(gradients), gradients))


def answers(name, gradients, losses, gramian=None, cross=None):
    """Weights and directions, one a step; the cross products are without noise."""
    exact = gradients @ gradients.swapaxes(1, 2)
    signals = {
        "gramian": jnp.asarray(exact if gramian is None else gramian),
        "losses": jnp.asarray(losses),
        "cross": jnp.asarray(exact if cross is None else cross),
    }
    weights = runner(name)(signals)
    return np.asarray(weights), np.asarray(
        jax.vmap(combine)(weights, jnp.asarray(gradients))
    )


def units(directions):
    return directions / np.linalg.norm(directions, axis=-1, keepdims=True)


def same_way(first, second):
    return np.abs(units(first) - units(second)).max() < 1e-5


def reads(name):
    """The signals that change the answer when they are others."""
    gradients, losses = drawn(8)
    others, other_losses = drawn(8, seed=1)
    other = others @ others.swapaxes(1, 2)
    before = answers(name, gradients, losses)[0]
    changed = {
        "gramian": answers(name, gradients, losses, gramian=other)[0],
        "losses": answers(name, gradients, other_losses)[0],
        "cross": answers(name, gradients, losses, cross=other)[0],
    }
    return ", ".join(
        signal for signal, after in changed.items() if not np.allclose(before, after)
    )


def hurts_none(name):
    """Whether no loss rises along minus the direction, for conflicting gradients."""
    gradients, losses = drawn(400)
    _, directions = answers(name, gradients, losses)
    return "yes" if least_cosine(gradients, directions) > -1e-7 else "no"


def least_cosine(gradients, directions):
    return np.einsum("nkp,np->nk", units(gradients), units(directions)).min()


def all_scaled(name):
    """What all losses times c make of the direction: it turns, or it is c^p times."""
    gradients, losses = drawn(8)
    _, before = answers(name, gradients, losses)
    _, after = answers(name, FACTOR * gradients, FACTOR * losses)
    if not same_way(before, after):
        return "turns"
    ratio = np.linalg.norm(after, axis=1) / np.linalg.norm(before, axis=1)
    power = np.log(ratio) / np.log(FACTOR)
    known = {1.0: "c", 0.0: "1", -1 / 3: "c^(-1/3)"}
    return next(
        text for each, text in known.items() if np.allclose(power, each, atol=1e-5)
    )


def unit_free(name):
    """Whether the direction stays when one loss is measured in another unit."""
    gradients, losses = drawn(8)
    _, before = answers(name, gradients, losses)
    for factor in (0.02, 50.0):
        unit = np.array([1.0, factor, 1.0])
        _, after = answers(name, gradients * unit[None, :, None], losses * unit[None])
        if not same_way(before, after):
            return "no"
    return "yes"


def order(name):
    """Whether the order of the objectives changes the direction."""
    gradients, losses = drawn(8)
    _, before = answers(name, gradients, losses)
    _, after = answers(name, gradients[:, [2, 0, 1]], losses[:, [2, 0, 1]])
    return "no" if same_way(before, after) else "yes"


def has_state(name):
    key = [jax.random.key(1)] if "key" in parameters(name) else []
    return bool(jax.tree.leaves(factory(name)(*key).init(K)))


def test_the_table_has_every_weighting_and_no_other():
    made = {
        name
        for name in weighting.__all__
        if "-> morl.weighting.contract.Weighting"
        in str(inspect.signature(factory(name)))
    }
    assert set(TABLE) == made - {"kept"}


@every_row
def test_the_signals_that_it_reads_are_as_the_table_says(name):
    assert reads(name) == TABLE[name]["reads"]


@every_row
def test_whether_it_takes_preferences_is_as_the_table_says(name):
    assert ("prefs" in parameters(name)) == (TABLE[name]["prefs"] == "yes")


@every_row
def test_whether_it_hurts_no_objective_is_as_the_table_says(name):
    assert hurts_none(name) == TABLE[name]["hurts none"]


@every_row
def test_what_all_losses_in_another_unit_do_is_as_the_table_says(name):
    assert all_scaled(name) == TABLE[name]["all x c"]


@every_row
def test_whether_one_loss_in_another_unit_matters_is_as_the_table_says(name):
    assert unit_free(name) == TABLE[name]["unit-free"]


@every_row
def test_whether_the_order_of_objectives_matters_is_as_the_table_says(name):
    assert order(name) == TABLE[name]["order"]


@every_row
def test_whether_it_has_a_state_is_as_the_table_says(name):
    assert has_state(name) == bool(TABLE[name]["state"])


@every_row
def test_the_paper_in_the_table_is_that_of_its_docstring(name):
    papers = re.findall(r"\d{4}\.\d{5}", TABLE[name]["paper"])
    assert all(paper in factory(name).__doc__ for paper in papers)
    assert bool(papers) == ("arXiv" in factory(name).__doc__)


@every_row
def test_every_answer_of_a_cell_is_yes_or_no(name):
    cells = (TABLE[name][column] for column in ("prefs", "hurts none", "unit-free"))
    assert {*cells, TABLE[name]["order"]} <= {"yes", "no"}


def test_a_wide_ball_of_cagrad_and_two_objectives_of_pcgrad_hurt_none():
    gradients, _ = drawn(400)
    wide = directions_of(weighting.cagrad(1.0), gradients)
    assert least_cosine(gradients, wide) > -1e-6
    pairs = gradients[:, :2]
    surgery = directions_of(weighting.pcgrad(jax.random.key(0)), pairs)
    assert least_cosine(pairs, surgery) > -1e-7


def test_fair_with_alpha_one_is_nash():
    gradients, _ = drawn(20)
    fair, nash = (
        directions_of(made, gradients)
        for made in (weighting.fair(1.0), weighting.nash())
    )
    np.testing.assert_allclose(fair, nash, rtol=1e-6)


def test_another_unit_changes_no_more_than_the_sign_of_imtl():
    gradients, _ = drawn(400)
    unit = np.array([1.0, 0.02, 1.0])
    before, after = (
        units(directions_of(weighting.imtl(), each))
        for each in (gradients, gradients * unit[None, :, None])
    )
    np.testing.assert_allclose(np.abs((before * after).sum(1)), 1, rtol=1e-6)
    assert ((before * after).sum(1) < 0).any()
