"""How fast is generation, beside transformers on the same weights?

    python benchmarks/generation.py

Prompts of one length and a fixed number of new tokens, none of which stops a row; both
sides keep a key-value cache. Greedy tokens must be equal; sampling is at temperature 1
without a filter, where the two draw from different streams of random numbers, so that
the same prompts are first continued greedily and compared. Ours also returns the
log-probability of every token.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import jax
import numpy as np
import tyro
from checkpoint import benchmark_model
from harness import Case, Disagreement, Timed, exit_with_message, run, use_cores
from peer import Peer, running, torch_command

from morl.models import Transformer
from morl.sampling import generate


@dataclass(frozen=True)
class Settings:
    """Generation, ours beside transformers.

    Args:
      model: A Hugging Face folder or a .gguf file; without it, random weights in the
        shape of SmolLM2-135M.
      batches: Sequences generated at once, one case each.
      samples: Continuations a prompt in the case that shares prompts.
      prompt: Tokens of a prompt.
      new: Tokens generated.
      rounds: Rounds; each runs both sides.
      cores: Cores and threads of each side.
      seed: Seed of the prompts.
    """

    model: Path | None = None
    batches: tuple[int, ...] = (8, 32)
    samples: int = 8
    prompt: int = 64
    new: int = 64
    rounds: int = 5
    cores: int = 2
    seed: int = 0


def ours(
    model: Transformer, prompts: np.ndarray, new: int, copies: int, temperature: float
) -> Timed:
    """One call of ours, finished."""
    keys = jax.random.split(jax.random.key(0), len(prompts) * copies)
    start = perf_counter()
    generation = generate(
        model,
        list(prompts),
        keys,
        max_new_tokens=new,
        temperature=temperature,
        num_samples=copies,
    )
    jax.block_until_ready(generation)
    return Timed(perf_counter() - start, np.asarray(generation.tokens))


def equal_tokens(ours: np.ndarray, peer: np.ndarray) -> str:
    """All tokens agree."""
    if ours.shape != peer.shape:
        raise Disagreement(f"ours has shape {ours.shape}, the peer {peer.shape}")
    if not np.array_equal(ours, peer):
        row, place = np.argwhere(ours != peer)[0]
        raise Disagreement(
            f"greedy token {place} of row {row} is {ours[row, place]}, of the peer "
            f"{peer[row, place]}"
        )
    return f"{ours.size} greedy tokens equal"


def as_many_tokens(ours: np.ndarray, peer: np.ndarray) -> str:
    """Sampled tokens differ, but there are as many."""
    if ours.shape != peer.shape:
        raise Disagreement(f"ours has shape {ours.shape}, the peer {peer.shape}")
    return "greedy tokens equal, sampled as many"


def compared(
    name: str,
    model: Transformer,
    peer: Peer,
    prompts: np.ndarray,
    *,
    new: int,
    copies: int = 1,
) -> tuple[Case, Case]:
    """The greedy and the sampled case of some prompts."""

    def case(mode: str, temperature: float) -> Case:
        request: dict[str, Any] = {
            "prompts": prompts.tolist(),
            "new": new,
            "copies": copies,
            "sampled": temperature > 0,
        }
        return Case(
            f"{name} {prompts.shape[1]}+{new} {mode}",
            len(prompts) * copies * new,
            "tokens/s",
            lambda: ours(model, prompts, new, copies, temperature),
            lambda: peer.timed("generate", request),
            as_many_tokens if temperature else equal_tokens,
        )

    return case("greedy", 0.0), case("sampled", 1.0)


def all_cases(
    settings: Settings, model: Transformer, name: str, peer: Peer
) -> Iterator[Case]:
    """Every batch greedily and sampled, and prompts that share their continuations.

    Copies of a greedy continuation are equal, so the last case measures sampling alone;
    its greedy tokens are compared once.
    """
    rng = np.random.default_rng(settings.seed)
    shape = max(settings.batches), settings.prompt
    prompts = rng.integers(0, model.config.vocab_size, shape)
    for batch in settings.batches:
        title = f"generate {name} batch={batch}"
        yield from compared(title, model, peer, prompts[:batch], new=settings.new)
    few = max(1, max(settings.batches) // settings.samples)
    greedy, sampled = compared(
        f"generate {name} {few} prompts x {settings.samples}",
        model,
        peer,
        prompts[:few],
        new=settings.new,
        copies=settings.samples,
    )
    greedy.agreement(greedy.ours().result, greedy.peer().result)
    yield sampled


def main() -> None:
    """Measures every case."""
    settings = tyro.cli(Settings, description=__doc__)
    use_cores(settings.cores)
    model, folder = benchmark_model(settings.model)
    with running(torch_command()) as peer:
        versions = peer.ask("threads", {"count": settings.cores})["versions"]
        peer.ask("load", {"folder": str(folder)})
        cases = all_cases(settings, model.model, model.name, peer)
        run("generation", cases, settings.rounds, versions)


if __name__ == "__main__":
    exit_with_message(main)
