"""``morl plan``: what a step of training would ask of devices that are not here."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import jax
import tyro

from morl.cli.arguments import as_yaml, parse_with_config
from morl.cli.console import OUT, Stages
from morl.cli.plan_table import print_plan
from morl.cli.sources import OBJECTIVES
from morl.errors import InputError
from morl.losses import margin_bradley_terry, squared_error
from morl.models.config import TransformerConfig
from morl.models.heads import linear
from morl.models.hugging_face import read_folder_config
from morl.models.transformer import Remat
from morl.numerics import WeightedSum
from morl.storage import write_json
from morl.training.abstract import Rows
from morl.training.mesh import MeshSettings, held_on
from morl.training.optimizer import OptimizerSettings, constant
from morl.training.plan import AnyMesh, Asked, plan_step
from morl.training.reward_batch import Widths
from morl.training.reward_design import (
    Design,
    Parts,
    TrainingSettings,
    abstract_backbone,
    reward_parts,
    tokens_needed,
)
from morl.training.reward_program import ObjectiveLosses
from morl.training.topologies import CPU, Topology, find_topology

PLAN = "plan.json"
POLICIES: Mapping[str, Remat | None] = {
    "none": None,
    "layers": jax.checkpoint_policies.nothing_saveable,
    "products": jax.checkpoint_policies.dots_with_no_batch_dims_saveable,
}
HELP = """
Compiles the very step that training would run, for devices that need not be here, and
counts what it asks of each: memory by kind, and whether it fits; operations, traffic
and collectives, with loops counted as often as they go round; the time of a step by a
roofline, and what binds it. A TPU's programs are compiled by pip install 'morl[tpu]' on
any machine; without it, memory is added up, and nothing is compiled.

CONFIG.yaml is a YAML file whose keys are the options below. One key stands there alone:
shape, the numbers of a model that has no weights here (vocab_size, width, num_layers,
num_heads, num_kv_heads, head_dim, ffn_width, ...).
"""


@dataclass(frozen=True)
class PlanConfig:
    """What ``morl plan`` is told.

    Args:
      topology: Devices: v5e:4x4, v5e:16x16, v5p:4x4x4, v6e:8x8, v4:2x2x4, or cpu:8 for
        trials.
      model: A Hugging Face folder, of which config.json alone is read.
      shape: The numbers of a model, in place of one.
      objectives: What is learned; one reward each.
      training: What is trained, and on how much at once.
      optimizer: How.
      mesh: How the devices are arranged.
      remat: What is computed again for the backward pass: nothing (none), all but the
        outputs of layers (layers), or all but those of their products (products).
      max_tokens: Of a row: a prompt and all its responses.
      responses: Of a row.
      pairs: Preferences of a row.
      largest_batch: Look for the largest batch that fits too: two programs more.
      out: Folder that plan.json is written to.
      dry_run: Print the settings and what would be done, and do nothing.
    """

    topology: str = "v5e:4x4"
    model: Path | None = None
    shape: Annotated[TransformerConfig | None, tyro.conf.Fixed] = None
    objectives: tuple[str, ...] = OBJECTIVES
    training: TrainingSettings = TrainingSettings(mode="full")
    optimizer: OptimizerSettings = OptimizerSettings()
    mesh: MeshSettings = MeshSettings()
    remat: Literal["none", "layers", "products"] = "layers"
    max_tokens: int = 1024
    responses: int = 2
    pairs: int = 1
    largest_batch: bool = True
    out: Path = Path("runs/plan")
    dry_run: bool = False

    def __post_init__(self) -> None:
        """Refuses what has no step to plan."""
        if not tokens_needed(self.training):
            raise InputError(
                "found frozen, expected heads, lora or full: heads on frozen features "
                "need no plan",
                where="training.mode",
            )
        for name in ("max_tokens", "responses", "pairs"):
            if vars(self)[name] < 1:
                raise InputError(
                    f"found {vars(self)[name]}, expected at least 1", where=name
                )
        if not self.objectives:
            raise InputError("found none, expected one or more", where="objectives")

    def transformer(self) -> TransformerConfig:
        """The numbers of the model.

        Raises:
          InputError: There are none, or two.
        """
        if (self.model is None) == (self.shape is None):
            found = "neither" if self.model is None else "both"
            raise InputError(f"found {found}, expected one", where="model, shape")
        if self.model is None:
            assert self.shape is not None
            return self.shape
        return read_folder_config(self.model)


def plan(argv: Sequence[str]) -> None:
    """Runs the command."""
    config = parse_with_config(
        PlanConfig, argv, prog="morl plan", default=PlanConfig(), about=HELP
    )
    shape = config.transformer()
    if config.dry_run:
        OUT.print(as_yaml(config))
        OUT.print(
            f"would compile a step for {config.topology} and write {config.out / PLAN}"
        )
        return
    topology = _topology(config.topology)
    stages = Stages(1)
    progress = stages.begin(f"step for {topology.name}", "programs")
    began = time.perf_counter()
    try:
        found = plan_step(
            _asked(config, shape),
            config.mesh,
            topology,
            search=progress if config.largest_batch else None,
        )
    except BaseException:
        stages.abandon()
        raise
    did = "compiled" if found.compiled else "not compiled"
    stages.end("step", time.perf_counter() - began, f"{topology.count} devices, {did}")
    write_json(config.out / PLAN, found.to_json())
    print_plan(found)
    OUT.print(f"plan     {config.out / PLAN}")


def _topology(name: str) -> Topology:
    if name.partition(":")[0] != CPU:
        # A machine with the compiler and no TPU would look for one, and wait.
        jax.config.update("jax_platforms", "cpu")
    return find_topology(name)


def _asked(config: PlanConfig, shape: TransformerConfig) -> Asked:
    """What is planned, from shapes alone."""
    names, settings = config.objectives, config.training
    losses = ObjectiveLosses(_pairs, squared_error)
    design = Design(
        names,
        linear(),
        (losses,) * len(names),
        (1.0,) * len(names),
        constant(config.optimizer, 0),
        remat=POLICIES[config.remat],
    )
    backbone = abstract_backbone(shape, settings)
    make_head = partial(design.head.init, width=shape.width, num_objectives=len(names))
    head = jax.eval_shape(lambda: make_head(jax.random.key(0)))

    def parts(mesh: AnyMesh) -> Parts:
        return reward_parts(
            backbone, head, design, settings, config.optimizer, held=held_on(mesh)
        )

    room = Widths(config.responses, config.pairs, False)
    return Asked(parts, design, settings, Rows(config.max_tokens, room))


def _pairs(gaps: Any, strength: Any, mask: Any, *, weights: Any = None) -> WeightedSum:
    """The loss of preferences: that of :func:`morl.losses.margin_bradley_terry`."""
    return margin_bradley_terry(
        gaps, 0 * gaps, strength, mask, scale=0.0, weights=weights
    )
