"""Names: what is unknown, and what it was probably meant to be."""

import difflib
from collections.abc import Iterable

from morl.errors import InputError


def unknown_name(
    found: str, known: Iterable[str], *, where: str, kind: str = "reward"
) -> InputError:
    """The error for a name that is not among ``known``, with the closest that is.

    Examples:
      >>> raise unknown_name("harmles", ("helpful", "harmless"), where="subject_to")
      Traceback (most recent call last):
      ...
      morl.errors.InputError: subject_to: unknown reward 'harmles', did you mean
      'harmless'? Known: helpful, harmless
    """
    known = tuple(known)
    close = difflib.get_close_matches(found, known, n=1)
    hint = f", did you mean {close[0]!r}?" if close else "."
    return InputError(
        f"unknown {kind} {found!r}{hint} Known: {', '.join(known)}", where=where
    )
