"""How fast are frozen features, beside transformers on the same weights?

    python benchmarks/features.py

Both sides give the last and the mean hidden state of every response, in float32,
without the vocabulary product. Where two responses share a prompt, ours computes it
once; the peer has no packing and runs one row a response. A token counts once: the
prompt, and each response.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import tyro
from checkpoint import benchmark_model
from harness import Case, Timed, close_enough, exit_with_message, run, use_cores
from peer import Peer, running, torch_command

from morl.models import EncodedRecord, LanguageModel
from morl.training import extract_features

TOLERANCE = 1e-3


@dataclass(frozen=True)
class Settings:
    """Feature extraction, ours beside transformers.

    Args:
      model: A Hugging Face folder or a .gguf file; without it, random weights in the
        shape of SmolLM2-135M.
      rows: Rows of a single response.
      length: Tokens of such a row, half of them its response.
      pairs: Pairs of responses that share a prompt, in rows of the same length.
      rounds: Rounds; each runs both sides.
      cores: Cores and threads of each side.
      seed: Seed of the tokens.
      compile: Have torch.compile make the peer's hidden states, which takes it minutes.
    """

    model: Path | None = None
    rows: int = 8
    length: int = 256
    pairs: int = 16
    rounds: int = 7
    cores: int = 2
    seed: int = 0
    compile: bool = False


def random_records(
    rng: np.random.Generator,
    vocab_size: int,
    count: int,
    prompt: int,
    *lengths: int,
    first: int = 0,
) -> list[EncodedRecord]:
    """Records of random tokens from ``first`` on, all of one shape."""
    draw = lambda size: rng.integers(first, vocab_size, size).astype(np.int32)
    return [
        EncodedRecord(
            draw(prompt),
            tuple(draw(length) for length in lengths),
            tuple(np.ones(length, bool) for length in lengths),
        )
        for _ in range(count)
    ]


def ours(model: LanguageModel, records: Sequence[EncodedRecord]) -> Timed:
    """Features of the last layer, as training reads them."""
    depth = model.model.config.num_layers
    start = perf_counter()
    features = extract_features(model, records, layers=(depth,))
    return Timed(perf_counter() - start, features.values[:, 0])


def padded_batches(
    records: Sequence[EncodedRecord], batch_tokens: int
) -> list[dict[str, Any]]:
    """The peer's input: a row a response, in batches of as many tokens as ours."""
    rows = [
        (np.concatenate([record.prompt, response]).tolist(), len(record.prompt))
        for record in records
        for response in record.responses
    ]
    longest = max(len(tokens) for tokens, _ in rows)
    size = max(1, batch_tokens // longest)
    groups = [rows[start : start + size] for start in range(0, len(rows), size)]
    return [
        {
            "tokens": [t + [0] * (longest - len(t)) for t, _ in group],
            "first": [first for _, first in group],
            "end": [len(tokens) for tokens, _ in group],
        }
        for group in groups
    ]


def compared(
    name: str, model: LanguageModel, peer: Peer, records: Sequence[EncodedRecord]
) -> Case:
    """The case of some records."""
    tokens = sum(len(r.prompt) + sum(map(len, r.responses)) for r in records)
    batches = padded_batches(records, 2048)
    theirs: Callable[[], Timed] = lambda: peer.timed("features", {"batches": batches})
    return Case(
        f"features {model.name} {name}",
        tokens,
        "tokens/s",
        lambda: ours(model, records),
        theirs,
        close_enough(TOLERANCE),
    )


def main() -> None:
    """Measures both cases."""
    settings = tyro.cli(Settings, description=__doc__)
    use_cores(settings.cores)
    model, folder = benchmark_model(settings.model)
    rng = np.random.default_rng(settings.seed)
    vocab_size = model.model.config.vocab_size
    half = settings.length // 2
    quarter = half // 2
    single = random_records(rng, vocab_size, settings.rows, half, half)
    pairs = random_records(rng, vocab_size, settings.pairs, half, quarter, quarter)
    with running(torch_command()) as peer:
        versions = peer.ask("threads", {"count": settings.cores})["versions"]
        peer.ask("load", {"folder": str(folder)})
        if settings.compile:
            peer.ask("compile", {})
        mode = " beside torch.compile" if settings.compile else ""
        shape = f"{settings.pairs} pairs {half}+{quarter}+{quarter}"
        cases = [
            compared(f"{settings.rows}x{settings.length}{mode}", model, peer, single),
            compared(f"{shape} shared-prompt{mode}", model, peer, pairs),
        ]
        run("features", cases, settings.rounds, versions)


if __name__ == "__main__":
    exit_with_message(main)
