"""Candidates of the reference policy, sampled once and kept."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int32

from morl.feedback import Record
from morl.fronts.settings import CandidateSettings, HeadSettings
from morl.models.chat import EncodedRecord
from morl.models.language_model import LanguageModel
from morl.sampling import generate
from morl.storage import content_hash, read_arrays, write_arrays
from morl.training.features import Progress


class Sampled(NamedTuple):
    """Responses to one prompt.

    Attributes:
      prompt: Its tokens.
      responses: Tokens of each response, the stop token included where it came.
      texts: Their text.
    """

    prompt: Int32[np.ndarray, " _"]
    responses: tuple[Int32[np.ndarray, " _"], ...]
    texts: tuple[str, ...]

    def encoded(self) -> EncodedRecord:
        """Prompt and whole responses as a record; the assistant wrote every token."""
        own = tuple(np.ones(len(response), bool) for response in self.responses)
        return EncodedRecord(self.prompt, self.responses, own)


def encode_candidates(
    language_model: LanguageModel,
    prompts: Sequence[Record],
    sampled: Sequence[Sampled],
    settings: HeadSettings,
) -> list[EncodedRecord]:
    """Candidates as heads with these settings read them: cut like what they learned.

    A response may have been sampled further than any that the heads were fitted to, and
    a prompt may be longer: of neither do heads see more than they did then.

    Args:
      language_model: Whose template the prompts are put in.
      prompts: Records whose prompts were answered.
      sampled: What was sampled for each.
      settings: Where prompts and responses are cut.
    """
    return [
        language_model.chat.encode_generated(
            record.prompt,
            one.responses,
            max_tokens=settings.max_tokens,
            response_tokens=settings.response_tokens,
        )
        for record, one in zip(prompts, sampled, strict=True)
    ]


def sample_candidates(
    language_model: LanguageModel,
    prompts: Sequence[Int32[np.ndarray, " _"]],
    settings: CandidateSettings,
    *,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> list[Sampled]:
    """Samples N responses to every prompt, a few prompts at a time.

    A response depends on its prompt and the settings alone, so what a run was
    interrupted in goes on with the same responses.

    Args:
      language_model: The reference policy.
      prompts: Tokens of each prompt with the opening of the assistant's turn.
      settings: How many and how.
      cache: Folder of what was sampled before; nothing is kept without one.
      progress: Called with responses done and in all.

    Returns:
      One entry a prompt, in their order.
    """
    keys = [_prompt_key(prompt) for prompt in prompts]
    known: dict[str, tuple[Int32[np.ndarray, " _"], ...]] = {}
    folder = None
    if cache is not None:
        folder = cache / _source(language_model, settings)[:16]
        for path in sorted(folder.glob("*.safetensors")):
            known |= {
                key: tuple(np.split(array[1], np.cumsum(array[0])[:-1]))
                for key, array in _unflatten(read_arrays(path)[0]).items()
            }
    unique = dict(zip(keys, prompts, strict=True))
    missing = sorted(
        (key for key in unique if key not in known),
        key=lambda key: (len(unique[key]), key),
    )
    total = len(unique) * settings.num_samples
    if progress is not None:
        progress(total - len(missing) * settings.num_samples, total)
    for start in range(0, len(missing), settings.batch_prompts):
        group = missing[start : start + settings.batch_prompts]
        fresh = _sample(language_model, {key: unique[key] for key in group}, settings)
        known |= fresh
        if folder is not None:
            name = f"{content_hash(group)[:32]}.safetensors"
            write_arrays(folder / name, _flatten(fresh))
        left = len(missing) - start - len(group)
        if progress is not None:
            progress(total - left * settings.num_samples, total)
    decode = language_model.chat.decode
    return [
        Sampled(prompt, known[key], tuple(decode(r) for r in known[key]))
        for key, prompt in zip(keys, prompts, strict=True)
    ]


def _sample(
    language_model: LanguageModel,
    prompts: dict[str, Int32[np.ndarray, " _"]],
    settings: CandidateSettings,
) -> dict[str, tuple[Int32[np.ndarray, " _"], ...]]:
    root = jax.random.key(settings.seed)
    fold = lambda key, sample: jax.random.fold_in(
        jax.random.fold_in(root, int(key[:8], 16) & 0x7FFFFFFF), sample
    )
    keys = [fold(key, n) for key in prompts for n in range(settings.num_samples)]
    generation = generate(
        language_model.model,
        list(prompts.values()),
        jnp.stack(keys),
        max_new_tokens=settings.max_new_tokens,
        temperature=settings.temperature,
        top_p=settings.top_p if settings.top_p < 1 else None,
        stop_ids=language_model.chat.stop_ids,
        num_samples=settings.num_samples,
    )
    tokens = np.asarray(generation.tokens, np.int32)
    lengths = np.asarray(generation.mask).sum(axis=1)
    rows = [row[:length] for row, length in zip(tokens, lengths, strict=True)]
    size = settings.num_samples
    return {
        key: tuple(rows[place * size : (place + 1) * size])
        for place, key in enumerate(prompts)
    }


def _source(language_model: LanguageModel, settings: CandidateSettings) -> str:
    """What a response depends on beside its prompt."""
    return content_hash(
        language_model.fingerprint,
        repr(language_model.model.config),
        language_model.chat.stop_ids,
        settings.num_samples,
        settings.max_new_tokens,
        settings.temperature,
        settings.top_p,
        settings.seed,
    )


def _prompt_key(prompt: Int32[np.ndarray, " _"]) -> str:
    return hashlib.sha256(np.ascontiguousarray(prompt, np.int32).tobytes()).hexdigest()


def _flatten(
    responses: dict[str, tuple[Int32[np.ndarray, " _"], ...]],
) -> dict[str, np.ndarray]:
    lengths = {
        f"{key}.lengths": np.array([len(row) for row in rows])
        for key, rows in responses.items()
    }
    tokens = {f"{key}.tokens": np.concatenate(rows) for key, rows in responses.items()}
    return lengths | tokens


def _unflatten(
    arrays: dict[str, np.ndarray],
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    keys = {name.rpartition(".")[0] for name in arrays}
    return {key: (arrays[f"{key}.lengths"], arrays[f"{key}.tokens"]) for key in keys}
