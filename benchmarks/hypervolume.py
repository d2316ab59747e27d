"""When is the compiled hypervolume faster than moocore, and by how much is it slower?

    python benchmarks/hypervolume.py

Fronts of random points on a sphere, none of which dominates another: one a call, and
256 at once (one compiled call beside a loop over moocore). Volumes and contributions
are compared with those of moocore. moocore has no gradient, so that of ours stands
beside central differences of moocore's volume. Ours computes in float32 on all cores it
is given, from and to arrays on the host; moocore, which is C and reads float64, on one.
Compile time lies outside the timing and stands with the agreement.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from time import perf_counter

import jax
import jax.numpy as jnp
import moocore
import numpy as np
import tyro
from harness import Case, Timed, close_enough, exit_with_message, run, use_cores

from morl.pareto import hypervolume, hypervolume_contributions

BATCH = 256
# So short that no difference here crosses to the next coordinate, where slopes jump.
STEP = 1e-8
# Points of a front by objectives; a batch of more would take seconds a call.
SIZES = {
    1: {2: (20, 100), 3: (20, 100), 4: (20, 100), 5: (20, 100)},
    BATCH: {2: (20, 100), 3: (20, 100), 4: (20,), 5: (20,)},
}


@dataclass(frozen=True)
class Settings:
    """Compiled hypervolume beside moocore.

    Args:
      rounds: Rounds; each runs both sides.
      seconds: Least time of a run; short calls are repeated for as long.
      most: Most points of a front; less leaves out the slow cases.
      cores: Cores of this process; 0 leaves every core to it, and to ours the device
        that JAX chooses, such as a GPU.
    """

    rounds: int = 7
    seconds: float = 0.05
    most: int = 100
    cores: int = 2


def volume(points: jax.Array) -> jax.Array:
    """Compiled hypervolume above the origin."""
    return hypervolume(points, jnp.zeros(points.shape[1]))


def contributions(points: jax.Array) -> jax.Array:
    """Compiled contributions above the origin."""
    return hypervolume_contributions(points, jnp.zeros(points.shape[1]))


def volume_of_peer(losses: np.ndarray) -> np.ndarray:
    """The hypervolume of moocore, in its own sign."""
    return np.asarray(moocore.hypervolume(losses, ref=np.zeros(losses.shape[1])))


def contributions_of_peer(losses: np.ndarray) -> np.ndarray:
    """The contributions of moocore, in its own sign."""
    return moocore.hv_contributions(losses, ref=np.zeros(losses.shape[1]))


def differences_of_peer(losses: np.ndarray) -> np.ndarray:
    """Central differences of moocore's hypervolume, by rewards."""
    found = np.zeros(losses.shape)
    for place in np.ndindex(losses.shape):
        moved = losses.copy()
        moved[place] = losses[place] - STEP
        higher = volume_of_peer(moved)
        moved[place] = losses[place] + STEP
        found[place] = (higher - volume_of_peer(moved)) / (2 * STEP)
    return found


GRADIENT = "gradient beside differences"
MEASURES = {
    "volume": (volume, volume_of_peer, 1e-5),
    "contributions": (contributions, contributions_of_peer, 1e-4),
    GRADIENT: (jax.grad(volume), differences_of_peer, 1e-3),
}


def spheres(sets: int, n: int, k: int) -> np.ndarray:
    """Sets of points on the positive part of a sphere: none dominates another."""
    points = np.abs(np.random.default_rng(n * k).normal(size=(sets, n, k)))
    return points / np.linalg.norm(points, axis=-1, keepdims=True)


def repeated(call: Callable[[], np.ndarray], times: int) -> Timed:
    """Mean time of the call."""
    start = perf_counter()
    for _ in range(times):
        result = call()
    return Timed((perf_counter() - start) / times, result)


def as_long(call: Callable[[], np.ndarray], seconds: float) -> Callable[[], Timed]:
    """Runs of the call, repeated for about ``seconds``."""
    once = min(repeated(call, 1).seconds for _ in range(2))
    return partial(repeated, call, max(1, round(seconds / once)))


def case(name: str, points: np.ndarray, seconds: float) -> Case:
    """Both sides on the same sets, each in the type that it computes in."""
    one, peer, tolerance = MEASURES[name]
    single, losses = points.astype(np.float32), -points
    alone = len(points) == 1
    given = single[0] if alone else single
    fn = jax.jit(one if alone else jax.vmap(one))
    ours = lambda: np.asarray(fn(given))
    compiling = repeated(ours, 1).seconds
    each = lambda: np.array([peer(front) for front in losses])
    theirs = (lambda: np.asarray(peer(losses[0]))) if alone else each
    close = close_enough(tolerance)
    _, n, k = points.shape
    return Case(
        f"{name} k={k} n={n} {'single' if alone else f'batch={len(points)}'}",
        len(points),
        "fronts/s",
        as_long(ours, seconds),
        as_long(theirs, seconds),
        lambda a, b: f"{close(a, b)}; compiled in {compiling:.1f} s",
    )


def all_cases(settings: Settings) -> Iterator[Case]:
    """Every measure at every size; differences, which are slow, at the small ones."""
    for name in MEASURES:
        for sets, sizes in SIZES.items():
            for k, n in ((k, n) for k, counts in sizes.items() for n in counts):
                if n <= (20 if name == GRADIENT else settings.most):
                    yield case(name, spheres(sets, n, k), settings.seconds)


def main() -> None:
    """Measures every case."""
    settings = tyro.cli(Settings, description=__doc__)
    if settings.cores:
        use_cores(settings.cores)
    versions = {"moocore": version("moocore")}
    run("hypervolume", all_cases(settings), settings.rounds, versions)


if __name__ == "__main__":
    exit_with_message(main)
