"""What selector, judge and rules say of candidates, each in its calibrated units."""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int32

from morl.errors import InputError
from morl.feedback import Message, Record
from morl.fronts.candidates import Candidates
from morl.fronts.sampling import Sampled
from morl.models.head_files import HeadSet
from morl.rewards import Calibration, Composition, calibrate
from morl.rewards.batch import TextBatch
from morl.rewards.scoring import score_sources
from morl.training.features import Features
from morl.training.head_scores import head_scores, reward_names


class Judged(NamedTuple):
    """Scored candidates, and the composition in the units it was calibrated to.

    Attributes:
      candidates: Rewards of the selector in calibrated units, and of the judge.
      composition: The composition with its calibration.
      raw: ``[b, n, k]`` the selector's rewards before calibration.
    """

    candidates: Candidates
    composition: Composition
    raw: Float[np.ndarray, "b n k"]


def head_columns(
    heads: HeadSet, features: Features, shape: tuple[int, int]
) -> Float[np.ndarray, "b n k"]:
    """Raw rewards of heads on the candidates of every prompt."""
    values = head_scores(heads, features.states(heads.reading), features.lengths).mean
    return np.asarray(values).reshape(*shape, -1)


def calibrated_rewards(
    rewards: Float[np.ndarray, "b n k"], names: tuple[str, ...]
) -> Float[np.ndarray, "b n k"]:
    """Rewards centred on each prompt's mean, in deviations of the reference policy."""
    values, present = jnp.asarray(rewards, jnp.float32), jnp.ones(rewards.shape, bool)
    units = calibrate(values, present, names=names).apply(values, present)
    return np.asarray(units)


def score_candidates(
    composition: Composition,
    heads: HeadSet,
    prompts: Sequence[Record],
    sampled: Sequence[Sampled],
    features: Features,
    judged: Float[np.ndarray, "b n j"],
    *,
    seed: int,
) -> Judged:
    """Evaluates every source of a composition on the candidates, and calibrates it.

    Args:
      composition: What selects; its head rewards are those of ``heads`` by name.
      heads: The selector's heads.
      prompts: Records whose prompts were answered.
      sampled: Their candidates, as many for each.
      features: Of the candidates.
      judged: What the judge says of them, in the order of the composition's objectives.
      seed: Seed of the sampling.

    Returns:
      Candidates ready to be traced.

    Raises:
      InputError: A reward of the composition has no source and no head.
    """
    shape = (len(sampled), len(sampled[0].texts))
    texts = [(Message("assistant", text),) for one in sampled for text in one.texts]
    tokens, mask = _padded([row for one in sampled for row in one.responses])
    batch = TextBatch(
        tuple(record.prompt for record in prompts for _ in range(shape[1])),
        tuple(texts),
        tokens=tokens,
        mask=mask,
    )
    columns = head_columns(heads, features, shape).reshape(len(texts), -1)
    by_name = dict(zip(reward_names(heads), columns.T, strict=True))
    sourceless = [r.name for r in composition.rewards if r.source is None]
    if missing := [name for name in sourceless if name not in by_name]:
        raise InputError(
            f"{', '.join(missing)} has no source and no head; heads are "
            f"{reward_names(heads)}",
            where="reward",
        )
    scores = score_sources(
        composition, batch, {name: by_name[name] for name in sourceless}
    )
    raw = scores.rewards.reshape(*shape, -1)
    present = scores.present.reshape(*shape, -1)
    calibrated = composition.calibrated(calibration_of(composition, raw, present))
    units = calibrated.units(jnp.asarray(raw), jnp.asarray(present))
    return Judged(
        Candidates(
            composition.names,
            np.asarray(units),
            present,
            composition.objectives,
            judged,
            np.array([[len(row) for row in one.responses] for one in sampled]),
            seed,
            tuple("\n".join(m.content for m in record.prompt) for record in prompts),
            tuple(one.texts for one in sampled),
        ),
        calibrated,
        raw,
    )


def _padded(
    rows: Sequence[Int32[np.ndarray, " _"]],
) -> tuple[Int32[np.ndarray, "n t"], Bool[np.ndarray, "n t"]]:
    """Tokens of responses as one array, and which of them are there."""
    lengths = np.array([len(row) for row in rows])
    mask = np.arange(max(lengths.max(), 1))[None] < lengths[:, None]
    tokens = np.zeros(mask.shape, np.int32)
    tokens[mask] = np.concatenate(rows)
    return tokens, mask


def calibration_of(
    composition: Composition,
    raw: Float[np.ndarray, "b n k"],
    present: Bool[np.ndarray, "b n k"],
) -> Calibration:
    """The reference policy's units for heads; rewards from a source keep theirs."""
    keep = tuple(r.name for r in composition.rewards if r.source is not None)
    return calibrate(
        jnp.asarray(raw), jnp.asarray(present), names=composition.names, keep=keep
    )
