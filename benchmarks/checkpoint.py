"""The checkpoint that both sides of a benchmark load."""

from pathlib import Path

from flax import nnx

from morl.models import (
    LanguageModel,
    Transformer,
    TransformerConfig,
    load_language_model,
    save_language_model,
    train_chat_tokenizer,
)
from morl.models.fetch import default_cache

SMOLLM2_SHAPE = TransformerConfig(
    vocab_size=49_152,
    width=576,
    num_layers=30,
    num_heads=9,
    num_kv_heads=3,
    head_dim=64,
    ffn_width=1536,
    rope_base=1e5,
    max_positions=8192,
)
TEXT = ("The same weights, in random numbers, are as fast as trained ones.",)
RANDOM = "smollm2-135m-random"


def random_checkpoint(folder: Path, config: TransformerConfig) -> Path:
    """A model of random weights on disk, drawn from seed 0 unless it is there."""
    if not (folder / "generation_config.json").exists():
        model = Transformer(config, rngs=nnx.Rngs(0))
        chat = train_chat_tokenizer(TEXT, 300)
        save_language_model(LanguageModel(folder.name, model, chat, ""), folder)
    return folder


def benchmark_model(given: Path | None) -> tuple[LanguageModel, Path]:
    """Our model, and the Hugging Face folder with the same weights for the peer.

    Args:
      given: A Hugging Face folder, or a ``.gguf`` file, which is saved as one; without
        it, random weights in SmolLM2's shape.

    Raises:
      InputError: It cannot be loaded; the message says why.
    """
    store = default_cache() / "benchmarks"
    if given is None:
        folder = random_checkpoint(store / RANDOM, SMOLLM2_SHAPE)
        return load_language_model(folder), folder
    language_model = load_language_model(given)
    if given.is_dir():
        return language_model, given
    folder = store / f"{given.stem}-{language_model.fingerprint[:8]}"
    if not (folder / "generation_config.json").exists():
        save_language_model(language_model, folder)
    return language_model, folder
