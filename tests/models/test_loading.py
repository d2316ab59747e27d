import hashlib
import json
import runpy
import subprocess
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.flax
from safetensors.numpy import load_file, save_file

from morl.errors import InputError
from morl.models import Transformer, load_weights, save_weights
from morl.models.checkpoint import tensor_shapes, tensors_of, transformer_from_tensors
from morl.models.hugging_face import config_from_json, config_to_json

HERE = Path(__file__).parent / "checkpoints"
PEERS = Path(__file__).parents[2] / ".venv-peers" / "bin" / "python"
RECIPE = SimpleNamespace(**runpy.run_path(str(HERE / "recipe.py")))
CONFIGS = {
    case: config_from_json(
        {"model_type": case.split("_")[0], **RECIPE.COMMON, **settings}
    )
    for case, settings in RECIPE.CASES.items()
}
encode = jax.jit(Transformer.__call__)


def tensors(case):
    return {
        name: RECIPE.tensor(name, shape)
        for name, shape in tensor_shapes(CONFIGS[case]).items()
    }


@pytest.fixture
def folder(tmp_path):
    """A Hugging Face folder of the tiny Llama."""
    path = tmp_path / "tiny"
    path.mkdir()
    (path / "config.json").write_text(json.dumps(config_to_json(CONFIGS["llama"])))
    save_file(tensors("llama"), path / "model.safetensors")
    return path


def edit_config(folder, **change):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))


@pytest.mark.parametrize("case", CONFIGS)
def test_saving_and_loading_gives_the_same_tensors_and_config(case, tmp_path):
    model = transformer_from_tensors(CONFIGS[case], tensors(case))
    saved = save_weights(model, tmp_path)
    loaded, fingerprint = load_weights(tmp_path)
    assert loaded.config == CONFIGS[case]
    assert fingerprint == saved
    written = load_file(tmp_path / "model.safetensors")
    assert written.keys() == tensors(case).keys()
    for name, value in tensors(case).items():
        np.testing.assert_array_equal(written[name], value)
        np.testing.assert_array_equal(tensors_of(loaded)[name], value)


def test_the_fingerprint_is_the_hash_of_the_weight_file(folder):
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert load_weights(folder)[1] == digest


def test_shards_load_as_the_single_file_does(folder):
    whole = load_weights(folder)[0]
    (folder / "model.safetensors").unlink()
    parts = list(tensors("llama").items())
    names = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
    for name, part in zip(names, (parts[:9], parts[9:]), strict=True):
        save_file(dict(part), folder / name)
    index = {n: names[i >= 9] for i, (n, _) in enumerate(parts)}
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": index})
    )
    jax.tree.map(np.testing.assert_array_equal, load_weights(folder)[0], whole)
    (folder / names[1]).unlink()
    with pytest.raises(InputError, match=f"{names[1]}: no such shard"):
        load_weights(folder)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_files_load_as_float32(folder, dtype):
    half = {name: jnp.asarray(value, dtype) for name, value in tensors("llama").items()}
    safetensors.flax.save_file(half, folder / "model.safetensors")
    for name, value in tensors_of(load_weights(folder)[0]).items():
        assert value.dtype == np.float32
        np.testing.assert_array_equal(value, half[name].astype(jnp.float32))


def test_parameters_may_be_kept_in_bfloat16(folder):
    model, _ = load_weights(folder, dtype="bfloat16")
    assert {leaf.dtype.name for leaf in jax.tree.leaves(model)} == {"bfloat16"}
    save_weights(model, folder / "again")
    again, _ = load_weights(folder / "again", dtype="bfloat16")
    jax.tree.map(np.testing.assert_array_equal, again, model)


@pytest.mark.parametrize("size", [0, 5, 300, -100])
def test_a_truncated_safetensors_file_is_named(folder, size):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(InputError, match=r"model\.safetensors: damaged or truncated"):
        load_weights(folder)


def test_garbled_bytes_at_the_head_are_named(folder):
    path = folder / "model.safetensors"
    path.write_bytes(b"\xff" * 64 + path.read_bytes()[64:])
    with pytest.raises(InputError, match=r"model\.safetensors: damaged"):
        load_weights(folder)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (
            lambda t: t.pop("model.layers.1.mlp.up_proj.weight"),
            r"model\.layers\.1\.mlp\.up_proj\.weight: missing tensor.*\(48, 32\)",
        ),
        (
            lambda t: t.update({"model.norm.weight": np.ones(31, np.float32)}),
            r"model\.norm\.weight: found shape \(31,\), expected \(32,\)",
        ),
        (
            lambda t: t.update({"model.layers.7.extra": np.ones(3, np.float32)}),
            r"model\.layers\.7\.extra: found 1 tensors that",
        ),
        (
            lambda t: t["lm_head.weight"].__setitem__((0, 0), np.nan),
            r"lm_head\.weight: found values that are not finite",
        ),
    ],
)
def test_a_wrong_tensor_is_named_with_what_was_expected(folder, edit, message):
    found = tensors("llama")
    edit(found)
    save_file(found, folder / "model.safetensors")
    with pytest.raises(InputError, match=message):
        load_weights(folder)


STRETCH = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "gpt2"}, "model_type: found architecture 'gpt2'"),
        ({"hidden_act": "gelu"}, "hidden_act: found 'gelu', expected 'silu'"),
        ({"mlp_bias": True}, "mlp_bias: found True"),
        ({"rope_scaling": {"rope_type": "yarn", "factor": 4.0}}, "rope_scaling: found"),
        ({"rope_parameters": {"rope_type": "llama3"}}, "rope_scaling: found"),
        ({"rope_scaling": STRETCH | {"beta": 1}}, "rope_scaling: found"),
        ({"rope_scaling": STRETCH | {"factor": 0}}, "rope_scaling: factor: found"),
        (
            {"rope_scaling": STRETCH | {"low_freq_factor": 8}},
            r"rope_scaling: high: found 4.0, expected more than low \(8.0\)",
        ),
        (
            {"rope_scaling": STRETCH | {"original_max_position_embeddings": 8.5}},
            "original_max_position_embeddings: found 8.5",
        ),
        ({"quantization_config": {"bits": 4}}, "quantization_config: found"),
        ({"use_sliding_window": True}, "use_sliding_window: found True"),
        ({"layer_types": ["sliding_attention"]}, "layer_types: found"),
        ({"logit_soft_cap": 30.0}, "logit_soft_cap: found 30.0 under a key"),
        ({"hidden_size": "32"}, "hidden_size: found '32', expected a positive"),
        ({"num_key_value_heads": 3}, "num_heads: found 4, expected a multiple"),
        ({"num_hidden_layers": 2}, r"model\.layers\.2\.\S+: found 9 tensors"),
        ({"num_hidden_layers": 10**30}, "found 30 tensors, expected several for each"),
        ({"layer_types": 3}, r"layer_types: found \['3'\]"),
        ({"rope_scaling": "yarn"}, "rope_scaling: found 'yarn', expected an object"),
        ({"rope_theta": "x"}, "rope_theta: found 'x', expected a number"),
        ({"rms_norm_eps": [1]}, r"rms_norm_eps: found \[1\], expected a number"),
    ],
)
def test_a_config_that_the_transformer_cannot_honour_is_refused(
    folder, change, message
):
    edit_config(folder, **change)
    with pytest.raises(InputError, match=message):
        load_weights(folder)


@pytest.mark.parametrize(
    ("case", "change", "message"),
    [
        ("gemma", {"hidden_act": "silu"}, "hidden_act: found 'silu', expected 'gelu_"),
        ("gemma", {"hidden_activation": "gelu"}, "hidden_activation: found 'gelu'"),
        ("gemma", {"use_bidirectional_attention": True}, "_attention: found True"),
        ("gemma", {"model_type": "gemma2"}, "model_type: found architecture 'gemma2'"),
        ("mistral", {"attention_bias": True}, "attention_bias: found True, expected"),
        ("mistral", {"sliding_window": 0}, "sliding_window: found 0, expected a posi"),
        ("mistral", {"layer_types": ["sliding_attention"]}, "layer_types: found"),
    ],
)
def test_what_a_family_cannot_honour_is_refused(case, change, message):
    with pytest.raises(InputError, match=message):
        config_from_json(config_to_json(CONFIGS[case]) | change)


@pytest.mark.parametrize(
    ("case", "missing", "setting", "expected"),
    [
        ("mistral", "sliding_window", "window", 4096),
        ("mistral", "max_position_embeddings", "max_positions", 131_072),
        ("gemma", "tie_word_embeddings", "tied", True),
        ("gemma", "head_dim", "head_dim", 256),
        ("llama", "tie_word_embeddings", "tied", False),
    ],
)
def test_a_key_left_out_means_what_transformers_assumes(
    case, missing, setting, expected
):
    written = config_to_json(CONFIGS[case])
    del written[missing]
    assert vars(config_from_json(written))[setting] == expected


def test_the_gelu_of_the_first_gemma_releases_is_its_tanh_form():
    written = config_to_json(CONFIGS["gemma"]) | {"hidden_act": "gelu"}
    assert config_from_json(written) == CONFIGS["gemma"]


def test_a_mistral_without_a_window_is_written_as_a_llama():
    assert config_to_json(CONFIGS["mistral"])["model_type"] == "mistral"
    assert config_to_json(CONFIGS["mistral_whole"])["model_type"] == "llama"


def test_harmless_keys_and_null_values_are_accepted(folder):
    edit_config(folder, use_cache=True, some_new_feature=None, rope_scaling=None)
    assert load_weights(folder)[0].config == CONFIGS["llama"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nowhere", "expected a .gguf file, or a folder"),
        ("nowhere.gguf", "nowhere.gguf: no such file"),
        (".", r"config\.json: no such file"),
    ],
)
def test_a_missing_model_is_named(tmp_path, path, message):
    with pytest.raises(InputError, match=message):
        load_weights(tmp_path / path)


def test_a_folder_without_weights_is_refused(folder):
    (folder / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"neither model\.safetensors nor"):
        load_weights(folder)


def test_a_variant_without_a_hugging_face_family_cannot_be_saved(tmp_path):
    config = replace(CONFIGS["qwen2"], qk_norm=True)
    with pytest.raises(InputError, match=r"found qkv_bias, qk_norm, .*qwen3 \(qk_norm"):
        config_to_json(config)
    assert not list(tmp_path.iterdir())


# Peer ---------------------------------------------------------------------------------

PEER = """
import sys, numpy, torch, transformers
model = transformers.AutoModelForCausalLM.from_pretrained(sys.argv[1]).eval()
with torch.no_grad():
    logits = model(torch.tensor(numpy.load(sys.argv[2]))).logits
numpy.save(sys.argv[3], logits.numpy())
"""


@pytest.mark.slow
@pytest.mark.skipif(not PEERS.exists(), reason="needs .venv-peers: make peers")
@pytest.mark.parametrize("case", CONFIGS)
def test_transformers_reads_what_was_saved_and_gives_the_same_logits(case, tmp_path):
    model = transformer_from_tensors(CONFIGS[case], tensors(case))
    save_weights(model, tmp_path / "model")
    tokens = RECIPE.tokens()
    np.save(tmp_path / "tokens.npy", tokens)
    paths = [str(tmp_path / name) for name in ("model", "tokens.npy", "logits.npy")]
    subprocess.run([PEERS, "-c", PEER, *paths], check=True, capture_output=True)
    places = np.broadcast_to(np.arange(tokens.shape[1]), tokens.shape)
    hidden = encode(model, *map(jnp.asarray, (tokens, places, 0 * places))).hidden
    np.testing.assert_allclose(
        model.logits(hidden), np.load(tmp_path / "logits.npy"), atol=1e-4
    )
