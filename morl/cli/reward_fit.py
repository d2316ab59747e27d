"""``morl fit`` with a ``training`` section: a reward model trained by gradients."""

import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray, PyTree
from rich.table import Table

from morl.assess.findings import plain_cell, shown
from morl.cli.arguments import as_yaml, parse_with_config
from morl.cli.console import OUT
from morl.cli.distributed import begin_folder, join_run
from morl.cli.reward_feedback import (
    Makers,
    make_examples,
    make_makers,
    read_feedback,
)
from morl.cli.reward_heads import (
    Heads,
    HeldOut,
    chosen_reading,
    cut_alike,
    first_heads,
    held_out,
    mixed_heads,
    on_one_scale,
    trained_heads,
)
from morl.cli.reward_model import ROUTES, RewardConfig, chosen_design
from morl.cli.sources import find_model
from morl.fronts.pipeline import Run
from morl.models.fetch import default_cache
from morl.models.head_files import save_heads
from morl.models.heads import Standard
from morl.models.language_model import (
    LanguageModel,
    load_language_model,
    save_language_model,
)
from morl.models.layout import merge_adapters
from morl.models.transformer import ANYWHERE
from morl.storage import content_hash, write_json
from morl.training.features import Progress
from morl.training.hardware import on_host
from morl.training.head_scores import saved_debias
from morl.training.loop import STOPPED
from morl.training.mesh import held_on, make_mesh
from morl.training.metrics import JsonLines, Tracker, open_tracker
from morl.training.processes import (
    after_first,
    all_or_none,
    check_same,
    first_alone,
    first_does,
    is_first,
    whole_array,
    whole_at_first,
)
from morl.training.reward_design import (
    flops_per_token,
    prepared_backbone,
    reward_parts,
    tokens_needed,
)
from morl.training.reward_program import BACKBONE, HEADS, joined
from morl.training.reward_rows import RowMaker
from morl.training.reward_run import RunPlan, Trained, train_reward_model

ABOUT = """
Trains a reward model on feedback: heads on frozen features, heads with the backbone in
the step, adapters, or the whole model, on one device or many. Metrics, checkpoints and
the trained model go to out; the same command goes on where it was interrupted, to the
bit.

CONFIG.yaml is a YAML file whose keys are the options below, among them a training
section; a file without one fits linear heads on frozen features by L-BFGS, as morl
front does before it traces a front.
"""
METRICS = "metrics.jsonl"
RESULT = "result.json"
HEAD_KEY = 2  # folded into the seed, for the heads
ADAPTER_KEY = 3
STAGES = 5
UNFINISHED = 75  # EX_TEMPFAIL of sysexits.h: the same command goes on


def fit_reward_model(argv: Sequence[str]) -> None:
    """Runs ``morl fit`` where a reward model is trained."""
    config = parse_with_config(RewardConfig, argv, prog="morl fit", about=ABOUT)
    if config.dry_run:
        _dry_run(config)
        return
    cache = config.cache or default_cache()
    run = Run(config.out, cache, join_run(config, STAGES), [])
    with run.stage("model", "bytes") as stage:
        with all_or_none():
            records = read_feedback(config)
        place = after_first(lambda: find_model(config.model, cache))
        in_step = tokens_needed(config.training)
        with all_or_none(), on_host() if in_step else nullcontext():
            model = load_language_model(place)
            inner = mixed_heads(config, model)
            config = cut_alike(config, inner)
            reading = chosen_reading(config, model, inner)
        stage.remark = f"{model.name}, {len(records)} records of feedback"
    with run.stage("rows", "records") as stage, all_or_none():
        feedback = make_examples(model, records, config, progress=stage.progress)
        stage.remark = (
            f"{len(feedback.training)} rows to learn from, "
            f"{len(feedback.validation)} to test"
        )
    with run.stage("features", "tokens") as stage:
        makers = make_makers(model, feedback, config, reading, cache, stage.progress)
        stage.remark = (
            "none: the backbone is in the step"
            if tokens_needed(config.training)
            else f"of {config.model}, kept in {cache}"
        )
    with run.stage("training", "steps") as stage:
        key = _key(config, HEAD_KEY)
        heads = first_heads(config, model, inner, reading, makers.training, key)
        learned = on_one_scale(makers, gate=heads.mixture is not None)
        trained = _trained(
            model, heads, learned.makers, config, progress=stage.progress
        )
        stage.remark = f"{trained.ended.reason}, {config.loop.num_steps} steps asked"
    with run.stage("saving", "files") as stage:
        saved = save_trained(model, trained, heads, makers, learned.standard, config)
        stage.remark = saved.places
    if is_first():
        _print_result(saved, config)
    if trained.ended.reason == STOPPED:
        sys.exit(UNFINISHED)


def _trained(
    model: LanguageModel,
    heads: Heads,
    makers: Makers,
    config: RewardConfig,
    *,
    progress: Progress,
) -> Trained:
    design = chosen_design(config)._replace(head=heads.kind.head, mixture=heads.mixture)
    settings = config.training
    split = None
    with on_host():
        if tokens_needed(settings):
            split = prepared_backbone(model.model, settings, _key(config, ADAPTER_KEY))
    mesh = make_mesh(config.mesh)
    held = held_on(mesh) if config.strategy == "jit" else ANYWHERE
    parts = reward_parts(
        split, heads.params, design, settings, config.optimizer, held=held
    )
    route = ROUTES[config.strategy](parts.program, parts.update, mesh)
    about = about_run(config, model, heads, makers.training)

    def trackers(step: int) -> list[Tracker]:
        named = [open_tracker(name, config.out, about) for name in config.trackers]
        return [JsonLines(config.out / METRICS, step), *named]

    check_same(about)
    begin_folder(config)
    plan = RunPlan(
        config.out,
        config.text.boundaries,
        config.loop,
        config.checkpoint,
        about,
        flops_per_token(model.model.config, settings),
    )
    return train_reward_model(
        parts,
        design,
        settings,
        makers.training,
        makers.validation,
        route=route,
        plan=plan,
        trackers=trackers,
        progress=progress,
    )


def _key(config: RewardConfig, use: int) -> PRNGKeyArray:
    return jax.random.fold_in(jax.random.key(config.training.seed), use)


def about_run(
    config: RewardConfig, model: LanguageModel, heads: Heads, training: RowMaker
) -> dict[str, Any]:
    """What a checkpoint must agree with to be gone on from: not the devices."""
    rows = [
        [e.record.prompt.tolist(), [r.tolist() for r in e.record.responses], e.pairs]
        for e in training.examples
    ]
    return {
        "model": model.fingerprint,
        "template": model.chat.template_hash,
        "feedback": content_hash(
            rows, [[e.scores, e.ranks] for e in training.examples]
        ),
        "objectives": list(config.objectives),
        "head": None if heads.mixture is not None else asdict(config.head),
        "reading": asdict(heads.reading),
        "mixture": content_hash(heads.about),
        "losses": {name: asdict(loss) for name, loss in config.losses.items()},
        "weights": config.weights,
        "weighting": config.weighting,
        "training": asdict(config.training),
        "optimizer": asdict(config.optimizer),
        "schedule": [config.schedule, config.loop.num_steps],
        "boundaries": list(config.text.boundaries),
    }


class Saved(NamedTuple):
    """Where results are, in words, and what is known of them on held-out prompts."""

    places: str
    evaluation: Mapping[str, float]
    held_out: HeldOut


def save_trained(
    model: LanguageModel,
    trained: Trained,
    heads: Heads,
    makers: Makers,
    standard: Standard | None,
    config: RewardConfig,
) -> Saved:
    """Writes what was trained.

    Heads that every command reads go to ``heads``; a model that was trained too goes to
    ``model``, adapters merged, as a Hugging Face folder.
    """
    head = jax.tree.map(whole_array, trained.params[HEADS])
    belongs = (model.fingerprint, model.chat.template_hash)
    said = []
    if config.training.mode in ("lora", "full"):
        backbone = whole_at_first(trained.params[BACKBONE])
        place = config.out / "model"
        belongs = first_does(lambda: _save_model(model, backbone, config, place))
        said.append(f"{place}")
    whole = trained_heads(config, belongs, heads, head, standard, makers.training)
    save_heads(config.out / "heads", whole)
    said.append(f"{config.out / 'heads'}")
    result: dict[str, Any] = {
        "ended": trained.ended.reason,
        "evaluation": dict(trained.metrics),
    }
    rest, known = makers.validation, HeldOut({}, {})
    if rest is not None and rest.features is not None:
        known = held_out(whole, rest)
        plain = lambda cells: {name: plain_cell(cell) for name, cell in cells.items()}
        result["accuracy"] = plain(known.accuracy)
        result["length_correlation"] = plain(known.correlation)
    debias = saved_debias(whole)
    if debias is not None:
        result["debias"] = dict(
            zip(config.objectives, debias.coefficients.tolist(), strict=True)
        )
    first_alone(lambda: write_json(config.out / RESULT, result))
    return Saved(", ".join(said), trained.metrics, known)


def _save_model(
    model: LanguageModel,
    backbone: PyTree[np.ndarray],
    config: RewardConfig,
    place: Path,
) -> tuple[str, str]:
    """Writes a backbone that was trained; returns what heads say of their model."""
    # Onto the weights as they were loaded, whatever type was computed in: a change
    # smaller than the last bit of bfloat16 would be lost.
    exact = replace(config.training, dtype="float32")
    with on_host():
        split = prepared_backbone(model.model, exact, _key(config, ADAPTER_KEY))
        whole = joined(split._replace(trained=jax.tree.map(jnp.asarray, backbone)))
        merged = jax.device_get(merge_adapters(whole))
        save_language_model(replace(model, model=merged), place)
        saved = load_language_model(place)
    return saved.fingerprint, saved.chat.template_hash


def _print_result(saved: Saved, config: RewardConfig) -> None:
    mixed = config.mixture.heads is not None
    title = "On held-out prompts"
    table = Table(title=f"{title}, by the mixed reward" if mixed else title)
    columns = ("objective", "loss", "accuracy", "correlation with length")
    for column in columns:
        table.add_column(column, justify="left" if column == "objective" else "right")
    found, (accuracy, correlation) = saved.evaluation, saved.held_out
    mixture = [name for name in correlation if name not in config.objectives]
    for name in (*config.objectives, *mixture):
        right = accuracy.get(name, found.get(f"evaluation/accuracy/{name}"))
        loss = found.get(f"evaluation/loss/{name}")
        table.add_row(name, *map(shown, (loss, right, correlation.get(name))))
    OUT.print(table)
    OUT.print(f"metrics  {config.out / METRICS}\nresult   {config.out / RESULT}")


def _dry_run(config: RewardConfig) -> None:
    records = read_feedback(config)
    OUT.print(as_yaml(config))
    OUT.print(
        f"would load {config.model} (fetching it if it is missing), train "
        f"{config.training.mode} for {config.loop.num_steps} steps on {len(records)} "
        f"records of feedback, and write {config.out}"
    )
