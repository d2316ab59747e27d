"""Which heads and losses are worth what, on frozen features and real feedback?

    python benchmarks/reward_heads.py --data DIR

Every kind of head by every loss that fits it, on the same features, cross-validated by
prompt: each number is about prompts that the head did not learn from. Intervals are
95%, and draw prompts. Features are kept in the cache, so that a second run takes
minutes. Prints tables as the documentation holds them, and one JSON line.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from harness import exit_with_message, machine, show, use_cores, versions

from morl.assess import (
    accuracy_difference,
    pair_accuracy,
    pair_calibration,
    rank_correlation,
    rejection_curve,
)
from morl.cli.head_kinds import HeadChoice, chosen_kind, gated_kind
from morl.cli.loss_choices import LossChoice, chosen_losses
from morl.cli.reward_feedback import (
    Makers,
    feature_table,
    limit_records,
    make_examples,
)
from morl.cli.reward_heads import fitted_debias, on_one_scale, with_rest
from morl.cli.reward_model import ReadingChoice, RewardConfig, TextSettings
from morl.cli.sources import DataSource, open_model, read_sources
from morl.models.fetch import default_cache
from morl.models.head_files import HeadKind, HeadSet
from morl.models.heads import GatedHead, Reading, States, folded, low_quantile
from morl.models.language_model import LanguageModel
from morl.models.truncation import Truncation
from morl.rewards.mixture import Mixture
from morl.training.head_scores import head_scores, with_mixture
from morl.training.mesh import MeshSettings, make_mesh
from morl.training.optimizer import OptimizerSettings, cosine_decay
from morl.training.reward_batch import Example, widths
from morl.training.reward_design import Design, TrainingSettings, reward_parts, start
from morl.training.reward_program import HEADS
from morl.training.reward_rows import FeatureTable, RowMaker, data_order, make_fed
from morl.training.strategies import jit_route

HEAD_KINDS = ("linear", "mlp", "quantile", "gaussian", "ensemble")
PREFERENCES = (
    *((kind, "bradley_terry") for kind in HEAD_KINDS),
    ("linear", "soft"),
    ("linear", "margin"),
    ("linear", "plackett_luce"),
)
RANKINGS = ("bradley_terry", "plackett_luce", "rao_kupper", "davidson")
SCORES = (
    ("linear", "squared"),
    ("linear", "huber"),
    ("linear", "binary"),
    ("linear", "ordinal"),
    ("ensemble", "squared"),
    ("quantile", "pinball"),
    ("gaussian", "gaussian"),
)
HH = (
    DataSource("hh", "hh-rlhf/helpful-base-test.jsonl.gz", "helpful"),
    DataSource("hh", "hh-rlhf/harmless-base-test.jsonl.gz", "harmless"),
    DataSource("truthfulqa", "truthfulqa/TruthfulQA_790.csv", "honest"),
)
OBJECTIVES = ("helpful", "harmless", "honest")
CENTRAL = (0.1, 0.9)  # levels of an interval that should hold 80% of scores


@dataclass(frozen=True)
class Settings:
    """Heads and losses on frozen features of real feedback.

    Args:
      data: Folder of the data sets.
      model: smollm2, a GGUF file, a Hugging Face folder, or ORG/NAME.
      records: Most records an objective.
      layer: Layer that heads read.
      pooling: What stands for a response: last, mean or sum.
      folds: Of the cross-validation, by prompt.
      num_steps: Updates of each fit.
      batch_size: Prompts of an update.
      learning_rate: At its largest.
      weight_decay: Of AdamW.
      temperature: Of the gate's mixture.
      seed: Of folds, parameters and bootstraps.
      only: Tables to make: preferences, mixture, rankings, scores.
      cores: Cores and threads.
    """

    data: Path
    model: str = "smollm2"
    records: int = 600
    layer: int = 20
    pooling: str = "mean"
    folds: int = 5
    num_steps: int = 150
    batch_size: int = 64
    learning_rate: float = 3e-3
    weight_decay: float = 10.0
    temperature: float = 3.0
    seed: int = 0
    only: tuple[str, ...] = ("preferences", "mixture", "rankings", "scores")
    cores: int = 2


class Data(NamedTuple):
    """Rows with their features, their openings, and the fold that holds each out."""

    names: tuple[str, ...]
    examples: list[Example]
    table: FeatureTable
    folds: np.ndarray
    groups: np.ndarray

    def rows(self, keep: np.ndarray) -> RowMaker:
        """Some of the rows."""
        places = np.flatnonzero(keep)
        return RowMaker(
            [self.examples[place] for place in places],
            widths(self.examples),
            len(self.names),
            FeatureTable(self.table.responses[places], self.table.prompts[places]),
        )


class Scored(NamedTuple):
    """Every response by heads that missed its prompt, ``[n, r, k]`` and ``[n, r]``."""

    mean: np.ndarray
    deviation: np.ndarray
    lengths: np.ndarray
    low: np.ndarray | None = None
    high: np.ndarray | None = None


def read_data(
    settings: Settings,
    model: LanguageModel,
    sources: Sequence[DataSource],
    names: tuple[str, ...],
    losses: Mapping[str, LossChoice],
) -> Data:
    """Feedback of some sources, with features, in folds by prompt."""
    config = RewardConfig(
        objectives=names,
        losses=dict(losses),
        text=TextSettings(max_tokens=256, response_tokens=128),
        training=TrainingSettings(validation=0.0, seed=settings.seed),
        reading=ReadingChoice(settings.layer, settings.pooling),
    )
    records = read_sources(sources, settings.data)
    some = limit_records(records, names, settings.records, "training")
    examples = make_examples(model, some, config).training
    room = widths(examples)
    table = feature_table(
        model,
        examples,
        room.responses,
        Reading(settings.layer, settings.pooling),
        default_cache(),
        lambda done, total: print(f"\r{done}/{total} tokens", end="", flush=True),
    )
    print()
    openings = np.array([example.opening for example in examples], str)
    groups = np.unique(openings, return_inverse=True)[1]
    draw = np.random.default_rng(settings.seed)
    folds = draw.permutation(groups.max() + 1)[groups] % settings.folds
    return Data(names, examples, table, folds, groups)


def fitted(
    settings: Settings,
    data: Data,
    kind: HeadKind,
    losses: Sequence[LossChoice],
    rows: RowMaker,
    *,
    inner: GatedHead | None = None,
    mixture: Mixture | None = None,
) -> dict:
    """Parameters trained on some of the rows, by the step of ``morl fit``."""
    optimizer = OptimizerSettings(
        learning_rate=settings.learning_rate, weight_decay=settings.weight_decay
    )
    own = TrainingSettings(batch_size=settings.batch_size, seed=settings.seed)
    design = Design(
        data.names,
        kind.head,
        tuple(map(chosen_losses, losses)),
        (1.0,) * len(data.names),
        cosine_decay(optimizer, settings.num_steps),
        mixture=mixture,
    )
    width = data.table.responses.shape[-1]
    key = jax.random.key(settings.seed)
    head = kind.head.init(key, width, len(data.names)) if inner is None else inner
    parts = reward_parts(None, head, design, own, optimizer)
    mesh = make_mesh(MeshSettings(), jax.devices()[:1])
    route = jit_route(parts.program, parts.update, mesh)
    state = route.place_params(start(parts, design, own))
    order = data_order(rows, (1,), own.batch_size, settings.seed).after(0)
    learned = on_one_scale(Makers(rows, None), gate=inner is not None)
    feed = partial(
        make_fed,
        learned.makers.training,
        accumulate=1,
        share=route.share(own.batch_size),
        place=route.place_batch,
    )
    for _ in range(settings.num_steps):
        state, _ = route.step(state, parts.frozen, feed(next(order)).batch)
    trained = state.params[HEADS]
    assert learned.standard is not None  # rows have features
    if inner is None:
        return folded(trained, learned.standard)
    return folded(GatedHead(inner.heads, trained), learned.standard)


def head_set(settings: Settings, data: Data, kind: HeadKind, params: object) -> HeadSet:
    """Parameters with what they mean."""
    reading = Reading(settings.layer, settings.pooling)
    return HeadSet(data.names, reading, params, "", "", Truncation(256, 128), kind)


def scored(data: Data, heads: HeadSet, keep: np.ndarray) -> Scored:
    """What heads say of some of the rows."""
    responses = jnp.asarray(data.table.responses[keep])
    prompts = jnp.asarray(data.table.prompts[keep])[:, None]
    states = States(responses, jnp.broadcast_to(prompts, responses.shape))
    lengths = response_lengths(data)[keep]
    found = head_scores(heads, states, lengths)
    head = heads.kind.head
    readings = head.read(heads.head, states)
    low, high = (
        np.asarray(low_quantile(head, readings, level=level)) for level in CENTRAL
    )
    return Scored(
        np.asarray(found.mean), np.asarray(found.deviation), lengths, low, high
    )


def response_lengths(data: Data) -> np.ndarray:
    """Tokens of every response, ``[n, r]``; 0 where there is none."""
    lengths = np.zeros(data.table.responses.shape[:2], int)
    for row, example in enumerate(data.examples):
        sizes = [int(own.sum()) for own in example.record.own]
        lengths[row, : len(sizes)] = sizes
    return lengths


def out_of_fold(parts: Sequence[tuple[np.ndarray, Scored]], count: int) -> Scored:
    """Scores of every fold by the heads that missed it, as one."""
    whole = []
    for field in range(len(Scored._fields)):
        first = parts[0][1][field]
        array = np.zeros((count, *first.shape[1:]), first.dtype)
        for keep, part in parts:
            array[keep] = part[field]
        whole.append(array)
    return Scored(*whole)


class Pairs(NamedTuple):
    """Pairs of one objective, with the number of each one's opening."""

    group: np.ndarray
    row: np.ndarray
    better: np.ndarray
    worse: np.ndarray

    def gaps(self, values: np.ndarray) -> np.ndarray:
        """Of ``[n, r]`` values."""
        found = values[self.row, self.better] - values[self.row, self.worse]
        return found.astype(float)

    def spread(self, deviation: np.ndarray) -> np.ndarray:
        """Of two independent errors."""
        both = (deviation[self.row, place] for place in (self.better, self.worse))
        return np.hypot(*both).astype(float)


def pairs_of(data: Data, number: int) -> Pairs:
    """Preferences of an objective, those of lists among them; ties left out."""
    rows = []
    for row, example in enumerate(data.examples):
        rows += [(row, b, w) for b, w, k, s in example.pairs if k == number and s > 0]
        ranks = [(i, rank) for i, k, rank in example.ranks if k == number]
        rows += [(row, i, j) for i, a in ranks for j, b in ranks if a < b]
    row, better, worse = np.array(rows, int).reshape(-1, 3).T
    return Pairs(data.groups[row], row, better, worse)


def shown(value: float, low: float, high: float) -> str:
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"


def cross_validated(
    settings: Settings, data: Data, kind: HeadKind, losses: Sequence[LossChoice]
) -> Scored:
    """Scores of every response by heads that missed its prompt."""
    parts = []
    for fold in range(settings.folds):
        rows = data.rows(data.folds != fold)
        params = fitted(settings, data, kind, losses, rows)
        unseen = data.folds == fold
        parts.append(
            (unseen, scored(data, head_set(settings, data, kind, params), unseen))
        )
    return out_of_fold(parts, len(data.examples))


def preferences(settings: Settings, data: Data) -> list[list[str]]:
    """Accuracy, calibration and rejection, a line a head, loss and objective."""
    lines = []
    for head, loss in PREFERENCES:
        kind, choice = chosen_kind(HeadChoice(head)), LossChoice(loss, margin=0.5)
        found = cross_validated(settings, data, kind, (choice,) * len(data.names))
        for number, name in enumerate(data.names):
            pairs = pairs_of(data, number)
            gaps = pairs.gaps(found.mean[..., number])
            right = pair_accuracy(gaps, pairs.group, seed=settings.seed)
            sure = pair_calibration(gaps, seed=settings.seed)
            own = pairs.spread(found.deviation[..., number])
            doubt = {"margin": -np.abs(gaps)}
            if own.any():
                doubt["ratio to deviation"] = -np.abs(gaps) / own
            areas = {
                key: rejection_curve(gaps, each, pairs.group, seed=settings.seed).area
                for key, each in doubt.items()
            }
            lines.append(
                [
                    head,
                    loss,
                    name,
                    f"{len(gaps)}",
                    shown(right.value, right.low, right.high),
                    f"{sure.error:.3f} ({sure.chance:.3f})",
                    *(
                        shown(areas[key].value, areas[key].low, areas[key].high)
                        if key in areas
                        else ""
                        for key in ("margin", "ratio to deviation")
                    ),
                ]
            )
            print(" | ".join(lines[-1]), flush=True)
    return lines


def mixtures(settings: Settings, data: Data) -> list[list[str]]:
    """The mixed reward with and without its correction for length."""
    kind = chosen_kind(HeadChoice("linear"))
    losses = (LossChoice(),) * len(data.names)
    gate = gated_kind(kind, 64, 1)
    parts: dict[str, list] = {"as they are": [], "corrected": []}
    for fold in range(settings.folds):
        seen, unseen = data.folds != fold, data.folds == fold
        rows = data.rows(seen)
        params = fitted(settings, data, kind, losses, rows)
        inner = head_set(settings, data, kind, params)
        width = data.table.responses.shape[-1]
        for name in parts:
            # The step gives its state up, so that each fit needs a gate of its own.
            first = gate.head.init(jax.random.key(1), width, len(data.names))
            debias = fitted_debias(inner, rows, 0.03) if name == "corrected" else None
            mixture = Mixture(settings.temperature, 1.0, debias)
            start_at = GatedHead(params, first.gate)
            learned = fitted(
                settings, data, gate, losses, rows, inner=start_at, mixture=mixture
            )
            whole = with_mixture(head_set(settings, data, gate, learned), mixture)
            if debias is not None:
                whole = with_rest(whole, rows, 0.03)
            parts[name].append((unseen, scored(data, whole, unseen)))
    found = {
        name: out_of_fold(each, len(data.examples)) for name, each in parts.items()
    }
    lines = []
    there = response_lengths(data) > 0
    groups = np.broadcast_to(data.groups[:, None], there.shape)[there]
    of_each = [pairs_of(data, number) for number in range(len(data.names))]
    every = Pairs(*(np.concatenate(column) for column in zip(*of_each, strict=True)))
    margins = {}
    for name, each in found.items():
        mixed = each.mean[..., -1]
        gaps = margins[name] = every.gaps(mixed)
        right = pair_accuracy(gaps, every.group, seed=settings.seed)
        rho = rank_correlation(
            mixed[there].astype(float),
            each.lengths[there].astype(float),
            groups,
            seed=settings.seed,
        )
        own = [
            pair_accuracy(pairs.gaps(mixed), pairs.group, seed=settings.seed)
            for pairs in of_each
        ]
        lines.append(
            [
                name,
                shown(right.value, right.low, right.high),
                *(shown(one.value, one.low, one.high) for one in own),
                shown(rho.value, rho.low, rho.high),
            ]
        )
        print(" | ".join(lines[-1]), flush=True)
    change = accuracy_difference(
        margins["corrected"], margins["as they are"], every.group, seed=settings.seed
    )
    lines.append(
        ["change", f"{change.value:+.3f} [{change.low:+.3f}, {change.high:+.3f}]"]
        + [""] * 4
    )
    return lines


def rankings(settings: Settings, model: LanguageModel) -> list[list[str]]:
    """Ranked answers with ties, by every loss that takes them."""
    source = (DataSource("finegrained-rlhf", "finegrained-rlhf/dev_feedback.json"),)
    kind, lines = chosen_kind(HeadChoice("linear")), []
    for loss in RANKINGS:
        choice = LossChoice(loss)
        data = read_data(settings, model, source, ("preferred",), {"preferred": choice})
        found = cross_validated(settings, data, kind, (choice,))
        pairs = pairs_of(data, 0)
        gaps = pairs.gaps(found.mean[..., 0])
        right = pair_accuracy(gaps, pairs.group, seed=settings.seed)
        sure = pair_calibration(gaps, seed=settings.seed)
        lines.append(
            [
                loss,
                f"{len(gaps)}",
                shown(right.value, right.low, right.high),
                f"{sure.error:.3f} ({sure.chance:.3f})",
            ]
        )
        print(" | ".join(lines[-1]), flush=True)
    return lines


def score_lines(settings: Settings, model: LanguageModel) -> list[list[str]]:
    """Human scores of dialogue turns, by every loss that takes scores."""
    source = (DataSource("unieval", "unieval/topical_chat.json"),)
    lines = []
    for head, loss in SCORES:
        choice = LossChoice(scores=loss, labels="scores", grades=5)
        plain = {"overall": LossChoice(scores="squared", labels="scores")}
        data = read_data(settings, model, source, ("overall",), plain)
        data = data._replace(examples=[_scaled(e, loss) for e in data.examples])
        kind = chosen_kind(HeadChoice(head))
        found = cross_validated(settings, data, kind, (choice,))
        row, place, score = np.array(
            [(r, i, s) for r, e in enumerate(data.examples) for i, _, s in e.scores]
        ).T
        at = (row.astype(int), place.astype(int), 0)
        rho = rank_correlation(
            found.mean[at].astype(float),
            score,
            data.groups[row.astype(int)],
            seed=settings.seed,
        )
        inside = ""
        if found.low is not None and found.deviation[at].any():
            share = np.mean((found.low[at] <= score) & (score <= found.high[at]))
            inside = f"{share:.3f}"
        lines.append(
            [head, loss, f"{len(score)}", shown(rho.value, rho.low, rho.high), inside]
        )
        print(" | ".join(lines[-1]), flush=True)
    return lines


def _scaled(example: Example, loss: str) -> Example:
    """Scores from 1 to 5 as a loss takes them: in [0, 1], as grades, or centred."""
    change = {
        "binary": lambda score: (score - 1) / 4,
        "ordinal": lambda score: float(round(score) - 1),
    }.get(loss, lambda score: score - 3)
    return example._replace(
        scores=tuple((i, k, change(score)) for i, k, score in example.scores)
    )


def main() -> None:
    settings = tyro.cli(Settings, description=__doc__)
    use_cores(settings.cores)
    model = open_model(settings.model, default_cache())
    found: dict[str, list[list[str]]] = {}
    if {"preferences", "mixture"} & set(settings.only):
        data = read_data(settings, model, HH, OBJECTIVES, {})
        if "preferences" in settings.only:
            found["preferences"] = preferences(settings, data)
        if "mixture" in settings.only:
            found["mixture"] = mixtures(settings, data)
    if "rankings" in settings.only:
        found["rankings"] = rankings(settings, model)
    if "scores" in settings.only:
        found["scores"] = score_lines(settings, model)
    heads = {
        "preferences": [
            *("head", "loss", "objective", "pairs", "accuracy"),
            *("calibration error (chance)", "rejection by margin", "by its ratio"),
        ],
        "mixture": [
            *("heads", "all pairs", *OBJECTIVES, "correlation with length"),
        ],
        "rankings": ["loss", "pairs", "accuracy", "calibration error (chance)"],
        "scores": ["head", "loss", "scores", "rank correlation", "in the 80% interval"],
    }
    for name, lines in found.items():
        show(name, heads[name], lines)
    line = {
        "benchmark": "reward_heads",
        "tables": found,
        "machine": machine(),
        "versions": versions((), {}),
    }
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    exit_with_message(main)
