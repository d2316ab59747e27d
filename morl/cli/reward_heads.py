"""Heads of a run: made anew, or a gate over heads that were trained before."""

from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree

from morl.assess.accuracy import pair_accuracy
from morl.assess.estimates import Estimate
from morl.assess.length import rank_correlation
from morl.cli.head_kinds import KINDS, chosen_kind, gated_kind
from morl.cli.reward_feedback import Makers
from morl.cli.reward_model import RewardConfig
from morl.cli.specification import heads_folder
from morl.errors import InputError
from morl.models.head_files import HeadKind, HeadSet, load_heads
from morl.models.heads import (
    GatedHead,
    Reading,
    Standard,
    States,
    estimates,
    fit_standard,
    folded,
    standardised,
)
from morl.models.language_model import LanguageModel
from morl.models.truncation import Truncation
from morl.rewards.debias import Debias, fit_debias, log_length
from morl.rewards.mixture import MIXTURE, Mixture
from morl.training.head_scores import (
    head_scores,
    reward_names,
    saved_mixture,
    with_debias,
    with_mixture,
)
from morl.training.reward_batch import Example
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
    shown = [own.temperature, own.scale, own.debias, dict(kind.settings)]
    about = [shown, jax.tree.map(lambda leaf: np.asarray(leaf).tolist(), inner.head)]
    return Heads(kind, reading, GatedHead(inner.head, params.gate), mixture, about)


class Learned(NamedTuple):
    """What heads learn from, on one scale.

    Attributes:
      makers: Rows with standardised features: of responses, or of the prompts that a
        gate reads. As they are where the backbone is in the step.
      standard: What they were standardised by; None where they were not.
    """

    makers: Makers
    standard: Standard | None


def on_one_scale(makers: Makers, *, gate: bool) -> Learned:
    """Rows as heads learn from them, by the features of what is learned from.

    Args:
      makers: Rows with features as they are.
      gate: Whether a gate learns.
    """
    table = makers.training.features
    if table is None:
        return Learned(makers, None)
    seen = table.prompts if gate else _responses(makers.training).states.response
    standard = fit_standard(np.asarray(seen))

    def scaled(rows: RowMaker) -> RowMaker:
        assert rows.features is not None  # one part has them where the other does
        key = "prompts" if gate else "responses"
        values = standardised(getattr(rows.features, key), standard)
        return replace(rows, features=rows.features._replace(**{key: values}))

    rest = makers.validation
    return Learned(
        Makers(scaled(makers.training), None if rest is None else scaled(rest)),
        standard,
    )


def fitted_debias(heads: HeadSet, training: RowMaker, bound: float) -> Debias:
    """The correction for length of heads, on the responses that are learned from."""
    states, lengths = _responses(training)
    head = heads.kind.head
    mean = estimates(head, head.read(heads.head, states)).mean
    return fit_debias(np.asarray(mean), np.asarray(log_length(lengths)), bound=bound)


def with_rest(heads: HeadSet, training: RowMaker, bound: float) -> HeadSet:
    """Mixed heads, with the correction of what length still explains of the mixture."""
    states, lengths = _responses(training)
    place = reward_names(heads).index(MIXTURE)
    mixed = np.asarray(head_scores(heads, states, lengths).mean)[:, place, None]
    rest = fit_debias(mixed, np.asarray(log_length(lengths)), bound=bound)
    mixture = saved_mixture(heads)
    assert mixture is not None  # mixed heads have one
    return with_mixture(heads, mixture._replace(rest=rest))


def trained_heads(
    config: RewardConfig,
    belongs: tuple[str, str],
    heads: Heads,
    params: PyTree,
    standard: Standard | None,
    training: RowMaker,
) -> HeadSet:
    """What is saved: trained parameters, with the transforms that belong to them.

    Args:
      config: Of the run.
      belongs: SHA-256 of the backbone as it is now, and of its template.
      heads: Those that the run began with.
      params: What was trained of them: all of it, or a gate.
      standard: What features were standardised by, to be folded into the parameters.
      training: What was learned from, with features as they are.
    """
    if heads.mixture is not None:
        params = GatedHead(heads.params.heads, params)
    if standard is not None:
        params = folded(jax.tree.map(jnp.asarray, params), standard)
    found = HeadSet(
        config.objectives,
        heads.reading,
        jax.tree.map(jnp.asarray, params),
        *belongs,
        Truncation(config.text.max_tokens, config.text.response_tokens),
        heads.kind,
    )
    if heads.mixture is not None:
        mixed = with_mixture(found, heads.mixture)
        bound = config.mixture.debias
        return with_rest(mixed, training, bound) if bound else mixed
    if config.debias:
        return with_debias(found, fitted_debias(found, training, config.debias))
    return found


class HeldOut(NamedTuple):
    """What the rewards that are saved are worth on held-out prompts, by their names.

    Attributes:
      accuracy: Share of every objective's preferences that are ordered as they are, by
        the mixture where there is one.
      correlation: Spearman's, of every reward with length, over all responses.
    """

    accuracy: dict[str, Estimate]
    correlation: dict[str, Estimate]


def held_out(heads: HeadSet, rows: RowMaker) -> HeldOut:
    """Scores rows by heads as they are saved, corrections and all.

    Intervals draw prompts.

    Args:
      heads: What is saved.
      rows: Held out, with features as they are.
    """
    states, lengths = _responses(rows)
    mean = np.asarray(head_scores(heads, states, lengths).mean, float)
    counts = [len(example.record.own) for example in rows.examples]
    starts, openings = np.cumsum([0, *counts]), _openings(rows)
    names, groups = reward_names(heads), np.repeat(openings, counts)
    accuracy = {}
    for number, name in enumerate(heads.objectives):
        column = mean[:, -1 if names[-1] == MIXTURE else number]
        pairs = [
            (row, starts[row] + better, starts[row] + worse)
            for row, example in enumerate(rows.examples)
            for better, worse in _preferred(example, number)
        ]
        if pairs:
            row, better, worse = np.array(pairs).T
            gaps = column[better] - column[worse]
            accuracy[name] = Estimate(*pair_accuracy(gaps, openings[row]))
    correlation = {
        name: rank_correlation(mean[:, place], lengths.astype(float), groups)
        for place, name in enumerate(names)
    }
    return HeldOut(accuracy, correlation)


def _preferred(example: Example, number: int) -> list[tuple[int, int]]:
    """Preferences of one objective, those of a list among them; ties left out."""
    ranks = [(i, rank) for i, k, rank in example.ranks if k == number]
    return [
        *((b, w) for b, w, k, strength in example.pairs if k == number and strength),
        *((i, j) for i, first in ranks for j, second in ranks if first < second),
    ]


def _openings(rows: RowMaker) -> Int[np.ndarray, " n"]:
    """One integer a row; rows that a split keeps together share theirs."""
    keys = np.array([example.opening for example in rows.examples], str)
    return np.unique(keys, return_inverse=True)[1]


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
