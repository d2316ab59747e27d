"""Damaged files at the command line: one clear line, exit code 2, no traceback."""

import gzip
import json
import shutil
from pathlib import Path

import gguf
import numpy as np
import pytest

from morl.models.checkpoint import tensors_of
from morl.models.language_model import load_language_model
from morl.rewards import objectives
from tests.models.gguf_names import NAMES

GGUF_NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "model.layers": "blk",
    **NAMES,
}


@pytest.fixture
def run_folder(make_run_folder, tmp_path):
    return make_run_folder(tmp_path / "run")


@pytest.fixture
def fails(command, run_folder, monkeypatch):
    """Runs `morl fit` on damaged files: gives what it says, which must be one line."""
    monkeypatch.chdir(run_folder)

    def run(*argv):
        return complaint(command("fit", "config.yaml", *argv, "--cache", "cache"))

    return run


def complaint(ran):
    lines = [line for line in ran.err.splitlines() if line.startswith("morl ")]
    assert ran.code == 2, ran
    assert len(lines) == 1, ran
    assert "Traceback" not in ran.err + ran.out
    assert ran.err.strip().endswith(lines[0])
    return lines[0]


def cut(share):
    return lambda content: content[: int(share * len(content))]


def flipped(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def garbled(content):
    return b"\xff" * min(len(content), 64) + content[64:]


def damage(path, how):
    content = path.read_bytes()
    path.write_bytes(how(content))
    assert path.read_bytes() != content


def without(key):
    def drop(content):
        found = json.loads(content)
        del found[key]
        return json.dumps(found).encode()

    return drop


def having(**changes):
    return lambda content: json.dumps(json.loads(content) | changes).encode()


# Models -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "how", "expected"),
    [
        ("model.safetensors", cut(0), "damaged or truncated"),
        ("model.safetensors", cut(0.99), "damaged or truncated"),
        ("model.safetensors", garbled, "damaged or truncated"),
        ("config.json", cut(0.5), "not valid JSON"),
        ("config.json", garbled, "not valid JSON"),
        ("config.json", without("hidden_size"), "hidden_size: missing"),
        ("config.json", having(num_hidden_layers=10**12), "expected several for each"),
        ("config.json", having(rms_norm_eps="x"), "rms_norm_eps: found 'x'"),
        ("tokenizer.json", cut(0.5), "not a tokenizer"),
        ("tokenizer.json", garbled, "not a tokenizer"),
        ("tokenizer_config.json", cut(0.5), "not valid JSON"),
        ("tokenizer_config.json", having(chat_template="{% if"), "not a valid Jinja"),
        ("generation_config.json", garbled, "not valid JSON"),
    ],
)
def test_a_damaged_model_folder_names_the_file(fails, run_folder, name, how, expected):
    damage(run_folder / "model" / name, how)
    said = fails()
    assert expected in said
    # What is wrong between files is said of their folder.
    assert f"model/{name}" in said or "model: " in said


def write_gguf(path, model):
    """A GGUF file with the weights and the tokenizer of a model."""
    config, tokenizer = model.model.config, model.chat.tokenizer
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(config.max_positions)
    writer.add_embedding_length(config.width)
    writer.add_block_count(config.num_layers)
    writer.add_feed_forward_length(config.ffn_width)
    writer.add_head_count(config.num_heads)
    writer.add_head_count_kv(config.num_kv_heads)
    writer.add_layer_norm_rms_eps(config.norm_epsilon)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(config.rope_base)
    vocabulary = tokenizer.get_vocab()
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(sorted(vocabulary, key=vocabulary.__getitem__))
    writer.add_token_merges([" ".join(merge) for merge in merges])
    writer.add_eos_token_id(model.chat.stop_ids[0])
    writer.add_chat_template(model.chat.template.source)
    for name, value in tensors_of(model.model).items():
        for theirs, own in GGUF_NAMES.items():
            name = name.replace(theirs, own)
        writer.add_tensor(name, np.ascontiguousarray(value))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.fixture(scope="module")
def sound_gguf(fitted, tmp_path_factory):
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    write_gguf(path, load_language_model(fitted.model))
    load_language_model(path)
    return path


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        (cut(0), "not a GGUF file"),
        (cut(0.01), "damaged or cut short"),
        (cut(0.05), "damaged or cut short"),
        (cut(0.6), "damaged or truncated GGUF file"),
        (cut(0.999), "damaged or truncated GGUF file"),
        (garbled, "not a GGUF file"),
        (lambda content: content[:4] + garbled(content[4:]), "found GGUF version"),
    ],
)
def test_a_damaged_gguf_file_is_named(fails, run_folder, sound_gguf, how, expected):
    shutil.copy(sound_gguf, run_folder / "tiny.gguf")
    damage(run_folder / "tiny.gguf", how)
    said = fails("--model", "tiny.gguf")
    assert "tiny.gguf: " in said
    assert expected in said


# Feedback -----------------------------------------------------------------------------


def test_a_broken_line_is_named_with_its_key(fails, run_folder):
    path = run_folder / "feedback.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    lines[2] = lines[2].replace('"better": 0', '"better": 7')
    path.write_text("".join(lines))
    said = fails()
    assert "feedback.jsonl:3: labels.helpful.pairs[0].better: found 7" in said


def test_a_file_that_ends_within_a_line_is_named_with_the_line(fails, run_folder):
    damage(run_folder / "feedback.jsonl", cut(0.9))
    lines = (run_folder / "feedback.jsonl").read_text().splitlines()
    assert f"feedback.jsonl:{len(lines)}: found " in fails()


def test_an_empty_file_is_no_feedback(fails, run_folder):
    damage(run_folder / "feedback.jsonl", cut(0))
    assert "feedback.jsonl: holds no record" in fails()


def hh():
    turns = "\n\nHuman: {0}?\n\nAssistant: {1}"
    rows = [
        {"chosen": turns.format(n, "Yes."), "rejected": turns.format(n, "No.")}
        for n in range(50)
    ]
    return "".join(json.dumps(row) + "\n" for row in rows)


def truthfulqa():
    keys = ["Type", "Category", "Question", "Best Answer", "Best Incorrect Answer"]
    keys += ["Correct Answers", "Incorrect Answers", "Source"]
    row = lambda n: f'A,B,"Is {n}, then?",Yes {n}.,No.,Yes {n}.; Yes.,No.; Never.,"s"\n'
    return ",".join(keys) + "\n" + "".join(map(row, range(50)))


def halueval():
    row = lambda n: {
        "ID": str(n),
        "user_query": f"Is {n}?",
        "chatgpt_response": "Yes.",
        "hallucination": "no",
        "hallucination_spans": [],
    }
    return "".join(json.dumps(row(n)) + "\n" for n in range(50))


def hhh():
    parts = "###The instruction to evaluate:\n{0}?\n\n###Response to evaluate:\n{1}\n"
    row = lambda n: {
        "source": "honest",
        "chosen_instruction": parts.format(n, "Yes.") + "\n###Score Rubrics:\n",
        "rejected_instruction": parts.format(n, "No.") + "\n###Score Rubrics:\n",
    }
    return json.dumps([row(n) for n in range(50)])


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("how", [cut(0.7), garbled], ids=["cut", "garbled"])
@pytest.mark.parametrize(
    ("reader", "name", "content"),
    [
        ("hh", "hh.jsonl", hh()),
        ("truthfulqa", "truthfulqa.csv", truthfulqa()),
        ("halueval", "halueval.json", halueval()),
        ("hhh-alignment", "hhh.json", hhh()),
    ],
    ids=["hh", "truthfulqa", "halueval", "hhh"],
)
def test_a_damaged_data_set_is_named(
    fails, run_folder, reader, name, content, how, packed
):
    path = run_folder / (name + ".gz" * packed)
    path.write_bytes(gzip.compress(content.encode()) if packed else content.encode())
    config = run_folder / "config.yaml"
    source = f"{{reader: {reader}, path: {path.name}, objective: honest}}"
    config.write_text(
        config.read_text().replace("{reader: jsonl, path: feedback.jsonl}", source)
    )
    # Sound, the file is read, and lacks only what the heads ask for.
    assert "found no pair or label for 'helpful'" in fails()
    damage(path, how)
    assert f"{path.name}" in fails()


# Heads --------------------------------------------------------------------------------


def inside_parameters(how):
    def apply(heads):
        for path in heads.joinpath("parameters").rglob("*"):
            if path.is_file() and path.stat().st_size > 0:
                damage(path, how)

    return apply


def manifest(how):
    return lambda heads: damage(heads / "heads.json", how)


HEADS = {
    "gone": shutil.rmtree,
    "no parameters": lambda heads: shutil.rmtree(heads / "parameters"),
    "empty parameters": inside_parameters(cut(0)),
    "half of the parameters": inside_parameters(cut(0.5)),
    "garbled parameters": inside_parameters(garbled),
    "one bit of the parameters": inside_parameters(flipped),
    "half a manifest": manifest(cut(0.5)),
    "garbled manifest": manifest(garbled),
    "manifest of another kind": manifest(lambda _: b"[]"),
    "no reading": manifest(without("reading")),
    "wrong reading": manifest(having(reading=3)),
    "wrong layer": manifest(having(reading={"layer": "x"})),
    "wrong objectives": manifest(having(objectives=3)),
    "fewer objectives": manifest(having(objectives=["helpful"])),
    "other objectives": manifest(having(objectives=[1, 2])),
    "other model": manifest(having(fingerprint=3)),
    "other parameters": manifest(having(sha256="0" * 64)),
}


# Where one of Orbax's readers fails, another may still report to the loop that closes.
@pytest.mark.filterwarnings(
    "ignore:Exception ignored in. None:pytest.PytestUnraisableExceptionWarning"
)
@pytest.mark.parametrize("how", HEADS.values(), ids=HEADS)
def test_damaged_heads_are_named(command, fitted, tmp_path, how):
    heads, spec = tmp_path / "heads", tmp_path / "spec.yaml"
    shutil.copytree(fitted.heads, heads)
    helpful, harmless = objectives("helpful", "harmless")
    spec.write_text((helpful + harmless).to_yaml())
    argv = ["score", spec, "--heads", heads, "--model", fitted.model]
    argv += ["--prompt", "q", "--text", "some words"]
    assert command(*argv).code == 0
    how(heads)
    assert str(heads) in complaint(command(*argv))


# Caches -------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_damaged_cache_says_which_file_to_delete_and_goes_on_without_it(
    command, run_folder, monkeypatch
):
    monkeypatch.chdir(run_folder)
    argv = ["front", "config.yaml", "--out", "out", "--cache", "cache"]
    assert command(*argv).code == 0
    front = Path("out", "front.json").read_bytes()
    contents = {}
    for kind in ("features", "candidates"):
        shard = sorted(Path("cache", kind).rglob("*.safetensors"))[1]
        contents[shard] = shard.read_bytes()
        for how in (cut(0.5), flipped):
            damage(shard, how)
            said = complaint(command(*argv))
            assert f"{shard}: " in said
            assert "delete it to compute it again" in said
            shard.write_bytes(contents[shard])
        shard.unlink()
    assert command(*argv).code == 0
    assert {path: path.read_bytes() for path in contents} == contents
    assert Path("out", "front.json").read_bytes() == front
