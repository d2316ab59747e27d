"""Problems whose answer is known: what everything else is judged on."""

from morl.worlds.bank import Bank, Sentence, Topic, load_bank
from morl.worlds.gold import GoldPart
from morl.worlds.preferences import PreferenceWorld, preference_world

__all__ = [
    "Bank",
    "GoldPart",
    "PreferenceWorld",
    "Sentence",
    "Topic",
    "load_bank",
    "preference_world",
]
