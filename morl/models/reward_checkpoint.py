"""Reward models from and to Hugging Face folders of sequence classification.

There a linear layer without a bias reads the final hidden state of the last token, one
score a label; here a label is an objective.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from morl.errors import InputError
from morl.models.chat import ChatTokenizer, save_chat_tokenizer
from morl.models.checkpoint import tensors_of, transformer_from_tensors
from morl.models.families import FAMILIES
from morl.models.heads import LinearHead, Reading
from morl.models.hugging_face import (
    CONFIG,
    config_from_json,
    config_to_json,
    read_folder_json,
)
from morl.models.loading import read_folder_tensors, write_folder_tensors
from morl.models.reward_model import RewardModel, check_last_token
from morl.types import Json, Names

PURPOSE = "SequenceClassification"
SCORE = "score.weight"
OUTPUT = "lm_head.weight"
BIAS = "morl_bias"


def load_reward_model(folder: str | Path, *, dtype: str = "float32") -> RewardModel:
    """Loads the reward model of a folder; its tokenizer is not read.

    Args:
      folder: ``config.json`` and safetensors of a family that the transformer is.
      dtype: What the transformer's parameters and activations are stored in.

    Returns:
      The model. Objectives have the names of ``id2label``, ``LABEL_0`` and so on where
      it is missing; biases are zero unless :func:`save_reward_model` wrote them.

    Raises:
      InputError: The folder holds another kind of model, or a damaged one; the message
        names file and key, or tensor.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(
            "expected a folder with config.json and safetensors", where=str(folder)
        )
    where = str(folder / CONFIG)
    written = read_folder_json(folder)
    # These models have no output matrix, whatever the key says.
    config = replace(config_from_json(written, where=where), dtype=dtype, tied=True)
    family = FAMILIES[written["model_type"]]
    expected = [f"{family.architecture}For{PURPOSE}"]
    if (found := written.get("architectures", expected)) != expected:
        raise InputError(
            f"found {found}, expected {expected}", where=f"{where}: architectures"
        )
    tensors, fingerprint = read_folder_tensors(folder)
    weight = _weight(tensors, config.width, str(folder))
    objectives = _objectives(written, len(weight), where)
    bias = _bias(written.get(BIAS, [0.0] * len(weight)), objectives, where)
    backbone = {name: value for name, value in tensors.items() if name != SCORE}
    return RewardModel(
        transformer_from_tensors(config, backbone, where=str(folder)),
        LinearHead(jnp.asarray(weight.T), jnp.asarray(bias)),
        objectives,
        Reading(config.num_layers, "last"),
        _pad_id({**family.defaults, **written}.get("pad_token_id"), where),
        fingerprint,
    )


def _weight(
    tensors: Mapping[str, np.ndarray], width: int, where: str
) -> Float[np.ndarray, "k d"]:
    where = f"{where}: {SCORE}"
    if SCORE not in tensors:
        raise InputError(f"missing tensor, expected (labels, {width})", where=where)
    weight = tensors[SCORE]
    if weight.ndim != 2 or weight.shape[1] != width or not len(weight):
        raise InputError(
            f"found shape {weight.shape}, expected (labels, {width})", where=where
        )
    if not np.isfinite(weight).all():
        raise InputError("found values that are not finite", where=where)
    return weight


def _objectives(written: Json, count: int, where: str) -> Names:
    """The labels in their order: as many as the head has rows, each with a name."""
    default = {str(index): f"LABEL_{index}" for index in range(count)}
    labels = written.get("id2label") or default
    where = f"{where}: id2label"
    if not isinstance(labels, dict) or labels.keys() != default.keys():
        raise InputError(
            f"found {labels!r}, expected a name for each of {', '.join(default)}: "
            f"{SCORE} has {count} rows",
            where=where,
        )
    names = tuple(str(labels[index]) for index in default)
    if len(set(names)) < count:
        raise InputError(f"found {names}, expected each name once", where=where)
    return names


def _bias(
    values: Any, objectives: Names, where: str
) -> Float[np.ndarray, " objectives"]:
    try:
        bias = np.asarray(values, np.float32)
    except (TypeError, ValueError):
        bias = np.full(1, np.nan)
    if bias.shape != (len(objectives),) or not np.isfinite(bias).all():
        raise InputError(
            f"found {values!r}, expected a number for each of {objectives}",
            where=f"{where}: {BIAS}",
        )
    return bias


def _pad_id(value: Any, where: str) -> int | None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise InputError(
        f"found {value!r}, expected a token id or null", where=f"{where}: pad_token_id"
    )


def save_reward_model(
    reward_model: RewardModel, chat: ChatTokenizer, folder: str | Path
) -> str:
    """Writes a folder that ``AutoModelForSequenceClassification`` loads.

    It holds ``config.json`` with the objectives as labels, ``model.safetensors``, and
    the tokenizer, which pads with the model's padding token. The output matrix of the
    language model is left out.

    ``transformers`` gives these models no bias and ignores the one kept in the
    configuration as ``morl_bias``: there every score is lower by it. What one objective
    says of two responses is the same; thresholds and calibration are not.

    Args:
      reward_model: What to write.
      chat: Its tokenizer and chat template.
      folder: Where to.

    Returns:
      The SHA-256 of the weight file.

    Raises:
      InputError: The heads read another state than the last token's of the last layer,
        no Hugging Face family has this transformer, or model and tokenizer do not fit.
    """
    check_last_token(reward_model)
    model, head = reward_model.model, reward_model.head
    objectives = reward_model.objectives
    shape = (model.config.width, len(objectives))
    if head.weight.shape != shape:
        raise InputError(
            f"found shape {head.weight.shape}, expected {shape}", where="head.weight"
        )
    chat = _padded_by(chat, reward_model.pad_id, model.config.vocab_size)
    config = config_to_json(replace(model.config, tied=True), purpose=PURPOSE)
    config |= {
        "id2label": {str(index): name for index, name in enumerate(objectives)},
        "label2id": {name: index for index, name in enumerate(objectives)},
        # Raw scores: no softmax over objectives, in servers too.
        "problem_type": "regression",
        "pad_token_id": reward_model.pad_id,
    }
    if np.any(head.bias):
        config[BIAS] = np.asarray(head.bias, np.float64).tolist()
    tensors = dict(tensors_of(model))
    tensors.pop(OUTPUT, None)
    tensors[SCORE] = np.asarray(head.weight.T.astype(model.config.dtype))
    folder = Path(folder)
    fingerprint = write_folder_tensors(folder, config, tensors)
    save_chat_tokenizer(chat, folder)
    return fingerprint


def _padded_by(
    chat: ChatTokenizer, pad_id: int | None, vocab_size: int
) -> ChatTokenizer:
    """The tokenizer with the padding token that the model knows as padding."""
    if chat.vocab_size > vocab_size:
        raise InputError(
            f"the tokenizer has {chat.vocab_size} tokens, the weights have rows for "
            f"{vocab_size}: they are not of one model",
            where="chat",
        )
    if pad_id is None:
        return chat
    token = chat.tokenizer.id_to_token(pad_id) if pad_id >= 0 else None
    if token is None:
        raise InputError(
            f"found {pad_id}, expected one of the tokenizer's {chat.vocab_size} tokens",
            where="pad_id",
        )
    special = {**chat.template.special_tokens, "pad_token": token}
    return replace(chat, template=replace(chat.template, special_tokens=special))
