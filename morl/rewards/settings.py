"""What values the settings of a scalarizer may take, constant or scheduled."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from jax.core import Tracer

from morl.errors import InputError
from morl.rewards.schedule import Number, coefficient, is_schedule, span


class Allowed(NamedTuple):
    """The values a setting may take.

    Attributes:
      words: What is expected, as an error says it.
      holds: Whether everything from the first value to the second is allowed.
    """

    words: str
    holds: Callable[[float, float], bool]


POSITIVE = Allowed("above 0", lambda low, _: low > 0)
NONNEGATIVE = Allowed("at least 0", lambda low, _: low >= 0)
ONE_OR_MORE = Allowed("at least 1", lambda low, _: low >= 1)
NONZERO = Allowed("below 0 or above 0", lambda low, high: low > 0 or high < 0)
SHARE = Allowed("above 0 and at most 1", lambda low, high: low > 0 and high <= 1)
SMALL = Allowed("above 0 and below 0.5", lambda low, high: low > 0 and high < 0.5)


def setting(value: Number, allowed: Allowed, where: str) -> Number:
    """A number or a schedule, refused where it leaves what is allowed.

    Args:
      value: Traced values cannot be checked and pass.
      allowed: The values it may take, on the whole way of a schedule.
      where: What it is called.

    Raises:
      InputError: It is not finite or not allowed.
    """
    value = coefficient(value, where)
    ends = span(value)
    if ends is not None and not allowed.holds(*ends):
        low, high = ends
        way = (
            f"a schedule from {low:g} to {high:g}" if is_schedule(value) else f"{low:g}"
        )
        raise InputError(f"found {way}, expected {allowed.words}", where=where)
    return value


def check_points(points: Mapping[str, tuple[Number, ...]], where: str) -> None:
    """Refuses a threshold that is not above its floor."""
    if "threshold" not in points or "floor" not in points:
        return
    for high, low in zip(points["threshold"], points["floor"], strict=True):
        known = not isinstance(high, Tracer) and not isinstance(low, Tracer)
        if known and high <= low:
            raise InputError(
                f"found a threshold of {high:g} and a floor of {low:g}, expected the "
                "threshold above the floor",
                where=where,
            )
