"""Outside tests: pairs from elsewhere that no head was fitted to."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Int

from morl.assess.cross import CrossMatrix, cross_accuracy
from morl.errors import InputError
from morl.types import Names


def outside_accuracy(
    margins: Mapping[str, Float[np.ndarray, "_ h"]],
    groups: Mapping[str, Int[np.ndarray, " _"]],
    *,
    heads: Names,
    seed: int = 0,
) -> CrossMatrix:
    """Accuracy of every head on every subset of an outside test, and on all of it.

    For HHH alignment the subsets are ``helpful``, ``harmless``, ``honest`` and
    ``other``. They hold some fifty pairs each, so that an interval reaches about 0.13
    to either side: a head at 0.6 has not been shown to be above chance.

    Args:
      margins: Subset to ``[p, h]`` margins of its pairs by every head.
      groups: Subset to the prompt of each of its pairs; equal integers are one prompt,
        also across subsets.
      heads: Names of the heads.
      seed: Of the bootstrap.

    Returns:
      The matrix; its columns are the subsets in the given order, then ``all``.

    Raises:
      InputError: ``margins`` and ``groups`` have different subsets, one is called
        ``all``, or there are none.

    References:
      Askell et al. (arXiv:2112.00861), 2021, the HHH evaluation set.
    """
    subsets = tuple(margins)
    if not subsets or subsets != tuple(groups) or "all" in subsets:
        raise InputError(
            f"found subsets {subsets} and groups of {tuple(groups)}, expected the same "
            "one or more names, none of them 'all'",
            where="margins",
        )
    sizes = [len(groups[name]) for name in subsets]
    place = np.repeat(np.arange(len(subsets)), sizes)
    every = np.concatenate([margins[name] for name in subsets])
    prompts = np.concatenate([groups[name] for name in subsets])
    parts = cross_accuracy(
        every, place, prompts, heads=heads, columns=subsets, seed=seed
    )
    whole = cross_accuracy(
        every, np.zeros_like(place), prompts, heads=heads, columns=("all",), seed=seed
    )
    joined = (
        np.concatenate(sides, axis=-1)
        for sides in zip(parts[2:], whole[2:], strict=True)
    )
    return CrossMatrix(heads, (*subsets, "all"), *joined)
