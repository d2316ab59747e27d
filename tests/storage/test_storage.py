import signal
import subprocess
import sys

import numpy as np
import pytest

from morl.errors import InputError
from morl.storage import (
    atomic_file,
    content_hash,
    read_arrays,
    read_json,
    write_arrays,
    write_json,
)


def test_a_crash_leaves_what_was_there_before(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"old": 1})
    with pytest.raises(RuntimeError), atomic_file(path) as handle:
        handle.write(b"half")
        raise RuntimeError
    assert read_json(path) == {"old": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_a_full_disk_is_an_error_that_names_the_file(tmp_path):
    with (
        pytest.raises(OSError, match="No space") as failed,
        atomic_file(tmp_path / "a.json"),
        open("/dev/full", "wb", buffering=0) as full,
    ):
        full.write(b"half")
    assert failed.value.filename == str(tmp_path / "a.json")
    assert not list(tmp_path.iterdir())


def test_kill_9_in_the_middle_of_a_file_leaves_nothing_that_a_reader_would_take(
    tmp_path,
):
    path = tmp_path / "a.safetensors"
    script = (
        "import os, signal, sys\n"
        "from morl.storage import atomic_file\n"
        "with atomic_file(sys.argv[1]) as handle:\n"
        "    handle.write(b'half')\n"
        "    handle.flush()\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ran = subprocess.run([sys.executable, "-c", script, path], check=False)
    assert ran.returncode == -signal.SIGKILL
    (stray,) = tmp_path.iterdir()
    assert stray.read_bytes() == b"half"
    assert not list(tmp_path.rglob("*.safetensors"))
    write_arrays(path, {"x": np.arange(3)})
    assert list(tmp_path.rglob("*.safetensors")) == [path]


def test_arrays_come_back_equal_with_their_metadata(tmp_path):
    arrays = {"x": np.arange(6.0).reshape(2, 3).T, "n": np.array([], np.int32)}
    write_arrays(tmp_path / "a.safetensors", arrays, {"who": "me"})
    found, metadata = read_arrays(tmp_path / "a.safetensors")
    assert metadata == {"who": "me"}
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize("damage", ["truncate", "flip", "garble", "empty"])
def test_damage_is_named(tmp_path, damage):
    path = tmp_path / "a.safetensors"
    write_arrays(path, {"x": np.arange(100.0)})
    content = path.read_bytes()
    broken = {
        "truncate": content[:-50],
        "flip": content[:-1] + bytes([content[-1] ^ 1]),
        "garble": b"\xff" * len(content),
        "empty": b"",
    }
    path.write_bytes(broken[damage])
    with pytest.raises(InputError, match=r"a\.safetensors"):
        read_arrays(path)


def test_a_missing_or_broken_json_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.json: no such file"):
        read_json(tmp_path / "none.json")
    (tmp_path / "b.json").write_text('{"a": ')
    with pytest.raises(InputError, match=r"b\.json: not valid JSON"):
        read_json(tmp_path / "b.json")


def test_json_refuses_nan(tmp_path):
    with pytest.raises(ValueError, match="Out of range"):
        write_json(tmp_path / "a.json", float("nan"))


def test_equal_content_has_equal_hashes():
    assert content_hash(1, {"a": [1, 2]}) == content_hash(1, {"a": (1, 2)})
    assert content_hash(1) != content_hash("1")
