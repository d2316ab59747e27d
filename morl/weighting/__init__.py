"""Weightings: from the Gramian of the objectives' gradients to objective weights."""

from morl.weighting.constant import constant
from morl.weighting.contract import Signals, Solution, State, Weighting

__all__ = ["Signals", "Solution", "State", "Weighting", "constant"]
