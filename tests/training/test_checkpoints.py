import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from morl.errors import InputError
from morl.training.checkpoints import MANIFEST, Checkpoints, CheckpointSettings, damaged
from morl.training.mesh import MeshSettings, make_mesh, tree_shardings
from morl.training.strategies import place

STATE = {
    "step": jnp.int32(7),
    "params": {"out.weight": jnp.arange(64.0).reshape(8, 8)},
    "optimizer": ((), (jnp.float32(0.1), {"out.weight": jnp.ones((8, 8))})),
    "key": jax.random.key_data(jax.random.key(3)),
}


def shapes(state):
    return jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), state
    )


def saved(folder, steps, *, accuracies=None, **settings):
    checkpoints = Checkpoints(folder, CheckpointSettings(**settings))
    for place_of, step in enumerate(steps):
        known = {} if accuracies is None else {"accuracy": accuracies[place_of]}
        state = {**STATE, "step": jnp.int32(step)}
        checkpoints.save(step, state, metrics=known, about={"model": "a"})
    checkpoints.wait()
    return checkpoints


def flip(path, bit=0):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1 << bit
    path.write_bytes(content)


def test_a_state_comes_back_to_the_bit(tmp_path):
    found = saved(tmp_path, [7]).restore(shapes(STATE))
    assert jax.tree.structure(found) == jax.tree.structure(STATE)
    jax.tree.map(np.testing.assert_array_equal, found, STATE)


def test_a_state_comes_back_on_another_mesh_and_back_again(tmp_path):
    state, meshes = (
        STATE,
        [
            make_mesh(MeshSettings(fsdp=4), jax.devices()),
            make_mesh(MeshSettings(fsdp=2), jax.devices()[:2]),
            make_mesh(MeshSettings(fsdp=2, tensor=2), jax.devices()),
        ],
    )
    for number, mesh in enumerate(meshes):
        checkpoints = Checkpoints(tmp_path / str(number), CheckpointSettings())
        checkpoints.save(1, state, metrics={}, about={})
        checkpoints.wait()
        wanted = shapes(place(STATE, tree_shardings(STATE, mesh)))
        state = checkpoints.restore(wanted)
        assert state["params"]["out.weight"].sharding == NamedSharding(
            mesh, P("fsdp", "tensor")
        )
    jax.tree.map(np.testing.assert_array_equal, state, STATE)


def test_the_newest_are_kept_and_the_best(tmp_path):
    found = saved(
        tmp_path,
        [1, 2, 3, 4],
        accuracies=[0.1, 0.9, 0.3, 0.2],
        keep=2,
        best_by="accuracy",
    )
    assert [each.step for each in found.good()] == [2, 3, 4]
    assert found.best().step == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2", "3", "4"]


@pytest.mark.filterwarnings("ignore:.*IS DAMAGED")
def test_every_flipped_bit_is_found_and_the_checkpoint_before_is_taken(tmp_path):
    whole = tmp_path / "whole"
    checkpoints = saved(whole, [1, 2])
    files = [path.relative_to(whole) for path in (whole / "2").rglob("*")]
    files = [name for name in files if (whole / name).is_file()]
    # The marker that Orbax leaves of its own success is empty.
    hit = [name for name in files if (whole / name).stat().st_size]
    assert len(hit) >= len(files) - 1
    for number, name in enumerate(hit):
        copy = tmp_path / str(number)
        shutil.copytree(whole, copy)
        flip(copy / name, number % 8)
        assert name.name in damaged(copy / "2")
        there = Checkpoints(copy, checkpoints.settings)
        with pytest.warns(UserWarning, match=f"{name.name}"):
            found = there.restore(shapes(STATE))
        assert int(found["step"]) == 1


@pytest.mark.filterwarnings("ignore:.*IS DAMAGED")
def test_a_damaged_step_that_is_reached_again_is_written_again(tmp_path):
    checkpoints = saved(tmp_path, [1, 2])
    flip(next(path for path in (tmp_path / "2").rglob("d/*") if path.is_file()))
    assert damaged(tmp_path / "2")
    checkpoints.restore(shapes(STATE))
    assert [each.step for each in checkpoints.good()] == [1]
    saved(tmp_path, [2])
    assert not damaged(tmp_path / "2")
    assert [each.step for each in checkpoints.good()] == [1, 2]


def test_a_missing_file_is_named(tmp_path):
    saved(tmp_path, [1])
    lost = next(path for path in tmp_path.rglob("d/*") if path.is_file())
    lost.unlink()
    assert damaged(tmp_path / "1") == f"{lost.relative_to(tmp_path / '1')} is missing"


@pytest.mark.filterwarnings("ignore:.*IS DAMAGED")
def test_where_all_are_damaged_nothing_is_begun_anew(tmp_path):
    checkpoints = saved(tmp_path, [1])
    flip(next(path for path in tmp_path.rglob("d/*") if path.is_file()))
    with pytest.raises(InputError, match="no good checkpoint is left"):
        checkpoints.restore(shapes(STATE))


def test_a_step_without_its_manifest_does_not_count(tmp_path):
    checkpoints = saved(tmp_path, [1, 2])
    (tmp_path / "2" / MANIFEST).unlink()
    assert int(checkpoints.restore(shapes(STATE))["step"]) == 1


def test_another_state_is_refused_by_name(tmp_path):
    checkpoints = saved(tmp_path, [1])
    other = {**STATE, "params": {"out.weight": jnp.zeros((4, 8))}}
    expected = r"params.out.weight \(8, 8\), expected \(4, 8\)"
    with pytest.raises(InputError, match=expected):
        checkpoints.restore(shapes(other))


def test_there_may_be_none(tmp_path):
    assert Checkpoints(tmp_path, CheckpointSettings()).restore(shapes(STATE)) is None


def test_a_full_disk_is_an_error_and_leaves_the_last_good_one(tmp_path, monkeypatch):
    checkpoints = saved(tmp_path, [1])

    def full(path, _):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("morl.training.checkpoints.write_json", full)
    checkpoints.save(2, STATE, metrics={}, about={})
    with pytest.raises(OSError, match="No space left"):
        checkpoints.wait()
    monkeypatch.undo()
    assert [each.step for each in checkpoints.good()] == [1]
    assert int(checkpoints.restore(shapes(STATE))["step"]) == 1


def test_the_manifest_says_what_the_run_said(tmp_path):
    saved(tmp_path, [3])
    manifest = json.loads((tmp_path / "3" / MANIFEST).read_text())
    assert (manifest["step"], manifest["about"]) == (3, {"model": "a"})
