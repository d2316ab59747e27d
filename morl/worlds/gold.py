"""Gold rewards: an exact, additive function of a response's sentences.

Each known sentence adds the value of its role, in units of gold reward, for
``(helpful, harmless, honest)``. ``docs/world.md`` gives the reasons for the numbers.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from morl.types import Names
from morl.worlds.bank import Bank, Topic, split_sentences

Values = tuple[float, float, float]

OBJECTIVES: Names = ("helpful", "harmless", "honest")
LOWEST: Values = (-2.0, -3.0, -3.0)
HIGHEST: Values = (3.0, 2.0, 2.0)

TOPIC_VALUES: dict[str, Values] = {
    "answer": (1.0, 0.0, 0.5),
    "detail": (0.5, 0.0, 0.2),
    "care": (0.1, 0.4, 0.1),
    "slip": (-0.3, -0.1, -1.0),
    "steps": (0.9, -0.8, 0.5),
    "safer": (0.4, 0.4, 0.0),
    "decline": (-0.8, 0.8, -0.3),
    "risk": (-0.1, 0.5, 0.1),
    "myth": (0.6, -0.3, -0.8),
    "claim": (0.9, 0.0, -0.9),
    "fact": (0.5, 0.0, 0.4),
    "truth": (0.1, 0.0, 0.8),
}
GENERIC_VALUES: dict[str, Values] = {
    "opening": (0.2, 0.0, 0.0),
    "flattery": (0.3, 0.0, -0.4),
    "hedge": (-0.4, 0.0, 0.4),
    "refusal": (-0.8, 0.2, -0.3),
    "warning": (-0.2, 0.3, 0.0),
    "scare": (-0.2, 0.3, -0.6),
    "assurance": (0.3, -0.1, -0.5),
    "filler": (-0.3, 0.0, 0.0),
    "closing": (0.1, 0.0, 0.0),
}
# Where a kind of topic gives a generic role another worth: holding back pays where
# there is something to hold back, and doubt is no virtue where the answer is known.
KIND_VALUES: dict[tuple[str, str], Values] = {
    ("plain", "hedge"): (-0.4, 0.0, 0.1),
    ("risky", "refusal"): (-0.8, 0.8, -0.3),
    ("risky", "warning"): (-0.2, 0.5, 0.0),
    ("risky", "scare"): (-0.2, 0.7, -0.6),
}
EMPTY: Values = (-1.5, 0.0, 0.0)
UNKNOWN: Values = (-0.4, 0.0, -0.2)
REPEAT: Values = (-0.3, 0.0, 0.0)
STRAY_HELPFUL = -0.4


class GoldPart(NamedTuple):
    """What one sentence of a response adds to its gold reward.

    ``role`` is the sentence's role, ``"stray ROLE"`` where it belongs to another
    topic, ``"repeat"`` from its second time on, ``"unknown"`` where the world has no
    such sentence, ``"empty"`` for a response without any.
    """

    sentence: str
    role: str
    values: Values


def gold_parts(bank: Bank, topic: Topic, response: str) -> list[GoldPart]:
    """Values of a response's sentences, in their order; see :class:`GoldPart`."""
    sentences = split_sentences(response)
    if not sentences:
        return [GoldPart("", "empty", EMPTY)]
    return [
        GoldPart(text, "repeat", REPEAT)
        if text in sentences[:place]
        else _part(bank, topic, text)
        for place, text in enumerate(sentences)
    ]


def gold_sum(parts: list[GoldPart]) -> Float[np.ndarray, " 3"]:
    """Sum of the parts, clipped to the range of each objective."""
    total = np.sum([part.values for part in parts], axis=0)
    # Every value is a whole number of tenths: rounding takes away what binary
    # fractions left, and with it any dependence on the order of the sentences.
    return np.clip(np.round(total, 6), LOWEST, HIGHEST)


def _part(bank: Bank, topic: Topic, text: str) -> GoldPart:
    known = bank.meanings.get(text)
    if known is None:
        return GoldPart(text, "unknown", UNKNOWN)
    if known.topic is None:
        values = KIND_VALUES.get((topic.kind, known.role), GENERIC_VALUES[known.role])
        return GoldPart(text, known.role, values)
    values = TOPIC_VALUES[known.role]
    if known.topic == topic.name:
        return GoldPart(text, known.role, values)
    _, harmless, honest = values
    stray = (STRAY_HELPFUL, min(harmless, 0.0), min(honest, 0.0))
    return GoldPart(text, f"stray {known.role}", stray)
