import jax
import jax.numpy as jnp
import numpy as np
import pytest

from morl.errors import InputError
from morl.storage import file_sha256
from morl.training import processes
from morl.training.processes import (
    DistributedSettings,
    after_first,
    agreed,
    all_or_none,
    check_same,
    check_shared,
    first_alone,
    first_does,
    in_shares,
    is_first,
    join_processes,
    whole_at_first,
)


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"kind": "address"}, "distributed.coordinator"),
        ({"kind": "address", "coordinator": "host"}, "distributed.coordinator"),
        ({"kind": "address", "coordinator": ":1"}, "distributed.coordinator"),
        ({"kind": "address", "coordinator": "host:1"}, "distributed.processes"),
        ({"coordinator": "host:1"}, "distributed.kind"),
        ({"kind": "auto", "process": 1}, "distributed.kind"),
        ({"timeout": 0}, "distributed.timeout"),
    ],
)
def test_settings_that_name_no_process_are_refused(changes, where):
    with pytest.raises(InputError, match=where):
        DistributedSettings(**changes)


@pytest.mark.parametrize("process", [-1, 2])
def test_a_process_that_there_is_not_is_refused(process):
    with pytest.raises(InputError, match=r"distributed\.process: .*expected 0 to 1"):
        DistributedSettings("address", "host:1", 2, process)


def test_processes_are_joined_ahead_of_any_device():
    jax.devices()
    with pytest.raises(InputError, match="must be called before"):
        join_processes(DistributedSettings("address", "127.0.0.1:1", 1, 0))


def test_processes_that_never_met_are_refused(monkeypatch):
    monkeypatch.setattr(processes, "are_several", lambda: True)
    with pytest.raises(InputError, match="found none, but there are 1 processes"):
        join_processes(DistributedSettings())


def test_one_process_agrees_with_itself(tmp_path):
    path = tmp_path / "file"
    path.write_text("words")
    assert is_first()
    assert agreed((1, "a")) == (1, "a")
    assert first_alone(lambda: 2) == first_does(lambda: 2) == after_first(lambda: 2)
    assert in_shares(sum, [1, 2]) == 3
    check_same({"a": 1})
    check_shared(path, file_sha256(path))
    tree = {"a": jnp.arange(3), "b": np.ones(2)}
    jax.tree.map(np.testing.assert_array_equal, whole_at_first(tree), tree)


@pytest.mark.parametrize("act", [first_alone, first_does, after_first])
def test_what_fails_at_one_process_is_raised_there(act):
    def fail():
        raise OSError(28, "No space left on device", "file")

    with pytest.raises(OSError, match="No space left"):
        act(fail)
    with pytest.raises(OSError, match="No space left"), all_or_none():
        fail()


@pytest.fixture
def other(monkeypatch):
    """A second process, that answers as it is told."""

    def answers(answer):
        monkeypatch.setattr(processes, "are_several", lambda: True)
        gather = lambda own: np.stack([np.asarray(own), np.asarray(answer(own))])
        monkeypatch.setattr(processes.multihost_utils, "process_allgather", gather)

    return answers


def test_a_failure_at_another_process_ends_this_one_too(other):
    other(lambda _: True)
    with pytest.raises(InputError, match="process 1 failed, and says why"):
        first_alone(lambda: None)


def test_what_processes_were_told_differently_is_named(other):
    other(lambda own: np.array([own[0], own[1] + 1]))
    with pytest.raises(InputError, match="process 1 has another b than process 0"):
        check_same({"b": 1, "a": 2})


def test_a_folder_that_is_not_shared_is_refused(other, tmp_path, monkeypatch):
    other(lambda own: own)
    monkeypatch.setattr(processes, "SEEN_SECONDS", 0)
    with pytest.raises(InputError, match="a folder that all processes share"):
        check_shared(tmp_path / "absent", "digest")
