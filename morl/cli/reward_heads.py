"""Heads of a run: made anew, or a gate over heads that were trained before."""

from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree

from morl.assess.estimates import Estimate
from morl.assess.length import rank_correlation
from morl.cli.head_kinds import KINDS, chosen_kind, gated_kind
from morl.cli.reward_model import RewardConfig
from morl.errors import InputError
from morl.fronts.pipeline import HEADS
from morl.models.head_files import MANIFEST, HeadKind, HeadSet, load_heads
from morl.models.heads import GatedHead, Reading, States, estimates
from morl.models.language_model import LanguageModel
from morl.models.truncation import Truncation
from morl.rewards.debias import Debias, fit_debias
from morl.rewards.mixture import Mixture
from morl.training.head_scores import (
    head_scores,
    reward_names,
    with_debias,
    with_mixture,
)
from morl.training.reward_rows import RowMaker


class Heads(NamedTuple):
    """Heads at the start of a run.

    Attributes:
      kind: What their parameters mean.
      reading: Which states they read.
      params: The parameters.
      mixture: How a gate mixes them; None where heads are trained.
      about: What a checkpoint must agree with to be gone on from.
    """

    kind: HeadKind
    reading: Reading
    params: PyTree[Array]
    mixture: Mixture | None
    about: Any


def heads_folder(given: Path) -> Path:
    """The folder itself, or the heads of a run.

    Raises:
      InputError: There are no heads.
    """
    for folder in (given, given / HEADS):
        if (folder / MANIFEST).is_file():
            return folder
    raise InputError(
        f"found no {MANIFEST}, expected the folder of fitted heads or of a run",
        where=str(given),
    )


def mixed_heads(config: RewardConfig, model: LanguageModel) -> HeadSet | None:
    """The heads that a gate is trained over; None where heads are trained.

    Raises:
      InputError: They are of another model or other objectives, are mixed already, or
        cannot be read.
    """
    if config.mixture.heads is None:
        return None
    folder = heads_folder(config.mixture.heads)
    found = load_heads(folder, model, kinds=KINDS)
    if found.objectives != config.objectives:
        raise InputError(
            f"has heads for {', '.join(found.objectives)}, objectives are "
            f"{', '.join(config.objectives)}",
            where=str(folder),
        )
    if found.transforms:
        raise InputError(
            "has heads that are corrected or mixed already, expected heads as they "
            "were trained (without mixture and debias)",
            where=str(folder),
        )
    return found


def cut_alike(config: RewardConfig, inner: HeadSet | None) -> RewardConfig:
    """The settings, with texts cut as the heads expect that a gate is trained over."""
    if inner is None:
        return config
    cut = inner.truncation
    text = replace(
        config.text,
        max_tokens=cut.max_tokens,
        response_tokens=cut.response_tokens or cut.max_tokens - 1,
    )
    return replace(config, text=text)


def chosen_reading(
    config: RewardConfig, model: LanguageModel, inner: HeadSet | None
) -> Reading:
    """Which states heads read: those asked for, or those of the heads that are mixed.

    Raises:
      InputError: There is no such layer.
    """
    if inner is not None:
        return inner.reading
    depth, layer = model.model.config.num_layers, config.reading.layer
    place = layer if layer > 0 else depth + 1 + layer
    if not 1 <= place <= depth:
        raise InputError(
            f"found {layer}, {model.name} has layers 1 to {depth}",
            where="reading.layer",
        )
    return Reading(place, config.reading.pooling)


def first_heads(
    config: RewardConfig,
    model: LanguageModel,
    inner: HeadSet | None,
    reading: Reading,
    training: RowMaker,
    key: PRNGKeyArray,
) -> Heads:
    """Heads before the first step, and how they are mixed.

    Args:
      config: Of the run.
      model: The backbone.
      inner: What a gate is trained over, from :func:`mixed_heads`.
      reading: From :func:`chosen_reading`.
      training: What is learned from: the reference set of a correction for length.
      key: Of the parameters.
    """
    kind, own = chosen_kind(config.head), config.mixture
    if inner is not None:
        kind = gated_kind(inner.kind, own.hidden_width, own.hidden_layers)
    width, count = model.model.config.width, len(config.objectives)
    params = kind.head.init(key, width, count)
    if inner is None:
        return Heads(kind, reading, params, None, None)
    debias = fitted_debias(inner, training, own.debias) if own.debias else None
    mixture = Mixture(own.temperature, own.scale, debias)
    shown = [own.temperature, own.scale, own.debias]
    about = [shown, jax.tree.map(lambda leaf: np.asarray(leaf).tolist(), inner.head)]
    return Heads(kind, reading, GatedHead(inner.head, params.gate), mixture, about)


def fitted_debias(heads: HeadSet, training: RowMaker, bound: float) -> Debias:
    """The correction for length of heads, on the responses that are learned from."""
    states, lengths = _responses(training)
    head = heads.kind.head
    mean = estimates(head, head.read(heads.head, states)).mean
    return fit_debias(np.asarray(mean), lengths, bound=bound)


def trained_heads(
    config: RewardConfig,
    model: LanguageModel,
    heads: Heads,
    params: PyTree,
    training: RowMaker,
) -> HeadSet:
    """What is saved: trained parameters, with the transforms that belong to them.

    Args:
      config: Of the run.
      model: The backbone as it is now.
      heads: Those that the run began with.
      params: What was trained of them: all of it, or a gate.
      training: What was learned from.
    """
    if heads.mixture is not None:
        params = GatedHead(heads.params.heads, params)
    found = HeadSet(
        config.objectives,
        heads.reading,
        jax.tree.map(jnp.asarray, params),
        model.fingerprint,
        model.chat.template_hash,
        Truncation(config.text.max_tokens, config.text.response_tokens),
        heads.kind,
    )
    if heads.mixture is not None:
        return with_mixture(found, heads.mixture)
    if config.debias:
        return with_debias(found, fitted_debias(found, training, config.debias))
    return found


def length_correlations(heads: HeadSet, rows: RowMaker) -> dict[str, Estimate]:
    """Spearman's correlation of every reward with length, over all responses.

    Its interval draws prompts.
    """
    states, lengths = _responses(rows)
    mean = np.asarray(head_scores(heads, states, lengths).mean, float)
    groups = np.repeat(
        np.arange(len(rows.examples)), [len(e.record.own) for e in rows.examples]
    )
    return {
        name: rank_correlation(mean[:, place], lengths.astype(float), groups)
        for place, name in enumerate(reward_names(heads))
    }


class _Read(NamedTuple):
    states: States
    lengths: Int[np.ndarray, " n"]


def _responses(rows: RowMaker) -> _Read:
    """Every response of the rows, beside its prompt."""
    table = rows.features
    assert table is not None  # corrections and gates read features
    sizes = [[int(own.sum()) for own in e.record.own] for e in rows.examples]
    there: Bool[np.ndarray, "n r"] = (
        np.arange(rows.room.responses) < np.array([len(s) for s in sizes])[:, None]
    )
    prompts: Float[np.ndarray, "n r d"] = np.broadcast_to(
        table.prompts[:, None], table.responses.shape
    )
    states = States(jnp.asarray(table.responses[there]), jnp.asarray(prompts[there]))
    return _Read(states, np.array([size for each in sizes for size in each]))
