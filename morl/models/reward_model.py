"""A transformer and heads as one model, from rows of tokens to rewards."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from morl.errors import InputError
from morl.models.head_files import LINEAR, HeadSet
from morl.models.heads import LinearHead, Reading, head_rewards
from morl.models.language_model import LanguageModel
from morl.models.transformer import Transformer
from morl.types import Names


@dataclass(frozen=True, eq=False)
class RewardModel:
    """A transformer and the linear heads that read it.

    Args:
      model: The transformer. Loaded as a reward model it has no output matrix of its
        own, and its logits mean nothing.
      head: One column an objective.
      objectives: Their names.
      reading: Which hidden state the heads read.
      pad_id: The token that fills rows up, and that no text ends in; None where rows
        are never filled up.
      fingerprint: SHA-256 of the weight files; empty where there are none.
    """

    model: Transformer
    head: LinearHead
    objectives: Names
    reading: Reading
    pad_id: int | None
    fingerprint: str = ""


def reward_model_of(
    language_model: LanguageModel, heads: HeadSet, *, pad_id: int | None
) -> RewardModel:
    """A language model with the heads that were fitted on it.

    Where the heads cut prompts and responses is no part of the result.

    Args:
      language_model: The backbone of the heads.
      heads: What was fitted.
      pad_id: The token that is to fill rows up.

    Raises:
      InputError: The heads are not linear, or are corrected by a transform; they were
        fitted on another model; or responses end in ``pad_id``, so that the token
        before would be read in its place.
    """
    if not isinstance(heads.head, LinearHead) or heads.kind.name != LINEAR.name:
        raise InputError(
            f"found heads of kind {heads.kind.name!r}, expected {LINEAR.name!r}",
            where="heads",
        )
    if heads.transforms:
        raise InputError(
            f"found heads with {', '.join(sorted(heads.transforms))}, expected none: a "
            "model of sequence classification applies no transform",
            where="heads",
        )
    if heads.fingerprint != language_model.fingerprint:
        raise InputError(
            f"heads were fitted on a model with SHA-256 {heads.fingerprint[:12]}, "
            f"{language_model.name} has {language_model.fingerprint[:12]}",
            where="heads",
        )
    if pad_id in language_model.chat.stop_ids:
        raise InputError(
            f"found {pad_id}, expected a token that no response ends in; they end in "
            f"one of {language_model.chat.stop_ids}",
            where="pad_id",
        )
    return RewardModel(
        language_model.model,
        heads.head,
        heads.objectives,
        heads.reading,
        pad_id,
        heads.fingerprint,
    )


def check_last_token(reward_model: RewardModel) -> None:
    """Refuses heads that read anything but the last token of the last layer.

    Raises:
      InputError: It says what they read.
    """
    expected = Reading(reward_model.model.config.num_layers, "last")
    if reward_model.reading != expected:
        raise InputError(
            f"heads read {reward_model.reading}, a model of sequence classification "
            f"has {expected}",
            where="reading",
        )


def sequence_rewards(
    reward_model: RewardModel, tokens: Int[Array, "b t"]
) -> Float[Array, "b k"]:
    """Rewards of rows of tokens, as ``transformers`` scores them.

    A row is read at its last token that is not the padding token, on whichever side it
    is filled up. Padding tokens before the first other token are seen by none.

    Args:
      reward_model: A model whose heads read the last token of the last layer.
      tokens: Prompts with their responses.

    Returns:
      One reward an objective; that of a row of nothing but padding is meaningless.

    Raises:
      InputError: The heads read another hidden state.
    """
    check_last_token(reward_model)
    # No token is negative: without a padding token each row is read at its end.
    pad_id = jnp.int32(-1 if reward_model.pad_id is None else reward_model.pad_id)
    return _row_rewards(reward_model.model, reward_model.head, tokens, pad_id)


@jax.jit
def _row_rewards(
    model: Transformer,
    head: LinearHead,
    tokens: Int[Array, "b t"],
    pad_id: Int[Array, ""],
) -> Float[Array, "b k"]:
    real = tokens != pad_id
    places = jnp.arange(tokens.shape[1])[None]
    first = jnp.argmax(real, axis=1, keepdims=True)
    last = jnp.argmax(places * real, axis=1, keepdims=True)
    segments = jnp.where((places >= first) & (places <= last), 0, -1)
    hidden = model(tokens, jnp.maximum(places - first, 0), segments).hidden
    read = jnp.take_along_axis(hidden, last[:, :, None], axis=1)
    return head_rewards(head, read[:, 0])
