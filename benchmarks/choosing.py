"""Which weighting, which scalarizer? Each one where the answer is known.

    python benchmarks/choosing.py

Four questions, a table each. *Toy*: from how many of the five published starts of
CAGrad's toy does a weighting reach the Pareto set, by Adam in so many steps? *Fit*: one
linear model for three targets, the third loss in another unit, on small batches: what
share of each target stays unexplained, and how many steps hurt an objective where a
direction exists that helps all? *Time*: microseconds a call, many Gramians in one
compiled program. *Front*: what do scalarizers make of a concave front with ten
weightings?
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import tyro
from harness import exit_with_message, machine, show, use_cores

from morl import scalarize, weighting
from morl.fronts.search import Box
from morl.pareto import simplex_lattice
from morl.pareto.host import hypervolume
from morl.weighting import Signals, Weighting
from morl.worlds import cagrad_toy, vlmop2

KEY = jax.random.key(0)
WEIGHTINGS: dict[str, Weighting] = {
    "constant": weighting.constant(),
    "random_simplex": weighting.random_simplex(KEY),
    "min_norm": weighting.min_norm(),
    "upgrad": weighting.upgrad(),
    "dual_projection": weighting.dual_projection(),
    "pcgrad": weighting.pcgrad(KEY),
    "cagrad": weighting.cagrad(0.5),
    "raco": weighting.raco(0.5),
    "nash": weighting.nash(),
    "fair": weighting.fair(2.0),
    "config": weighting.config(),
    "imtl": weighting.imtl(),
    "aligned": weighting.aligned(),
    "sdm": weighting.sdm(),
    "modo": weighting.modo(),
    "famo": weighting.famo(),
    "gradnorm": weighting.gradnorm(),
    "dynamic_average": weighting.dynamic_average(),
    "uncertainty": weighting.uncertainty(),
    "epo": weighting.epo(),
}
# Of rewards from -1 to 0, as on the front; the settings are those of the page.
ZERO, LOW, MIDDLE = jnp.zeros(2), jnp.full(2, -1.0), jnp.full(2, -0.5)
SCALARIZERS: dict[str, Callable[..., jax.Array]] = {
    "linear": scalarize.linear,
    "chebyshev": partial(scalarize.chebyshev, ideal=ZERO),
    "augmented_chebyshev": partial(scalarize.augmented_chebyshev, ideal=ZERO, rho=0.05),
    "smooth_chebyshev": partial(
        scalarize.smooth_chebyshev, ideal=ZERO, temperature=0.02
    ),
    "penalty_boundary": partial(scalarize.penalty_boundary, ideal=ZERO, penalty=5.0),
    "lp_distance": partial(scalarize.lp_distance, ideal=ZERO, p=4.0),
    "exponential": partial(scalarize.exponential, sharpness=20.0),
    "log_sum_exp": partial(scalarize.log_sum_exp, temperature=-0.1),
    "nash_product": partial(scalarize.nash_product, disagreement=LOW),
    "worst_case": scalarize.worst_case,
    "cvar": partial(scalarize.cvar, alpha=0.5),
    "owa": scalarize.owa,
    "generalized_gini": scalarize.generalized_gini,
    "lexicographic": partial(
        scalarize.lexicographic, threshold=MIDDLE, floor=LOW, resolution=0.01
    ),
    "cosmos": partial(scalarize.cosmos, reference=LOW, penalty=5.0),
    "hypervolume_scalarization": partial(
        scalarize.hypervolume_scalarization, reference=LOW
    ),
}
BEST_OF_TEN = 0.2997842  # hypervolume of the best ten points of VLMOP2
REACHED = 0.2  # distance to the Pareto set of the toy, whose length is 14
LOSSES_ABOVE = 21.0  # the toy's losses are above minus this; some methods need positive
UNITS = jnp.array([1.0, 1.0, 30.0])
TOLERANCE = 1e-4  # of a cosine, in float32
FAR = 0.2


@dataclass(frozen=True)
class Settings:
    """Weightings and scalarizers where the answer is known.

    Args:
      toy_steps: Steps of Adam on the toy.
      fit_steps: Steps of Adam on the fit.
      problems: Random fits, whose numbers are averaged.
      batch: Gramians at once, for the time.
      rounds: Timings, of which the median counts.
      cores: Cores to use.
    """

    toy_steps: int = 20_000
    fit_steps: int = 600
    problems: int = 4
    batch: int = 256
    rounds: int = 7
    cores: int = 2


class Toy(NamedTuple):
    """How many starts reach the Pareto set, and the mean loss over all ends."""

    reached: int
    loss: float


class Fit(NamedTuple):
    """Unexplained shares, and the steps that hurt, by the batch and by all data."""

    shares: np.ndarray
    worst: float
    hurt_batch: float
    hurt_data: float


class Task(NamedTuple):
    """Inputs and three targets of one linear model."""

    inputs: jax.Array
    targets: jax.Array


def toy(method: Weighting, num_steps: int) -> Toy:
    """CAGrad's toy from its five starts."""
    problem = cagrad_toy()
    optimizer = optax.adam(3e-3)

    def step(carry: tuple, _: None) -> tuple[tuple, None]:
        x, state, memory = carry
        losses, rows = weighting.rows(lambda x: -problem.rewards(x), x)
        products = weighting.gramian(rows)
        signals = Signals(products, losses + LOSSES_ABOVE, cross=products)
        solution, state = method.update(signals, state)
        moves, memory = optimizer.update(solution.weights @ rows, memory)
        return (x + moves, state, memory), None

    def descend(start: jax.Array) -> jax.Array:
        carry = start, method.init(2), optimizer.init(start)
        return jax.lax.scan(step, carry, length=num_steps)[0][0]

    ends = jax.jit(jax.vmap(descend))(jnp.asarray(problem.starts, jnp.float32))
    gaps = np.asarray(ends)[:, None] - problem.designs(2001)[None]
    distance = np.linalg.norm(gaps, axis=-1).min(1)
    losses = -jax.vmap(problem.rewards)(ends)
    return Toy(int((distance < REACHED).sum()), float(losses.mean()))


def drawn_task(key: jax.Array, size: int = 512, width: int = 8) -> Task:
    """Three targets that one linear model cannot all explain."""
    first, second = jax.random.split(key)
    inputs = jax.random.normal(first, (size, width))
    return Task(inputs, inputs @ jax.random.normal(second, (width, 3)))


def shares_of(params: jax.Array, task: Task) -> jax.Array:
    """Share of each target's mean square that a model leaves."""
    left = jnp.mean((task.inputs @ params[:, None] - task.targets) ** 2, axis=0)
    return left / jnp.mean(task.targets**2, axis=0)


def known_shares(task: Task, divisions: int = 60) -> np.ndarray:
    """Shares on the exact front: the optima of weighted sums, since all are convex."""
    inputs, targets = (np.asarray(part, float) for part in task)
    alone = np.linalg.lstsq(inputs, targets, rcond=None)[0]
    scale = np.mean(targets**2, axis=0)
    mixed = simplex_lattice(3, divisions) / scale[None]
    params = mixed / mixed.sum(1, keepdims=True) @ alone.T
    gaps = params[:, None] - alone.T[None]
    spread = inputs.T @ inputs / len(inputs)
    return np.einsum("nkd,de,nke->nk", gaps, spread, gaps) / scale[None]


def cosines(rows: jax.Array, direction: jax.Array) -> jax.Array:
    """Of each gradient with the direction; 0 where one of them is 0."""
    size = jnp.linalg.norm(rows, axis=1) * jnp.linalg.norm(direction)
    return rows @ direction / jnp.where(size > 0, size, 1)


def far(rows: jax.Array) -> jax.Array:
    """Whether some direction has a cosine of a fifth at least with every gradient."""
    unit = rows / jnp.linalg.norm(rows, axis=1, keepdims=True)
    products = unit @ unit.T
    weights = weighting.min_norm().update(Signals(products), ())[0].weights
    return weights @ products @ weights > FAR**2


def fitted(
    method: Weighting, num_steps: int, task: Task, key: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The model's shares, and whether the batch, or all data, say that a step hurts."""
    optimizer = optax.adam(optax.cosine_decay_schedule(0.04, num_steps))
    losses_of = lambda params, part: UNITS * shares_of(params, part)
    size, width = task.inputs.shape
    side_by_side = partial(weighting.rows, mapped=weighting.side_by_side)

    def step(carry: tuple, key: jax.Array) -> tuple[tuple, jax.Array]:
        params, state, memory = carry
        places = jax.random.randint(key, (2, 32), 0, size)
        halves = [Task(*(part[place] for part in task)) for place in places]
        (losses, first), (others, second) = (
            side_by_side(partial(losses_of, part=half), params) for half in halves
        )
        rows = (first + second) / 2
        signals = Signals(
            weighting.gramian(rows),
            (losses + others) / 2,
            cross=weighting.cross_gramian(first, second),
        )
        solution, state = method.update(signals, state)
        direction = solution.weights @ rows
        _, exact = side_by_side(partial(losses_of, part=task), params)
        hurts = [jnp.min(cosines(g, direction)) < -TOLERANCE for g in (rows, exact)]
        moves, memory = optimizer.update(direction, memory)
        return (params + moves, state, memory), jnp.stack([*hurts, far(exact)])

    start = jnp.zeros(width)
    carry = start, method.init(3), optimizer.init(start)
    carry, hurts = jax.lax.scan(step, carry, jax.random.split(key, num_steps))
    # On the front itself every step hurts an objective: only the way there counts.
    *both, away = hurts.T
    share = lambda hurt: jnp.sum(hurt & away) / jnp.sum(away)
    return shares_of(carry[0], task), jnp.stack([share(hurt) for hurt in both])


def fit(method: Weighting, num_steps: int, num_problems: int) -> Fit:
    """Means over random fits."""
    task_keys, step_keys = jax.random.split(KEY, (2, num_problems))
    tasks = jax.vmap(drawn_task)(task_keys)
    run = jax.jit(jax.vmap(partial(fitted, method, num_steps)))
    shares, hurts = (np.asarray(part, float) for part in run(tasks, step_keys))
    worst = float(shares.max(1).mean())
    return Fit(shares.mean(0), worst, *hurts.mean(0).tolist())


def best_worst(num_problems: int) -> float:
    """The smallest worst share that any model has, a mean over the fits."""
    keys = jax.random.split(KEY, (2, num_problems))[0]
    known = [known_shares(drawn_task(key)) for key in keys]
    return float(np.mean([shares.max(1).min() for shares in known]))


def microseconds(method: Weighting, batch: int, rounds: int) -> float:
    """Of one call at three objectives, in a compiled batch of Gramians."""
    rows = jax.random.normal(KEY, (batch, 3, 6))
    products = rows @ rows.mT
    losses = jnp.ones((batch, 3))
    state = method.init(3)

    @jax.jit
    @jax.vmap
    def call(products: jax.Array, losses: jax.Array) -> tuple:
        return method.update(Signals(products, losses, cross=products), state)

    jax.block_until_ready(call(products, losses))
    times = []
    for _ in range(rounds):
        start = perf_counter()
        jax.block_until_ready(call(products, losses))
        times.append(perf_counter() - start)
    return 1e6 * float(np.median(times)) / batch


def chosen(scalarizer: Callable[..., jax.Array], weights: jax.Array) -> float:
    """Hypervolume of the best of 2001 designs on the front, one a weighting."""
    problem = vlmop2()
    points = jnp.asarray(problem.front(2001), jnp.float32)
    utility = jax.vmap(jax.vmap(scalarizer, (0, None)), (None, 0))(points, weights)
    best = np.asarray(points[jnp.argmax(utility, axis=1)], float)
    return hypervolume(best, problem.reference)


def trained(
    scalarizer: Callable[..., jax.Array], weights: jax.Array, num_steps: int = 500
) -> float:
    """Hypervolume of the designs that ascent of each utility ends in."""
    problem = vlmop2()
    box = Box(problem.lower, problem.upper)
    optimizer = optax.adam(optax.cosine_decay_schedule(0.05, num_steps))
    slope = jax.vmap(jax.grad(lambda x, w: scalarizer(problem.rewards(x), w)))

    def step(carry: tuple, _: None) -> tuple[tuple, None]:
        designs, memory = carry
        moves, memory = optimizer.update(-slope(designs, weights), memory)
        return (jnp.clip(designs + moves, *(e[None] for e in box)), memory), None

    # On the front and off it, as in the tests of the searches.
    starts = jnp.asarray(problem.designs(len(weights)), jnp.float32)
    starts = starts + jnp.array([[0.2, -0.1]])
    run = jax.jit(lambda x: jax.lax.scan(step, x, length=num_steps)[0][0])
    rewards = jax.vmap(problem.rewards)(run((starts, optimizer.init(starts))))
    return hypervolume(np.asarray(rewards, float), problem.reference)


def ten_weightings() -> jax.Array:
    """Even, without the ends, the first objective's share rising."""
    share = jnp.linspace(0.05, 0.95, 10)
    return jnp.stack([share, 1 - share], 1)


def weighting_lines(settings: Settings) -> Iterable[list[str]]:
    """One line a weighting."""
    for name, method in WEIGHTINGS.items():
        ended = toy(method, settings.toy_steps)
        found = fit(method, settings.fit_steps, settings.problems)
        spent = microseconds(method, settings.batch, settings.rounds)
        yield [
            f"`{name}`",
            str(ended.reached),
            f"{ended.loss:.2f}",
            *(f"{share:.2f}" for share in (*found.shares, found.worst)),
            f"{100 * found.hurt_batch:.0f}%",
            f"{100 * found.hurt_data:.0f}%",
            f"{spent:.2f}",
        ]


def scalarizer_lines() -> Iterable[list[str]]:
    """One line a scalarizer."""
    weights = ten_weightings()
    for name, scalarizer in SCALARIZERS.items():
        volumes = chosen(scalarizer, weights), trained(scalarizer, weights)
        yield [f"`{name}`", *(f"{100 * v / BEST_OF_TEN:.0f}%" for v in volumes)]


def main() -> None:
    """Measures and prints both tables."""
    settings = tyro.cli(Settings, description=__doc__)
    use_cores(settings.cores)
    start = perf_counter()
    head = ("weighting", "toy: starts", "toy: mean loss", "first", "second")
    head += ("third x 30", "worst", "hurts (batch)", "hurts (data)", "us")
    show("Weightings", head, weighting_lines(settings))
    print(f"\nSmallest worst share: {best_worst(settings.problems):.2f}")
    head = ("scalarizer", "chosen from designs", "trained")
    show("Scalarizers", head, scalarizer_lines())
    print(f"\n{machine()}, {perf_counter() - start:.0f} s")


if __name__ == "__main__":
    exit_with_message(main)
