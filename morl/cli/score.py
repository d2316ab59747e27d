"""``morl score``: what a composition says of given responses, and why."""

import json
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.text import Text

from morl.cli.arguments import as_yaml, parse
from morl.cli.console import OUT
from morl.cli.explained import Backbone, explain_answers, places
from morl.cli.responses import Answers, read_answers
from morl.cli.sources import open_model
from morl.cli.specification import (
    open_heads,
    read_composition,
    refuse_learning,
    run_heads,
    run_sampling,
)
from morl.errors import InputError
from morl.fronts.settings import CandidateSettings
from morl.models.fetch import default_cache
from morl.rewards import Composition, Explanation, UncalibratedWarning
from morl.rewards.consistency import compared_across_prompts, uncalibrated
from morl.rewards.functions import ArraySource
from morl.rewards.render import explanation_tables
from morl.rewards.rules.length import Length
from morl.storage import write_text
from morl.training.head_scores import reward_names

SCORES = "scores.jsonl"


@dataclass(frozen=True)
class ScoreConfig:
    """Scores responses by a composition of rewards and shows where each utility comes
    from: raw value, calibrated value, weight, contribution, and what is absent.

    Responses are text (a line --- between one and the next), or JSON Lines with
    {"prompt", "response"} or records of feedback in each line. JSON without these keys
    is text.

    Args:
      spec: A composition in YAML, or the folder of a finished run, whose composition,
        heads and model are used.
      files: Text or JSON Lines; - or nothing is standard input.
      text: A response; may be given several times.
      prompt: What plain text answers.
      heads: Folder of fitted heads, for rewards that have no source of their own.
      model: Model that heads read, that counts tokens and that samples: smollm2, a GGUF
        file, a Hugging Face folder, or ORG/NAME. The heads' own is found by its digest
        where not given.
      other_template: Accept heads that were fitted under another chat template than the
        model has now.
      functions: A Python file with the functions that the composition names; it is run.
      weights: Coefficients of the objectives, in place of the composition's own.
      step: Where schedules are read.
      reference: Responses that the model samples for every prompt, to centre calibrated
        rewards on, as the run sampled its own; with 0 they are centred on the responses
        given to the prompt.
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
    other_template: bool = False
    functions: Path | None = None
    weights: tuple[float, ...] = ()
    step: int = 0
    reference: int = 0
    seed: int = 0
    json: bool = False
    out: Path | None = None
    cache: Path | None = None
    dry_run: bool = False


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
    _warn_of_heads(composition, headed)
    backbone = _backbone(config, headed, heads)
    if backbone is not None:
        _check_prompts(answers)
    explanation, notes = explain_answers(
        composition,
        headed,
        answers,
        backbone,
        weights=config.weights,
        sampling=_sampling(config),
    )
    lines = json_lines(explanation, answers, notes)
    if config.json:
        print(lines, end="")
    else:
        _print_tables(composition, explanation, answers, notes, config.weights)
    if config.out is not None:
        write_text(config.out / SCORES, lines)
        if not config.json:
            OUT.print(f"scores   {config.out / SCORES}")


def json_lines(
    explanation: Explanation, answers: Sequence[Answers], notes: Sequence[str]
) -> str:
    """One JSON object a prompt; what is absent is null."""
    found = explanation.to_json()
    lines = []
    for each, rows in zip(answers, places(answers), strict=True):
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
    refuse_learning(composition, str(config.spec))
    return composition


def _check(
    config: ScoreConfig,
    composition: Composition,
    headed: tuple[str, ...],
    heads: Path | None,
) -> None:
    """Refuses what cannot work before anything is loaded."""
    _check_weights(config.weights, composition)
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
    if config.reference and composition.calibration is None:
        raise InputError(
            "the composition is not calibrated, so that nothing is centred: drop it",
            where="--reference",
        )
    if config.model or (headed and heads):
        return
    counting = [r.name for r in composition.rewards if _reads_tokens(r.source)]
    if counting:
        raise InputError(
            f"{', '.join(counting)}: reads tokens, which take a model's tokenizer: add "
            "--model NAME",
            where=str(config.spec),
        )
    if config.reference:
        raise InputError(
            "needs a model to sample: add --model NAME", where="--reference"
        )


def _check_weights(weights: Sequence[float], composition: Composition) -> None:
    if not weights:
        return
    shown = " ".join(f"{weight:g}" for weight in weights)
    if not composition.objectives:
        raise InputError(
            f"found {shown}, and no objective to weigh: none of "
            f"{', '.join(composition.names)} is declared one (objective: true), so "
            "that each keeps its coefficient",
            where="--weights",
        )
    if len(weights) != len(composition.objectives):
        raise InputError(
            f"found {shown}, expected a number for each of "
            f"{', '.join(composition.objectives)}",
            where="--weights",
        )
    if not all(map(math.isfinite, weights)):
        raise InputError(f"found {shown}, expected finite numbers", where="--weights")


def _warn_of_heads(composition: Composition, headed: tuple[str, ...]) -> None:
    """Heads compare within a prompt only, also where the rewards do not declare it."""
    across = compared_across_prompts(composition, headed)
    undeclared = tuple(
        name for name in across if composition.reward(name).scale != "per-prompt"
    )
    if undeclared:
        warnings.warn(uncalibrated(undeclared), UncalibratedWarning, stacklevel=2)


def _sampling(config: ScoreConfig) -> CandidateSettings | None:
    """How responses to centre on are sampled; None where none are asked for."""
    if not config.reference:
        return None
    return replace(
        run_sampling(config.spec), num_samples=config.reference, seed=config.seed
    )


def _reads_tokens(source: Any) -> bool:
    return (isinstance(source, Length) and source.unit == "token") or (
        isinstance(source, ArraySource) and source.of == "tokens"
    )


def _backbone(
    config: ScoreConfig, headed: tuple[str, ...], heads: Path | None
) -> Backbone | None:
    """The model, where anything needs one, and its heads, where a reward needs them."""
    cache = config.cache or default_cache()
    if not headed or heads is None:
        return Backbone(open_model(config.model, cache), None) if config.model else None
    found = Backbone(
        *open_heads(
            heads,
            config.model,
            config.spec,
            cache,
            other_template=config.other_template,
        )
    )
    known = () if found.heads is None else reward_names(found.heads)
    if missing := [name for name in headed if name not in known]:
        raise InputError(
            f"has heads for {', '.join(known)}, but none for {', '.join(missing)}",
            where=str(heads),
        )
    return found


def _check_prompts(answers: Sequence[Answers]) -> None:
    if any(not any(turn.content for turn in a.record.prompt) for a in answers):
        raise InputError(
            "the model reads a response after its prompt: add --prompt TEXT",
            where="--prompt",
        )


def _print_tables(
    composition: Composition,
    explanation: Explanation,
    answers: Sequence[Answers],
    notes: Sequence[str],
    weights: Sequence[float],
) -> None:
    tables = explanation_tables(explanation)
    OUT.print(Text(str(composition).partition("\n")[0]))
    if weights:
        pairs = zip(composition.objectives, weights, strict=True)
        given = ", ".join(f"{name} {weight:g}" for name, weight in pairs)
        OUT.print(Text(f"with weights of {given}"))
    for each, rows in zip(answers, places(answers), strict=True):
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
    OUT.print(as_yaml(config))
    count = sum(len(each.record.responses) for each in answers)
    heads = config.heads or run_heads(config.spec)
    by = f", {', '.join(headed)} by the heads in {heads}" if headed else ""
    written = f" and write {config.out / SCORES}" if config.out else ""
    OUT.print(
        f"would score {count} responses to {len(answers)} prompts by "
        f"{', '.join(composition.names)}{by}{written}",
    )
