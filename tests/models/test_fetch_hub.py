"""Fetching from a hub: the real client against a server on this machine."""

import hashlib
import json
import threading
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from morl.errors import InputError
from morl.models.fetch import BrokenDownload
from morl.models.hub import Hub, Listing, fetch_hub, hugging_face

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = {
    "config.json": b"{}",
    "tokenizer.json": b'{"a": 1}',
    "chat_template.jinja": b"{{ messages }}",
    "model-00001-of-00002.safetensors": b"weights one",
    "model-00002-of-00002.safetensors": b"weights two",
    "model.safetensors.index.json": b"{}",
    "pytorch_model.bin": b"pickle",
    "modeling_custom.py": b"raise SystemExit",
    "original/model.safetensors": b"again",
    "README.md": b"hello",
}
WANTED = sorted(
    name for name in FILES if name.endswith(("json", "jinja")) or name[:6] == "model-"
)


def digest(content):
    return hashlib.sha256(content).hexdigest()


def git_blob(content):
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def test_the_digest_of_small_files_is_the_one_that_git_has():
    # git hash-object --stdin <<< hello
    assert git_blob(b"hello\n") == "ce013625030ba8dba906f756967f9e9ca394464a"


def is_weights(name):
    return name.endswith(".safetensors")


class Handler(BaseHTTPRequestHandler):
    """The few answers of a hub that the client asks for."""

    def do_GET(self):
        self.answer(body=True)

    def do_HEAD(self):
        self.answer(body=False)

    def answer(self, *, body):
        path = self.path.partition("?")[0]
        self.server.asked.append(path)
        prefix = f"/org/name/resolve/{COMMIT}/"
        if path.startswith("/api/models/org/name/tree/"):
            self.send(json.dumps(self.tree()).encode(), "tree", body=body)
        elif path.startswith("/api/models/org/name"):
            self.send(json.dumps(self.listing()).encode(), "list", body=body)
        elif path.startswith(prefix) and path[len(prefix) :] in FILES:
            name = path[len(prefix) :]
            broken = self.server.broken.pop(name, None) if body else None
            self.send(FILES[name], digest(FILES[name]), body=body, sent=broken)
        else:
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()

    def tree(self):
        return [
            {
                "type": "file",
                "path": name,
                "size": len(content),
                "oid": git_blob(content),
            }
            for name, content in FILES.items()
        ]

    def listing(self):
        files = [
            {
                "rfilename": name,
                "size": len(content),
                "blobId": git_blob(content),
                "lfs": {
                    "sha256": digest(content),
                    "size": len(content),
                    "pointerSize": 1,
                }
                if is_weights(name)
                else None,
            }
            for name, content in FILES.items()
        ]
        return {"id": "org/name", "sha": COMMIT, "siblings": files}

    def send(self, content, etag, *, body, sent=None):
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", f'"{etag}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        if body:
            self.wfile.write(content if sent is None else sent)

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked, server.broken = [], {}
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def real_hub(server):
    return hugging_face(f"http://127.0.0.1:{server.server_port}")


def local_hub(*deliveries):
    """A hub that delivers what it is told to, one download after another."""
    waiting = list(deliveries)
    listing = Listing(
        COMMIT,
        {
            name: digest(FILES[name]) if is_weights(name) else git_blob(FILES[name])
            for name in FILES
        },
    )

    def download(repository, commit, names, folder):
        assert (repository, commit) == ("org/name", COMMIT)
        folder.mkdir(parents=True, exist_ok=True)
        arrived = waiting.pop(0)
        for name in names:
            if name in arrived and not (folder / name).exists():
                (folder / name).write_bytes(arrived[name])

    return Hub(lambda *_: listing, download)


def files(folder):
    return sorted(
        path.name
        for path in folder.iterdir()
        if path.is_file() and path.name != "morl_manifest.json"
    )


@pytest.mark.slow
def test_the_real_client_fetches_weights_and_tokenizer_and_no_code(
    server, real_hub, tmp_path
):
    folder = fetch_hub("org/name", tmp_path, hub=real_hub)
    assert files(folder) == WANTED
    for name in WANTED:
        assert (folder / name).read_bytes() == FILES[name]
    server.asked.clear()
    assert fetch_hub("org/name", tmp_path, hub=real_hub) == folder
    assert server.asked == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["config.json", "model-00001-of-00002.safetensors"])
@pytest.mark.parametrize("sent", ["half", "garbled"])
def test_what_reaches_the_real_client_broken_is_fetched_again(
    server, real_hub, tmp_path, name, sent
):
    content = FILES[name]
    server.broken[name] = {
        "half": content[: len(content) // 2],
        "garbled": bytes(len(content)),
    }[sent]
    # The client may notice a short file by itself, and ask again without a word.
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        folder = fetch_hub("org/name", tmp_path, hub=real_hub)
    assert not server.broken
    for each in WANTED:
        assert (folder / each).read_bytes() == FILES[each]
    if sent == "garbled":
        assert any("arrived broken; trying again" in str(w.message) for w in said)


@pytest.mark.slow
def test_the_real_client_names_a_model_that_is_not_there(real_hub, tmp_path):
    with pytest.raises(InputError, match="org/other: cannot be listed"):
        fetch_hub("org/other", tmp_path, hub=real_hub)


@pytest.mark.slow
def test_a_hub_that_cannot_be_reached_is_an_input_error(server, tmp_path):
    port = server.server_port
    server.server_close()
    with pytest.raises(InputError, match="org/name: cannot be listed"):
        fetch_hub("org/name", tmp_path, hub=hugging_face(f"http://127.0.0.1:{port}"))


def test_only_weights_configuration_and_tokenizer_are_taken(tmp_path):
    folder = fetch_hub("org/name", tmp_path, hub=local_hub(FILES))
    assert files(folder) == WANTED
    manifest = json.loads((folder / "morl_manifest.json").read_text())
    assert manifest["commit"] == COMMIT
    assert manifest["files"] == {name: digest(FILES[name]) for name in WANTED}


@pytest.mark.parametrize("arrived", [b"weights", b"", b"weights onE"])
def test_weights_that_arrive_broken_are_fetched_again(tmp_path, arrived):
    first = {**FILES, "model-00001-of-00002.safetensors": arrived}
    with pytest.warns(RuntimeWarning, match="00001-of-00002.* arrived broken; trying"):
        folder = fetch_hub("org/name", tmp_path, hub=local_hub(first, FILES))
    assert (folder / "model-00001-of-00002.safetensors").read_bytes() == b"weights one"


def test_small_files_that_arrive_broken_are_fetched_again(tmp_path):
    first = {**FILES, "tokenizer.json": b'{"a": '}
    with pytest.warns(RuntimeWarning, match=r"tokenizer\.json arrived broken; trying"):
        folder = fetch_hub("org/name", tmp_path, hub=local_hub(first, FILES))
    assert (folder / "tokenizer.json").read_bytes() == b'{"a": 1}'


def test_a_download_that_breaks_off_is_tried_again_and_then_named(tmp_path):
    hub = local_hub(FILES)
    calls = []

    def breaks(*arguments):
        calls.append(arguments)
        if len(calls) < 3:
            raise BrokenDownload("cannot be downloaded (connection reset)")
        hub.download(*arguments)

    with pytest.warns(RuntimeWarning, match=r"connection reset\); trying again"):
        folder = fetch_hub("org/name", tmp_path, hub=Hub(hub.list_files, breaks))
    assert files(folder) == WANTED
    calls.clear()
    with (
        pytest.warns(RuntimeWarning),
        pytest.raises(InputError, match=r"connection reset\) in 2 attempts"),
    ):
        fetch_hub(
            "org/name", tmp_path / "b", hub=Hub(hub.list_files, breaks), attempts=2
        )


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"files": 3}'])
def test_a_damaged_manifest_is_no_model(tmp_path, text):
    folder = fetch_hub("org/name", tmp_path, hub=local_hub(FILES))
    (folder / "morl_manifest.json").write_text(text)
    with pytest.warns(RuntimeWarning, match=r"morl_manifest\.json is damaged"):
        fetch_hub("org/name", tmp_path, hub=local_hub(FILES))
    assert json.loads((folder / "morl_manifest.json").read_text())["commit"] == COMMIT


def test_after_the_last_attempt_the_broken_files_are_named(tmp_path):
    partial = {name: FILES[name] for name in FILES if name != "tokenizer.json"}
    with (
        pytest.warns(RuntimeWarning),
        pytest.raises(
            InputError, match=r"tokenizer\.json arrived broken in 3 attempts"
        ),
    ):
        fetch_hub("org/name", tmp_path, hub=local_hub(partial, partial, partial))


def test_a_damaged_cached_file_is_fetched_again_loudly(tmp_path):
    folder = fetch_hub("org/name", tmp_path, hub=local_hub(FILES))
    (folder / "config.json").write_bytes(b"{")
    with pytest.warns(RuntimeWarning, match=r"config\.json damaged or gone"):
        fetch_hub("org/name", tmp_path, hub=local_hub(FILES))
    assert (folder / "config.json").read_bytes() == b"{}"


def test_another_revision_is_asked_for_and_the_same_is_not(tmp_path):
    fetch_hub("org/name", tmp_path, hub=local_hub(FILES), revision="v1")
    nothing = local_hub()
    assert fetch_hub("org/name", tmp_path, hub=nothing, revision="v1")
    assert fetch_hub("org/name", tmp_path, hub=nothing, revision=COMMIT)
    assert fetch_hub("org/name", tmp_path, hub=nothing)
    with pytest.raises(IndexError):
        fetch_hub("org/name", tmp_path, hub=nothing, revision="v2")


@pytest.mark.parametrize("name", ["smollm2", "../etc", "a/b/c", "a/..", "/a", "a/", ""])
def test_a_name_that_is_not_org_and_name_is_refused(tmp_path, name):
    with pytest.raises(InputError, match="expected ORG/NAME"):
        fetch_hub(name, tmp_path, hub=local_hub())


def test_a_model_without_safetensors_is_refused(tmp_path):
    listing = Listing(COMMIT, {"config.json": None, "pytorch_model.bin": None})
    hub = Hub(lambda *_: listing, local_hub().download)
    with pytest.raises(InputError, match="org/name: has no safetensors"):
        fetch_hub("org/name", tmp_path, hub=hub)


def test_without_the_extra_the_message_names_it(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", None)
    with pytest.raises(InputError, match=r"install morl\[hub\]"):
        fetch_hub("org/name", tmp_path)
