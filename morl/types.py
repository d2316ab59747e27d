"""Axis letters, array aliases and the protocols that rooms share.

Axes: ``b`` prompts, ``g`` completions a prompt, ``t`` tokens, ``k`` objectives, ``d``
width, ``v`` vocabulary, ``n`` front points. A *reward vector* is an array ``[..., k]``
whose names travel beside it as a static tuple, with a Boolean array ``[..., k]`` of the
entries that are present. An absent reward is masked; its value carries no meaning.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias

from jaxtyping import Array, Bool, Float, Int

Names: TypeAlias = tuple[str, ...]
Rewards: TypeAlias = Float[Array, "*batch k"]
Tokens: TypeAlias = Int[Array, "b t"]
Mask: TypeAlias = Bool[Array, "b t"]
Json: TypeAlias = Mapping[str, Any]
