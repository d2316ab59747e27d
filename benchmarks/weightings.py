"""Are weightings faster than torchjd's, alone, in batches, and on a whole Jacobian?

    python benchmarks/weightings.py

Three modes. ``batch``: many Gramians in one compiled program, beside torchjd's one
after the other, since it has no batches. ``single``: one call after the other on both
sides, dispatch included. ``direction``: a Jacobian in, the combined gradient out. Both
sides draw the same gradients; results agree when the weights, as shares of their sum,
do. PCGrad draws orders at random, and is compared by the mean over the Gramians.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from time import perf_counter

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from harness import Case, Disagreement, Timed, exit_with_message, run, use_cores
from peer import SERVER, Peer, running, torch_command

from morl import weighting
from morl.weighting import Signals, Weighting

NUM_SHOWN = 1000
LEAF = 1_000_000
MAKERS: dict[str, Callable[[], Weighting]] = {
    "min_norm": weighting.min_norm,
    "pcgrad": lambda: weighting.pcgrad(jax.random.key(0)),
    "cagrad": partial(weighting.cagrad, 0.5),
    "nash": weighting.nash,
    "fair": partial(weighting.fair, 2.0),
    "upgrad": weighting.upgrad,
    "dual_projection": weighting.dual_projection,
    "imtl": weighting.imtl,
    "aligned": weighting.aligned,
    "config": weighting.config,
}
# Of the peer's own solvers: Frank-Wolfe for up to 100 steps, an interior point, a
# multiple of the identity added to the Gramian, weights of the shares where these
# may be of either sign.
TOLERANCES = {
    "min_norm": 0.4,
    "cagrad": 1e-3,
    "nash": 0.02,
    "fair": 1e-3,
    "upgrad": 0.02,
    "dual_projection": 0.02,
    "imtl": 2e-3,
    "aligned": 2e-3,
    "config": 2e-3,
}


@dataclass(frozen=True)
class Settings:
    """Weightings beside torchjd.

    Args:
      methods: Names of weightings.
      objectives: Numbers of objectives.
      modes: Of batch, single and direction.
      batch: Gramians at once.
      peer: Gramians that the peer solves of them, at most.
      singles: Gramians of a measurement of single calls.
      parameters: Millions of parameters of the Jacobian.
      whole: Numbers of objectives of the Jacobian.
      rounds: Rounds; each runs both sides.
      cores: Cores of each side.
    """

    methods: tuple[str, ...] = tuple(MAKERS)
    objectives: tuple[int, ...] = (3, 8, 32)
    modes: tuple[str, ...] = ("batch", "single", "direction")
    batch: int = 256
    peer: int = 32
    singles: int = 32
    parameters: int = 10
    whole: tuple[int, ...] = (3, 8)
    rounds: int = 5
    cores: int = 2


def drawn(count: int, k: int, size: int, seed: int) -> np.ndarray:
    """Rows of ``count`` sets of ``k`` gradients, the same as on the other side."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal((count, k, size), dtype=np.float32)


def agreement(method: str) -> Callable[[np.ndarray, np.ndarray], str]:
    """Of weights as shares of their sum, or of directions as shares of their size."""

    def shares(found: np.ndarray) -> np.ndarray:
        return found / np.abs(found).sum(axis=-1, keepdims=True)

    def agree(ours: np.ndarray, peer: np.ndarray) -> str:
        ours, peer = shares(ours[: len(peer)]), shares(peer)
        if method == "pcgrad":
            return "random orders"
        gap = np.abs(ours - peer).sum(axis=-1)
        middle = float(np.median(gap))
        if not middle <= TOLERANCES[method]:
            raise Disagreement(f"{method}: shares apart by {middle:.1e} in the median")
        return f"within {middle:.0e}"

    return agree


def updater(method: str, k: int) -> Callable[[jax.Array], jax.Array]:
    """From a Gramian to weights; the state is that of the start."""
    made = MAKERS[method]()
    state = made.init(k)
    return lambda gramian: made.update(Signals(gramian), state)[0].weights


def solved(
    method: str, k: int, peer: Peer, *, count: int, theirs: int, once: bool
) -> Case:
    """Many Gramians at once, or one after the other."""
    rows = drawn(count, k, 2 * k, k)
    gramians = jnp.asarray(rows @ rows.mT)
    one = updater(method, k)
    program = jax.jit(jax.vmap(one)) if once else jax.jit(one)
    queue = [gramians] if once else [*gramians]
    jax.block_until_ready(queue)

    def ours() -> Timed:
        start = perf_counter()
        found = [jax.block_until_ready(program(gramian)) for gramian in queue]
        seconds = (perf_counter() - start) / count
        weights = np.asarray(found[0]) if once else np.stack(found)
        if method == "config":  # the peer's answer is the direction
            weights = np.einsum("nk,nkp->np", weights, rows)
        return Timed(seconds, weights)

    request = {"method": method, "count": theirs, "k": k, "seed": k}
    mode = f"batch={count}" if once else "single"
    return Case(
        f"{method} K={k} {mode}",
        1,
        "Gramians/s",
        ours,
        lambda: peer.timed("weights", request),
        agreement(method),
    )


def direction(method: str, k: int, peer: Peer, millions: int) -> Case:
    """From a Jacobian to the combined gradient."""
    size = millions * LEAF
    matrix = drawn(1, k, size, k)[0]
    parts = np.split(matrix, millions, axis=1)
    rows = [jnp.asarray(part.reshape(k, 1000, -1)) for part in parts]
    del matrix, parts
    one = updater(method, k)

    @jax.jit
    def program(rows: list[jax.Array]) -> list[jax.Array]:
        return weighting.combine(one(weighting.gramian(rows)), rows)

    def ours() -> Timed:
        start = perf_counter()
        found = jax.block_until_ready(program(rows))
        seconds = perf_counter() - start
        return Timed(seconds, np.ravel(found[0])[:NUM_SHOWN])

    request = {"method": method, "k": k, "size": size, "seed": k, "shown": NUM_SHOWN}
    return Case(
        f"{method} K={k} direction parameters={millions}M",
        1,
        "directions/s",
        ours,
        lambda: peer.timed("direction", request),
        agreement(method),
    )


def all_cases(settings: Settings, peer: Peer) -> Iterator[Case]:
    """Every method, size and mode."""
    for mode in settings.modes:
        if mode == "direction":
            for k in settings.whole:
                # The peer's ConFIG is zero from eight million parameters on: the
                # cut-off of its pseudo-inverse grows with them, past the largest value.
                for method in (name for name in settings.methods if name != "config"):
                    yield direction(method, k, peer, settings.parameters)
            continue
        once = mode == "batch"
        count = settings.batch if once else settings.singles
        sizes = {"count": count, "theirs": min(count, settings.peer), "once": once}
        for k in settings.objectives:
            for method in settings.methods:
                yield solved(method, k, peer, **sizes)


def main() -> None:
    """Measures every case."""
    settings = tyro.cli(Settings, description=__doc__)
    use_cores(settings.cores)
    python = torch_command()[0]
    with running([python, str(SERVER.with_name("torchjd_peer.py"))]) as peer:
        peer.ask("set_cores", {"count": settings.cores})
        versions = peer.ask("versions", {})["versions"]
        run("weightings", all_cases(settings, peer), settings.rounds, versions)


if __name__ == "__main__":
    exit_with_message(main)
