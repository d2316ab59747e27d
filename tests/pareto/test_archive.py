"""The archive against the set of all points seen."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from morl.errors import InputError
from morl.pareto import host
from morl.pareto.archive import init_archive, update_archive


def archived(points, capacity, mask=None):
    """Batches ``[s, n, k]`` one after the other, inside one compiled scan."""
    steps, n, k = points.shape
    mask = np.ones((steps, n), bool) if mask is None else mask
    payload = jnp.arange(steps * n).reshape(steps, n)

    def step(archive, batch):
        rows, labels, counts = batch
        return update_archive(archive, rows, labels, mask=counts), None

    batches = (jnp.asarray(points, jnp.float32), payload, jnp.asarray(mask))
    return jax.jit(lambda xs: jax.lax.scan(step, init_archive(capacity, k), xs)[0])(
        batches
    )


def test_with_room_it_holds_the_first_of_each_non_dominated_point_ever_seen():
    rng = np.random.default_rng(0)
    points = rng.integers(0, 6, (20, 8, 3)).astype(float)
    mask = rng.random((20, 8)) < 0.7
    archive = archived(np.where(mask[..., None], points, np.nan), 80, mask)
    seen, places = points.reshape(-1, 3), np.flatnonzero(mask)
    best = places[host.non_dominated(seen[places])]
    _, first = np.unique(seen[best], axis=0, return_index=True)
    expected = best[np.sort(first)]
    assert len(expected) < len(best)
    count = int(archive.filled.sum())
    np.testing.assert_array_equal(archive.payload[:count], expected)
    np.testing.assert_array_equal(archive.points[:count], seen[expected])
    assert (archive.payload[count:] == -1).all()
    assert (archive.points[count:] == 0).all()


def test_without_room_the_most_crowded_goes_and_distances_are_taken_anew():
    # 5.0 has the smallest gap (4.8 to 5.2). Without it 4.8 spans 3 to 5.2, 5.2 spans
    # 4.8 to 8: 4.8 goes next. Dropping the two least of the first round would have
    # taken 5.0 and 5.2 or left both neighbours.
    x = np.array([0.0, 3.0, 4.8, 5.0, 5.2, 8.0, 10.0])
    points = np.stack([x, 10 - x], axis=1)[None]
    assert archived(points, 6).payload.tolist() == [0, 1, 2, 4, 5, 6]
    assert archived(points, 5).payload.tolist() == [0, 1, 4, 5, 6]


def test_the_ends_of_each_objective_stay_while_there_is_room_for_them():
    x = np.random.default_rng(1).permutation(60).reshape(6, 10) / 60
    archive = archived(np.stack([x, 1 - x], axis=-1), 5)
    assert archive.filled.all()
    for objective in archive.points.T:
        np.testing.assert_allclose(objective.max(), 1 - (0 in x) / 60, atol=1 / 59)
    assert host.non_dominated(np.asarray(archive.points, float)).all()


@pytest.mark.slow
def test_of_equally_crowded_points_the_newest_goes():
    points = jnp.array([[1.0, 0.0], [0.0, 1.0]])
    archive = update_archive(init_archive(1, 2), points, jnp.array([7, 8]))
    assert archive.payload.tolist() == [7]
    archive = update_archive(archive, points[1:], jnp.array([9]))
    assert archive.payload.tolist() == [7]
    archive = update_archive(archive, jnp.ones((1, 2)), jnp.array([10]))
    assert archive.payload.tolist() == [10]


def test_copies_do_not_fill_it():
    archive = archived(np.ones((5, 4, 2)), 3)
    assert archive.filled.tolist() == [True, False, False]
    assert archive.payload.tolist() == [0, -1, -1]


def test_runs_are_vmapped_each_on_its_own():
    points = jnp.asarray(np.random.default_rng(2).random((3, 9, 2)), jnp.float32)

    @jax.jit
    def one(rows):
        return update_archive(init_archive(3, 2), rows, jnp.arange(9))

    together = jax.vmap(one)(points)
    for run in range(3):
        np.testing.assert_array_equal(together.payload[run], one(points[run]).payload)


def test_sizes_that_make_no_archive_are_refused():
    with pytest.raises(InputError, match="found capacity 0"):
        init_archive(0, 2)
    with pytest.raises(
        InputError, match="found 3 objectives, expected the archive's 2"
    ):
        update_archive(init_archive(1, 2), jnp.ones((1, 3)), jnp.zeros(1, int))
