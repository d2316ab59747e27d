"""Every cell of the table in docs/scalarizers.md, computed again."""

import inspect
import re
from functools import cache
from itertools import product
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from morl import scalarize

PAGE = Path(__file__).parents[2] / "docs" / "scalarizers.md"
ROW = re.compile(r"^\| `(\w+)` \|(.*)\|$", re.MULTILINE)
COLUMNS = ("with", "concave parts", "differentiable", "monotone", "scale-free", "needs")
POINTS = {
    "ideal": 1.0,
    "reference": 0.0,
    "disagreement": 0.0,
    "floor": 0.0,
    "threshold": 0.5,
}


def rows():
    return {
        name: dict(
            zip(COLUMNS, (cell.strip() for cell in cells.split("|")), strict=True)
        )
        for name, cells in ROW.findall(PAGE.read_text())
    }


TABLE = rows()
every_row = pytest.mark.parametrize("name", TABLE)


def points_of(name, count):
    names = [each for each in TABLE[name]["needs"].split(", ") if each]
    return {each: jnp.full(count, POINTS[each]) for each in names}


@cache
def utilities(name):
    """Utilities of many rewards, with the settings of the table."""
    given = [each.split("=") for each in TABLE[name]["with"].split(", ") if each]
    settings = {key: float(value) for key, value in given}

    def utility(rewards, weights, points):
        return vars(scalarize)[name](rewards, weights, **settings, **points)

    return jax.jit(jax.vmap(utility, (0, None, None)))


@pytest.fixture(autouse=True)
def _in_float64():
    with jax.enable_x64(True):
        yield


def test_the_table_has_every_scalarizer_and_no_other():
    others = {"keep_present", "lexicographic_rank"}
    assert set(TABLE) == set(scalarize.__all__) - others


def concave_parts(name):
    """What the maximisers of all weights make of a circle around the ideal."""
    angle = np.linspace(0, np.pi / 2, 801)
    front = jnp.asarray(np.stack([1 - np.cos(angle), 1 - np.sin(angle)], -1))
    share = jnp.linspace(0, 1, 401)[1:-1]
    weights = jnp.stack([share, 1 - share], -1)
    every_weight = jax.vmap(utilities(name), (None, 0, None))
    utility = every_weight(front, weights, points_of(name, 2))
    best = np.unique(angle[np.asarray(jnp.argmax(utility, -1))])
    inside = best[(best > 0.02) & (best < np.pi / 2 - 0.02)]
    if len(inside) == 0:
        return "none"
    if len(inside) <= 2:
        return "points"
    gap = np.diff(np.concatenate([[0], inside, [np.pi / 2]]))
    return "all" if gap.max() < 0.1 else "part"


def differentiable(name):
    """Whether one-sided slopes are opposite on a grid, ties and rays included."""
    weights = jnp.array([0.3, 0.7])
    grid = [*product(np.linspace(0.1, 0.9, 5), repeat=2)]
    shortfall_tie, shortfall_ray, ray = (
        (1 - 0.7, 1 - 0.3),
        (1 - 0.3, 1 - 0.7),
        (0.3, 0.7),
    )
    points = jnp.array([*grid, shortfall_tie, shortfall_ray, ray])
    around = [(1, 0), (0, 1), (1, 1), (1, -1), (3, 7), (7, -3)]
    step = 1e-7
    utility = lambda rewards: utilities(name)(rewards, weights, points_of(name, 2))
    here = utility(points)
    for direction in around:
        move = step * jnp.array(direction)[None]
        ahead = (utility(points + move) - here) / step
        behind = (here - utility(points - move)) / step
        if jnp.max(jnp.abs(ahead - behind)) > 1e-3:
            return "no"
    return "yes"


def monotone(name):
    """What improving one objective does, between reference and ideal and beyond."""
    random = np.random.default_rng(0)
    weights = jnp.array([0.2, 0.5, 0.3])
    points = points_of(name, 3)
    utility = lambda rewards: utilities(name)(jnp.asarray(rewards), weights, points)
    rise = 0.01 + random.exponential(0.2, (3000, 1))
    step = rise * np.eye(3)[random.integers(3, size=3000)]
    wide = random.uniform(-1, 2, (3000, 3))
    change = utility(wide + step) - utility(wide)
    if change.min() < -1e-12:
        return "no"
    low = random.uniform(0.02, 0.98, (3000, 3))
    high = np.minimum(low + step, 0.99)
    change = utility(high) - utility(low)
    return "strictly" if change.min() > 0 else "weakly"


def scale_free(name):
    """Whether measuring the first objective in other units keeps every order."""
    random = np.random.default_rng(1)
    points = random.uniform(0.02, 0.98, (300, 2))
    weights = jnp.array([0.4, 0.6])
    usual = points_of(name, 2)
    first = np.asarray(utilities(name)(jnp.asarray(points), weights, usual))
    order = np.argsort(first)
    for factor in (0.01, 7.0):
        unit = np.array([factor, 1.0])
        moved = {each: point * unit for each, point in usual.items()}
        rescaled = utilities(name)(jnp.asarray(points * unit), weights, moved)
        again = np.asarray(rescaled)[order]
        if np.diff(again).min() < -1e-12:
            return "no"
    return "yes"


def needs(name):
    """The vectors that it does not run without."""
    parameters = inspect.signature(vars(scalarize)[name]).parameters.values()
    named = [p for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY]
    return ", ".join(p.name for p in named if p.default is inspect.Parameter.empty)


@every_row
def test_what_it_makes_of_a_concave_front_is_as_the_table_says(name):
    assert concave_parts(name) == TABLE[name]["concave parts"]


@every_row
def test_whether_it_is_differentiable_is_as_the_table_says(name):
    assert differentiable(name) == TABLE[name]["differentiable"]


@every_row
def test_whether_it_is_monotone_is_as_the_table_says(name):
    assert monotone(name) == TABLE[name]["monotone"]


@every_row
def test_whether_it_is_scale_free_is_as_the_table_says(name):
    assert scale_free(name) == TABLE[name]["scale-free"]


@every_row
def test_the_points_that_it_needs_are_as_the_table_says(name):
    assert needs(name) == TABLE[name]["needs"]


@pytest.mark.parametrize("name", [name for name in TABLE if TABLE[name]["needs"]])
def test_moving_any_point_that_it_needs_moves_its_order(name):
    random = np.random.default_rng(2)
    points = jnp.asarray(random.uniform(0.02, 0.98, (300, 3)))
    weights = jnp.array([0.2, 0.5, 0.3])
    usual = points_of(name, 3)
    before = jnp.argsort(utilities(name)(points, weights, usual))
    for each, point in usual.items():
        moved = usual | {each: point + jnp.array([0.3, -0.1, 0.0])}
        after = jnp.argsort(utilities(name)(points, weights, moved))
        assert not jnp.array_equal(before, after), each
