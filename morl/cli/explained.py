"""Answers scored by a composition, each utility taken apart, prompt by prompt."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from morl.cli.responses import Answers
from morl.feedback import Record
from morl.fronts.fitting import encode_records, read_features, reading_settings
from morl.fronts.sampling import encode_candidates, sample_candidates
from morl.fronts.settings import CandidateSettings, HeadSettings
from morl.models.chat import EncodedRecord
from morl.models.head_files import HeadSet
from morl.models.language_model import LanguageModel
from morl.rewards import Composition, Explanation, TextBatch, score_sources, text_batch
from morl.rewards.explain import Part, explain
from morl.rewards.scoring import Scores
from morl.training.features import pack, record_length
from morl.training.head_scores import head_scores, reward_names

UNCUT = 1 << 30
UNCENTRED = (
    "one response to this prompt: calibrated rewards are centred on several; give more "
    "responses, or --reference 8 to sample them"
)


class Backbone(NamedTuple):
    """A model, with the heads that read it where any reward needs them."""

    model: LanguageModel
    heads: HeadSet | None

    @property
    def settings(self) -> HeadSettings:
        """How its heads read responses."""
        if self.heads is None:
            return HeadSettings()
        return reading_settings(self.heads)


class Calibrated(NamedTuple):
    """Rewards ``[n, k]`` in the units that the composition's methods take.

    Attributes:
      rewards: In the order of the composition's names.
      present: Where there is one; not where a reward could not be centred.
      notes: By row, what rewards were centred on; empty where that is not done.
    """

    rewards: Float[np.ndarray, "n k"]
    present: Bool[np.ndarray, "n k"]
    notes: list[str]


def explain_answers(
    composition: Composition,
    headed: tuple[str, ...],
    answers: Sequence[Answers],
    backbone: Backbone | None,
    *,
    weights: Sequence[float] = (),
    sampling: CandidateSettings | None = None,
) -> tuple[Explanation, list[str]]:
    """Scores all responses and takes their utilities apart.

    Args:
      composition: What is explained.
      headed: Names of the rewards that come from heads.
      answers: Responses, those to one prompt together.
      backbone: Where ``headed`` come from.
      weights: Replace the coefficients of the objectives.
      sampling: How the model samples the responses to every prompt that calibrated
        rewards are centred on; None to centre them on the responses given.

    Returns:
      The explanation of all responses in their order, and what to know of each.
    """
    batch, columns, read = _batch(answers), {}, []
    if backbone is not None:
        # A response a row: its length fits, however many answer the prompt.
        rows = [
            replace(each.record, responses=(response,), labels={})
            for each in answers
            for response in each.record.responses
        ]
        encoded = encode_records(backbone.model, rows, backbone.settings)
        whole = _uncut(backbone.model, rows)
        read = [
            _reason(backbone.settings, *pair)
            for pair in zip(encoded, whole, strict=True)
        ]
        batch, columns = _read(_with_tokens(batch, whole), headed, encoded, backbone)
    scores = score_sources(composition, batch, columns)
    units = _units(sampling, composition, headed, answers, scores, backbone)
    found = explain(
        composition,
        units.rewards,
        units.present,
        scores=scores,
        texts=batch.texts,
        weights=jnp.asarray(weights) if weights else None,
    )
    lost = scores.present & ~units.present
    shown = []
    for row, response in enumerate(found.responses):
        parts = [
            replace(part, reason=read[row]) if part.name in headed else part
            for part in response.parts
        ]
        pairs = zip(parts, lost[row], strict=True)
        kept = tuple(_bare(part) if gone else part for part, gone in pairs)
        shown.append(replace(response, parts=kept))
    return replace(found, responses=tuple(shown)), units.notes


def places(answers: Sequence[Answers]) -> list[range]:
    """Rows of each prompt's responses."""
    ends = np.cumsum([0, *(len(each.record.responses) for each in answers)])
    return [range(start, end) for start, end in pairwise(ends.tolist())]


def _batch(answers: Sequence[Answers]) -> TextBatch:
    records = [each.record for each in answers]
    return text_batch(
        [record.prompt for record in records for _ in record.responses],
        [response for record in records for response in record.responses],
        references=[reference for each in answers for reference in each.references],
    )


def _uncut(model: LanguageModel, records: Sequence[Record]) -> list[EncodedRecord]:
    """Tokens of whole responses: rules count what heads were never shown."""
    return [
        model.chat.encode_responses(r.prompt, r.responses, max_tokens=UNCUT)
        for r in records
    ]


def _with_tokens(batch: TextBatch, encoded: Sequence[EncodedRecord]) -> TextBatch:
    rows = pack(encoded, max(record_length(record) for record in encoded))
    return replace(batch, tokens=rows.tokens, mask=rows.own.astype(bool))


def _read(
    batch: TextBatch,
    headed: tuple[str, ...],
    encoded: Sequence[EncodedRecord],
    backbone: Backbone,
) -> tuple[TextBatch, dict[str, Float[np.ndarray, " n"]]]:
    """The batch, and by name the raw rewards of the heads."""
    heads = backbone.heads
    if heads is None:
        return batch, {}
    features = read_features(backbone.model, encoded, backbone.settings, cache=None)
    values = head_scores(heads, features.states(heads.reading), features.lengths).mean
    by_name = dict(zip(reward_names(heads), np.asarray(values).T, strict=True))
    return batch, {name: by_name[name] for name in headed}


def _units(
    sampling: CandidateSettings | None,
    composition: Composition,
    headed: tuple[str, ...],
    answers: Sequence[Answers],
    scores: Scores,
    backbone: Backbone | None,
) -> Calibrated:
    """Rewards in the units of the reference policy, prompt by prompt."""
    rewards, present = scores.rewards.copy(), scores.present.copy()
    notes = [""] * len(rewards)
    if composition.calibration is None:
        return Calibrated(rewards, present, notes)
    calibration = composition.calibration.within(composition.names)
    centred = np.array([name not in calibration.kept for name in composition.names])
    for each, rows in zip(answers, places(answers), strict=True):
        here = slice(rows.start, rows.stop)
        reference = scores.rewards[here], scores.present[here]
        if sampling is not None and backbone is not None:
            reference = _sampled(sampling, composition, headed, each.record, backbone)
            note = (
                f"centred on {sampling.num_samples} responses sampled from the model "
                f"(temperature {sampling.temperature:g}, at most "
                f"{sampling.max_new_tokens} tokens)"
            )
        elif len(rows) > 1:
            note = f"centred on these {len(rows)} responses, as if the model wrote them"
        else:
            note = UNCENTRED
        # The mean of one value is that value, and would make it 0.
        present[here] &= ~centred | (np.sum(reference[1], axis=0) > 1)
        units = calibration.apply(
            scores.rewards[here], scores.present[here], *reference
        )
        rewards[here] = np.asarray(units)
        notes[here] = [note if centred.any() else ""] * len(rows)
    return Calibrated(rewards, present, notes)


def _sampled(
    sampling: CandidateSettings,
    composition: Composition,
    headed: tuple[str, ...],
    record: Record,
    backbone: Backbone,
) -> tuple[Float[np.ndarray, "n k"], Bool[np.ndarray, "n k"]]:
    """Raw rewards of responses that the reference policy writes to a prompt."""
    model, settings = backbone.model, backbone.settings
    sampled = sample_candidates(
        model, [model.chat.encode_prompt(record.prompt)], sampling
    )
    texts = sampled[0].texts
    batch = text_batch([record.prompt] * len(texts), texts)
    whole = _with_tokens(batch, _one_each(sampled[0].encoded()))
    (cut,) = encode_candidates(model, [record], sampled, settings)
    scores = score_sources(composition, *_read(whole, headed, _one_each(cut), backbone))
    return scores.rewards, scores.present


def _one_each(encoded: EncodedRecord) -> list[EncodedRecord]:
    """A record a response: what is measured of them has one row each."""
    return [
        EncodedRecord(encoded.prompt, (response,), (own,))
        for response, own in zip(encoded.responses, encoded.own, strict=True)
    ]


def _reason(settings: HeadSettings, seen: EncodedRecord, whole: EncodedRecord) -> str:
    """Which head gave a reward, and what of prompt and response it did not see."""
    found = f"head on layer {settings.layer}, {settings.pooling}"
    kept, length = len(seen.responses[0]), len(whole.responses[0])
    if kept < length:
        found += f"; saw the first {kept} of {length} tokens"
    if missing := len(whole.prompt) - len(seen.prompt):
        found += f"; did not see {missing} tokens of the prompt"
    return found


def _bare(part: Part) -> Part:
    """A part whose raw value could not be centred: it shows no other."""
    return replace(part, calibrated=None, reason=f"not centred ({part.reason})")
