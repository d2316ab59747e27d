"""pymoo, answering the benchmarks: one JSON request a line.

Run by .venv-peers/bin/python. NSGA-II as pymoo has it, but that every design mutates
(its default is nine in ten), as in the paper and in ours.
"""

import time
from importlib.metadata import version

from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.operators.mutation.pm import PM
from pymoo.optimize import minimize
from pymoo.problems import get_problem
from serving import Answer, serve

SIZES = {"zdt1": {"n_var": 30}, "dtlz2": {"n_var": 12, "n_obj": 3}}


def versions() -> Answer:
    """The versions of what runs here."""
    return {"versions": {name: version(name) for name in ("pymoo", "numpy")}}


def evolve(problem: str, population: int, generations: int, seed: int) -> Answer:
    """One run; answers with the rewards of the last population."""
    function = get_problem(problem, **SIZES[problem])
    algorithm = NSGA2(pop_size=population, mutation=PM(eta=20, prob=1.0))
    start = time.perf_counter()
    found = minimize(function, algorithm, ("n_gen", generations), seed=seed)
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "result": (-found.pop.get("F")).tolist()}


if __name__ == "__main__":
    serve({"versions": versions, "evolve": evolve})
