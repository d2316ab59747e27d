"""``morl fit`` with a ``training`` section: a reward model trained by gradients."""

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

from morl.cli.arguments import as_yaml, parse_with_config
from morl.cli.console import OUT
from morl.cli.distributed import begin_folder, join_run
from morl.cli.head_kinds import chosen_kind
from morl.cli.reward_model import ROUTES, RewardConfig, chosen_design
from morl.cli.sources import find_model, read_sources
from morl.errors import InputError
from morl.feedback import Record, prompt_key, split_by_prompt
from morl.fronts.pipeline import Run
from morl.models.fetch import default_cache
from morl.models.head_files import HeadSet, save_heads
from morl.models.heads import Reading
from morl.models.language_model import (
    LanguageModel,
    load_language_model,
    save_language_model,
)
from morl.models.layout import merge_adapters
from morl.models.transformer import ANYWHERE
from morl.models.truncation import Truncation
from morl.storage import content_hash, write_json
from morl.training.features import Progress, extract_features
from morl.training.hardware import on_host
from morl.training.mesh import held_on, make_mesh
from morl.training.metrics import JsonLines, Tracker, open_tracker
from morl.training.processes import (
    after_first,
    all_or_none,
    check_same,
    first_alone,
    first_does,
    in_shares,
    is_first,
    whole_array,
    whole_at_first,
)
from morl.training.reward_batch import Example, label_counts, make_example, widths
from morl.training.reward_design import (
    flops_per_token,
    prepared_backbone,
    reward_parts,
    tokens_needed,
)
from morl.training.reward_program import BACKBONE, HEADS, joined
from morl.training.reward_rows import FeatureTable, RowMaker
from morl.training.reward_run import RunPlan, Trained, train_reward_model
from morl.types import Names

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


class Feedback(NamedTuple):
    """Examples to learn from and examples that only test."""

    training: list[Example]
    validation: list[Example]


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
            records = _read(config)
        place = after_first(lambda: find_model(config.model, cache))
        in_step = tokens_needed(config.training)
        with all_or_none(), on_host() if in_step else nullcontext():
            model = load_language_model(place)
        stage.remark = f"{model.name}, {len(records)} records of feedback"
    with run.stage("rows", "records") as stage, all_or_none():
        feedback = make_examples(model, records, config, progress=stage.progress)
        stage.remark = (
            f"{len(feedback.training)} rows to learn from, "
            f"{len(feedback.validation)} to test"
        )
    with run.stage("features", "tokens") as stage:
        training, validation = _makers(model, feedback, config, cache, stage.progress)
        stage.remark = (
            "none: the backbone is in the step"
            if tokens_needed(config.training)
            else f"of {config.model}, kept in {cache}"
        )
    with run.stage("training", "steps") as stage:
        trained = _trained(model, training, validation, config, progress=stage.progress)
        stage.remark = f"{trained.ended.reason}, {config.loop.num_steps} steps asked"
    with run.stage("saving", "files") as stage:
        stage.remark = save_trained(model, trained, config)
    if is_first():
        _print_result(trained, config)


def _read(config: RewardConfig) -> list[Record]:
    if not config.sources:
        raise InputError("found none, expected feedback to learn from", where="sources")
    return read_sources(config.sources, config.data)


def make_examples(
    model: LanguageModel,
    records: Sequence[Record],
    config: RewardConfig,
    *,
    progress: Progress | None = None,
) -> Feedback:
    """Records as rows, parted by prompt.

    Raises:
      InputError: A record does not fit, or an objective has no label to learn from.
    """
    share = config.training.validation
    parts = {"training": 1 - share} | ({"validation": share} if share else {})
    split = split_by_prompt(records, parts, seed=config.training.seed)
    chosen = {
        name: limit_records(part, config.objectives, config.text.max_records, name)
        for name, part in split.items()
    }
    total, done = sum(map(len, chosen.values())), 0
    found: dict[str, list[Example]] = {"training": [], "validation": []}
    for name, part in chosen.items():
        for record in part:
            encoded = model.chat.encode_responses(
                record.prompt,
                record.responses,
                max_tokens=config.text.max_tokens,
                response_tokens=config.text.response_tokens,
            )
            example = make_example(record, encoded, config.objectives)
            if example is not None:
                found[name].append(example)
            done += 1
            if progress is not None:
                progress(done, total)
    counts = label_counts(found["training"], len(config.objectives))
    for name, count in zip(config.objectives, counts, strict=True):
        if not count:
            raise InputError(
                f"found no pair or score for {name!r} in {len(found['training'])} "
                "rows to learn from, expected feedback that labels it",
                where="sources",
            )
    return Feedback(found["training"], found["validation"])


def limit_records(
    records: Sequence[Record], objectives: Names, most: int, part: str
) -> list[Record]:
    """At most so many records an objective, by the hash of their prompts; 0 is all."""
    if not most:
        return list(records)
    ordered = sorted(records, key=lambda record: content_hash(part, prompt_key(record)))
    left = dict.fromkeys(objectives, most)
    kept = []
    for record in ordered:
        names = [name for name in record.labels if left.get(name, 0) > 0]
        if names:
            kept.append(record)
        for name in names:
            left[name] -= 1
    return kept


def _makers(
    model: LanguageModel,
    feedback: Feedback,
    config: RewardConfig,
    cache: Path,
    progress: Progress,
) -> tuple[RowMaker, RowMaker | None]:
    """Rows of both parts, with their features where the backbone is not in the step."""
    everything = [*feedback.training, *feedback.validation]
    room = widths(everything)
    table = None
    if not tokens_needed(config.training):
        table = feature_table(model, everything, room.responses, cache, progress)
    count = len(feedback.training)
    part = lambda at: None if table is None else FeatureTable(table.responses[at], None)
    k = len(config.objectives)
    training = RowMaker(feedback.training, room, k, part(slice(count)))
    if not feedback.validation:
        return training, None
    return training, RowMaker(feedback.validation, room, k, part(slice(count, None)))


def feature_table(
    model: LanguageModel,
    examples: Sequence[Example],
    num_responses: int,
    cache: Path,
    progress: Progress,
) -> FeatureTable:
    """States of the last token of every response, computed once."""
    depth = model.model.config.num_layers
    extract = lambda records: extract_features(
        model,
        records,
        layers=(depth,),
        cache=cache / "features",
        progress=progress,
    )
    found = in_shares(extract, [example.record for example in examples])
    last = found.read(Reading(depth, "last"))
    table = np.zeros((len(examples), num_responses, last.shape[1]), np.float32)
    for number, (first, end) in enumerate(
        zip(found.starts, found.starts[1:], strict=False)
    ):
        table[number, : end - first] = last[first:end]
    # No kind of head that a configuration can name reads the prompt.
    return FeatureTable(table, None)


def _trained(
    model: LanguageModel,
    training: RowMaker,
    validation: RowMaker | None,
    config: RewardConfig,
    *,
    progress: Progress,
) -> Trained:
    design, settings = chosen_design(config), config.training
    split = None
    with on_host():
        if tokens_needed(settings):
            split = prepared_backbone(model.model, settings, _key(config, ADAPTER_KEY))
        head = design.head.init(
            _key(config, HEAD_KEY),
            model.model.config.width,
            len(design.names),
        )
    mesh = make_mesh(config.mesh)
    held = held_on(mesh) if config.strategy == "jit" else ANYWHERE
    parts = reward_parts(split, head, design, settings, config.optimizer, held=held)
    route = ROUTES[config.strategy](parts.program, parts.update, mesh)
    about = about_run(config, model, training)

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
        training,
        validation,
        route=route,
        plan=plan,
        trackers=trackers,
        progress=progress,
    )


def _key(config: RewardConfig, use: int) -> PRNGKeyArray:
    return jax.random.fold_in(jax.random.key(config.training.seed), use)


def about_run(
    config: RewardConfig, model: LanguageModel, training: RowMaker
) -> dict[str, Any]:
    """What a checkpoint must agree with to be gone on from: not the devices."""
    rows = [
        [e.record.prompt.tolist(), [r.tolist() for r in e.record.responses], e.pairs]
        for e in training.examples
    ]
    return {
        "model": model.fingerprint,
        "template": model.chat.template_hash,
        "feedback": content_hash(rows, [e.scores for e in training.examples]),
        "objectives": list(config.objectives),
        "head": asdict(config.head),
        "losses": {name: asdict(loss) for name, loss in config.losses.items()},
        "weights": config.weights,
        "weighting": config.weighting,
        "training": asdict(config.training),
        "optimizer": asdict(config.optimizer),
        "schedule": [config.schedule, config.loop.num_steps],
        "boundaries": list(config.text.boundaries),
    }


def save_trained(model: LanguageModel, trained: Trained, config: RewardConfig) -> str:
    """Writes what was trained, and says what and where.

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
    heads = HeadSet(
        config.objectives,
        Reading(model.model.config.num_layers, "last"),
        jax.tree.map(jnp.asarray, head),
        *belongs,
        Truncation(config.text.max_tokens, config.text.response_tokens),
        chosen_kind(config.head),
    )
    save_heads(config.out / "heads", heads)
    said.append(f"{config.out / 'heads'}")
    result = {"ended": trained.ended.reason, "evaluation": dict(trained.metrics)}
    first_alone(lambda: write_json(config.out / RESULT, result))
    return ", ".join(said)


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


def _print_result(trained: Trained, config: RewardConfig) -> None:
    table = Table(title="On held-out prompts")
    for column in ("objective", "loss", "accuracy"):
        table.add_column(column, justify="left" if column == "objective" else "right")
    found: Mapping[str, float] = trained.metrics
    shown = lambda key: f"{found[key]:.3f}" if key in found else "-"
    for name in config.objectives:
        table.add_row(
            name, shown(f"evaluation/loss/{name}"), shown(f"evaluation/accuracy/{name}")
        )
    OUT.print(table)
    OUT.print(f"metrics  {config.out / METRICS}\nresult   {config.out / RESULT}")


def _dry_run(config: RewardConfig) -> None:
    records = _read(config)
    OUT.print(as_yaml(config))
    OUT.print(
        f"would load {config.model} (fetching it if it is missing), train "
        f"{config.training.mode} for {config.loop.num_steps} steps on {len(records)} "
        f"records of feedback, and write {config.out}"
    )
