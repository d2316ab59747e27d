"""The largest batch that fits, found with three programs."""

from collections.abc import Callable

USABLE = 0.97  # of a device's memory; the rest is the runtime's


def largest_batch(
    total: Callable[[int], int | None],
    known: tuple[int, int],
    *,
    least: int,
    limit: float,
    progress: Callable[[int, int], None],
) -> int | None:
    """Rows that still fit: along a line through two programs, confirmed by a third.

    Args:
      total: From rows to bytes of a device; None where the compiler has no room.
      known: Rows and bytes of the first program, which fits.
      least: What rows are a multiple of.
      limit: Bytes of a device.
      progress: Called with programs compiled and in all.

    Returns:
      The most rows of the programs that fit; None where even the first does not.

    Examples:
      >>> total = lambda rows: 1000 + 10 * rows
      >>> largest_batch(
      ...     total, (8, 1080), least=8, limit=5e3, progress=lambda done, total: None
      ... )
      384
    """
    first, used = known
    found: dict[int, int | None] = {first: used}
    progress(1, 3)
    second = first + least if first == least else max(first // 2 // least, 1) * least
    found[second] = total(second)
    progress(2, 3)
    other = found[second]
    if other is not None:
        slope = max((used - other) / (first - second), 1.0)
        left = int((USABLE * limit - used) / slope)
        third = (first + left) // least * least
        if third >= least and third not in found:
            found[third] = total(third)
    progress(3, 3)
    fitting = [rows for rows, size in found.items() if size and size <= limit]
    return max(fitting, default=None)
