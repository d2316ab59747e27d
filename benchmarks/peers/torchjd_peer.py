"""torchjd, answering the benchmarks: one JSON request a line.

Run by .venv-peers/bin/python. Every method with the settings that its authors gave it,
but for preferences, which are equal on both sides.
"""

import time
from collections.abc import Callable
from functools import lru_cache
from importlib.metadata import version

import numpy as np
import torch
from serving import Answer, serve
from torchjd import aggregation

Weigh = Callable[[torch.Tensor], torch.Tensor]
ON_GRAMIAN = {
    "min_norm": aggregation.MGDAWeighting,
    "pcgrad": aggregation.PCGradWeighting,
    "cagrad": lambda: aggregation.CAGradWeighting(c=0.5),
    "fair": lambda: aggregation.FairGradWeighting(alpha=2.0),
    "imtl": aggregation.IMTLGWeighting,
    "aligned": aggregation.AlignedMTLWeighting,
    "upgrad": aggregation.UPGradWeighting,
    "dual_projection": aggregation.DualProjWeighting,
}
DIRECTIONS = {
    "min_norm": aggregation.MGDA,
    "pcgrad": aggregation.PCGrad,
    "cagrad": lambda: aggregation.CAGrad(c=0.5),
    "fair": lambda: aggregation.FairGrad(alpha=2.0),
    "imtl": aggregation.IMTLG,
    "aligned": aggregation.AlignedMTL,
    "upgrad": aggregation.UPGrad,
    "dual_projection": aggregation.DualProj,
    "config": aggregation.ConFIG,
}


def versions() -> Answer:
    """The versions of what runs here."""
    names = ("torchjd", "torch", "numpy", "cvxpy", "clarabel", "scipy", "quadprog")
    return {"versions": {name: version(name) for name in names}}


def set_cores(count: int) -> Answer:
    """How many threads torch uses."""
    torch.set_num_threads(count)
    return {}


@lru_cache(maxsize=2)
def drawn(count: int, k: int, size: int, seed: int) -> torch.Tensor:
    """Rows of ``count`` sets of ``k`` gradients, the same as on the other side."""
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.standard_normal((count, k, size), dtype=np.float32))


def weights(method: str, count: int, k: int, seed: int) -> Answer:
    """One set of gradients after the other; answers with seconds for one."""
    rows = drawn(count, k, 2 * k, seed)
    gramians = rows @ rows.mT
    if method == "nash":
        nash = aggregation.NashMTL(n_tasks=k, max_norm=0)

        def weigh(index: int) -> torch.Tensor:
            nash.reset()
            return nash.weighting(rows[index])

    elif method == "config":
        config = aggregation.ConFIG()
        weigh = lambda index: config(rows[index])
    else:
        made = ON_GRAMIAN[method]()
        weigh = lambda index: made(gramians[index])
    start = time.perf_counter()
    found = [weigh(index) for index in range(count)]
    seconds = (time.perf_counter() - start) / count
    return {"seconds": seconds, "result": torch.stack(found).tolist()}


def direction(method: str, k: int, size: int, seed: int, shown: int) -> Answer:
    """The combined gradient of one Jacobian; answers with its first entries."""
    rows = drawn(1, k, size, seed)[0]
    if method == "nash":
        combined = aggregation.NashMTL(n_tasks=k, max_norm=0)
    else:
        combined = DIRECTIONS[method]()
    start = time.perf_counter()
    found = combined(rows)
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "result": found[:shown].tolist()}


if __name__ == "__main__":
    serve(
        {
            "versions": versions,
            "set_cores": set_cores,
            "weights": weights,
            "direction": direction,
        }
    )
