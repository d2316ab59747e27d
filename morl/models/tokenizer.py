"""Tokenizers from a Hugging Face folder, from a GGUF file, or trained on texts."""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    pre_tokenizers,
    trainers,
)

from morl.errors import InputError
from morl.models.templates import ChatTemplate
from morl.storage import read_json, write_json, write_text

CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] "
    "+ '<|im_end|>' + '\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)

# Of every tokenizer that is trained here; with the bytes, the least vocabulary.
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
LEAST_VOCABULARY = 256 + len(SPECIAL)

_NAMED = ("bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token")


class TokenizerParts(NamedTuple):
    """What a model's files say of its tokenizer.

    Attributes:
      tokenizer: Vocabulary, merges and special tokens.
      template: The chat template with the special tokens that it may write.
      stop_ids: Tokens at which the files say that generation ends.
      bos: The token that begins every text, if the model was trained with one.
      where: The folder or file, for error messages.
    """

    tokenizer: Tokenizer
    template: ChatTemplate
    stop_ids: tuple[int, ...]
    bos: int | None
    where: str


class TemplateChoice(NamedTuple):
    """What replaces or completes the template that a model ships.

    Attributes:
      source: Jinja text instead of the model's own.
      variables: Variables for the template, such as ``{"enable_thinking": False}``.
      now: The time that ``strftime_now`` sees; ``None`` is :class:`ChatTemplate`'s.
    """

    source: str | None = None
    variables: Mapping[str, Any] | None = None
    now: datetime | None = None


def read_folder(folder: Path, choice: TemplateChoice) -> TokenizerParts:
    """Reads ``tokenizer.json`` and the configuration files beside it.

    Raises:
      InputError: A file is missing or damaged, or names a token that is not in the
        vocabulary, or there is no chat template.
    """
    path = folder / "tokenizer.json"
    if not path.is_file():
        raise InputError("no such file", where=str(path))
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:
        raise InputError(f"not a tokenizer ({error})", where=str(path)) from None
    config = _json_if_there(folder / "tokenizer_config.json")
    named = _named_tokens(config, _json_if_there(folder / "special_tokens_map.json"))
    for name, text in named.items():
        if tokenizer.token_to_id(text) is None:
            raise InputError(
                f"{name} {text!r} is not in the vocabulary of {path.name}",
                where=str(folder / "tokenizer_config.json"),
            )
    tokenizer.add_special_tokens(
        [
            AddedToken(text, special=True, normalized=False)
            for text in _unmarked(tokenizer, named.values())
        ]
    )
    return TokenizerParts(
        tokenizer,
        chosen_template(
            _folder_template(folder, config), named, config, choice, str(folder)
        ),
        _folder_stop_ids(folder, tokenizer, named),
        _first_token(tokenizer, config, named, str(path)),
        str(folder),
    )


def _json_if_there(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    found = read_json(path)
    if not isinstance(found, dict):
        raise InputError(
            f"found a JSON {type(found).__name__}, expected an object", where=str(path)
        )
    return found


def _named_tokens(*configs: Mapping[str, Any]) -> dict[str, str]:
    """Texts of ``bos_token``, ``eos_token`` and such; the first file that has one."""
    found: dict[str, str] = {}
    for name in _NAMED:
        for config in configs:
            token = config.get(name)
            text = token.get("content") if isinstance(token, dict) else token
            if isinstance(text, str):
                found.setdefault(name, text)
    return found


def _unmarked(tokenizer: Tokenizer, texts: Iterable[str]) -> Iterator[str]:
    """Named tokens that the vocabulary does not mark as special."""
    special = {
        token.content
        for token in tokenizer.get_added_tokens_decoder().values()
        if token.special
    }
    return (text for text in texts if text not in special)


def _text(path: Path) -> str:
    """The file's text as it is: line ends are part of a template."""
    try:
        return path.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise InputError(f"not UTF-8 ({error})", where=str(path)) from None


def _folder_template(folder: Path, config: Mapping[str, Any]) -> str | None:
    """The template: a file of its own comes before ``tokenizer_config.json``."""
    path = folder / "chat_template.jinja"
    if path.is_file():
        return _text(path)
    found = config.get("chat_template")
    if found is None:
        found = _json_if_there(folder / "chat_template.json").get("chat_template")
    if isinstance(found, list):
        named = [entry for entry in found if isinstance(entry, dict)]
        chosen = (e.get("template") for e in named if e.get("name") == "default")
        found = next(chosen, None)
    return found


def chosen_template(
    source: str | None,
    named: Mapping[str, str],
    config: Mapping[str, Any],
    choice: TemplateChoice,
    where: str,
) -> ChatTemplate:
    """The template that a model ships, or the one that was chosen instead.

    Raises:
      InputError: There is none, or it is not valid Jinja.
    """
    source = choice.source if choice.source is not None else source
    if not isinstance(source, str):
        raise InputError(
            "the model ships no chat template; give one as template=", where=where
        )
    try:
        variables = {
            **config.get("chat_template_variables", {}),
            **(choice.variables or {}),
        }
        now = choice.now
        if now is None and "chat_template_now" in config:
            now = datetime.fromisoformat(config["chat_template_now"])
    except (TypeError, ValueError) as error:
        raise InputError(
            f"cannot use chat_template_variables or chat_template_now ({error})",
            where=where,
        ) from None
    try:
        return ChatTemplate(source, dict(named), variables, now)
    except InputError as error:
        raise InputError(str(error), where=where) from None


def _folder_stop_ids(
    folder: Path, tokenizer: Tokenizer, named: Mapping[str, str]
) -> tuple[int, ...]:
    """The end of text by name, and what the configuration files add to it."""
    found = []
    if "eos_token" in named:
        found.append(tokenizer.token_to_id(named["eos_token"]))
    for name in ("generation_config.json", "config.json"):
        ids = _json_if_there(folder / name).get("eos_token_id")
        for index in ids if isinstance(ids, list) else [ids]:
            if index is not None and not isinstance(index, int):
                raise InputError(
                    f"found {index!r}, expected a token id",
                    where=f"{folder / name}: eos_token_id",
                )
            found.append(index)
    return tuple(index for index in found if index is not None)


def _first_token(
    tokenizer: Tokenizer,
    config: Mapping[str, Any],
    named: Mapping[str, str],
    where: str,
) -> int | None:
    """The token that the tokenizer itself puts before every text."""
    bare = tokenizer.encode("a", add_special_tokens=False).ids
    whole = tokenizer.encode("a", add_special_tokens=True).ids
    prefix = whole[: max(whole.index(bare[0]), 0)] if bare and bare[0] in whole else []
    if len(prefix) > 1:
        raise InputError(
            f"puts {len(prefix)} tokens before every text, expected one BOS at most",
            where=where,
        )
    if not prefix and config.get("add_bos_token") and "bos_token" in named:
        prefix = [tokenizer.token_to_id(named["bos_token"])]
    return prefix[0] if prefix else None


def digits_apart() -> pre_tokenizers.PreTokenizer:
    """Splits as GPT-2 does, and every digit from every other, as SmolLM does."""
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )


def train_parts(texts: Iterable[str], vocab_size: int) -> TokenizerParts:
    """Trains a byte-level BPE with ChatML on texts; equal input, equal tokenizer.

    Raises:
      InputError: ``vocab_size`` does not hold the 256 bytes and 3 special tokens.
    """
    if vocab_size < LEAST_VOCABULARY:
        raise InputError(
            f"found {vocab_size}, expected at least {LEAST_VOCABULARY} (every byte, "
            f"and {len(SPECIAL)} special tokens)",
            where="vocab_size",
        )
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = digits_apart()
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[*SPECIAL],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    named = {"eos_token": SPECIAL[2], "pad_token": SPECIAL[0]}
    template = ChatTemplate(CHATML, named)
    return TokenizerParts(tokenizer, template, (2,), None, "trained tokenizer")


def write_folder(folder: Path, parts: TokenizerParts) -> None:
    """Writes ``tokenizer.json``, ``tokenizer_config.json``, ``generation_config.json``.

    `transformers` reads them; so does :func:`read_folder`, with the same result.
    """
    template = parts.template
    config: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        "add_bos_token": parts.bos is not None,
        **template.special_tokens,
        "chat_template": template.source,
    }
    if template.variables:
        config["chat_template_variables"] = dict(template.variables)
    if template.now is not None:
        config["chat_template_now"] = template.now.isoformat()
    write_text(folder / "tokenizer.json", parts.tokenizer.to_str(pretty=True))
    write_json(folder / "tokenizer_config.json", config)
    write_json(
        folder / "generation_config.json", {"eos_token_id": list(parts.stop_ids)}
    )


def without_added_tokens(tokenizer: Tokenizer) -> Tokenizer:
    """The tokenizer for text in which nothing is a control token."""
    layout = json.loads(tokenizer.to_str())
    layout["added_tokens"] = []
    layout["post_processor"] = None
    return Tokenizer.from_str(json.dumps(layout))
