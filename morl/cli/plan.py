"""``morl plan``: what a step of ``morl fit`` would ask of devices that are not here."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import jax
import tyro

from morl.cli.arguments import as_yaml, parse
from morl.cli.config import read_yaml, settings_from
from morl.cli.console import OUT, Stages
from morl.cli.plan_table import print_plan
from morl.cli.reward_model import RewardConfig, chosen_design
from morl.errors import InputError
from morl.fronts.pipeline import Run
from morl.models.config import TransformerConfig
from morl.models.hugging_face import read_folder_config
from morl.storage import write_json
from morl.training.abstract import Rows
from morl.training.mesh import held_on
from morl.training.plan import AnyMesh, Asked, plan_step
from morl.training.reward_batch import Widths
from morl.training.reward_design import (
    Parts,
    abstract_backbone,
    reward_parts,
    tokens_needed,
)
from morl.training.topologies import CPU, Topology, find_topology

PLAN = "plan.json"
HELP = """
Compiles the very step that morl fit would run, for devices that need not be here, and
counts what it asks of each: memory by kind, and whether it fits; operations, traffic
and collectives, with loops counted as often as they go round; the time of a step by a
roofline, and what binds it. Programs for TPUs are compiled by pip install 'morl[tpu]'
on any machine; without it, memory is added up, and nothing is compiled.

CONFIG.yaml is that of morl fit, and may hold the options of plan beside them. One key
stands there alone: shape, the numbers of a model whose weights are not here
(vocab_size, width, num_layers, num_heads, num_kv_heads, head_dim, ffn_width, ...), in
place of model. Nothing is read of the feedback.
"""


@dataclass(frozen=True)
class PlanSettings:
    """What is planned, beside the training itself.

    Args:
      topology: Devices: v5e:4x4, v5e:16x16, v5p:4x4x4, v6e:8x8, tpu7x:2x2x1; or cpu:8,
        for trials.
      tokens: Of a row, padding included; the last of text.boundaries for 0.
      responses: Of a row.
      pairs: Preferences of a row.
      scored: Whether responses have scores.
      largest_batch: Look for the largest training.batch_size that fits, too: that takes
        two programs more.
    """

    topology: str = "v5e:4x4"
    tokens: int = 0
    responses: int = 2
    pairs: int = 1
    scored: bool = False
    largest_batch: bool = True

    def __post_init__(self) -> None:
        """Refuses rows that hold nothing."""
        for name, least in (("tokens", 0), ("responses", 1), ("pairs", 0)):
            if vars(self)[name] < least:
                raise InputError(
                    f"found {vars(self)[name]}, expected at least {least}",
                    where=f"plan.{name}",
                )
        if not self.pairs and not self.scored:
            raise InputError(
                "found pairs 0 and scored false, expected something to learn from",
                where="plan",
            )


@dataclass(frozen=True)
class PlanConfig:
    """What ``morl plan`` is told.

    Args:
      run: What ``morl fit`` is told.
      plan: What is planned.
      shape: The numbers of a model, in place of one.
    """

    run: Annotated[RewardConfig, tyro.conf.arg(name="")] = dataclasses.field(
        default_factory=RewardConfig
    )
    plan: Annotated[PlanSettings, tyro.conf.arg(name="")] = PlanSettings()
    shape: Annotated[TransformerConfig | None, tyro.conf.Fixed] = None


def plan(argv: Sequence[str]) -> None:
    """Runs the command."""
    config = _config(argv)
    shape = _transformer(config)
    target = config.run.out / PLAN
    if config.run.dry_run:
        OUT.print(as_yaml(config))
        OUT.print(f"would compile a step for {config.plan.topology}, write {target}")
        return
    asked = _asked(config, shape)
    topology = _topology(config.plan.topology)
    run = Run(config.run.out, config.run.out, Stages(1), [])
    with run.stage(f"step for {topology.name}", "programs") as stage:
        search = stage.progress if config.plan.largest_batch else None
        stage.progress(0, 3 if config.plan.largest_batch else 1)
        found = plan_step(asked, config.run.mesh, topology, search=search)
        did = "compiled" if found.compiled else "not compiled"
        stage.remark = f"{topology.count} devices, {did}"
    write_json(target, found.to_json())
    print_plan(found)
    OUT.print(f"plan     {target}")


def _config(argv: Sequence[str]) -> PlanConfig:
    """The file of ``morl fit``, which may hold what is planned too, and flags."""
    rest, start = list(argv), PlanConfig()
    if rest and not rest[0].startswith("-"):
        path = rest.pop(0)
        given: Any = read_yaml(path) or {}
        own = {}
        if isinstance(given, dict):
            own = {key: given[key] for key in ("plan", "shape") if key in given}
            given = {key: given[key] for key in given if key not in own}
        run = settings_from(RewardConfig, given, path)
        start = dataclasses.replace(settings_from(PlanConfig, own, path), run=run)
    return parse(
        PlanConfig, rest, prog="morl plan CONFIG.yaml", default=start, about=HELP
    )


def _transformer(config: PlanConfig) -> TransformerConfig:
    """The numbers of the model: a shape, or those of a folder.

    Raises:
      InputError: There is neither, or no step.
    """
    if not tokens_needed(config.run.training):
        raise InputError(
            "found frozen, expected heads, lora or full: heads on features that are "
            "known already need no plan",
            where="training.mode",
        )
    if config.run.strategy != "jit":
        raise InputError(
            f"found {config.run.strategy}, expected jit: the others copy the "
            "parameters to every device",
            where="strategy",
        )
    if config.shape is not None:
        return config.shape
    folder = Path(config.run.model)
    if not folder.is_dir():
        raise InputError(
            f"found {config.run.model!r}, expected a Hugging Face folder, or give "
            "shape in CONFIG.yaml",
            where="model",
        )
    return read_folder_config(folder)


def _topology(name: str) -> Topology:
    if name.partition(":")[0] != CPU:
        # With the compiler and without a TPU, JAX would look for one, and wait.
        jax.config.update("jax_platforms", "cpu")
    return find_topology(name)


def _asked(config: PlanConfig, shape: TransformerConfig) -> Asked:
    """What is planned, from shapes alone."""
    run, own = config.run, config.plan
    design = chosen_design(run)
    backbone = abstract_backbone(shape, run.training)
    head = jax.eval_shape(
        lambda: design.head.init(jax.random.key(0), shape.width, len(design.names))
    )

    def parts(mesh: AnyMesh) -> Parts:
        return reward_parts(
            backbone, head, design, run.training, run.optimizer, held=held_on(mesh)
        )

    lists = any(loss.pairs == "plackett_luce" for loss in run.losses.values())
    room = Widths(own.responses, own.pairs, own.scored, lists)
    tokens = own.tokens or max(run.text.boundaries)
    return Asked(parts, design, run.training, Rows(tokens, room))
