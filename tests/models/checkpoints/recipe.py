"""Tiny checkpoints that two programs can make alike: shapes, and a seeded draw."""

import zlib

import numpy as np

COMMON = {
    "vocab_size": 96,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10_000.0,
}
CASES = {
    "llama": {"num_key_value_heads": 2, "tie_word_embeddings": False},
    "llama_biased": {
        "num_key_value_heads": 4,
        "tie_word_embeddings": True,
        "attention_bias": True,
        "rope_theta": 100_000.0,
    },
    "llama_wide_heads": {
        "num_key_value_heads": 1,
        "head_dim": 12,
        "tie_word_embeddings": True,
    },
    "llama_stretched": {
        "num_key_value_heads": 2,
        "tie_word_embeddings": True,
        # Over 256 positions the four frequencies turn 41, 4, 0.4 and 0.04 times: one is
        # kept, one mixed, two slowed.
        "rope_scaling": {
            "rope_type": "llama3",
            "factor": 4.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 8.0,
            "original_max_position_embeddings": 256,
        },
    },
    # A window shorter than the rows; heads whose widths do not add up to the model's.
    "mistral": {
        "num_key_value_heads": 2,
        "head_dim": 12,
        "sliding_window": 4,
        "tie_word_embeddings": False,
    },
    "mistral_whole": {
        "num_key_value_heads": 2,
        "sliding_window": None,
        "tie_word_embeddings": False,
    },
    "gemma": {
        "num_key_value_heads": 1,
        "head_dim": 12,
        "hidden_act": "gelu_pytorch_tanh",
        "tie_word_embeddings": True,
    },
    "gemma_biased": {
        "num_key_value_heads": 2,
        "head_dim": 16,
        "attention_bias": True,
        "hidden_act": "gelu_pytorch_tanh",
        "tie_word_embeddings": True,
    },
    "qwen2": {"num_key_value_heads": 2, "tie_word_embeddings": True},
    "qwen3": {"num_key_value_heads": 2, "head_dim": 16, "tie_word_embeddings": False},
}
LENGTHS = (11, 7)
REWARD_CASES = ("llama", "mistral", "qwen2", "qwen3", "gemma")
PAD = 95


def tensor(name, shape):
    """Normal entries, seeded by the name; norm weights lie around one."""
    generator = np.random.default_rng(zlib.crc32(name.encode()))
    draw = generator.standard_normal(shape, dtype=np.float32)
    if name.endswith("norm.weight"):
        return 1 + 0.2 * draw
    return (0.3 if name.endswith("bias") else 0.15) * draw


def tokens():
    """Two rows of tokens; the second ends in padding, which may hold anything."""
    generator = np.random.default_rng(7)
    return generator.integers(0, COMMON["vocab_size"], (2, max(LENGTHS)))


def padded(side):
    """The same rows filled up with the padding token on one side; and what is real."""
    rows, real = np.full((2, max(LENGTHS)), PAD), np.zeros((2, max(LENGTHS)), bool)
    for row, (text, length) in enumerate(zip(tokens(), LENGTHS, strict=True)):
        place = slice(0, length) if side == "right" else slice(-length, None)
        rows[row, place], real[row, place] = text[:length], True
    assert not np.any(rows[real] == PAD)
    return rows, real
