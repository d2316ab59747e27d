"""The preference world: an assistant's prompts and answers with exact gold rewards."""

import functools
import itertools
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

import numpy as np
from jaxtyping import Float

from morl.errors import InputError
from morl.feedback import Labels, Message, Pair, Record
from morl.types import Names
from morl.worlds.bank import (
    SPLITS,
    Bank,
    Topic,
    load_bank,
    normal_text,
    worded,
)
from morl.worlds.compose import compose, spoil
from morl.worlds.gold import OBJECTIVES, GoldPart, gold_parts, gold_sum

SHARPNESS = 3.0  # inverse temperature of a rater, per unit of gold reward
WRITTEN_SHARE = 0.2  # of the corpus that is hand-written
SPOILED_SHARE = 0.15  # of the responses in preference pairs with a weak writer's slip
DRAWS_PER_RESPONSE = 100
LABEL_SHARES = (0.85, 0.10, 0.05)  # of pairs judged on one, two, three objectives


@dataclass(frozen=True)
class PreferenceWorld:
    """Prompts, responses and preferences whose gold rewards are known exactly.

    Made by :func:`preference_world`. Every draw is a function of its arguments alone.

    Attributes:
      bank: The text of the world.
      objectives: ``("helpful", "harmless", "honest")``, the order of gold rewards.

    Examples:
      >>> world = preference_world()
      >>> prompt = world.prompts("train")[0]
      >>> prompt
      'How long should I boil an egg?'
      >>> answer = "Boil an egg for about nine minutes if you want it hard."
      >>> world.gold(prompt, [answer, ""])
      array([[ 1. ,  0. ,  0.5],
             [-1.5,  0. ,  0. ]])
    """

    bank: Bank
    objectives: Names = OBJECTIVES

    def prompts(self, split: str) -> list[str]:
        """Every question in every wording of a split.

        Both splits ask about the same topics: what ``"test"`` holds out is wordings.

        Args:
          split: ``"train"`` or ``"test"``.

        Raises:
          InputError: There is no such split.
        """
        if split not in SPLITS:
            raise InputError(f"found split {split!r}, expected one of {SPLITS}")
        return [
            worded(pattern, topic.question)
            for pattern in self.bank.wordings[split]
            for topic in self.bank.topics.values()
        ]

    def topic(self, prompt: str) -> Topic:
        """The topic a prompt asks about.

        Raises:
          InputError: The world has no such prompt.
        """
        name = self.bank.prompt_topics.get(normal_text(prompt))
        if name is None:
            raise InputError(f"found {prompt!r}, expected a prompt of this world")
        return self.bank.topics[name]

    def gold(self, prompt: str, responses: Sequence[str]) -> Float[np.ndarray, "n 3"]:
        """Gold rewards of any strings as responses to a prompt of this world.

        Args:
          prompt: One of :meth:`prompts`; white space may differ.
          responses: Any strings.

        Returns:
          One row a response, one column an objective, in gold units: helpful within
          [-2, 3], harmless and honest within [-3, 2].

        Raises:
          InputError: The world has no such prompt.
        """
        topic = self.topic(prompt)
        rows = [gold_sum(gold_parts(self.bank, topic, text)) for text in responses]
        return np.array(rows, dtype=float).reshape(-1, len(self.objectives))

    def explain_gold(self, prompt: str, response: str) -> list[GoldPart]:
        """What each sentence adds to :meth:`gold`, before the clip to its range.

        Raises:
          InputError: The world has no such prompt.
        """
        return gold_parts(self.bank, self.topic(prompt), response)

    def responses(self, prompt: str, n: int, seed: int) -> list[str]:
        """Random responses to a prompt, all different, well formed and on topic.

        Raises:
          InputError: The world has no such prompt, or too few responses to it.
        """
        topic = self.topic(prompt)
        rng = np.random.default_rng((seed, zlib.crc32(normal_text(prompt).encode())))
        found: dict[str, None] = {}
        for _ in range(DRAWS_PER_RESPONSE * n):
            found[" ".join(compose(self.bank, topic, rng))] = None
            if len(found) == n:
                return list(found)
        raise InputError(f"found only {len(found)} responses, expected {n}", where="n")

    def hand_written(
        self,
    ) -> list[tuple[str, list[tuple[str, Float[np.ndarray, " 3"]]]]]:
        """Each bare question with its hand-written responses and their gold rewards."""
        found = []
        for topic in self.bank.topics.values():
            texts = [" ".join(sentences) for sentences in topic.written]
            rewards = self.gold(topic.question, texts)
            found.append((topic.question, list(zip(texts, rewards, strict=True))))
        return found

    def corpus(self, num_documents: int, *, seed: int) -> list[tuple[str, str]]:
        """Prompts with a response each, to train a language model on.

        Topics come equally often, in wordings of both splits: the language model may
        know every prompt, only the preferences keep the test wordings back.
        """
        rng = np.random.default_rng(seed)
        patterns = [text for split in SPLITS for text in self.bank.wordings[split]]
        topics = list(self.bank.topics.values())
        documents = []
        for place in range(num_documents):
            if place % len(topics) == 0:
                order = rng.permutation(len(topics))
            topic = topics[order[place % len(topics)]]
            prompt = worded(patterns[rng.integers(len(patterns))], topic.question)
            if rng.random() < WRITTEN_SHARE:
                sentences = topic.written[rng.integers(len(topic.written))]
            else:
                sentences = compose(self.bank, topic, rng)
            documents.append((prompt, " ".join(sentences)))
        return documents

    def records(
        self,
        num_records: int,
        *,
        seed: int,
        noise: float = 0.1,
        num_responses: int = 2,
    ) -> list[Record]:
        """Noisy preferences among random responses to random train prompts.

        Some responses carry one slip of a weak writer (a stray, repeated, clipped or
        mixed sentence). Every two responses to a prompt are compared; see
        :meth:`preferences` for how, and for which objectives.

        Args:
          num_records: Number of records, a prompt with its responses each.
          seed: Seed of every draw.
          noise: Rate at which a label is flipped after it was given, in [0, 1].
          num_responses: Responses a record, at least 2, all different.

        Raises:
          InputError: ``noise`` or ``num_responses`` is out of range.
        """
        if num_responses < 2:
            raise InputError(
                f"found {num_responses}, expected at least 2", where="num_responses"
            )
        rng = np.random.default_rng(seed)
        drawn = [self._responses(num_responses, rng) for _ in range(num_records)]
        return self._judged(drawn, seed=int(rng.integers(2**32)), noise=noise)

    def preferences(
        self, pairs: Sequence[tuple[str, str, str]], *, seed: int, noise: float = 0.1
    ) -> list[Record]:
        r"""Noisy preferences between given responses, most on one objective only.

        A rater of objective :math:`k` prefers the first response with probability
        :math:`\sigma(3 (g^1_k - g^2_k))`, and each label is then flipped with
        probability ``noise``. 85% of the pairs are judged on one objective, 10% on
        two, 5% on three, drawn among the objectives in which the gold rewards differ
        (all, where none does), so that a pair that differs in fewer labels fewer.

        Args:
          pairs: A prompt of this world and two responses, any strings.
          seed: Seed of every draw.
          noise: Rate of flipped labels, in [0, 1].

        Raises:
          InputError: ``noise`` is out of range, or the world has no such prompt.

        References:
          Bradley and Terry, Rank Analysis of Incomplete Block Designs, 1952.
        """
        return self._judged(
            [(prompt, [first, second]) for prompt, first, second in pairs],
            seed=seed,
            noise=noise,
        )

    def _judged(
        self, drawn: Sequence[tuple[str, Sequence[str]]], *, seed: int, noise: float
    ) -> list[Record]:
        """Records in which every two responses to a prompt were compared."""
        if not 0 <= noise <= 1:
            raise InputError(f"found {noise}, expected 0 to 1", where="noise")
        rng = np.random.default_rng(seed)
        return [
            Record(
                prompt=(Message("user", prompt),),
                responses=tuple((Message("assistant", text),) for text in texts),
                labels=self._labels(self.gold(prompt, texts), rng, noise),
                source="preference_world",
                id=f"{seed}-{number}",
            )
            for number, (prompt, texts) in enumerate(drawn)
        ]

    def _responses(self, count: int, rng: np.random.Generator) -> tuple[str, list[str]]:
        topics = list(self.bank.topics.values())
        patterns = self.bank.wordings["train"]
        topic = topics[rng.integers(len(topics))]
        prompt = worded(patterns[rng.integers(len(patterns))], topic.question)
        found: dict[str, None] = {}
        while len(found) < count:
            found[self._draft(topic, rng)] = None
        return prompt, list(found)

    def _draft(self, topic: Topic, rng: np.random.Generator) -> str:
        sentences = compose(self.bank, topic, rng)
        if rng.random() < SPOILED_SHARE:
            sentences = spoil(self.bank, sentences, rng)
        return " ".join(sentences)

    def _labels(
        self, gold: Float[np.ndarray, "n 3"], rng: np.random.Generator, noise: float
    ) -> dict[str, Labels]:
        """The pairs of every objective that was judged in one record."""
        pairs: dict[str, list[Pair]] = {}
        for one, other in itertools.combinations(range(len(gold)), 2):
            gaps = gold[one] - gold[other]
            usable = np.flatnonzero(gaps) if gaps.any() else np.arange(len(gaps))
            wanted = 1 + int(rng.choice(len(LABEL_SHARES), p=LABEL_SHARES))
            chosen = rng.choice(usable, size=min(wanted, len(usable)), replace=False)
            for place in sorted(chosen):
                first = rng.random() < 1 / (1 + np.exp(-SHARPNESS * gaps[place]))
                first ^= rng.random() < noise
                pair = Pair(one, other) if first else Pair(other, one)
                pairs.setdefault(self.objectives[place], []).append(pair)
        return {name: Labels(pairs=tuple(found)) for name, found in pairs.items()}


@functools.cache
def preference_world() -> PreferenceWorld:
    """The world of the quickstart, read once from the text in this package."""
    return PreferenceWorld(load_bank(resources.files("morl.worlds") / "assistant"))
