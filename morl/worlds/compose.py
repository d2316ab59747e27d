"""Random responses: a recipe gives the order of roles, chance fills the slots."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from morl.worlds.bank import Bank, Topic


class Slot(NamedTuple):
    """A place in a recipe, filled with ``least`` to ``most`` sentences of a role."""

    role: str
    least: int = 1
    most: int = 1


class Recipe(NamedTuple):
    """An order of roles, and how often it is used beside the others of its kind."""

    share: float
    slots: tuple[Slot, ...]


MAX_SENTENCES = 6
_OPEN = Slot("opening", 0)
_CLOSE = Slot("closing", 0)
_PRAISE = Slot("flattery", 0)
RECIPES: dict[str, tuple[Recipe, ...]] = {
    "plain": (
        Recipe(4, (_OPEN, Slot("answer", 1, 2), Slot("detail", 0, 3), _CLOSE)),
        Recipe(2, (Slot("answer"), Slot("detail", 1, 2), Slot("care"))),
        Recipe(1, (_PRAISE, Slot("answer"), Slot("assurance", 0), Slot("detail"))),
        Recipe(1, (Slot("hedge"), Slot("answer", 0), Slot("detail", 0), _CLOSE)),
        Recipe(2, (_OPEN, Slot("slip", 1, 2), Slot("detail", 0, 1), _CLOSE)),
        Recipe(1, (_PRAISE, Slot("slip"), Slot("assurance"))),
        Recipe(1, (Slot("warning"), Slot("care"), Slot("answer", 0))),
        Recipe(1, (Slot("filler"), Slot("answer", 0), Slot("filler", 0, 2))),
        Recipe(1, (Slot("refusal"), Slot("warning", 0), _CLOSE)),
    ),
    "risky": (
        Recipe(4, (_OPEN, Slot("steps", 1, 3), _CLOSE)),
        Recipe(2, (_PRAISE, Slot("steps", 1, 2), Slot("myth"), Slot("assurance", 0))),
        Recipe(2, (Slot("steps", 1, 2), Slot("risk", 0), Slot("warning"))),
        Recipe(2, (Slot("risk"), Slot("steps"), Slot("safer"), _CLOSE)),
        Recipe(3, (_OPEN, Slot("safer", 1, 2), Slot("risk", 0), _CLOSE)),
        Recipe(2, (Slot("decline"), Slot("safer", 0, 2), _CLOSE)),
        Recipe(2, (Slot("refusal"), Slot("risk", 0), Slot("safer", 0, 1))),
        Recipe(3, (Slot("scare"), Slot("decline", 0), Slot("warning", 0))),
        Recipe(1, (Slot("hedge"), Slot("risk"), Slot("safer", 0, 1))),
        Recipe(1, (Slot("filler", 0), Slot("myth"), Slot("filler", 0), _CLOSE)),
    ),
    "uncertain": (
        Recipe(4, (_OPEN, Slot("claim", 1, 2), _CLOSE)),
        Recipe(2, (_PRAISE, Slot("claim", 1, 2), Slot("assurance"))),
        Recipe(3, (Slot("truth", 1, 2), Slot("hedge", 0), _CLOSE)),
        Recipe(3, (_OPEN, Slot("fact", 1, 2), Slot("truth", 0, 1), _CLOSE)),
        Recipe(1, (Slot("claim"), Slot("truth"))),
        Recipe(2, (Slot("claim"), Slot("fact"), Slot("hedge", 0))),
        Recipe(1, (Slot("hedge", 1, 2), Slot("truth", 0, 1))),
        Recipe(1, (Slot("warning"), Slot("truth"), Slot("fact", 0))),
        Recipe(1, (Slot("filler"), Slot("fact", 0), Slot("filler", 0, 2))),
        Recipe(1, (Slot("refusal"), Slot("hedge", 0), _CLOSE)),
    ),
}


def compose(bank: Bank, topic: Topic, rng: np.random.Generator) -> list[str]:
    """Draws a response: 1 to 6 different sentences in reading order."""
    recipes = RECIPES[topic.kind]
    shares = np.array([recipe.share for recipe in recipes])
    recipe = recipes[rng.choice(len(recipes), p=shares / shares.sum())]
    filled = [
        text
        for slot in recipe.slots
        for text in _pick(_sentences(bank, topic, slot.role), slot, rng)
    ]
    return list(dict.fromkeys(filled))[:MAX_SENTENCES]


def spoil(bank: Bank, sentences: Sequence[str], rng: np.random.Generator) -> list[str]:
    """Makes one mistake of a weak writer: a stray, repeated, clipped or mixed sentence.

    Preferences over such responses teach a judge what the gold reward says of them.
    """
    texts = list(sentences)
    place = int(rng.integers(len(texts)))
    known = list(bank.meanings)
    stray = known[rng.integers(len(known))]
    words = texts[place].split()
    cut = int(rng.integers(1, len(words)))
    clipped = " ".join(words[:cut])
    mixed = " ".join(words[:cut] + stray.split()[cut:])
    mistakes = (
        [*texts[:place], stray, *texts[place + 1 :]],
        [*texts[: place + 1], *texts[place:]],
        [*texts[:place], clipped],
        [*texts[:place], mixed, *texts[place + 1 :]],
    )
    return mistakes[rng.integers(len(mistakes))]


def _sentences(bank: Bank, topic: Topic, role: str) -> Sequence[str]:
    return topic.sentences[role] if role in topic.sentences else bank.generic[role]


def _pick(texts: Sequence[str], slot: Slot, rng: np.random.Generator) -> list[str]:
    wanted = rng.integers(slot.least, slot.most + 1)
    chosen = rng.choice(len(texts), size=min(int(wanted), len(texts)), replace=False)
    return [texts[int(place)] for place in sorted(chosen)]
