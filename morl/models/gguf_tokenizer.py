"""Byte-level BPE tokenizers as GGUF files describe them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
)

from morl.errors import InputError
from morl.models.gguf_metadata import read_gguf_metadata
from morl.models.tokenizer import (
    TemplateChoice,
    TokenizerParts,
    chosen_template,
    digits_apart,
)

_CONTROL, _USER_DEFINED = 3, 4
_NAMED = {
    "bos": "bos_token",
    "eos": "eos_token",
    "unknown": "unk_token",
    "padding": "pad_token",
}
_STOPS = ("eos", "eot", "eom")
# The splittings that Llama 3 and Qwen 2 publish in their tokenizer.json; they differ
# in how many digits stay together.
_SPLITTING = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|%s"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def read_gguf(path: Path, choice: TemplateChoice) -> TokenizerParts:
    """Reads a byte-level BPE tokenizer and its template from a GGUF file's header.

    Raises:
      InputError: The file is damaged, its tokenizer is of another kind, or there is no
        chat template.
    """
    facts = read_gguf_metadata(path)
    kind = _fact(facts, "tokenizer.ggml.model", str, path)
    if kind != "gpt2":
        raise InputError(
            f"found {kind!r}, expected 'gpt2' (byte-level BPE)",
            where=f"{path}: tokenizer.ggml.model",
        )
    texts = _fact(facts, "tokenizer.ggml.tokens", list, path)
    ids = _token_ids(facts, len(texts), path)
    tokenizer = _tokenizer(facts, texts, path)
    splitting = facts.get("tokenizer.ggml.pre")
    begins = facts.get("tokenizer.ggml.add_bos_token", splitting == "llama-bpe")
    bos = ids.get("bos") if begins else None
    if bos is not None:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=[texts[bos], "$A"], special_tokens=[(texts[bos], bos)]
        )
    named = {_NAMED[name]: texts[ids[name]] for name in _NAMED if name in ids}
    source = facts.get("tokenizer.chat_template")
    return TokenizerParts(
        tokenizer,
        chosen_template(source, named, {}, choice, str(path)),
        tuple(ids[name] for name in _STOPS if name in ids),
        bos,
        str(path),
    )


def _fact(facts: Mapping[str, Any], key: str, kind: type, path: Path) -> Any:
    """A value of the header that must be there."""
    found = facts.get(key)
    if not isinstance(found, kind):
        raise InputError(
            f"found {found!r}, expected a {kind.__name__}", where=f"{path}: {key}"
        )
    return found


def _token_ids(facts: Mapping[str, Any], count: int, path: Path) -> dict[str, int]:
    """The special tokens that the header names, as rows of its vocabulary."""
    found = {}
    for name in (*_NAMED, "eot", "eom"):
        key = f"tokenizer.ggml.{name}_token_id"
        index = facts.get(key)
        if index is None:
            continue
        if not isinstance(index, int) or not 0 <= index < count:
            raise InputError(
                f"found {index}, the vocabulary has {count} tokens",
                where=f"{path}: {key}",
            )
        found[name] = index
    return found


def _tokenizer(facts: Mapping[str, Any], texts: list[str], path: Path) -> Tokenizer:
    """Vocabulary, merges, splitting and added tokens."""
    splitting = facts.get("tokenizer.ggml.pre", "default")
    merges = _fact(facts, "tokenizer.ggml.merges", list, path)
    vocabulary = {text: index for index, text in enumerate(texts)}
    pairs: list[tuple[str, str]] = []
    for merge in merges:
        left, _, right = str(merge).partition(" ")
        if not {left, right, left + right} <= vocabulary.keys():
            raise InputError(
                f"found {merge!r}, expected two tokens that join to a third",
                where=f"{path}: tokenizer.ggml.merges",
            )
        pairs.append((left, right))
    tokenizer = Tokenizer(
        # Llama 3 takes a word that is in its vocabulary whole, without merging.
        models.BPE(vocabulary, pairs, ignore_merges=splitting == "llama-bpe")
    )
    if splitting == "qwen2":
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = _splitting(splitting, path)
    tokenizer.decoder = decoders.ByteLevel()
    kinds = facts.get("tokenizer.ggml.token_type", [])
    added = [
        AddedToken(text, special=kind == _CONTROL, normalized=False)
        for text, kind in zip(texts, kinds, strict=False)
        if kind in (_CONTROL, _USER_DEFINED)
    ]
    tokenizer.add_special_tokens([token for token in added if token.special])
    tokenizer.add_tokens([token for token in added if not token.special])
    return tokenizer


def _splitting(name: str, path: Path) -> pre_tokenizers.PreTokenizer:
    """How text is split before merging, by the name that GGUF files give it."""
    if name == "smollm":
        return digits_apart()
    if name in ("gpt-2", "default"):
        return pre_tokenizers.ByteLevel(add_prefix_space=False)
    if name == "llama-bpe":
        return _split_by(r"\p{N}{1,3}")
    if name == "qwen2":
        return _split_by(r"\p{N}")
    raise InputError(
        f"found {name!r}, expected 'smollm', 'gpt-2', 'default', 'llama-bpe' or "
        "'qwen2'",
        where=f"{path}: tokenizer.ggml.pre",
    )


def _split_by(numbers: str) -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_SPLITTING % numbers), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
