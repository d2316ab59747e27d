"""Responses that the reference policy sampled, and what selector and judge say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from morl.errors import InputError
from morl.rewards import Composition, score_sources, text_batch
from morl.rewards.objective import Operand
from morl.rewards.rules.words import words
from morl.types import Names


@dataclass(frozen=True)
class Candidates:
    """N responses to each prompt, scored once by a selector and once by a judge.

    Args:
      names: Names of the selector's rewards, in the order of their last axis.
      rewards: ``[b, n, k]`` the selector's rewards.
      present: ``[b, n, k]`` which of them are present.
      objectives: Names of the judge's rewards, in order.
      judged: ``[b, n, m]`` the judge's rewards, which no selection may look at.
      lengths: ``[b, n]`` tokens of each response.
      seed: Seed of the sampling.
      prompts: Text of each prompt, for people.
      responses: Text of each response, for people.

    Raises:
      InputError: Shapes that do not fit together, or a judge's reward that is not
        finite.
    """

    names: Names
    rewards: Float[np.ndarray, "b n k"]
    present: Bool[np.ndarray, "b n k"]
    objectives: Names
    judged: Float[np.ndarray, "b n m"]
    lengths: Int[np.ndarray, "b n"]
    seed: int = 0
    prompts: tuple[str, ...] = ()
    responses: tuple[tuple[str, ...], ...] = ()

    def __post_init__(self) -> None:
        """Refuses what does not fit together."""
        shape = self.judged.shape[:2]
        expected = {
            "rewards": (*shape, len(self.names)),
            "present": (*shape, len(self.names)),
            "judged": (*shape, len(self.objectives)),
            "lengths": shape,
        }
        for name, wanted in expected.items():
            if (found := vars(self)[name].shape) != wanted:
                raise InputError(f"has shape {found}, expected {wanted}", where=name)
        if not np.isfinite(self.judged).all():
            raise InputError(
                "found NaN or infinity in a judge's reward", where="judged"
            )
        for name in ("prompts", "responses"):
            texts = vars(self)[name]
            if texts and len(texts) != shape[0]:
                raise InputError(
                    f"has {len(texts)} entries, rewards have {shape[0]} prompts",
                    where=name,
                )


def text_candidates(
    reward: Operand,
    prompts: Sequence[str],
    responses: Sequence[Sequence[str]],
    judged: Float[np.ndarray, "b n m"],
    *,
    columns: Mapping[str, Float[np.ndarray, "_ _"]] | None = None,
    lengths: Int[np.ndarray, "b n"] | None = None,
    seed: int = 0,
) -> Candidates:
    """Candidates from texts: every source of a reward evaluated once.

    Args:
      reward: The composition that will select.
      prompts: One text each.
      responses: As many to each prompt, sampled from the reference policy.
      judged: What the judge says of them, in the order of the reward's objectives.
      columns: By name, scores of the selector for rewards without a source, in the
        units that the composition's methods take; NaN where absent.
      lengths: Tokens of each response; words where not given.
      seed: Seed of the sampling.

    Raises:
      InputError: Shapes that do not fit together, a reward without source or column, or
        a source that cannot score.

    Examples:
      >>> from morl.rewards import objectives, rules
      >>> (helpful,) = objectives("helpful")
      >>> found = text_candidates(
      ...     helpful - 0.1 * rules.length("word"), ["Hi?"], [["Hi.", "Hi, you!"]],
      ...     np.array([[[0.0], [1.0]]]), columns={"helpful": np.array([[0.2, 0.4]])})
      >>> found.rewards[0, :, 1].tolist()
      [1.0, 2.0]
    """
    composition = Composition.of(reward)
    counts = {len(row) for row in responses}
    if len(responses) != len(prompts) or len(counts) != 1:
        raise InputError(
            f"found {len(responses)} lists of {sorted(counts)} responses, expected one "
            f"list a prompt ({len(prompts)}), all of one length",
            where="responses",
        )
    (count,) = counts
    shape = (len(prompts), count)
    for name, column in (columns or {}).items():
        if column.shape != shape:
            raise InputError(
                f"has shape {column.shape}, expected {shape}", where=f"columns.{name}"
            )
    texts = [text for row in responses for text in row]
    scores = score_sources(
        composition,
        text_batch([prompt for prompt in prompts for _ in range(count)], texts),
        {name: column.reshape(-1) for name, column in (columns or {}).items()},
    )
    if lengths is None:
        lengths = np.array([len(words(text)) for text in texts]).reshape(shape)
    return Candidates(
        composition.names,
        scores.rewards.reshape(*shape, -1),
        scores.present.reshape(*shape, -1),
        composition.objectives,
        judged,
        lengths,
        seed,
        tuple(prompts),
        tuple(tuple(row) for row in responses),
    )


def check_scored_by(composition: Composition, candidates: Candidates) -> None:
    """Refuses candidates whose columns are not those of the composition.

    Raises:
      InputError: Rewards or objectives differ, in name or in order.
    """
    pairs = (
        ("rewards", candidates.names, composition.names),
        ("objectives", candidates.objectives, composition.objectives),
    )
    for what, found, expected in pairs:
        if found != expected:
            raise InputError(
                f"have {what} {found}, the composition has {expected}",
                where="candidates",
            )
