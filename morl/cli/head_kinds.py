"""Kinds of heads by name: what is trained, saved, and read again."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from morl.models.head_files import HeadKind
from morl.models.heads import (
    LEVELS,
    Head,
    ensemble,
    gated,
    gaussian,
    linear,
    mlp,
    quantile,
)
from morl.training.bounds import check_numbers

GATED = "gated"
MIXABLE: Mapping[str, Callable[..., Head]] = {
    "linear": linear,
    "mlp": mlp,
    "quantile": quantile,
    "gaussian": gaussian,
    "ensemble": ensemble,
}


def _gated(
    *, inner: str, settings: Mapping[str, Any], hidden_width: int, hidden_layers: int
) -> Head:
    mixed = MIXABLE[inner](**settings)
    return gated(mixed, hidden_width=hidden_width, num_hidden=hidden_layers)


KINDS: Mapping[str, Callable[..., Head]] = {**MIXABLE, GATED: _gated}


@dataclass(frozen=True)
class HeadChoice:
    """Which heads are trained.

    Args:
      kind: linear, mlp, quantile, gaussian or ensemble.
      hidden_width: Units of the hidden layer of mlp.
      members: Members of an ensemble.
    """

    kind: Literal["linear", "mlp", "quantile", "gaussian", "ensemble"] = "linear"
    hidden_width: int = 256
    members: int = 8

    def __post_init__(self) -> None:
        """Refuses heads that cannot be."""
        check_numbers("head", vars(self), {"hidden_width": 1, "members": 2})


def chosen_kind(choice: HeadChoice) -> HeadKind:
    """The kind of heads that a configuration names, with its settings."""
    settings: dict[str, dict[str, Any]] = {
        "mlp": {"hidden_width": choice.hidden_width},
        "quantile": {"levels": list(LEVELS)},
        "ensemble": {"num_members": choice.members},
    }
    own = settings.get(choice.kind, {})
    return HeadKind(choice.kind, own, KINDS[choice.kind](**own))


def gated_kind(inner: HeadKind, hidden_width: int, hidden_layers: int) -> HeadKind:
    """The kind of a gate over heads of another kind."""
    settings = {
        "inner": inner.name,
        "settings": dict(inner.settings),
        "hidden_width": hidden_width,
        "hidden_layers": hidden_layers,
    }
    return HeadKind(GATED, settings, _gated(**settings))
