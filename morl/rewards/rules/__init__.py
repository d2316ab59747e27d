"""Rule-based rewards: computed from the text on the host, each with its reason.

Every factory returns a reward that composes like any other::

    reward = 0.5 * helpful - 0.01 * morl.rules.length(unit="token")
"""

from morl.rewards.rules.answer import answer
from morl.rewards.rules.length import length
from morl.rewards.rules.lexicon import lexicon
from morl.rewards.rules.ngrams import distinct, repetition
from morl.rewards.rules.regex import regex

__all__ = ["answer", "distinct", "length", "lexicon", "regex", "repetition"]
