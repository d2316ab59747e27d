"""Problems whose answer is known: what everything else is judged on."""

from morl.worlds.bank import Bank, Sentence, Topic, load_bank
from morl.worlds.cagrad_toy import cagrad_toy
from morl.worlds.deep_sea import deep_sea_concave, deep_sea_convex
from morl.worlds.dtlz import dtlz1, dtlz2, dtlz3, dtlz4
from morl.worlds.gold import GoldPart
from morl.worlds.preferences import PreferenceWorld, preference_world
from morl.worlds.problem import Problem, Table
from morl.worlds.vlmop import vlmop1, vlmop2
from morl.worlds.zdt import zdt1, zdt2, zdt3, zdt4, zdt6

__all__ = [
    "Bank",
    "GoldPart",
    "PreferenceWorld",
    "Problem",
    "Sentence",
    "Table",
    "Topic",
    "cagrad_toy",
    "deep_sea_concave",
    "deep_sea_convex",
    "dtlz1",
    "dtlz2",
    "dtlz3",
    "dtlz4",
    "load_bank",
    "preference_world",
    "vlmop1",
    "vlmop2",
    "zdt1",
    "zdt2",
    "zdt3",
    "zdt4",
    "zdt6",
]
