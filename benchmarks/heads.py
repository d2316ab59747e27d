"""What do sixteen reward heads cost beside one?

    python benchmarks/heads.py

In the cases without ``torch`` the peer is our own single head: a ratio of 0.98 says
that K heads cost 1.02 times one. Scoring runs from tokens to rewards, backbone
included, which is what a user waits for; the heads alone, on features that are at hand,
are shown beside it, and so is a loop over K linear layers in torch.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from checkpoint import benchmark_model
from features import random_records
from harness import Case, Timed, close_enough, exit_with_message, run, use_cores
from peer import Peer, running, torch_command

from morl.models import LanguageModel
from morl.models.heads import LinearHead, head_rewards
from morl.training import HeadData, extract_features, fit_heads

SEED = 0
# A product of a few thousand rows takes under a millisecond: a run does many.
REPEATS = 100
L2 = 0.1


@dataclass(frozen=True)
class Settings:
    """K reward heads beside one.

    Args:
      model: A Hugging Face folder or a .gguf file; without it, random weights in the
        shape of SmolLM2-135M.
      heads: Number of heads K.
      rows: Responses that are scored through the backbone.
      length: Tokens of each with its prompt.
      responses: Feature vectors that the heads alone score.
      pairs: Pairs that heads are fitted to.
      rounds: Rounds; each runs both sides.
      cores: Cores and threads of each side.
    """

    model: Path | None = None
    heads: int = 16
    rows: int = 8
    length: int = 256
    responses: int = 4096
    pairs: int = 1000
    rounds: int = 15
    cores: int = 2


def random_head(width: int, k: int) -> LinearHead:
    """K heads; the first is the same for every K."""
    weight = np.random.default_rng(SEED).standard_normal((k, width), np.float32).T
    return LinearHead(jnp.asarray(weight), jnp.zeros(k))


def timed(compute: Callable[[], Any], read: Callable[[Any], np.ndarray]) -> Timed:
    """Runs to its end; what is compared is read outside the timing."""
    start = perf_counter()
    result = jax.block_until_ready(compute())
    return Timed(perf_counter() - start, read(result))


def first_column(rewards: jax.Array) -> np.ndarray:
    """What K heads and one head have in common."""
    return np.asarray(rewards)[..., 0]


def scoring(settings: Settings, model: LanguageModel) -> Case:
    """From tokens to rewards, K heads beside one."""
    config = model.model.config
    half = settings.length // 2
    rng = np.random.default_rng(SEED)
    records = random_records(rng, config.vocab_size, settings.rows, half, half)

    def score(head: LinearHead) -> jax.Array:
        features = extract_features(model, records, layers=(config.num_layers,))
        return head_rewards(head, jnp.asarray(features.values[:, 0, 1]))

    many, one = (random_head(config.width, k) for k in (settings.heads, 1))
    return Case(
        f"score {model.name} {settings.rows}x{settings.length} "
        f"K={settings.heads} beside K=1",
        settings.rows * settings.length,
        "tokens/s",
        lambda: timed(lambda: score(many), first_column),
        lambda: timed(lambda: score(one), first_column),
        close_enough(1e-4),
    )


def repeated_rewards(head: LinearHead, features: jax.Array) -> jax.Array:
    """Rewards of the same features again and again, as a service computes them."""
    for _ in range(REPEATS - 1):
        scored(head, features)
    return scored(head, features)


scored = jax.jit(head_rewards)


def heads_alone(settings: Settings, width: int, peer: Peer) -> Iterator[Case]:
    """K heads on features at hand: beside one, and beside a loop in torch."""
    size, k = settings.responses, settings.heads
    rng = np.random.default_rng(SEED)
    features = jnp.asarray(rng.standard_normal((size, width), np.float32))
    weight = jnp.asarray(rng.standard_normal((width, k), np.float32))
    many = LinearHead(weight, jnp.zeros(k))
    one = LinearHead(weight[:, :1], jnp.zeros(1))
    name = f"heads alone {size}x{width} K={k} beside"
    amount = size * REPEATS
    run_of = lambda head: lambda: repeated_rewards(head, features)
    yield Case(
        f"{name} K=1",
        amount,
        "responses/s",
        lambda: timed(run_of(many), first_column),
        lambda: timed(run_of(one), first_column),
        close_enough(1e-4),
    )
    peer.ask("linears_ready", {"seed": SEED, "responses": size, "width": width, "k": k})
    yield Case(
        f"{name} torch loop",
        amount,
        "responses/s",
        lambda: timed(run_of(many), np.asarray),
        lambda: peer.timed("linears_run", {"repeats": REPEATS}),
        close_enough(1e-4),
    )


def fitting(settings: Settings, width: int) -> Case:
    """The fit of K heads to pairs that every objective labels, beside one head."""
    rng = np.random.default_rng(SEED)
    pairs, k = settings.pairs, settings.heads
    features = jnp.asarray(rng.standard_normal((2 * pairs, width), np.float32))
    rows = jnp.arange(2 * pairs).reshape(2, pairs)

    def data(k: int) -> HeadData:
        return HeadData(
            features=features,
            better=rows[0],
            worse=rows[1],
            strength=jnp.ones(pairs),
            pair_mask=jnp.ones((pairs, k), bool),
            labelled=jnp.zeros(1, int),
            labels=jnp.zeros(1),
            label_mask=jnp.zeros((1, k), bool),
        )

    fit_of = lambda given: (
        lambda: fit_heads(given, jnp.full(given.pair_mask.shape[1], L2)).head.weight
    )
    many, one = data(k), data(1)
    return Case(
        f"fit {pairs} pairs x{width} K={k} beside K=1",
        1,
        "fits/s",
        lambda: timed(fit_of(many), first_column),
        lambda: timed(fit_of(one), first_column),
        close_enough(1e-2),
    )


def all_cases(settings: Settings, model: LanguageModel, peer: Peer) -> Iterator[Case]:
    """Scoring with the backbone, the heads alone, and their fit."""
    width = model.model.config.width
    yield scoring(settings, model)
    yield from heads_alone(settings, width, peer)
    yield fitting(settings, width)


def main() -> None:
    """Measures every case."""
    settings = tyro.cli(Settings, description=__doc__)
    use_cores(settings.cores)
    model, _ = benchmark_model(settings.model)
    with running(torch_command()) as peer:
        versions = peer.ask("threads", {"count": settings.cores})["versions"]
        run("heads", all_cases(settings, model, peer), settings.rounds, versions)


if __name__ == "__main__":
    exit_with_message(main)
