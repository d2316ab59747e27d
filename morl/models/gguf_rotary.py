"""The rotary frequencies of Llama 3 as GGUF files keep them: one divisor a plane."""

import numpy as np
from jaxtyping import Float

from morl.errors import InputError
from morl.models.config import RotaryStretch

# Every release of Llama 3 has these; they differ in the factor alone.
LOW, HIGH, POSITIONS = 1.0, 4.0, 8192
TOLERANCE = 1e-4


def rotary_divisors(
    stretch: RotaryStretch, base: float, planes: int
) -> Float[np.ndarray, " planes"]:
    r"""What the converter of llama.cpp writes as ``rope_freqs.weight``.

    .. math:: d_i = \frac{1}{\kappa_i + (1 - \kappa_i) / s}

    with the share :math:`\kappa_i` of :func:`morl.models.attention.slowed`.

    Args:
      stretch: How the frequencies are slowed.
      base: Base of the frequencies.
      planes: Rotary planes, half the width of a head.

    Returns:
      Divisor of each plane's frequency, between 1 and the factor.
    """
    frequencies = base ** (-np.arange(planes) / planes)
    turns = frequencies * stretch.original_positions / (2 * np.pi)
    kept = np.clip((turns - stretch.low) / (stretch.high - stretch.low), 0, 1)
    return 1 / (kept + (1 - kept) / stretch.factor)


def stretch_of_divisors(
    divisors: Float[np.ndarray, " planes"], base: float, *, where: str
) -> RotaryStretch | None:
    """The stretch that gives these divisors, with the turns that Llama 3 keeps.

    The factor is the largest divisor; the planes between one and the factor tell the
    context that the frequencies were trained for.

    Args:
      divisors: One a rotary plane.
      base: Base of the frequencies.
      where: File and tensor, for errors.

    Returns:
      The stretch; None where every divisor is one.

    Raises:
      InputError: No stretch of Llama 3 gives them.

    Examples:
      >>> published = RotaryStretch(8.0, 1.0, 4.0, 8192)
      >>> divisors = rotary_divisors(published, 5e5, 64).astype(np.float32)
      >>> stretch_of_divisors(divisors, 5e5, where="rope_freqs") == published
      True
    """
    wide = divisors.astype(np.float64)
    if not (np.isfinite(wide).all() and (wide > 0).all()):
        raise InputError("found divisors that are not positive", where=where)
    if np.all(wide == 1):
        return None
    factor = float(wide.max())
    turns = LOW + (HIGH - LOW) * (1 / wide - 1 / factor) / (1 - 1 / factor)
    between = (turns > LOW + TOLERANCE) & (turns < HIGH - TOLERANCE)
    frequencies = base ** (-np.arange(len(wide)) / len(wide))
    positions = POSITIONS
    if between.any():
        found = 2 * np.pi * turns[between] / frequencies[between]
        positions = max(round(float(np.median(found))), 1)
    stretch = RotaryStretch(factor, LOW, HIGH, positions)
    expected = rotary_divisors(stretch, base, len(wide))
    if not np.allclose(wide, expected, rtol=TOLERANCE):
        raise InputError(
            f"found divisors {np.round(wide, 4).tolist()}, expected those of Llama 3, "
            f"which slows the planes of less than {LOW:g} turn and keeps those of more "
            f"than {HIGH:g}",
            where=where,
        )
    return stretch
