"""Two losses in conflict: from which starts does each weighting reach the front?"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from drawing import Shown, add_legend, key, panels
from jaxtyping import Array, Float
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.patches import Patch

from morl import weighting, worlds
from morl.plots.styles import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, VERMILLION

PROBLEM = worlds.cagrad_toy()
STARTS = jnp.asarray(PROBLEM.starts, jnp.float32)
# As in the papers, which take steps of this length.
NUM_STEPS, RATE = 100_000, 1e-3
COLORS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE)
# Nearer to the Pareto set than this counts as there.
REACHED = 0.1
SET = {"color": BLACK, "lw": 2.5}
# From white to a light grey, so that paths stand out.
SHADES = LinearSegmentedColormap.from_list("shades", ["#ffffff", "#b5b5b5"], N=12)
START = {"color": BLACK, "marker": "x", "ms": 5, "mew": 1.2, "ls": "none"}
END = {"color": GREY, "marker": "o", "ms": 6, "mec": "white", "mew": 0.7, "ls": "none"}


def methods(seed: int) -> dict[str, weighting.Weighting]:
    """Weightings that see the gradients alone."""
    return {
        "mean": weighting.constant(),
        "MGDA (least norm)": weighting.min_norm(),
        "PCGrad": weighting.pcgrad(jax.random.key(seed)),
        "CAGrad (c = 0.5)": weighting.cagrad(0.5),
        "Nash-MTL": weighting.nash(),
        "UPGrad": weighting.upgrad(),
    }


def losses(design: Float[Array, " d"]) -> Float[Array, " k"]:
    """What the weightings descend on."""
    return -PROBLEM.rewards(design)


def paths(method: weighting.Weighting) -> Float[np.ndarray, "s t d"]:
    """Designs at every step of Adam along the combined gradients, a row a start."""
    chain = optax.chain(weighting.as_transformation(method, 2), optax.adam(RATE))

    def step(
        carry: tuple[Float[Array, " d"], optax.OptState], _: None
    ) -> tuple[tuple[Float[Array, " d"], optax.OptState], Float[Array, " d"]]:
        design, memory = carry
        rows = jax.jacrev(losses)(design)
        updates, memory = chain.update(rows, memory, design)
        return (design + updates, memory), design

    @jax.jit
    @jax.vmap
    def follow(start: Float[Array, " d"]) -> Float[Array, "t d"]:
        return jax.lax.scan(step, (start, chain.init(start)), length=NUM_STEPS)[1]

    return np.asarray(follow(STARTS), float)


def distances(
    designs: Float[np.ndarray, "s d"], optimal: Float[np.ndarray, "n d"]
) -> Float[np.ndarray, " s"]:
    """From each design to the nearest of the Pareto set."""
    return np.linalg.norm(designs[:, None] - optimal[None], axis=2).min(1)


def draw_mean_loss(ax: Axes) -> None:
    """The mean of the two losses, the darker the larger."""
    side = np.linspace(-10.5, 10.5, 211)
    grid = jnp.asarray(np.stack(np.meshgrid(side, side), -1), jnp.float32)
    mean = np.asarray(jax.vmap(jax.vmap(losses))(grid)).mean(-1)
    ax.contourf(side, side, mean, levels=SHADES.N, cmap=SHADES, antialiased=False)
    ax.grid(False)


def draw_paths(ax: Axes, found: Float[np.ndarray, "s t d"]) -> None:
    """A colour a start; the last design is where the weights settle or get stuck."""
    for path, color in zip(found, COLORS, strict=True):
        ax.plot(*path[::100].T, color=color, lw=1.3, zorder=3)
        ax.plot(*path[0], **START, zorder=4)
        ax.plot(*path[-1], **{**END, "color": color}, zorder=5)


def make(seed: int) -> Shown:
    """Six weightings, a panel each."""
    # Its middle has the least mean loss.
    optimal = PROBLEM.designs(1001)
    figure, axes = panels(2, 3, (7.4, 5.6), sharex=True, sharey=True)
    least = optimal[500:501]
    reached, lowest = {}, {}
    for ax, (name, method) in zip(axes, methods(seed).items(), strict=True):
        found = paths(method)
        there = distances(found[:, -1], optimal) < REACHED
        reached[name] = int(there.sum())
        lowest[name] = int((distances(found[:, -1], least) < REACHED).sum())
        draw_mean_loss(ax)
        ax.plot(*optimal.T, **SET, zorder=2)
        draw_paths(ax, found)
        ax.set_title(f"{name}: {reached[name]} of {len(STARTS)}")
        ax.set(xlabel="$x_1$", ylabel="$x_2$", aspect="equal")
        ax.label_outer()
    handles = [
        Patch(color=SHADES(0.5), label="mean loss, darker is larger"),
        key("Pareto set", **SET),
        key("starts", **START),
        key("ends, a colour a start", **END),
    ]
    add_legend(figure, handles)
    claims = {"starts that reach the Pareto set": reached}
    claims["starts that reach the least mean loss"] = lowest
    return Shown(figure, (), claims)
