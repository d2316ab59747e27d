"""A concave front: linear methods collapse to its ends, the others cover it."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
from drawing import (
    FRONT,
    START,
    Shown,
    add_legend,
    dots,
    draw_designs,
    draw_front,
    key,
    name_axes,
    panels,
)
from jaxtyping import Array, Float
from measures import best_volume, covered, exact_rewards

from morl import scalarize, worlds
from morl.fronts import search
from morl.plots.styles import BLUE, VERMILLION

PROBLEM = worlds.vlmop2()
BOX = search.Box(PROBLEM.lower, PROBLEM.upper)
IDEAL = jnp.zeros(2)
NUM_STEPS = 500
DECAY = optax.cosine_decay_schedule(0.05, NUM_STEPS)
ADAM = optax.adam(DECAY)
NORMALISED = optax.chain(optax.normalize_by_update_norm(), optax.sgd(DECAY))
SHARES = jnp.linspace(0.05, 0.95, 10)
WEIGHTS = jnp.stack([SHARES, 1 - SHARES], 1)
# The direction of the losses that each region is around, at even angles.
DIRECTIONS = jnp.stack([jnp.cos(SHARES * jnp.pi / 2), jnp.sin(SHARES * jnp.pi / 2)], 1)
# Beside the Pareto set, spread along it.
STARTS = jnp.asarray(PROBLEM.designs(10), jnp.float32) + jnp.array([[0.2, -0.1]])


def climbed(
    scalarizer: Callable[[Float[Array, " k"], Float[Array, " k"]], Float[Array, ""]],
) -> Float[Array, "n d"]:
    """Designs at the end of gradient ascent on a utility, one a weighting."""

    def step(
        carry: tuple[Float[Array, "n d"], optax.OptState], _: None
    ) -> tuple[tuple[Float[Array, "n d"], optax.OptState], None]:
        designs, memory = carry
        loss = lambda x, w: -scalarizer(PROBLEM.rewards(x), w)
        slopes = jax.vmap(jax.grad(loss))(designs, WEIGHTS)
        updates, memory = ADAM.update(slopes, memory)
        return (designs + updates, memory), None

    carry = STARTS, ADAM.init(STARTS)
    (designs, _), _ = jax.lax.scan(step, carry, length=NUM_STEPS)
    return designs


def methods() -> dict[str, Float[np.ndarray, "n k"]]:
    """Rewards of ten designs by each method, all from the same starts."""
    run = {"box": BOX, "num_steps": NUM_STEPS}
    balanced = {"ideal": IDEAL, "optimizer": NORMALISED, **run}
    hard = partial(scalarize.chebyshev, ideal=IDEAL)
    smooth = partial(scalarize.smooth_chebyshev, ideal=IDEAL, temperature=0.01)
    exact = search.exact_search(PROBLEM.rewards, STARTS, WEIGHTS, **balanced)
    regions = search.pareto_multitask(
        PROBLEM.rewards, STARTS, DIRECTIONS, num_initial=NUM_STEPS, **balanced
    )
    ascent = search.hypervolume_ascent(
        PROBLEM.rewards,
        STARTS,
        reference=jnp.asarray(PROBLEM.reference),
        optimizer=ADAM,
        **run,
    )
    found = {
        "linear": climbed(scalarize.linear),
        "Chebyshev": climbed(hard),
        "smooth Chebyshev": climbed(smooth),
        "exact search (EPO)": exact.designs,
        "Pareto multi-task": regions.designs,
        "hypervolume ascent": ascent.designs,
    }
    return {name: exact_rewards(PROBLEM, designs) for name, designs in found.items()}


def make(seed: int) -> Shown:
    """Six methods, a panel each."""
    del seed  # nothing here is random
    front, found = PROBLEM.front(201), methods()
    best = best_volume(PROBLEM.front, len(STARTS), PROBLEM.reference)
    starts = np.asarray(jax.vmap(PROBLEM.rewards)(STARTS))
    figure, axes = panels(2, 3, (7.4, 5.2), sharex=True, sharey=True)
    rows = []
    for ax, (name, rewards) in zip(axes, found.items(), strict=True):
        row = covered("VLMOP2", name, rewards, reference=PROBLEM.reference, best=best)
        color = BLUE if name == "linear" else VERMILLION
        draw_front(ax, front)
        ax.plot(*starts.T, **START, zorder=3)
        draw_designs(ax, rewards, color)
        ax.set_title(f"{name}\nhypervolume {row.hypervolume:.4f} ({row.share:.1%})")
        rows.append(row)
    name_axes(axes)
    handles = [
        key("front, exact", **FRONT),
        key("starts", **START),
        dots("linear", BLUE),
        dots("not linear", VERMILLION),
    ]
    add_legend(figure, handles)
    return Shown(figure, rows, {"best of ten": best})
