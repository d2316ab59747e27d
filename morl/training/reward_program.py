"""Reward models as a program: rows to states, readings, losses of every objective."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float, Int, Key, PRNGKeyArray, PyTree

from morl.errors import InputError
from morl.models.adapters import AdapterParam
from morl.models.heads import Head, Readings, States
from morl.models.layout import arrange_fused, drop_inputs
from morl.models.transformer import ANYWHERE, Held, Remat, Transformer
from morl.numerics import WeightedSum, masked_sum
from morl.training.mixing import MIXTURE, Mixing, mixture_outcome
from morl.training.reward_batch import FeatureRows, RewardBatch, TokenRows
from morl.training.state import Outcome, Params, Program
from morl.types import Names

BACKBONE, HEADS = "backbone", "heads"

Row: TypeAlias = TokenRows | FeatureRows
Encode: TypeAlias = Callable[
    [Params, Params, TokenRows | FeatureRows, Key[Array, " b"] | None], States
]


class ObjectiveLosses(NamedTuple):
    """How one objective learns from each kind of feedback.

    Attributes:
      pairs: From log-odds ``[n]``, strengths, a mask and weights to a loss.
      scores: From rewards ``[n]``, scores, a mask and weights to a loss.
    """

    pairs: Callable[..., WeightedSum]
    scores: Callable[..., WeightedSum]


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
        hidden = model(tokens, positions, segments, remat=remat, held=held).hidden
        at = lambda places: jnp.take_along_axis(hidden, places[..., None], axis=1)
        prompts = at(rows.prompt_ends[:, None])[:, 0]
        return _states(at(rows.ends), prompts)

    return encode


def encode_features(
    trained: Params, frozen: Params, rows: Row, key: Key[Array, " b"] | None
) -> States:
    """Rows whose features are known already."""
    del trained, frozen, key
    assert isinstance(rows, FeatureRows)
    prompts = None if rows.prompts is None else jnp.asarray(rows.prompts)
    return _states(jnp.asarray(rows.responses), prompts)


def _states(
    responses: Float[Array, "b r d"], prompts: Float[Array, "b d"] | None
) -> States:
    """States in float32, the prompt's beside each of its responses."""
    wide = responses.astype(jnp.float32)
    if prompts is None:
        return States(wide)
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
    mixing: Mixing | None = None,
) -> Program:
    """What a reward model minimises.

    Args:
      names: The objectives.
      head: How states become readings.
      losses: How each objective learns.
      encode: How rows become states.
      dropout: Whether ``encode`` draws at random while training.
      mixing: How the mixture of a gated head learns, as one more loss after those of
        the objectives; None where there is no mixture.

    Raises:
      InputError: An objective has the name of the mixture's loss.
    """
    if mixing is not None and MIXTURE in names:
        raise InputError(
            f"found {MIXTURE!r}, expected another name: it is that of the mixture's "
            "loss",
            where="objectives",
        )

    def outcome(
        trained: Params, frozen: Params, batch: RewardBatch, key: PRNGKeyArray | None
    ) -> Outcome:
        drop = None
        if key is not None and dropout:
            drop = jax.vmap(jax.random.fold_in, (None, 0))(key, batch.numbers)
        states = encode(trained, frozen, batch.rows, drop)
        readings = head.read(trained[HEADS], states)
        draws = None if key is None else jnp.asarray(batch.numbers)
        parts = [
            _objective(head, readings, batch, number, losses[number], draws)
            for number in range(len(names))
        ]
        if mixing is not None:
            parts.append(mixture_outcome(head, readings, batch, mixing))
        total, right = zip(*parts, strict=True)
        stack = lambda *leaves: jnp.stack(leaves)
        metrics = {"accuracy": jax.tree.map(stack, *right)}
        return Outcome(jax.tree.map(stack, *total), metrics)

    return Program(
        names if mixing is None else (*names, MIXTURE),
        outcome,
        lambda trained, frozen, batch: outcome(trained, frozen, batch, None),
    )


def _objective(
    head: Head,
    readings: Readings,
    batch: RewardBatch,
    number: int,
    losses: ObjectiveLosses,
    draws: Int[Array, " b"] | None,
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
        right = masked_sum((mean > 0).astype(jnp.float32), mask)
    if batch.scores is not None:
        points, mask = head.points(values), jnp.asarray(batch.scores.mask)[..., number]
        wanted = jnp.broadcast_to(batch.scores.values[..., number, None], points.shape)
        each, weights = _members(points, mask, draws)
        found = _added(found, losses.scores(points, wanted, each, weights=weights))
    return found, right


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
