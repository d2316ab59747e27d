"""``morl score``: what a composition says of given responses, and why."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from jaxtyping import Bool, Float
from rich.text import Text

from morl.cli.arguments import as_yaml, parse
from morl.cli.console import OUT
from morl.cli.responses import Answers, read_answers
from morl.cli.specification import open_heads, read_composition, run_heads
from morl.errors import InputError
from morl.feedback import Record
from morl.fronts.fitting import encode_records, read_features
from morl.fronts.sampling import sample_candidates
from morl.fronts.settings import CandidateSettings, HeadSettings
from morl.models.chat import EncodedRecord
from morl.models.fetch import default_cache
from morl.models.head_files import HeadSet
from morl.models.heads import head_rewards
from morl.models.language_model import LanguageModel
from morl.rewards import Composition, Explanation, TextBatch, score_sources, text_batch
from morl.rewards.explain import Part, ResponseExplanation, explain
from morl.rewards.render import explanation_tables
from morl.rewards.scoring import Scores
from morl.storage import write_text

SCORES = "scores.jsonl"
UNCENTRED = (
    "one response to this prompt: calibrated rewards are centred on several; give more "
    "responses, or --reference 8 to sample them"
)


@dataclass(frozen=True)
class ScoreConfig:
    """Scores responses by a composition of rewards and shows where each utility comes
    from: raw value, calibrated value, weight, contribution, and what is absent.

    Responses are text (a line --- between one and the next), or JSON Lines with
    {"prompt", "response"} or records of feedback in each line.

    Args:
      spec: A composition in YAML, or the folder of a finished run, whose composition,
        heads and model are used.
      files: Text or JSON Lines; - or nothing is standard input.
      text: A response; may be given several times.
      prompt: What plain text answers.
      heads: Folder of fitted heads, for rewards that have no source of their own.
      model: Model that the heads read: smollm2, a GGUF file, a Hugging Face folder, or
        ORG/NAME. Found by the heads' digest where not given.
      functions: A Python file with the functions that the composition names; it is run.
      weights: Coefficients of the objectives, in place of the composition's own.
      step: Where schedules are read.
      reference: Responses that the model samples for every prompt, to centre calibrated
        rewards on; with 0 they are centred on the responses given to the prompt.
      seed: Seed of these samples.
      json: Print JSON Lines, one prompt a line, in place of tables.
      out: Folder that scores.jsonl is written to; nothing is written without it.
      cache: Folder of fetched models; MORL_CACHE or ~/.cache/morl where not given.
      dry_run: Print the settings and what would be done, and do nothing.
    """

    spec: tyro.conf.Positional[Path]
    files: tyro.conf.Positional[tuple[Path, ...]] = ()
    text: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    prompt: str | None = None
    heads: Path | None = None
    model: str = ""
    functions: Path | None = None
    weights: tuple[float, ...] = ()
    step: int = 0
    reference: int = 0
    seed: int = 0
    json: bool = False
    out: Path | None = None
    cache: Path | None = None
    dry_run: bool = False


class Backbone(NamedTuple):
    """Heads with the model that they read."""

    model: LanguageModel
    heads: HeadSet


class Calibrated(NamedTuple):
    """Rewards ``[n, k]`` in the units that the composition's methods take.

    Attributes:
      rewards: In the order of the composition's names.
      present: Where there is one; not where a reward could not be centred.
      notes: By row, why something could not be centred; empty where all was.
    """

    rewards: Float[np.ndarray, "n k"]
    present: Bool[np.ndarray, "n k"]
    notes: list[str]


def score(argv: Sequence[str]) -> None:
    """Runs the command."""
    config = parse(ScoreConfig, argv, prog="morl score")
    composition = _composition(config)
    headed = tuple(r.name for r in composition.rewards if r.source is None)
    heads = config.heads or run_heads(config.spec)
    _check(config, composition, headed, heads)
    answers = read_answers(config.files, config.text, config.prompt)
    if config.dry_run:
        _dry_run(config, composition, headed, answers)
        return
    backbone = None
    if heads is not None and (headed or config.reference):
        cache = config.cache or default_cache()
        backbone = Backbone(*open_heads(heads, config.model, config.spec, cache))
        _check_heads(backbone.heads, headed, heads)
        _check_prompts(answers)
    explanation, notes = explain_answers(config, composition, headed, answers, backbone)
    lines = json_lines(explanation, answers, notes)
    if config.json:
        print(lines, end="")
    else:
        _print_tables(composition, explanation, answers, notes)
    if config.out is not None:
        write_text(config.out / SCORES, lines)
        if not config.json:
            OUT.print(f"scores   {config.out / SCORES}")


def explain_answers(
    config: ScoreConfig,
    composition: Composition,
    headed: tuple[str, ...],
    answers: Sequence[Answers],
    backbone: Backbone | None,
) -> tuple[Explanation, list[str]]:
    """Scores all responses and takes their utilities apart.

    Args:
      config: Weights and what calibrated rewards are centred on.
      composition: What is explained.
      headed: Names of the rewards that come from heads.
      answers: Responses, those to one prompt together.
      backbone: Where ``headed`` come from.

    Returns:
      The explanation of all responses in their order, and what to know of each.
    """
    batch = _batch(answers)
    columns = _columns(headed, [each.record for each in answers], backbone)
    scores = score_sources(composition, batch, columns)
    units = _units(config, composition, headed, answers, scores, backbone)
    found = explain(
        composition,
        units.rewards,
        units.present,
        scores=scores,
        texts=batch.texts,
        weights=jnp.asarray(config.weights) if config.weights else None,
    )
    responses = zip(found.responses, units.present, units.notes, strict=True)
    shown = tuple(_honest(*each) for each in responses)
    return replace(found, responses=shown), units.notes


def json_lines(
    explanation: Explanation, answers: Sequence[Answers], notes: Sequence[str]
) -> str:
    """One JSON object a prompt; what is absent is null."""
    found = explanation.to_json()
    lines = []
    for each, rows in zip(answers, _places(answers), strict=True):
        entry: dict[str, Any] = {
            "prompt": [
                {"role": turn.role, "content": turn.content}
                for turn in each.record.prompt
            ],
            "method": found["method"],
            "exact": found["exact"],
            "calibrated": found["calibrated"],
            "note": notes[rows.start],
            "responses": [found["responses"][row] for row in rows],
        }
        lines.append(json.dumps(entry, ensure_ascii=False, allow_nan=False))
    return "".join(f"{line}\n" for line in lines)


def _composition(config: ScoreConfig) -> Composition:
    composition = read_composition(config.spec, config.functions).at(config.step)
    learning = [
        name
        for name, states in composition.init_state().items()
        if jax.tree.leaves(states)
    ]
    if learning:
        raise InputError(
            f"transforms of {', '.join(learning)} learn from the rewards of a run, and "
            "a specification does not hold what they learnt: leave them out to score",
            where=str(config.spec),
        )
    return composition


def _check(
    config: ScoreConfig,
    composition: Composition,
    headed: tuple[str, ...],
    heads: Path | None,
) -> None:
    """Refuses what cannot work before anything is loaded."""
    if config.weights and len(config.weights) != len(composition.objectives):
        raise InputError(
            f"found {len(config.weights)} numbers, objectives are "
            f"{composition.objectives}",
            where="--weights",
        )
    if headed and heads is None:
        raise InputError(
            f"{', '.join(headed)}: no source, so heads must give it: add --heads DIR, "
            "or give the folder of a finished run",
            where=str(config.spec),
        )
    if config.reference == 1 or config.reference < 0:
        raise InputError(
            f"found {config.reference}, expected 0, or 2 and more", where="--reference"
        )
    if config.reference and heads is None:
        raise InputError(
            "samples need the model that heads read: add --heads DIR",
            where="--reference",
        )


def _check_heads(heads: HeadSet, headed: tuple[str, ...], where: Path) -> None:
    if missing := [name for name in headed if name not in heads.objectives]:
        raise InputError(
            f"has heads for {', '.join(heads.objectives)}, but none for "
            f"{', '.join(missing)}",
            where=str(where),
        )


def _check_prompts(answers: Sequence[Answers]) -> None:
    if any(not any(turn.content for turn in a.record.prompt) for a in answers):
        raise InputError(
            "heads read a response together with its prompt: add --prompt TEXT",
            where="--prompt",
        )


def _batch(answers: Sequence[Answers]) -> TextBatch:
    records = [each.record for each in answers]
    return text_batch(
        [record.prompt for record in records for _ in record.responses],
        [response for record in records for response in record.responses],
        references=[reference for each in answers for reference in each.references],
    )


def _places(answers: Sequence[Answers]) -> list[range]:
    """Rows of each prompt's responses."""
    ends = np.cumsum([0, *(len(each.record.responses) for each in answers)])
    return [range(start, end) for start, end in pairwise(ends.tolist())]


def _columns(
    headed: tuple[str, ...], records: Sequence[Record], backbone: Backbone | None
) -> dict[str, Float[np.ndarray, " n"]]:
    """Raw rewards of the heads, by name."""
    if backbone is None or not headed:
        return {}
    # A response a row: however many answer a prompt, the row has a length that fits.
    rows = [
        replace(record, responses=(response,), labels={})
        for record in records
        for response in record.responses
    ]
    settings = _settings(backbone.heads)
    encoded = encode_records(backbone.model, rows, settings)
    return _read(headed, encoded, settings, backbone)


def _read(
    headed: tuple[str, ...],
    encoded: Sequence[EncodedRecord],
    settings: HeadSettings,
    backbone: Backbone,
) -> dict[str, Float[np.ndarray, " n"]]:
    heads = backbone.heads
    features = read_features(backbone.model, encoded, settings, cache=None)
    values = head_rewards(heads.head, jnp.asarray(features.read(heads.reading)))
    by_name = dict(zip(heads.objectives, np.asarray(values).T, strict=True))
    return {name: by_name[name] for name in headed}


def _settings(heads: HeadSet) -> HeadSettings:
    layer = heads.reading.layer
    return HeadSettings(layers=(layer,), layer=layer, pooling=heads.reading.pooling)


def _units(
    config: ScoreConfig,
    composition: Composition,
    headed: tuple[str, ...],
    answers: Sequence[Answers],
    scores: Scores,
    backbone: Backbone | None,
) -> Calibrated:
    """Rewards in the units of the reference policy, prompt by prompt."""
    rewards, present = scores.rewards.copy(), scores.present.copy()
    notes = [""] * len(rewards)
    if composition.calibration is None:
        return Calibrated(rewards, present, notes)
    calibration = composition.calibration.within(composition.names)
    centred = np.array([name not in calibration.kept for name in composition.names])
    for each, rows in zip(answers, _places(answers), strict=True):
        here = slice(rows.start, rows.stop)
        reference = scores.rewards[here], scores.present[here]
        if config.reference and backbone is not None:
            reference = _sampled(config, composition, headed, each.record, backbone)
            note = f"centred on {config.reference} responses sampled from the model"
        elif len(rows) > 1:
            note = f"centred on these {len(rows)} responses, as if the model wrote them"
        else:
            note = UNCENTRED
            present[here] &= ~centred
        units = calibration.apply(
            scores.rewards[here], scores.present[here], *reference
        )
        rewards[here] = np.asarray(units)
        notes[here] = [note if centred.any() else ""] * len(rows)
    return Calibrated(rewards, present, notes)


def _sampled(
    config: ScoreConfig,
    composition: Composition,
    headed: tuple[str, ...],
    record: Record,
    backbone: Backbone,
) -> tuple[Float[np.ndarray, "n k"], Bool[np.ndarray, "n k"]]:
    """Raw rewards of responses that the reference policy writes to a prompt."""
    settings = CandidateSettings(num_samples=config.reference, seed=config.seed)
    prompt = backbone.model.chat.encode_prompt(record.prompt)
    (sampled,) = sample_candidates(backbone.model, [prompt], settings)
    batch = text_batch([record.prompt] * config.reference, sampled.texts)
    encoded = sampled.encoded()
    rows = [
        EncodedRecord(encoded.prompt, (response,), (own,))
        for response, own in zip(encoded.responses, encoded.own, strict=True)
    ]
    columns = {}
    if headed:
        columns = _read(headed, rows, _settings(backbone.heads), backbone)
    scores = score_sources(composition, batch, columns)
    return scores.rewards, scores.present


def _honest(
    response: ResponseExplanation, present: Bool[np.ndarray, " k"], note: str
) -> ResponseExplanation:
    """Shows no calibrated value where a raw one could not be centred."""
    if note != UNCENTRED:
        return response
    shown = lambda part, here: part if here else _uncentred(part)
    parts = zip(response.parts, present, strict=True)
    return replace(response, parts=tuple(shown(*each) for each in parts))


def _uncentred(part: Part) -> Part:
    reason = part.reason if part.raw is None else "not centred: the only response"
    return replace(part, calibrated=None, reason=reason)


def _print_tables(
    composition: Composition,
    explanation: Explanation,
    answers: Sequence[Answers],
    notes: Sequence[str],
) -> None:
    tables = explanation_tables(explanation)
    OUT.print(Text(str(composition).partition("\n")[0]))
    for each, rows in zip(answers, _places(answers), strict=True):
        prompt = " ".join(turn.content for turn in each.record.prompt).strip()
        OUT.print()
        if prompt:
            OUT.print(Text("Prompt  ", style="bold") + Text(" ".join(prompt.split())))
        if notes[rows.start]:
            OUT.print(Text(notes[rows.start], style="italic"))
        for row in rows:
            OUT.print(tables[row])
    OUT.print(Text(f"contribution = {explanation.method}"))


def _dry_run(
    config: ScoreConfig,
    composition: Composition,
    headed: tuple[str, ...],
    answers: Sequence[Answers],
) -> None:
    OUT.print(as_yaml(config), markup=False)
    count = sum(len(each.record.responses) for each in answers)
    heads = config.heads or run_heads(config.spec)
    by = f", {', '.join(headed)} by the heads in {heads}" if headed else ""
    written = f" and write {config.out / SCORES}" if config.out else ""
    OUT.print(
        f"would score {count} responses to {len(answers)} prompts by "
        f"{', '.join(composition.names)}{by}{written}",
        markup=False,
    )
