"""Is NSGA-II as one compiled program faster than pymoo, for the same front?

    python benchmarks/evolution.py

Both sides run the whole search with the same settings: crossover 15 and 0.9, mutation
20 and one variable a design. The results agree when the mean hypervolume over a few
seeds is within 1%: two runs of the same program differ by as much on DTLZ2. Compile
time lies outside the timing and stands with the hypervolumes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from time import perf_counter

import jax
import numpy as np
import tyro
from harness import Case, Disagreement, Timed, exit_with_message, run, use_cores
from peer import SERVER, Peer, running, torch_command

from morl.fronts.search import nsga2
from morl.fronts.search.box import Box
from morl.pareto.host import hypervolume
from morl.worlds import Problem, dtlz2, zdt1

TOLERANCE = 0.01
PROBLEMS = {"zdt1": zdt1(30), "dtlz2": dtlz2(3, 12)}


@dataclass(frozen=True)
class Settings:
    """NSGA-II beside pymoo.

    Args:
      populations: Numbers of designs.
      seeds: Runs whose mean hypervolume is compared, for each population.
      generations: Generations of every run.
      rounds: Rounds; each runs both sides.
      cores: Cores of each side; 0 leaves every core to both, and to ours the device
        that JAX chooses, such as a GPU.
    """

    populations: tuple[int, ...] = (100, 1000)
    seeds: tuple[int, ...] = (8, 2)
    generations: int = 250
    rounds: int = 5
    cores: int = 2


def evolved(problem: Problem, population: int, generations: int, seed: int) -> Timed:
    """One run of ours, to the rewards of its last population on the host."""
    key = jax.random.key(seed)
    start = perf_counter()
    found = nsga2(
        problem.rewards,
        key,
        box=Box(problem.lower, problem.upper),
        population=population,
        generations=generations,
    )
    rewards = np.asarray(found.rewards)
    return Timed(perf_counter() - start, rewards.astype(float))


def case(name: str, population: int, generations: int, seeds: int, peer: Peer) -> Case:
    """Both sides on one problem, their quality over the seeds measured beforehand."""
    problem = PROBLEMS[name]
    sizes = {"population": population, "generations": generations}
    of_ours = lambda seed: evolved(problem, seed=seed, **sizes)
    of_peer = lambda seed: peer.timed(
        "evolve", {"problem": name, "seed": seed, **sizes}
    )
    first, again = of_ours(0), of_ours(0)
    compiling = first.seconds - again.seconds
    volumes = {
        side: [hypervolume(one(s).result, problem.reference) for s in range(seeds)]
        for side, one in (("ours", of_ours), ("peer", of_peer))
    }

    def agreement(ours: np.ndarray, theirs: np.ndarray) -> str:
        for side, rewards in (("ours", ours), ("peer", theirs)):
            if hypervolume(rewards, problem.reference) != volumes[side][0]:
                raise Disagreement(f"{side}: a seed does not give the same run again")
        mean, expected = (float(np.mean(volumes[side])) for side in volumes)
        if abs(mean - expected) > TOLERANCE * expected:
            raise Disagreement(f"hypervolume {mean} beside {expected}")
        return f"volume {mean:.4f}, peer {expected:.4f}; compiled in {compiling:.1f} s"

    return Case(
        f"nsga2 {name} population={population} generations={generations}",
        generations,
        "generations/s",
        lambda: of_ours(0),
        lambda: of_peer(0),
        agreement,
    )


def all_cases(settings: Settings, peer: Peer) -> Iterator[Case]:
    """Every problem at every size."""
    for population, seeds in zip(settings.populations, settings.seeds, strict=True):
        for name in PROBLEMS:
            yield case(name, population, settings.generations, seeds, peer)


def main() -> None:
    """Measures every case."""
    settings = tyro.cli(Settings, description=__doc__)
    if settings.cores:
        use_cores(settings.cores)
    python = torch_command()[0]
    with running([python, str(SERVER.with_name("pymoo_peer.py"))]) as peer:
        versions = peer.ask("versions", {})["versions"]
        run("evolution", all_cases(settings, peer), settings.rounds, versions)


if __name__ == "__main__":
    exit_with_message(main)
