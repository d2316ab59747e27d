"""Numbers of settings, held to what can be done before anything is done."""

import math
from collections.abc import Mapping

from morl.errors import InputError

SEEDS = 2**32  # as many as random keys tell apart


def check_numbers(
    where: str, settings: Mapping[str, object], least: Mapping[str, int | float]
) -> None:
    """Refuses numbers below what they need to be, and seeds that no key is made of.

    Args:
      where: What the settings are called, in front of a name.
      settings: Value by name; a ``seed`` is checked where there is one.
      least: The smallest value that each of these names may have.

    Raises:
      InputError: Names the setting, what was found and what was expected.

    Examples:
      >>> check_numbers("heads", {"folds": 1, "seed": 0}, {"folds": 2})
      Traceback (most recent call last):
      ...
      morl.errors.InputError: heads.folds: found 1, expected at least 2
    """
    for name, bound in least.items():
        value = settings[name]
        if not (isinstance(value, int | float) and bound <= value < math.inf):
            raise InputError(
                f"found {value}, expected at least {bound}", where=f"{where}.{name}"
            )
    seed = settings.get("seed", 0)
    if not (isinstance(seed, int) and 0 <= seed < SEEDS):
        raise InputError(
            f"found {seed}, expected 0 to {SEEDS - 1}", where=f"{where}.seed"
        )


def check_rules(
    where: str, settings: Mapping[str, object], rules: Mapping[str, tuple[bool, str]]
) -> None:
    """Refuses settings outside of ranges that are no mere least values.

    Args:
      where: What the settings are called, in front of a name.
      settings: Value by name.
      rules: For some of them whether it fits, and in words what was expected.

    Raises:
      InputError: Names the first that does not fit.

    Examples:
      >>> check_rules("losses", {"delta": 0.0}, {"delta": (False, "above 0")})
      Traceback (most recent call last):
      ...
      morl.errors.InputError: losses.delta: found 0.0, expected above 0
    """
    for name, (fits, expected) in rules.items():
        if not fits:
            raise InputError(
                f"found {settings[name]}, expected {expected}", where=f"{where}.{name}"
            )
