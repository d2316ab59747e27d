"""What does a conflict-averse step of K objectives cost, in plain steps?

    python benchmarks/conflict_step.py

A plain step takes the gradient of the mean of the losses: one forward and one backward
pass, and a backward pass costs two forward ones. K objectives need one forward pass and
K backward ones, so their step may cost at most ``(1 + 2 K) / 3`` plain steps, and 5%
for the Gramian, the weights and the combination. The peer is the plain step, in the
same program of everything else: the same network, batch and optimizer.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import tyro
from harness import Case, Disagreement, Timed, exit_with_message, run, use_cores

from morl import weighting

MAKERS = {
    "constant": weighting.constant,
    "min_norm": weighting.min_norm,
    "upgrad": weighting.upgrad,
    "cagrad": weighting.cagrad,
}
MARGIN = 1.05
STEP = 1e-3
Losses = Callable[[Any], jax.Array]


@dataclass(frozen=True)
class Settings:
    """Steps of many objectives beside a plain one.

    Args:
      methods: Names of weightings.
      objectives: Numbers of objectives.
      width: Width of the layers.
      depth: Number of layers.
      batch: Examples a step.
      steps: Steps of one measurement.
      rounds: Rounds; each runs both sides.
      cores: Cores of both sides; 0 leaves every core, and the device, to JAX.
    """

    methods: tuple[str, ...] = ("constant", "upgrad")
    objectives: tuple[int, ...] = (2, 3, 8)
    width: int = 512
    depth: int = 4
    batch: int = 2048
    steps: int = 3
    rounds: int = 7
    cores: int = 2


def network(settings: Settings, k: int) -> tuple[Losses, Any]:
    """K losses of one network with a head each, and its parameters."""
    keys = jax.random.split(jax.random.key(k), settings.depth + 2)
    size = settings.width
    draw = lambda key, *shape: jax.random.normal(key, shape) / np.sqrt(size)
    layers = [draw(key, size, size) for key in keys[: settings.depth]]
    params = {"layers": layers, "heads": draw(keys[-2], size, k)}
    inputs = jax.random.normal(keys[-1], (settings.batch, size))

    def losses(params: Any) -> jax.Array:
        hidden = inputs
        for layer in params["layers"]:
            hidden = jax.nn.gelu(hidden @ layer)
        return jnp.mean((hidden @ params["heads"] - 1) ** 2, axis=0)

    return losses, params


def plain_step(losses: Losses, optimizer: Any, params: Any, state: Any) -> Any:
    """One step on the mean of the losses."""
    grads = jax.grad(lambda p: losses(p).mean())(params)
    updates, state = optimizer.update(grads, state, params)
    return optax.apply_updates(params, updates), state


def many_step(losses: Losses, optimizer: Any, params: Any, state: Any) -> Any:
    """One step on the weighted gradients of the losses."""
    values, grads = weighting.rows(losses, params)
    updates, state = optimizer.update(grads, state, params, losses=values)
    return optax.apply_updates(params, updates), state


def timed(step: Any, params: Any, state: Any, losses: Losses, num: int) -> Timed:
    """Seconds of one step, and the losses behind the last one."""
    start = perf_counter()
    for _ in range(num):
        params, state = jax.block_until_ready(step(params, state))
    return Timed((perf_counter() - start) / num, np.asarray(losses(params)))


def case(settings: Settings, method: str, k: int) -> Case:
    """One method at one number of objectives."""
    losses, params = network(settings, k)
    plain = optax.adamw(STEP)
    made = MAKERS[method]()
    chain = optax.chain(weighting.as_transformation(made, k), optax.adamw(STEP))
    steps = {
        "ours": (jax.jit(partial(many_step, losses, chain)), chain.init(params)),
        "peer": (jax.jit(partial(plain_step, losses, plain)), plain.init(params)),
    }
    before = np.asarray(losses(params))
    bound = (1 + 2 * k) / 3 * MARGIN

    def one(side: str) -> Timed:
        step, state = steps[side]
        return timed(step, params, state, losses, settings.steps)

    def agreement(ours: np.ndarray, peer: np.ndarray) -> str:
        if method == "constant" and np.max(np.abs(ours - peer)) > 1e-3 * peer.max():
            raise Disagreement(f"mean of the rows gives {ours}, the plain step {peer}")
        if not (ours < before).any():
            raise Disagreement(f"losses {before} became {ours}")
        return f"bound {1 / bound:.3f}"

    return Case(
        f"{method} K={k} step beside a plain one",
        1,
        "steps/s",
        lambda: one("ours"),
        lambda: one("peer"),
        agreement,
    )


def all_cases(settings: Settings) -> Iterator[Case]:
    """Every method at every number of objectives."""
    for k in settings.objectives:
        for method in settings.methods:
            yield case(settings, method, k)


def main() -> None:
    """Measures every case."""
    settings = tyro.cli(Settings, description=__doc__)
    if settings.cores:
        use_cores(settings.cores)
    run("conflict_step", all_cases(settings), settings.rounds, {})


if __name__ == "__main__":
    exit_with_message(main)
