"""A language model as the rest of `morl` uses it: weights, tokenizer and a name."""

from dataclasses import dataclass
from pathlib import Path

from morl.errors import InputError
from morl.models.chat import ChatTokenizer, load_chat_tokenizer, save_chat_tokenizer
from morl.models.loading import load_weights, save_weights
from morl.models.transformer import Transformer


@dataclass(frozen=True)
class LanguageModel:
    """A transformer with the tokenizer and chat template it was trained with.

    Args:
      name: What tables and provenance call it.
      model: The transformer.
      chat: Tokenizer, template and stop ids.
      fingerprint: SHA-256 of the weight files: features cached under another are not
        this model's.
    """

    name: str
    model: Transformer
    chat: ChatTokenizer
    fingerprint: str


def load_language_model(path: str | Path) -> LanguageModel:
    """Loads weights and tokenizer from a Hugging Face folder or a ``.gguf`` file.

    Raises:
      InputError: A file is missing, damaged, or of an architecture that the
        transformer is not, or tokenizer and weights do not fit; the message names it.
    """
    path = Path(path)
    # The tokenizer first: a folder without one is refused before gigabytes are read.
    chat = load_chat_tokenizer(path)
    model, fingerprint = load_weights(path)
    if chat.vocab_size > model.config.vocab_size:
        # A lookup beyond the table would silently give the last row.
        raise InputError(
            f"the tokenizer has {chat.vocab_size} tokens, the weights have rows for "
            f"{model.config.vocab_size}: they are not of one model",
            where=str(path),
        )
    return LanguageModel(
        path.stem if path.is_file() else path.name, model, chat, fingerprint
    )


def save_language_model(language_model: LanguageModel, folder: str | Path) -> None:
    """Saves a language model as a Hugging Face folder, which ``transformers`` reads.

    It holds ``config.json``, ``model.safetensors``, ``tokenizer.json`` and
    ``tokenizer_config.json`` with the chat template.

    Raises:
      InputError: No Hugging Face family has this variant of the transformer.
    """
    save_weights(language_model.model, folder)
    save_chat_tokenizer(language_model.chat, folder)
