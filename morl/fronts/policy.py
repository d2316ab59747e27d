"""A language model whose answers are selected by some heads and judged by others."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from morl.errors import InputError
from morl.feedback import Message, Record
from morl.fronts.fitting import read_features, reading_settings
from morl.fronts.sampling import encode_candidates, sample_candidates
from morl.fronts.scoring import (
    Judged,
    calibrated_rewards,
    head_columns,
    score_candidates,
)
from morl.fronts.settings import CandidateSettings
from morl.models.head_files import HeadSet
from morl.models.language_model import LanguageModel
from morl.rewards import Composition
from morl.rewards.objective import Operand


@dataclass(frozen=True)
class Policy:
    """A reference policy with prompts to answer, and heads that select and judge.

    Args:
      model: The language model that answers, and whose states the heads read.
      prompts: What it answers: a string, or the messages of a conversation, each.
      selector: Heads that the reward's objectives are columns of.
      judge: Heads that score what was selected; fitted to feedback that the selector
        has not seen.
      candidates: How many answers, and how they are sampled.
      cache: Folder of answers and features that were made before; None keeps nothing.

    Raises:
      InputError: There is no prompt, or the judge is the selector.
    """

    model: LanguageModel
    prompts: Sequence[str | Sequence[Message]]
    selector: HeadSet
    judge: HeadSet
    candidates: CandidateSettings = CandidateSettings()
    cache: Path | None = None

    def __post_init__(self) -> None:
        """Refuses what could not be judged."""
        if not self.prompts:
            raise InputError("found none, expected at least one", where="prompts")
        one, other = self.selector.head.weight, self.judge.head.weight
        if np.array_equal(np.asarray(one), np.asarray(other)):
            raise InputError(
                "is the selector: what selects cannot say what was gained; fit heads "
                "to other feedback",
                where="judge",
            )

    def judged(self, reward: Operand) -> Judged:
        """Answers to every prompt, scored by selector, rules and judge.

        Args:
          reward: What selects; its objectives are heads of selector and judge.

        Returns:
          The candidates, and the composition calibrated to them.

        Raises:
          InputError: An objective has no head, or selector and judge were fitted to
            responses that were cut at different places.
        """
        composition = Composition.of(reward)
        order = [self._place(name) for name in composition.objectives]
        records = [Record(_turns(prompt), (), {}) for prompt in self.prompts]
        reading = reading_settings(self.selector, self.judge)
        folder = lambda name: None if self.cache is None else self.cache / name
        sampled = sample_candidates(
            self.model,
            [self.model.chat.encode_prompt(record.prompt) for record in records],
            self.candidates,
            cache=folder("candidates"),
        )
        features = read_features(
            self.model,
            encode_candidates(self.model, records, sampled, reading),
            reading,
            cache=folder("features"),
        )
        shape = (len(sampled), len(sampled[0].texts))
        columns = head_columns(self.judge, features, shape)
        return score_candidates(
            composition,
            self.selector,
            records,
            sampled,
            features,
            calibrated_rewards(columns, self.judge.objectives)[..., order],
            seed=self.candidates.seed,
        )

    def _place(self, name: str) -> int:
        known = self.judge.objectives
        if name not in known:
            raise InputError(
                f"has heads for {', '.join(known)}, but none for {name}", where="judge"
            )
        return known.index(name)


def _turns(prompt: str | Sequence[Message]) -> tuple[Message, ...]:
    return (Message("user", prompt),) if isinstance(prompt, str) else tuple(prompt)
