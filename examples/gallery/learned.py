"""A network from preferences to designs learns what its utility lets it."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
from drawing import (
    FRONT,
    Shown,
    add_legend,
    draw_front,
    key,
    name_axes,
    panels,
)
from jaxtyping import Float
from matplotlib.cm import ScalarMappable
from measures import best_volume, covered

from morl import scalarize, worlds
from morl.fronts import search

PROBLEM = worlds.vlmop2(6)
BOX = search.Box(PROBLEM.lower, PROBLEM.upper)
NUM_STEPS = 800
ADAM = optax.adam(optax.cosine_decay_schedule(3e-3, NUM_STEPS))
SHARES = np.linspace(0, 1, 100)
UTILITIES = {
    "linear": scalarize.linear,
    "smooth Chebyshev": partial(
        scalarize.smooth_chebyshev, ideal=jnp.zeros(2), temperature=0.01
    ),
    "COSMOS": partial(scalarize.cosmos, reference=jnp.full(2, -1.1), penalty=5.0),
}
# Of the weight of the first reward.
COLORS = "viridis"


def learn(name: str, seed: int) -> Float[np.ndarray, "n k"]:
    """Rewards of the designs that a trained network gives to even preferences."""
    learned = search.learn_pareto_set(
        PROBLEM.rewards,
        jax.random.key(seed),
        num_objectives=2,
        box=BOX,
        scalarizer=UTILITIES[name],
        optimizer=ADAM,
        settings=search.SetLearning(num_steps=NUM_STEPS),
    )
    designs = learned(jnp.asarray(np.stack([SHARES, 1 - SHARES], 1), jnp.float32))
    return np.asarray(jax.vmap(PROBLEM.rewards)(designs), float)


def make(seed: int) -> Shown:
    """Three utilities, a panel each."""
    figure, axes = panels(1, 3, (7.4, 3.2), sharex=True, sharey=True)
    best = best_volume(PROBLEM.front, len(SHARES), PROBLEM.reference)
    rows = []
    for ax, name in zip(axes, UTILITIES, strict=True):
        rewards = learn(name, seed)
        row = covered(
            "VLMOP2 of 6",
            f"network, {name}",
            rewards,
            reference=PROBLEM.reference,
            best=best,
        )
        ax.scatter(*rewards.T, c=SHARES, cmap=COLORS, s=16, lw=0, zorder=3)
        draw_front(ax, PROBLEM.front(201), zorder=5)
        ax.set_title(f"{name}\nhypervolume {row.hypervolume:.4f} ({row.share:.1%})")
        rows.append(row)
    name_axes(axes)
    figure.colorbar(
        ScalarMappable(cmap=COLORS), ax=axes, label="weight of reward 1", pad=0.02
    )
    add_legend(figure, [key("front, exact", **FRONT)])
    return Shown(figure, rows)
