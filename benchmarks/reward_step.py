"""What does a training step of a reward model cost, beside TRL's?

    python benchmarks/reward_step.py
    python benchmarks/reward_step.py --profile      # where the time goes, in the end
    python benchmarks/reward_step.py --cores 1 --clock processor   # beside other jobs

The whole model is trained on pairs, by the route that ``morl fit`` takes with
``training.mode: full``: Bradley-Terry, clipping, AdamW, float32. The peer is TRL's
RewardTrainer on the same weights, head and tokens, both from the same start in every
run. Losses and gradient norms of every step are compared.

Three cases have our own step for a peer: many heads beside one, and the loop of a run,
with its batches and its metrics, beside the compiled step alone.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, process_time
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from checkpoint import random_checkpoint
from features import random_records
from harness import (
    Case,
    Disagreement,
    Timed,
    close_enough,
    exit_with_message,
    run,
    use_cores,
)
from peer import SERVER, Peer, running, torch_command
from step_parts import parts_of_step, show_parts

from morl.cli.reward_model import RewardConfig, chosen_design
from morl.models import (
    LanguageModel,
    RewardModel,
    TransformerConfig,
    load_language_model,
    save_reward_model,
)
from morl.models.heads import LinearHead, Reading
from morl.training.checkpoints import Checkpoints, CheckpointSettings
from morl.training.loop import Fed, Job, LoopSettings, run_loop
from morl.training.mesh import MeshSettings, held_on, make_mesh
from morl.training.metrics import JsonLines
from morl.training.optimizer import OptimizerSettings
from morl.training.order import Drawn, Prefetched
from morl.training.reward_batch import Example, widths
from morl.training.reward_design import (
    Design,
    Parts,
    TrainingSettings,
    prepared_backbone,
    reward_parts,
    start,
)
from morl.training.reward_rows import RowMaker, make_fed
from morl.training.state import TrainState
from morl.training.strategies import Route, jit_route

SEED = 0
LOSS = "loss/objective0"
PAD = 0  # a token that no row holds
CLOCKS = {"wall": perf_counter, "processor": process_time}
OPTIMIZER = OptimizerSettings(learning_rate=1e-4)
SMALL_LLAMA = TransformerConfig(
    vocab_size=4096,
    width=256,
    num_layers=6,
    num_heads=8,
    num_kv_heads=8,
    head_dim=32,
    ffn_width=688,
    tied=False,
)


@dataclass(frozen=True)
class Settings:
    """A training step of a reward model.

    Args:
      checkpoint: A Hugging Face folder; without it, random weights of a small Llama.
      pairs: Pairs of a step.
      length: Tokens of each response with its prompt.
      prompt: Of these, tokens of the prompt, where one is shared.
      heads: Number of heads K.
      steps: Steps of one measurement.
      loop_steps: Steps of a run of the loop.
      rounds: Rounds; each runs both sides.
      cores: Cores and threads of each side.
      clock: What seconds are: those on the wall, or those of the processor, which
        other jobs on the machine lengthen less; threads that wait count there, so that
        it compares sides on one core.
      checkpointing: Leave TRL's gradient checkpointing on, as it is by default.
      profile: Show where our step spends its time, too.
    """

    checkpoint: Path | None = None
    pairs: int = 8
    length: int = 128
    prompt: int = 64
    heads: int = 16
    steps: int = 5
    loop_steps: int = 30
    rounds: int = 9
    cores: int = 2
    clock: Literal["wall", "processor"] = "wall"
    checkpointing: bool = False
    profile: bool = False


class Training(NamedTuple):
    """What a run would train with, ready for its first step.

    Attributes:
      design: Heads, losses and schedule.
      parts: The program and what it starts from.
      route: The compiled step.
      state: Before the first step.
      maker: Makes rows.
      drawn: Which rows each batch holds.
      batches: The same, placed.
      clock: Seconds.
    """

    design: Design
    parts: Parts
    route: Route
    state: TrainState
    maker: RowMaker
    drawn: list[Drawn]
    batches: list[Fed]
    clock: Callable[[], float]


def random_head(width: int, k: int) -> LinearHead:
    """The same head ``k`` times: rewards near one unit on normalised states."""
    column = np.random.default_rng(SEED).standard_normal((width, 1), np.float32)
    weight = np.tile(column / np.float32(np.sqrt(width)), (1, k))
    return LinearHead(jnp.asarray(weight), jnp.zeros(k))


def random_examples(
    settings: Settings, vocab_size: int, prompt: int, k: int
) -> list[Example]:
    """Pairs of random tokens that every objective labels, a batch for each step."""
    rng = np.random.default_rng(SEED)
    response = settings.length - prompt
    count = settings.pairs * settings.steps
    records = random_records(
        rng, vocab_size, count, prompt, response, response, first=PAD + 1
    )
    pairs = tuple((0, 1, number, 1.0) for number in range(k))
    return [Example(record, pairs, (), "random") for record in records]


def prepared(
    model: LanguageModel, settings: Settings, *, prompt: int, k: int
) -> Training:
    """The training of ``k`` heads and the whole model, on rows of one length."""
    names = tuple(f"objective{number}" for number in range(k))
    config = RewardConfig(
        objectives=names,
        weights=dict.fromkeys(names, 1 / k),
        training=TrainingSettings(mode="full", batch_size=settings.pairs),
        optimizer=OPTIMIZER,
        schedule="constant",
    )
    design, mesh = chosen_design(config), make_mesh(MeshSettings())
    backbone = prepared_backbone(model.model, config.training, jax.random.key(SEED))
    head = random_head(model.model.config.width, k)
    parts = reward_parts(
        backbone, head, design, config.training, OPTIMIZER, held=held_on(mesh)
    )
    route = jit_route(parts.program, parts.update, mesh)
    state = route.place_params(start(parts, design, config.training))
    examples = random_examples(settings, model.model.config.vocab_size, prompt, k)
    maker = RowMaker(examples, widths(examples), k)
    rows = np.arange(len(examples)).reshape(settings.steps, settings.pairs)
    drawn = [Drawn(each, 2 * settings.length - prompt) for each in rows]
    fed = [make_batch(maker, route, each) for each in drawn]
    clock = CLOCKS[settings.clock]
    return Training(design, parts, route, state, maker, drawn, fed, clock)


def make_batch(maker: RowMaker, route: Route, drawn: Drawn) -> Fed:
    """One batch of a run, on the device."""
    share = route.share(len(drawn.rows))
    return make_fed(maker, drawn, accumulate=1, share=share, place=route.place_batch)


def fresh(training: Training) -> TrainState:
    """The first state, to be given up."""
    return jax.block_until_ready(jax.tree.map(jnp.copy, training.state))


def our_steps(training: Training) -> Timed:
    """A step a batch; seconds of one, and losses and gradient norm of each."""
    state, metrics = fresh(training), []
    begin = training.clock()
    for fed in training.batches:
        state, found = training.route.step(state, training.parts.frozen, fed.batch)
        metrics.append(found)
    jax.block_until_ready(state)
    seconds = (training.clock() - begin) / len(metrics)
    shown = [[float(one.losses[0]), float(one.gradient_norm)] for one in metrics]
    return Timed(seconds, np.array(shown))


def same_steps(ours: np.ndarray, peer: np.ndarray) -> str:
    """Agreement of losses and gradient norms, which drift as the steps go on."""
    gaps = np.abs(ours - peer) / np.maximum(np.abs(peer), 1)
    if not (gaps[0] <= 1e-4).all() or not (gaps <= 1e-2).all():
        raise Disagreement(f"losses and norms are {ours.tolist()} and {peer.tolist()}")
    return f"first {gaps[0].max():.0e}, all {gaps.max():.0e}"


def as_pairs(examples: Sequence[Example]) -> list[dict[str, list[int]]]:
    """What TRL learns from: each response behind its prompt."""
    whole = lambda record, place: np.concatenate(
        [record.prompt, record.responses[place]]
    ).tolist()
    return [
        {"chosen_ids": whole(one.record, 0), "rejected_ids": whole(one.record, 1)}
        for one in examples
    ]


def beside_trl(training: Training, settings: Settings, name: str, peer: Peer) -> Case:
    """Our step beside TRL's on the same pairs."""
    pairs, size = as_pairs(training.maker.examples), settings.pairs
    batches = [pairs[at : at + size] for at in range(0, len(pairs), size)]
    return Case(
        f"step of {settings.pairs} pairs, {name}, beside TRL",
        settings.pairs,
        "pairs/s",
        lambda: our_steps(training),
        lambda: peer.timed("steps", {"batches": batches}),
        same_steps,
    )


def many_heads(many: Training, one: Training, settings: Settings) -> Case:
    """K heads beside one: equal heads, so that both train the same backbone."""
    losses = lambda training: lambda: _losses_alone(our_steps(training))
    return Case(
        f"step of {settings.pairs} pairs, K={settings.heads} beside K=1",
        settings.pairs,
        "pairs/s",
        losses(many),
        losses(one),
        close_enough(1e-3),
    )


def _losses_alone(timed: Timed) -> Timed:
    return timed._replace(result=timed.result[:, 0])


def whole_loop(training: Training, settings: Settings, folder: Path) -> Case:
    """The loop of a run beside its compiled step, on the same batches in turn."""
    count, source = settings.loop_steps, training.drawn

    def step_alone() -> Timed:
        state = fresh(training)
        begin = training.clock()
        for number in range(count):
            batch = training.batches[number % len(source)].batch
            state, metrics = training.route.step(state, training.parts.frozen, batch)
        jax.block_until_ready(state)
        return Timed((training.clock() - begin) / count, np.asarray(metrics.losses))

    return Case(
        f"loop of {count} steps beside the step alone",
        settings.pairs,
        "pairs/s",
        lambda: timed_loop(training, count, folder),
        step_alone,
        close_enough(1e-5),
    )


def timed_loop(training: Training, count: int, folder: Path) -> Timed:
    """A run's loop up to the end of its last step: batches made, metrics written.

    What follows in a run, its evaluation and its checkpoint, is left out.
    """
    state, ends, losses = fresh(training), [], []

    class Last:
        """A tracker that keeps the last loss."""

        def log(self, step: int, values: Any) -> None:
            del step
            losses.extend(values[name] for name in (LOSS,) if name in values)

        def close(self) -> None:
            """Nothing is open."""

    def evaluate(state: TrainState) -> dict[str, float]:
        # The loop asks when every step has ended.
        del state
        ends.append(training.clock())
        return {}

    checkpoints = Checkpoints(
        Path(tempfile.mkdtemp(dir=folder)), CheckpointSettings(every=0)
    )
    settings = LoopSettings(num_steps=count, evaluate_every=0)
    lines = JsonLines(folder / "metrics.jsonl", 0)
    job = Job(
        training.design.names,
        training.route.step,
        training.parts.frozen,
        evaluate,
        training.design.learning_rate,
        checkpoints,
        [lines, Last()],
        {},
        folder,
    )
    order = (training.drawn[n % len(training.drawn)] for n in range(count))
    begin = training.clock()
    batches = Prefetched(
        order, lambda drawn: make_batch(training.maker, training.route, drawn)
    )
    run_loop(job, state, batches, settings)
    batches.close()
    lines.close()
    return Timed((ends[0] - begin) / count, np.array(losses[-1:]))


def saved_for_peer(model: LanguageModel, folder: Path) -> Path:
    """The same weights and head as a sequence classifier that TRL loads."""
    depth, width = model.model.config.num_layers, model.model.config.width
    whole = RewardModel(
        model.model, random_head(width, 1), ("reward",), Reading(depth, "last"), PAD
    )
    save_reward_model(whole, model.chat, folder)
    return folder


def all_cases(
    settings: Settings, model: LanguageModel, folder: Path, peer: Peer
) -> Iterator[Case]:
    """Beside TRL without and with a shared prompt, many heads, and the loop."""
    apart = prepared(model, settings, prompt=0, k=1)
    peer.ask(
        "load",
        {
            "folder": str(saved_for_peer(model, folder / "classifier")),
            "out": str(folder / "trl"),
            "pairs": as_pairs(apart.maker.examples[: settings.pairs]),
            "learning_rate": OPTIMIZER.learning_rate,
            "clip_norm": OPTIMIZER.clip_norm,
            "checkpointing": settings.checkpointing,
            "clock": settings.clock,
        },
    )
    sizes = f"2x{settings.length} tokens each"
    yield beside_trl(apart, settings, f"{sizes}, nothing shared", peer)
    shared = prepared(model, settings, prompt=settings.prompt, k=1)
    name = f"{sizes}, of which a prompt of {settings.prompt} is shared"
    yield beside_trl(shared, settings, name, peer)
    many = prepared(model, settings, prompt=settings.prompt, k=settings.heads)
    yield many_heads(many, shared, settings)
    yield whole_loop(shared, settings, folder)


def show_profile(training: Training, model: LanguageModel, settings: Settings) -> None:
    """Where a step without a shared prompt spends its time."""
    state, fed = [fresh(training)], training.batches[0]

    def whole() -> TrainState:
        state[0], _ = training.route.step(state[0], training.parts.frozen, fed.batch)
        return state[0]

    config = model.model.config
    parts = parts_of_step(training.parts, training.state, whole, fed, config)
    show_parts(parts, settings.rounds, training.clock)


def main() -> None:
    """Measures every case."""
    settings = tyro.cli(Settings, description=__doc__)
    use_cores(settings.cores)
    python, _ = torch_command()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        given = settings.checkpoint or random_checkpoint(folder / "model", SMALL_LLAMA)
        model = load_language_model(given)
        with running([python, str(SERVER.with_name("trl_peer.py"))]) as peer:
            versions = peer.ask("threads", {"count": settings.cores})["versions"]
            cases = all_cases(settings, model, folder, peer)
            run("reward_step", cases, settings.rounds, versions)
        if settings.profile:
            show_profile(prepared(model, settings, prompt=0, k=1), model, settings)


if __name__ == "__main__":
    exit_with_message(main)
