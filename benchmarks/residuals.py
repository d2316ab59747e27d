"""How far from their conditions do weightings end in float32?

    python benchmarks/residuals.py

Random gradients of several kinds, many sets of each in one compiled program: the worst
residual, and the share of sets above a millionth.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from harness import exit_with_message, machine, show, use_cores

from morl import weighting
from morl.weighting import Signals, Weighting

WEIGHTINGS: dict[str, Weighting] = {
    "min_norm": weighting.min_norm(),
    "upgrad": weighting.upgrad(),
    "dual_projection": weighting.dual_projection(),
    "cagrad c=0.5": weighting.cagrad(0.5),
    "cagrad c=0.9": weighting.cagrad(0.9),
    "cagrad c=2": weighting.cagrad(2.0),
    "raco c=0.5": weighting.raco(0.5),
    "nash": weighting.nash(),
    "fair alpha=0.5": weighting.fair(0.5),
    "fair alpha=2": weighting.fair(2.0),
    "fair alpha=4": weighting.fair(4.0),
    "epo": weighting.epo(),
}
EQUATIONS = ("nash", "fair")


@dataclass(frozen=True)
class Settings:
    """How far from their conditions weightings end in float32.

    Args:
      objectives: Numbers of gradients.
      sets: Sets of gradients of each kind.
      seed: Seed of the gradients.
      only: Weightings; all where none is named.
      cores: Cores to use.
    """

    objectives: tuple[int, ...] = (3, 8)
    sets: int = 2000
    seed: int = 0
    only: tuple[str, ...] = ()
    cores: int = 2


def zero(rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One gradient is zero."""
    del rng
    rows[:, 1] = 0
    return rows


def duplicate(rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Two gradients are equal."""
    del rng
    rows[:, 1] = rows[:, 0]
    return rows


def opposite(rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Two gradients are opposite, of other lengths."""
    rows[:, 1] = -rng.uniform(0.1, 10, (len(rows), 1)) * rows[:, 0]
    return rows


def cancelling(rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Three gradients add up to zero."""
    del rng
    rows[:, 2] = -(rows[:, 0] + rows[:, 1])
    return rows


def dependent(rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Two thirds as many dimensions as gradients."""
    del rng
    return rows[:, :, : max(2, 2 * rows.shape[1] // 3)]


def uneven(rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Lengths that differ by up to a million times."""
    return rows * 10 ** rng.uniform(-3, 3, (*rows.shape[:2], 1))


def independent(rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """As drawn, in twice as many dimensions."""
    del rng
    return rows


Kind = Callable[[np.ndarray, np.random.Generator], np.ndarray]
KINDS: tuple[Kind, ...] = (
    independent,
    zero,
    duplicate,
    opposite,
    cancelling,
    dependent,
    uneven,
)
# Where gradients cancel, or may, no weights need solve the equations.
CANCELLED = (opposite, cancelling, dependent)


def solver(method: Weighting) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """From Gramians and losses to residuals; the kinds of gradients share it."""

    def residual(gramian: jax.Array, losses: jax.Array) -> jax.Array:
        return method.update(Signals(gramian, losses), ())[0].residual

    return jax.jit(jax.vmap(residual))


def lines(settings: Settings) -> Iterable[list[str]]:
    """One line a weighting and number of objectives, a cell a kind."""
    for name, method in WEIGHTINGS.items():
        if settings.only and name.split()[0] not in settings.only:
            continue
        solve = solver(method)
        for k in settings.objectives:
            cells = []
            for kind in KINDS:
                rng = np.random.default_rng(settings.seed)
                rows = kind(rng.standard_normal((settings.sets, k, 2 * k)), rng)
                gramians = rows @ rows.swapaxes(1, 2)
                losses = rng.uniform(0.2, 2, (settings.sets, k))
                found = np.asarray(solve(*map(jnp.float32, (gramians, losses))))
                share = 100 * np.mean(~(found <= 1e-6))
                known = name.split()[0] in EQUATIONS and kind in CANCELLED
                cells.append("none" if known else f"{found.max():.0e}, {share:.1f}%")
            yield [f"`{name}` K={k}", *cells]


def main() -> None:
    """Measures and prints the table."""
    settings = tyro.cli(Settings, description=__doc__)
    use_cores(settings.cores)
    head = ("weighting", *(kind.__name__ for kind in KINDS))
    title = f"Worst residual, and share above 1e-6, of {settings.sets:,} sets"
    show(title, head, lines(settings))
    print(f"\n{machine()}")


if __name__ == "__main__":
    exit_with_message(main)
