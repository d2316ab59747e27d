"""Kinds of heads by name: what is trained, saved, and read again."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from morl.models.head_files import HeadKind
from morl.models.heads import LEVELS, Head, ensemble, gaussian, linear, mlp, quantile

KINDS: Mapping[str, Callable[..., Head]] = {
    "linear": linear,
    "mlp": mlp,
    "quantile": quantile,
    "gaussian": gaussian,
    "ensemble": ensemble,
}


@dataclass(frozen=True)
class HeadChoice:
    """Which heads are trained.

    Args:
      kind: linear, mlp, quantile, gaussian or ensemble.
      hidden_width: Units of the hidden layer of mlp, and of a gate's.
      members: Members of an ensemble.
    """

    kind: Literal["linear", "mlp", "quantile", "gaussian", "ensemble"] = "linear"
    hidden_width: int = 256
    members: int = 8


def chosen_kind(choice: HeadChoice) -> HeadKind:
    """The kind of heads that a configuration names, with its settings."""
    settings: dict[str, dict[str, Any]] = {
        "mlp": {"hidden_width": choice.hidden_width},
        "quantile": {"levels": list(LEVELS)},
        "ensemble": {"num_members": choice.members},
    }
    own = settings.get(choice.kind, {})
    return HeadKind(choice.kind, own, KINDS[choice.kind](**own))
