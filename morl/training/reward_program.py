"""Reward models as a program: rows to states, readings, losses of every objective."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float, Int, Key, PRNGKeyArray, PyTree

from morl.losses import ordered_thresholds, plackett_luce
from morl.models.adapters import AdapterParam
from morl.models.heads import Head, Readings, States
from morl.models.layout import arrange_fused, drop_inputs
from morl.models.transformer import ANYWHERE, Held, Remat, Transformer
from morl.numerics import WeightedSum, masked_sum
from morl.training.reward_batch import FeatureRows, RewardBatch, TokenRows
from morl.training.state import Outcome, Params, Program
from morl.types import Names

BACKBONE, HEADS = "backbone", "heads"
CUTS = "cuts"  # free parameters of ordinal objectives' thresholds, by their names

Row: TypeAlias = TokenRows | FeatureRows
Encode: TypeAlias = Callable[
    [Params, Params, TokenRows | FeatureRows, Key[Array, " b"] | None], States
]


class ObjectiveLosses(NamedTuple):
    """How one objective learns from each kind of feedback.

    Attributes:
      pairs: From log-odds ``[n]``, strengths (0 of a tie), a mask and weights to a
        loss.
      scores: From rewards ``[n]``, scores, a mask and weights to a loss.
      num_cuts: Thresholds between the grades of ordinal scores, which are learned and
        given to ``scores`` as ``thresholds``; 0 where there are none.
      distribution: From raw numbers ``[n, m]`` of the head, scores and a mask to a
        loss, in place of ``scores``, for heads that say a distribution.
    """

    pairs: Callable[..., WeightedSum]
    scores: Callable[..., WeightedSum]
    num_cuts: int = 0
    distribution: Callable[..., WeightedSum] | None = None


class Split(NamedTuple):
    """A backbone as what is trained of it and what is not.

    Attributes:
      graph: How they make a model.
      trained: Parameters that change; an empty tree where none do.
      frozen: The others.
    """

    graph: nnx.GraphDef
    trained: Params
    frozen: Params


def split_backbone(model: Transformer, *, whole: bool) -> Split:
    """Parts a model into what is trained and what is not.

    Args:
      model: Plain, or adapted by :func:`morl.models.layout.adapt`.
      whole: Train every parameter; otherwise those of adapters, if there are any.
    """
    if whole:
        graph, trained = nnx.split(model)
        return Split(graph, nnx.to_pure_dict(trained), {})
    graph, adapters, rest = nnx.split(model, AdapterParam, ...)
    return Split(graph, nnx.to_pure_dict(adapters), nnx.to_pure_dict(rest))


def joined(split: Split) -> Transformer:
    """The model again."""
    return nnx.merge(split.graph, *_parts(split.trained, split.frozen))


def _parts(trained: Params, frozen: Params) -> tuple[Params, ...]:
    return (trained, frozen) if frozen else (trained,)


def token_encoder(
    graph: nnx.GraphDef,
    *,
    dtype: str = "float32",
    remat: Remat | None = None,
    held: Held = ANYWHERE,
) -> Encode:
    """Reads rows of tokens by the backbone: the state of each response's last token.

    Args:
      graph: From :func:`split_backbone`.
      dtype: What the backbone computes in; its parameters are kept in their own type.
      remat: What its layers keep for the backward pass; everything without one.
      held: Where activations are held, for a model that devices share.
    """

    def encode(
        trained: Params, frozen: Params, rows: Row, key: Key[Array, " b"] | None
    ) -> States:
        assert isinstance(rows, TokenRows)
        parts = _parts(trained[BACKBONE], frozen[BACKBONE])
        model = nnx.merge(graph, *(cast_floats(part, dtype) for part in parts))
        if held.shards > 1:
            arranged, state = nnx.split(arrange_fused(model, held.shards))
            model = nnx.merge(arranged, held.weights(nnx.to_pure_dict(state)))
        if key is not None:
            model = drop_inputs(model, key)
        tokens, positions, segments, _ = map(jnp.asarray, rows.packed)
        places = jnp.concatenate([rows.ends, rows.prompt_ends[:, None]], axis=1)
        found = model.at(tokens, positions, segments, places, remat=remat, held=held)
        return _states(found[:, :-1], found[:, -1])

    return encode


def encode_features(
    trained: Params, frozen: Params, rows: Row, key: Key[Array, " b"] | None
) -> States:
    """Rows whose features are known already."""
    del trained, frozen, key
    assert isinstance(rows, FeatureRows)
    return _states(jnp.asarray(rows.responses), jnp.asarray(rows.prompts))


def _states(responses: Float[Array, "b r d"], prompts: Float[Array, "b d"]) -> States:
    """States in float32, the prompt's beside each of its responses."""
    wide = responses.astype(jnp.float32)
    shared = prompts.astype(jnp.float32)[:, None]
    return States(wide, jnp.broadcast_to(shared, wide.shape))


def cast_floats(tree: PyTree, dtype: str) -> PyTree:
    """A tree with its floating leaves in another type; gradients keep theirs."""
    return jax.tree.map(
        lambda x: x.astype(dtype) if jnp.issubdtype(x.dtype, jnp.floating) else x, tree
    )


def reward_program(
    names: Names,
    head: Head,
    losses: Sequence[ObjectiveLosses],
    encode: Encode,
    *,
    dropout: bool = False,
) -> Program:
    """What a reward model minimises.

    Args:
      names: The objectives.
      head: How states become readings.
      losses: How each objective learns.
      encode: How rows become states.
      dropout: Whether ``encode`` draws at random while training.
    """

    def outcome(
        trained: Params, frozen: Params, batch: RewardBatch, key: PRNGKeyArray | None
    ) -> Outcome:
        drop = None
        if key is not None and dropout:
            drop = jax.vmap(jax.random.fold_in, (None, 0))(key, batch.numbers)
        states = encode(trained, frozen, batch.rows, drop)
        readings = head.read(trained[HEADS], states)
        draws = None if key is None else jnp.asarray(batch.numbers)
        cuts = trained.get(CUTS, {})
        return stacked(
            _objective(
                head, readings, batch, number, losses[number], draws, cuts.get(name)
            )
            for number, name in enumerate(names)
        )

    return Program(
        names,
        outcome,
        lambda trained, frozen, batch: outcome(trained, frozen, batch, None),
    )


def stacked(parts: Iterable[tuple[WeightedSum, WeightedSum]]) -> Outcome:
    """Losses of every objective, and how many of its preferences are in order."""
    total, right = zip(*parts, strict=True)
    stack = lambda *leaves: jnp.stack(leaves)
    metrics = {"accuracy": jax.tree.map(stack, *right)}
    return Outcome(jax.tree.map(stack, *total), metrics)


def _objective(
    head: Head,
    readings: Readings,
    batch: RewardBatch,
    number: int,
    losses: ObjectiveLosses,
    draws: Int[Array, " b"] | None,
    cuts: Float[Array, " cuts"] | None,
) -> tuple[WeightedSum, WeightedSum]:
    """Loss of one objective, and how many of its pairs are in the right order."""
    values = readings.values[..., number, :]  # [b r m]
    zero = jnp.zeros((), jnp.float32)
    found, right = WeightedSum(zero, zero), WeightedSum(zero, zero)
    if batch.pairs is not None:
        pairs = batch.pairs
        at = lambda place: jnp.take_along_axis(values, place[..., None], axis=1)
        better, worse = at(pairs.better), at(pairs.worse)
        gaps, mask = head.gaps(better, worse), jnp.asarray(pairs.mask)[..., number]
        strength = jnp.broadcast_to(pairs.strength[..., None], gaps.shape)
        each, weights = _members(gaps, mask, draws)
        found = _added(found, losses.pairs(gaps, strength, each, weights=weights))
        mean = head.estimate(better).mean - head.estimate(worse).mean
        right = right_order(mean, pairs.strength, mask)
    if batch.scores is not None:
        wanted = jnp.asarray(batch.scores.values)[..., number]
        mask = jnp.asarray(batch.scores.mask)[..., number]
        if losses.distribution is not None:
            found = _added(found, losses.distribution(values, wanted, mask))
        else:
            points = head.points(values)
            each, weights = _members(points, mask, draws)
            wanted = jnp.broadcast_to(wanted[..., None], points.shape)
            learned = {} if cuts is None else {"thresholds": ordered_thresholds(cuts)}
            found = _added(
                found, losses.scores(points, wanted, each, weights=weights, **learned)
            )
    if batch.ranks is not None:
        ranks = jnp.asarray(batch.ranks.values)[..., number]
        mask = jnp.asarray(batch.ranks.mask)[..., number]
        found = _added(found, _listed(head.points(values), ranks, mask, draws))
        mean = head.estimate(values).mean
        right = _added(right, _ranked_right(mean, ranks, mask))
    return found, right


def right_order(
    gaps: Float[Array, "b p"],
    strength: Float[Array | np.ndarray, "b p"],
    mask: Bool[Array, "b p"],
) -> WeightedSum:
    """How many preferences a reward orders as they are; ties are not counted."""
    return masked_sum((gaps > 0).astype(jnp.float32), mask & (strength > 0))


def _listed(
    points: Float[Array, "b r j"],
    ranks: Int[Array, "b r"],
    mask: Bool[Array, "b r"],
    draws: Int[Array, " b"] | None,
) -> WeightedSum:
    """The likelihood of every list, for each member that learns by itself."""
    rewards = jnp.moveaxis(points, -1, 1)
    every = lambda x: jnp.broadcast_to(x[:, None], rewards.shape)
    weights = None
    if draws is not None and rewards.shape[1] > 1:
        weights = bootstrap_weights(draws, rewards.shape[1])
    return plackett_luce(rewards, every(ranks), every(mask), weights=weights)


def _ranked_right(
    mean: Float[Array, "b r"], ranks: Int[Array, "b r"], mask: Bool[Array, "b r"]
) -> WeightedSum:
    above = ranks[:, :, None] < ranks[:, None, :]
    both = mask[:, :, None] & mask[:, None, :]
    right = mean[:, :, None] > mean[:, None, :]
    return masked_sum(right.astype(jnp.float32), both & above)


def _members(
    readings: Float[Array, "b n j"], mask: Bool[Array, "b n"], draws: Array | None
) -> tuple[Bool[Array, "b n j"], Float[Array, "b n j"] | None]:
    """Mask and weights for every member that learns by itself."""
    each = jnp.broadcast_to(mask[..., None], readings.shape)
    if draws is None or readings.shape[-1] == 1:
        return each, None
    weights = bootstrap_weights(draws, readings.shape[-1])
    return each, jnp.broadcast_to(weights[:, None], readings.shape)


# P(N <= n) of a Poisson number of mean 1, as far as float32 tells it from 1.
POISSON_BELOW = tuple(np.cumsum([math.exp(-1) / math.factorial(n) for n in range(11)]))
BOOTSTRAP = 0x6D6F726C  # of a fixed key: a row has the same draws in every epoch


def bootstrap_weights(
    numbers: Int[Array, " b"], num_members: int
) -> Float[Array, "b m"]:
    """How often each member drew each row: independent Poisson numbers of mean 1.

    They depend on the row's number alone, so that a row keeps them.

    References:
      Oza and Russell, Online Bagging and Boosting, AISTATS 2001.
    """
    keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(BOOTSTRAP), numbers)
    at = jax.vmap(lambda key: jax.random.uniform(key, (num_members,)))(keys)
    # By the distribution function, without the loop of a general sampler.
    above = at[..., None] > jnp.asarray(POISSON_BELOW, jnp.float32)[None, None]
    return jnp.sum(above, axis=-1, dtype=jnp.float32)


def _added(first: WeightedSum, second: WeightedSum) -> WeightedSum:
    return WeightedSum(first.total + second.total, first.weight + second.weight)
