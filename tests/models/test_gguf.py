import hashlib
import math
import runpy
import struct
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import gguf
import numpy as np
import pytest

from morl.errors import InputError
from morl.models import load_weights, save_weights
from morl.models.checkpoint import tensor_shapes, tensors_of
from morl.models.config import RotaryStretch, TransformerConfig
from morl.models.gguf_rotary import stretch_of_divisors
from tests.models.gguf_names import NAMES

HERE = Path(__file__).parent / "checkpoints"
RECIPE = SimpleNamespace(**runpy.run_path(str(HERE / "recipe.py")))

CONFIG = TransformerConfig(96, 64, 2, 4, 2, 16, 96, rope_base=1e4, tied=False)
GEMMA = TransformerConfig(
    96,
    64,
    2,
    4,
    1,
    32,
    96,
    gelu_gate=True,
    offset_norms=True,
    scaled_embedding=True,
)
PUBLISHED = RotaryStretch(8.0, 1.0, 4.0, 8192)  # Llama 3.1
STRETCHED = replace(CONFIG, rope_base=5e5, rope_stretch=PUBLISHED)


def gguf_name(name):
    if not name.startswith("model.layers."):
        return {
            "model.embed_tokens.weight": "token_embd.weight",
            "model.norm.weight": "output_norm.weight",
            "lm_head.weight": "output.weight",
        }[name]
    _, _, layer, rest = name.split(".", 3)
    part, kind = rest.rsplit(".", 1)
    return f"blk.{layer}.{NAMES[part]}.{kind}"


def interleave(weight, num_heads):
    """Row order of llama.cpp's converter, which it applies to query and key."""
    halves = weight.reshape(num_heads, 2, weight.shape[0] // num_heads // 2, -1)
    return np.ascontiguousarray(halves.swapaxes(1, 2)).reshape(weight.shape)


def converter_divisors(config):
    """What the converter of llama.cpp writes for the rotary scaling of Llama 3."""
    stretch, divisors = config.rope_stretch, []
    for entry in range(0, config.head_dim, 2):
        length = 2 * math.pi * config.rope_base ** (entry / config.head_dim)
        if length < stretch.original_positions / stretch.high:
            divisors.append(1.0)
        elif length > stretch.original_positions / stretch.low:
            divisors.append(stretch.factor)
        else:
            turns = stretch.original_positions / length
            smooth = (turns - stretch.low) / (stretch.high - stretch.low)
            divisors.append(1 / ((1 - smooth) / stretch.factor + smooth))
    return np.array(divisors, np.float32)


def write_header(writer, config, extra):
    writer.add_context_length(config.max_positions)
    writer.add_embedding_length(config.width)
    writer.add_block_count(config.num_layers)
    writer.add_feed_forward_length(config.ffn_width)
    writer.add_head_count(config.num_heads)
    writer.add_head_count_kv(config.num_kv_heads)
    writer.add_layer_norm_rms_eps(config.norm_epsilon)
    if config.gelu_gate:  # the converter of Gemma leaves the rest to defaults
        writer.add_key_length(config.head_dim)
        writer.add_value_length(config.head_dim)
    else:
        writer.add_rope_dimension_count(config.head_dim)
        writer.add_rope_freq_base(config.rope_base)
    if config.window is not None:
        writer.add_sliding_window(config.window)
    for key, value in extra:
        add = writer.add_string if isinstance(value, str) else writer.add_uint32
        add(key, value)


def write_gguf(path, kinds, *, config=CONFIG, architecture="llama", extra=()):
    """Writes the recipe's weights; the quantisation of matrices cycles over kinds."""
    writer = gguf.GGUFWriter(path, architecture)
    write_header(writer, config, extra)
    stored = {}
    for index, (name, shape) in enumerate(tensor_shapes(config).items()):
        value = RECIPE.tensor(name, shape)
        kind = kinds[index % len(kinds)] if value.ndim == 2 else "F32"
        kind = gguf.GGMLQuantizationType[kind]
        offset = np.float32(config.offset_norms and value.ndim == 1)
        packed = gguf.quants.quantize(value + offset, kind)
        stored[name] = gguf.quants.dequantize(packed, kind).astype(np.float32) - offset
        heads = {"q_proj": config.num_heads, "k_proj": config.num_kv_heads}
        part = name.split(".")[-2]
        if part in heads and architecture == "llama":
            packed = gguf.quants.quantize(interleave(value, heads[part]), kind)
        writer.add_tensor(gguf_name(name), packed, raw_dtype=kind)
    if config.rope_stretch is not None:
        writer.add_tensor("rope_freqs.weight", converter_divisors(config))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return stored


@pytest.mark.parametrize(
    "kinds",
    [
        *(("F32",), ("F16",), ("BF16",), ("Q8_0",), ("Q4_0",), ("Q4_1",)),
        ("Q4_1", "F32", "Q8_0", "Q4_0", "F16"),
    ],
)
def test_a_gguf_file_holds_the_weights_it_was_written_from(tmp_path, kinds):
    path = tmp_path / "tiny.gguf"
    stored = write_gguf(path, kinds)
    model, fingerprint = load_weights(path)
    assert model.config == CONFIG
    assert fingerprint == hashlib.sha256(path.read_bytes()).hexdigest()
    for name, value in tensors_of(model).items():
        np.testing.assert_array_equal(value, stored[name])


@pytest.mark.parametrize("kinds", [("F32",), ("Q4_0", "Q8_0", "F16")])
def test_a_gguf_of_gemma_has_its_rows_and_norms_as_hugging_face_does(tmp_path, kinds):
    path = tmp_path / "gemma.gguf"
    stored = write_gguf(path, kinds, config=GEMMA, architecture="gemma")
    model, _ = load_weights(path)
    assert model.config == GEMMA
    for name, value in tensors_of(model).items():
        np.testing.assert_array_equal(value, stored[name])


def test_a_gguf_of_mistral_keeps_its_window(tmp_path):
    config = replace(CONFIG, window=7)
    write_gguf(tmp_path / "mistral.gguf", ("F32",), config=config)
    assert load_weights(tmp_path / "mistral.gguf")[0].config == config


@pytest.mark.parametrize("factor", [8.0, 32.0])
def test_the_divisors_of_llama_3_are_its_stretch(tmp_path, factor):
    config = replace(STRETCHED, rope_stretch=replace(PUBLISHED, factor=factor))
    write_gguf(tmp_path / "llama3.gguf", ("F32",), config=config)
    model, _ = load_weights(tmp_path / "llama3.gguf")
    assert model.config == config
    # So the model is that of the Hugging Face folder, and can be written as one.
    save_weights(model, tmp_path / "folder")
    assert load_weights(tmp_path / "folder")[0].config == config


@pytest.mark.parametrize("base", [1e4, 5e5])
@pytest.mark.parametrize("head_dim", [16, 64, 128])
@pytest.mark.parametrize("positions", [2048, 8192])
def test_a_stretch_is_found_from_its_divisors(head_dim, base, positions):
    stretch = replace(PUBLISHED, original_positions=positions)
    config = replace(CONFIG, head_dim=head_dim, rope_base=base, rope_stretch=stretch)
    divisors = converter_divisors(config)
    assert stretch_of_divisors(divisors, base, where="rope") == stretch


@pytest.mark.parametrize(
    ("divisors", "message"),
    [
        (
            np.array([1, 2, 4, 8]),
            r"rope: found divisors \[1.0, 2.0, 4.0, 8.0\], expected",
        ),
        (np.array([1, 1, 0, 8]), "rope: found divisors that are not positive"),
        (np.array([1, 1, np.nan, 8]), "rope: found divisors that are not positive"),
    ],
)
def test_divisors_of_another_scaling_are_refused(divisors, message):
    with pytest.raises(InputError, match=message):
        stretch_of_divisors(divisors.astype(np.float32), 1e4, where="rope")


def test_divisors_of_one_slow_nothing():
    assert stretch_of_divisors(np.ones(4, np.float32), 1e4, where="rope") is None


def test_a_gguf_file_without_an_output_matrix_is_tied(tmp_path):
    config = replace(CONFIG, tied=True)
    write_gguf(tmp_path / "tied.gguf", ("F32",), config=config)
    assert load_weights(tmp_path / "tied.gguf")[0].config == config


@pytest.mark.parametrize("share", [0.0, 0.001, 0.02, 0.5, 0.99])
def test_a_truncated_gguf_file_is_named(tmp_path, share):
    path = tmp_path / "cut.gguf"
    write_gguf(path, ("F32",))
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match=r"cut\.gguf: damaged or truncated"):
        load_weights(path)


def test_a_garbled_gguf_file_is_named(tmp_path):
    path = tmp_path / "garbled.gguf"
    write_gguf(path, ("F32",))
    content = bytearray(path.read_bytes())
    content[8:64] = bytes(56 * [255])
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"garbled\.gguf: damaged"):
        load_weights(path)


def test_a_gguf_tensor_that_holds_nothing_is_named(tmp_path):
    path = tmp_path / "hollow.gguf"
    write_gguf(path, ("F32",))
    content = path.read_bytes()
    name = gguf_name("model.layers.0.self_attn.q_proj.weight").encode()
    # Behind the name: the number of dimensions, then each, eight bytes long.
    place = content.index(name) + len(name) + 4 + 8
    path.write_bytes(content[:place] + bytes(8) + content[place + 8 :])
    with pytest.raises(InputError, match=r"hollow\.gguf"):
        load_weights(path)


def test_a_gguf_field_that_is_no_text_is_named(tmp_path):
    path = tmp_path / "binary.gguf"
    write_gguf(path, ("F32",))
    content = path.read_bytes()
    assert content.count(b"\x05\x00\x00\x00\x00\x00\x00\x00llama") >= 1
    path.write_bytes(
        content.replace(
            b"\x05\x00\x00\x00\x00\x00\x00\x00llama",
            b"\x05\x00\x00\x00\x00\x00\x00\x00\xff\xfeama",
            1,
        )
    )
    with pytest.raises(InputError, match=r"binary\.gguf: general\.arch.*: damaged"):
        load_weights(path)


def test_a_gguf_whose_heads_do_not_fit_its_rows_is_named(tmp_path):
    path = tmp_path / "garbled.gguf"
    write_gguf(path, ("F32",))
    content = path.read_bytes()
    # Key, type and value of one entry of the header: 4 heads become 40.
    entry = b"llama.attention.head_count" + struct.pack("<II", 4, CONFIG.num_heads)
    assert content.count(entry) == 1
    heads = entry[:-4] + struct.pack("<I", 40)
    path.write_bytes(content.replace(entry, heads))
    with pytest.raises(InputError, match=r"attn_q\.weight: found 64 rows, .*40 heads"):
        load_weights(path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"architecture": "gemma2"},
            r"found architecture 'gemma2', expected one of \('llama', 'gemma'\)",
        ),
        (
            {"extra": [("llama.attention.key_length", 32)]},
            "rope.dimension_count: found 16, expected the width of a key head, 32",
        ),
        ({"extra": [("llama.rope.scaling.type", "yarn")]}, "rope.scaling.type: found"),
    ],
)
def test_a_gguf_of_another_kind_is_refused(tmp_path, options, message):
    write_gguf(tmp_path / "other.gguf", ("F32",), **options)
    with pytest.raises(InputError, match=message):
        load_weights(tmp_path / "other.gguf")


def test_without_the_gguf_package_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(InputError, match=r"pip install 'morl\[gguf\]'"):
        load_weights(tmp_path / "any.gguf")
