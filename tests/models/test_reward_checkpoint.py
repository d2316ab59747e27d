import json
import runpy
import subprocess
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import load_file, save_file

from morl.errors import InputError
from morl.models import (
    LanguageModel,
    LinearHead,
    Reading,
    RewardModel,
    Transformer,
    Truncation,
    load_chat_tokenizer,
    load_reward_model,
    reward_model_of,
    save_reward_model,
    sequence_rewards,
    train_chat_tokenizer,
)
from morl.models.checkpoint import tensor_shapes, tensors_of
from morl.models.head_files import HeadKind, HeadSet
from morl.models.heads import gaussian
from morl.models.hugging_face import config_from_json

HERE = Path(__file__).parent / "checkpoints"
PEERS = Path(__file__).parents[2] / ".venv-peers" / "bin" / "python"
RECIPE = SimpleNamespace(**runpy.run_path(str(HERE / "recipe.py")))
FAST = "llama"  # the other families are among the slow tests
slow_but = lambda case: () if case == FAST else pytest.mark.slow
FAMILIES = [pytest.param(case, marks=slow_but(case)) for case in RECIPE.REWARD_CASES]
CASES = [
    pytest.param(case, count, marks=slow_but(case))
    for case in RECIPE.REWARD_CASES
    for count in (1, 3)
]
CHAT = train_chat_tokenizer(["some words to learn a vocabulary from"], 300)


def golden(case, count):
    with np.load(HERE / "reward_golden.npz") as archive:
        prefix = f"{case}.{count}."
        names = [name for name in archive if name.startswith(prefix)]
        return {name.removeprefix(prefix): archive[name] for name in names}


def write(folder, case, count):
    """What transformers writes of a tiny reward model of the recipe."""
    folder.mkdir(exist_ok=True)
    config = json.loads(str(golden(case, count)["config"]))
    (folder / "config.json").write_text(json.dumps(config))
    shapes = dict(tensor_shapes(config_from_json(config)))
    shapes.pop("lm_head.weight", None)
    shapes["score.weight"] = (count, config["hidden_size"])
    tensors = {name: RECIPE.tensor(name, shape) for name, shape in shapes.items()}
    save_file(tensors, folder / "model.safetensors")
    return folder


def edit_config(folder, **change):
    path = folder / "config.json"
    config = json.loads(path.read_text()) | change
    path.write_text(json.dumps({k: v for k, v in config.items() if v != "missing"}))


@pytest.fixture
def folder(tmp_path):
    return write(tmp_path / "tiny", "llama", 3)


def model_for(chat, case="llama", *, objectives=("helpful", "harmless", "honest")):
    """A random reward model whose vocabulary is that of the tokenizer."""
    config = config_from_json(json.loads(str(golden(case, 1)["config"])))
    config = replace(config, vocab_size=chat.vocab_size)
    model = Transformer(config, rngs=nnx.Rngs(3))
    weight = RECIPE.tensor("score.weight", (config.width, len(objectives)))
    head = LinearHead(jnp.asarray(weight), jnp.zeros(len(objectives)))
    return RewardModel(model, head, objectives, Reading(config.num_layers, "last"), 0)


# Loading ------------------------------------------------------------------------------


@pytest.mark.parametrize(("case", "count"), CASES)
def test_rewards_are_the_scores_of_transformers(case, count, tmp_path):
    loaded = load_reward_model(write(tmp_path, case, count))
    assert loaded.objectives == tuple(f"LABEL_{index}" for index in range(count))
    assert loaded.pad_id == RECIPE.PAD
    for side in ("right", "left"):
        rows, _ = RECIPE.padded(side)
        found = sequence_rewards(loaded, jnp.asarray(rows))
        np.testing.assert_allclose(found, golden(case, count)[side], atol=1e-4)


def test_without_a_padding_token_the_last_token_is_read(folder):
    edit_config(folder, pad_token_id=None)
    loaded = load_reward_model(folder)
    rows, _ = RECIPE.padded("left")
    real = sequence_rewards(loaded, jnp.asarray(rows[1:, -RECIPE.LENGTHS[1] :]))
    expected = golden("llama", 3)["left"][1:]
    np.testing.assert_allclose(real, expected, atol=1e-4)
    assert loaded.pad_id is None


def test_objectives_have_the_names_of_the_labels_in_their_order(folder):
    edit_config(folder, id2label={"2": "honest", "0": "helpful", "1": "harmless"})
    assert load_reward_model(folder).objectives == ("helpful", "harmless", "honest")
    edit_config(folder, id2label="missing", label2id="missing", num_labels=3)
    assert load_reward_model(folder).objectives == ("LABEL_0", "LABEL_1", "LABEL_2")


def test_a_gemma_that_names_no_padding_token_pads_with_zero(tmp_path):
    write(tmp_path, "gemma", 1)
    edit_config(tmp_path, pad_token_id="missing")
    assert load_reward_model(tmp_path).pad_id == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"architectures": ["LlamaForCausalLM"]},
            r"config\.json: architectures: found \['LlamaForCausalLM'\], expected "
            r"\['LlamaForSequenceClassification'\]",
        ),
        (
            {"id2label": {"0": "a", "1": "b"}},
            r"id2label: found .*, expected a name for each of 0, 1, 2: score\.weight",
        ),
        ({"id2label": {"0": "a", "1": "b", "2": "a"}}, "expected each name once"),
        ({"id2label": "abc"}, "id2label: found 'abc'"),
        ({"pad_token_id": "x"}, "pad_token_id: found 'x', expected a token id"),
        ({"pad_token_id": True}, "pad_token_id: found True"),
        (
            {"morl_bias": [1.0]},
            r"morl_bias: found \[1\.0\], expected a number",
        ),
        ({"morl_bias": "x"}, "morl_bias: found 'x'"),
        ({"model_type": "gpt2"}, "model_type: found architecture 'gpt2'"),
    ],
)
def test_a_config_of_another_kind_is_refused(folder, change, message):
    edit_config(folder, **change)
    with pytest.raises(InputError, match=message):
        load_reward_model(folder)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (
            lambda t: t.pop("score.weight"),
            r"score\.weight: missing tensor, expected \(labels, 32\)",
        ),
        (
            lambda t: t.update({"score.weight": np.ones((3, 31), np.float32)}),
            r"score\.weight: found shape \(3, 31\), expected \(labels, 32\)",
        ),
        (
            lambda t: t["score.weight"].__setitem__((0, 0), np.inf),
            r"score\.weight: found values that are not finite",
        ),
        (
            lambda t: t.update({"score.bias": np.ones(3, np.float32)}),
            r"score\.bias: found 1 tensors that",
        ),
        (
            lambda t: t.pop("model.norm.weight"),
            r"model\.norm\.weight: missing tensor",
        ),
    ],
)
def test_a_wrong_tensor_is_named(folder, edit, message):
    tensors = load_file(folder / "model.safetensors")
    edit(tensors)
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(InputError, match=message):
        load_reward_model(folder)


def test_a_file_is_no_folder(folder):
    with pytest.raises(InputError, match="expected a folder with"):
        load_reward_model(folder / "config.json")


# Saving -------------------------------------------------------------------------------


@pytest.mark.parametrize("case", FAMILIES)
def test_what_was_saved_is_loaded_to_the_last_bit(case, tmp_path):
    saved = model_for(CHAT, case)
    saved = replace(saved, head=saved.head._replace(bias=jnp.array([0.5, 0.0, -1.0])))
    digest = save_reward_model(saved, CHAT, tmp_path)
    loaded = load_reward_model(tmp_path)
    assert loaded.fingerprint == digest
    assert loaded.objectives == saved.objectives
    assert (loaded.reading, loaded.pad_id) == (saved.reading, saved.pad_id)
    np.testing.assert_array_equal(loaded.head.weight, saved.head.weight)
    np.testing.assert_array_equal(loaded.head.bias, saved.head.bias)
    kept = tensors_of(saved.model)
    kept.pop("lm_head.weight", None)
    assert tensors_of(loaded.model).keys() == kept.keys()
    for name, value in tensors_of(loaded.model).items():
        np.testing.assert_array_equal(value, kept[name])


def test_the_saved_tokenizer_pads_with_the_padding_token(tmp_path):
    save_reward_model(replace(model_for(CHAT), pad_id=7), CHAT, tmp_path)
    special = load_chat_tokenizer(tmp_path).template.special_tokens
    assert special["pad_token"] == CHAT.tokenizer.id_to_token(7)


def test_a_head_without_bias_writes_none(tmp_path):
    save_reward_model(model_for(CHAT), CHAT, tmp_path)
    written = json.loads((tmp_path / "config.json").read_text())
    assert "morl_bias" not in written
    assert written["architectures"] == ["LlamaForSequenceClassification"]
    assert written["label2id"] == {"helpful": 0, "harmless": 1, "honest": 2}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"reading": Reading(2, "last")},
            r"reading: heads read Reading\(layer=2, .*has Reading\(layer=3",
        ),
        ({"reading": Reading(3, "mean")}, "heads read .*'mean'"),
        ({"pad_id": 299}, "pad_id: found 299, expected one of the tokenizer's"),
        ({"pad_id": -1}, "pad_id: found -1"),
        ({"objectives": ("one", "two")}, r"head\.weight: found shape \(32, 3\), expec"),
    ],
)
def test_what_sequence_classification_has_no_place_for_is_refused(
    change, message, tmp_path
):
    with pytest.raises(InputError, match=message):
        save_reward_model(replace(model_for(CHAT), **change), CHAT, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_tokenizer_with_more_tokens_than_the_weights_is_refused(tmp_path):
    fewer = train_chat_tokenizer(["other words"], 270)
    with pytest.raises(InputError, match="they are not of one model"):
        save_reward_model(model_for(fewer), CHAT, tmp_path)


# Fitted heads -------------------------------------------------------------------------


def fitted(fingerprint="f" * 64):
    base = model_for(CHAT)
    heads = HeadSet(
        base.objectives,
        base.reading,
        base.head,
        fingerprint,
        CHAT.template_hash,
        Truncation(300, None),
    )
    return LanguageModel("tiny", base.model, CHAT, "f" * 64), heads


def test_fitted_heads_and_their_backbone_are_a_reward_model():
    backbone, heads = fitted()
    found = reward_model_of(backbone, heads, pad_id=0)
    assert (found.objectives, found.reading) == (heads.objectives, heads.reading)
    assert (found.model, found.fingerprint) == (backbone.model, backbone.fingerprint)


def test_heads_of_another_backbone_make_no_reward_model():
    with pytest.raises(InputError, match="heads were fitted on a model with SHA-256 e"):
        reward_model_of(*fitted("e" * 64), pad_id=0)


def test_heads_that_are_not_linear_make_no_reward_model():
    backbone, heads = fitted()
    other = replace(heads, kind=HeadKind("gaussian", {}, gaussian()))
    with pytest.raises(InputError, match="found heads of kind 'gaussian', expected 'l"):
        reward_model_of(backbone, other, pad_id=0)


def test_the_end_of_a_response_is_no_padding():
    with pytest.raises(InputError, match="pad_id: found 2, expected a token that no"):
        reward_model_of(*fitted(), pad_id=CHAT.stop_ids[0])


# Peer ---------------------------------------------------------------------------------

PEER = """
import sys, numpy, torch, transformers
folder, tokens, scores, again = sys.argv[1:]
model = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
assert tokenizer.pad_token_id == model.config.pad_token_id
assert model.config.id2label == {0: "helpful", 1: "harmless", 2: "honest"}
rows = torch.tensor(numpy.load(tokens))
with torch.no_grad():
    logits = model(rows, attention_mask=(rows != tokenizer.pad_token_id).long()).logits
numpy.save(scores, logits.numpy())
model.save_pretrained(again)
"""


@pytest.mark.slow
@pytest.mark.skipif(not PEERS.exists(), reason="needs .venv-peers: make peers")
@pytest.mark.parametrize("case", RECIPE.REWARD_CASES)
def test_transformers_scores_what_was_saved_and_writes_it_back(case, tmp_path):
    saved = model_for(CHAT, case)
    save_reward_model(saved, CHAT, tmp_path / "model")
    rows, real = RECIPE.padded("right")
    rows = np.where(real, rows + 3, saved.pad_id)
    np.save(tmp_path / "tokens.npy", rows)
    names = ("model", "tokens.npy", "scores.npy", "again")
    paths = [str(tmp_path / name) for name in names]
    subprocess.run([PEERS, "-c", PEER, *paths], check=True, capture_output=True)
    found = sequence_rewards(saved, jnp.asarray(rows))
    scores = np.load(tmp_path / "scores.npy")
    np.testing.assert_allclose(found, scores, atol=1e-4)
    again = load_reward_model(tmp_path / "again")
    assert again.objectives == saved.objectives
    np.testing.assert_array_equal(sequence_rewards(again, jnp.asarray(rows)), found)
