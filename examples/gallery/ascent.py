"""Ten designs that climb their common hypervolume, beside the best ten there are."""

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
    panels,
)
from jaxtyping import Array, Float
from matplotlib.axes import Axes
from measures import Row, best_volume, covered, exact_rewards

from morl import worlds
from morl.fronts import search
from morl.plots.styles import BLUE, GREEN, SKY, VERMILLION

NUM_STEPS = 1000
ADAM = optax.adam(optax.cosine_decay_schedule(0.05, NUM_STEPS))
PATHS = {"color": SKY, "lw": 0.8}
COLORS = {"linear front": GREEN, "VLMOP2": BLUE}


def slope(x: Float[Array, " d"]) -> Float[Array, " k"]:
    """Rewards whose front is the line where they sum to -1."""
    behind = 1 + x[1] ** 2
    return -jnp.stack([x[0] * behind, (1 - x[0]) * behind])


def linear_front() -> worlds.Problem:
    """The problem of :func:`slope`; its reference is a little below the front."""

    def designs(n: int) -> Float[np.ndarray, "n d"]:
        return np.stack([np.linspace(0, 1, n), np.zeros(n)], 1)

    def front(n: int) -> Float[np.ndarray, "n k"]:
        first = np.linspace(0, 1, n)
        return -np.stack([first, 1 - first], 1)

    return worlds.Problem(
        slope, np.zeros(2), np.ones(2), designs, front, np.full(2, -1.1)
    )


def climb(
    problem: worlds.Problem, seed: int
) -> tuple[search.Found, Float[np.ndarray, "t n k"]]:
    """The search from random starts, and the rewards at each of its steps."""
    box = search.Box(problem.lower, problem.upper)
    low, high = (jnp.asarray(end)[None] for end in box)
    starts = jax.random.uniform(jax.random.key(seed), (10, 2), minval=low, maxval=high)
    steps: list[Float[np.ndarray, "n d"]] = []
    found = search.hypervolume_ascent(
        problem.rewards,
        starts,
        reference=jnp.asarray(problem.reference),
        optimizer=recorded(ADAM, steps),
        num_steps=NUM_STEPS,
        box=box,
    )
    jax.effects_barrier()
    return found, np.asarray(jax.vmap(jax.vmap(problem.rewards))(jnp.stack(steps)))


def recorded(
    optimizer: optax.GradientTransformation, steps: list[Float[np.ndarray, "n d"]]
) -> optax.GradientTransformation:
    """The same optimizer, which adds the designs of every step to a list."""

    def update(
        updates: optax.Updates, state: optax.OptState, params: optax.Params | None
    ) -> tuple[optax.Updates, optax.OptState]:
        jax.debug.callback(steps.append, params, ordered=True)
        return optimizer.update(updates, state, params)

    return optax.GradientTransformation(optimizer.init, update)


def draw_climb(
    ax: Axes,
    problem: worlds.Problem,
    path: Float[np.ndarray, "t n k"],
    row: Row,
    rewards: Float[np.ndarray, "n k"],
) -> None:
    """Starts, paths and ends before the front."""
    draw_front(ax, problem.front(201))
    ax.plot(path[..., 0], path[..., 1], **PATHS, zorder=1)
    ax.plot(*path[0].T, **START, zorder=3)
    draw_designs(ax, rewards, VERMILLION)
    ax.set_title(f"{row.problem}\n{row.hypervolume:.5f} of at most {row.best:.5f}")
    ax.set(xlabel="reward 1", ylabel="reward 2")


def draw_missing(ax: Axes, name: str, missing: Float[np.ndarray, " t"]) -> None:
    """How far the hypervolume of each step is from the best; float32 ends it."""
    ax.plot(missing, color=COLORS[name], lw=1.3, label=name)
    ax.set(yscale="log", xlim=(0, 300), ylim=(1e-6, 2), xlabel="step")
    ax.set_title("share of the best\nthat is missing")
    ax.legend(loc="upper right")


def make(seed: int) -> Shown:
    """Paths on two fronts, and how much is missing after each step."""
    figure, axes = panels(1, 3, (7.4, 3.3))
    problems = {"linear front": linear_front(), "VLMOP2": worlds.vlmop2()}
    rows, steps = [], {}
    for ax, (name, problem) in zip(axes, problems.items(), strict=False):
        found, path = climb(problem, seed)
        best = best_volume(problem.front, 10, problem.reference)
        rewards = exact_rewards(problem, found.designs)
        row = covered(
            name, "hypervolume ascent", rewards, reference=problem.reference, best=best
        )
        draw_climb(ax, problem, path, row, rewards)
        missing = 1 - np.asarray(found.trace, float) / best
        draw_missing(axes[-1], name, missing)
        steps[name] = int(np.flatnonzero(missing > 1e-3)[-1]) + 1
        rows.append(row)
    handles = [
        key("front, exact", **FRONT),
        key("starts", **START),
        key("paths", **PATHS),
        dots("ends", VERMILLION),
    ]
    add_legend(figure, handles)
    return Shown(figure, rows, {"steps until 0.999 of the best": steps})
