"""Fronts with everything in them, made from a seed: no number here is a result.

Candidates have Gaussian rewards that conflict; heads see them through noise. Best-of-n
and the tilt select among them, so the fronts have the shape that real ones have.
"""

from functools import cache

import numpy as np
import pytest

from morl.numerics import interval, resample_counts, resampled_means
from morl.pareto import (
    ExactFront,
    Front,
    FrontPoint,
    Hypervolume,
    Normalisation,
    Provenance,
    find_ties,
    host,
    hypervolume_interval,
    mark_dominated,
    protocol_reference,
    share_closed,
    simplex_lattice,
)

NAMES = ("helpful", "harmless", "honest")


def best(utility):
    """One-hot choice along the last axis."""
    return np.eye(utility.shape[-1])[utility.argmax(-1)]


def tilted(utility, beta):
    """Weights of the tilt of a uniform policy over the candidates."""
    shifted = np.exp((utility - utility.max(-1, keepdims=True)) / beta)
    return shifted / shifted.sum(-1, keepdims=True)


def divergence(chosen):
    """KL from the uniform policy over the candidates, mean over prompts, in nats."""
    logs = np.log(np.where(chosen > 0, chosen, 1) * chosen.shape[-1])
    return float((chosen * logs).sum(-1).mean())


class Bench:
    """Candidates ``[b, g, k]``, as judged, and as three kinds of head see them."""

    def __init__(self, num_objectives, *, seed=0, prompts=64, candidates=8):
        rng = np.random.default_rng(seed)
        size = (prompts, candidates)
        common = rng.normal(size=(*size, 1))
        own = rng.normal(size=(*size, num_objectives))
        self.gold = own - own.mean(-1, keepdims=True) * 1.5 + 0.3 * common
        self.heads = self.gold + 0.7 * rng.normal(size=self.gold.shape)
        self.noise = rng.normal(size=self.gold.shape)
        self.lengths = 60 + 20 * self.gold[..., 0] + rng.normal(size=size)
        self.counts = resample_counts(prompts, seed=seed)

    def point(self, chosen, selector, *, method, weights, role, beta=None):
        """The point of a selection ``[b, g]``, and its mean in every resample."""
        per_prompt = np.einsum("bg,bgk->bk", chosen, self.gold)
        resamples = resampled_means(per_prompt, self.counts)
        low, high = interval(resamples)
        seen = np.einsum("bg,bgk->bk", chosen, selector).mean(0)
        return FrontPoint(
            method=method,
            weights=tuple(map(float, weights)),
            rewards=tuple(per_prompt.mean(0).tolist()),
            interval=tuple(zip(low.tolist(), high.tolist(), strict=True)),
            selector_rewards=tuple(seen.tolist()),
            kl=divergence(chosen),
            length=float((chosen * self.lengths).sum(-1).mean()),
            beta=beta,
            n=chosen.shape[-1],
            role=role,
        ), resamples

    def sweep(self, lattice, heads, *, method, role, beta=None):
        """Points of a method for every weighting, and their resampled means."""
        found = []
        for weights in lattice:
            utility = heads @ weights
            chosen = best(utility) if beta is None else tilted(utility, beta)
            found.append(
                self.point(
                    chosen, heads, method=method, weights=weights, role=role, beta=beta
                )
            )
        points, resamples = zip(*found, strict=True)
        return list(points), np.stack(resamples, axis=1)


def synthetic_front(num_objectives=3, *, seed=0, prompts=64, betas=(0.5,)):
    """A front of both methods on the protocol's lattice, with all that surrounds it."""
    bench = Bench(num_objectives, seed=seed, prompts=prompts)
    lattice = simplex_lattice(num_objectives, 10)
    uniform = np.full(bench.gold.shape[:2], 1 / bench.gold.shape[1])
    zeros = np.zeros(num_objectives)
    base, _ = bench.point(
        uniform, bench.heads, method="reference", weights=zeros, role="base"
    )
    names = {"best-of-n": None, **{f"tilt beta={beta}": beta for beta in betas}}
    sweeps = {
        method: bench.sweep(lattice, bench.heads, method=method, role="sweep", beta=b)
        for method, b in names.items()
    }
    experts, _ = bench.sweep(
        np.eye(num_objectives), bench.heads, method="best-of-n", role="expert"
    )
    noise = [
        point
        for method, beta in names.items()
        for point in mark_dominated(
            bench.sweep(
                lattice,
                bench.noise,
                method=f"noise {method}",
                role="control",
                beta=beta,
            )[0]
        )
    ]
    exact, _ = bench.sweep(lattice, bench.gold, method="best-of-n", role="sweep")
    floor = np.array(base.rewards)
    peaks = np.array([p.rewards for p in experts])
    corner = protocol_reference(floor, peaks)
    volumes = {
        method: Hypervolume(
            host.hypervolume(np.array([p.rewards for p in points]), corner),
            hypervolume_interval(resamples, corner),
        )
        for method, (points, resamples) in sweeps.items()
    }
    top = host.hypervolume(np.array([p.rewards for p in exact]), corner)
    bottom = host.hypervolume(floor[None], corner)
    swept = [point for found, _ in sweeps.values() for point in mark_dominated(found)]
    every = [base, *experts, *swept, *noise]
    return Front(
        objectives=NAMES[:num_objectives],
        reference=tuple(corner.tolist()),
        points=find_ties(every),
        hypervolume=volumes,
        exact=ExactFront(
            mark_dominated(exact),
            top,
            bottom,
            {
                method: share_closed(volume.value, base=bottom, exact=top)
                for method, volume in volumes.items()
            },
        ),
        units=("gold reward",) * num_objectives,
        normalisation=Normalisation(base.rewards, tuple(peaks.max(0).tolist())),
        provenance=Provenance(
            config_hash="0" * 64,
            seeds=(seed,),
            created_by="morl 0.1.0",
            command="morl front config.yaml",
            model="synthetic",
            judge="gold rewards, which the selecting heads see through noise",
            data=("synthetic candidates",),
            sizes={"prompts": prompts, "candidates": 8, "weightings": len(lattice)},
            versions={"numpy": np.__version__},
        ),
    )


@pytest.fixture(scope="session")
def make_front():
    """Synthetic fronts by number of objectives; each is made once."""
    return cache(synthetic_front)
