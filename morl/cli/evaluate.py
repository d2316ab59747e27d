"""``morl evaluate``: what suites find about reward heads."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tyro

from morl.assess.findings import Finding, finding_json
from morl.assess.render import render_finding
from morl.assess.scored import Scorer
from morl.cli.arguments import as_yaml, command_line, parse
from morl.cli.console import OUT, Stages
from morl.cli.report import FIGURES
from morl.cli.sources import READERS, DataSource, read_source
from morl.cli.specification import heads_folder, open_heads
from morl.cli.suites import SUITES, Data, Request, check_options, find_suites
from morl.errors import InputError
from morl.feedback import Record, opening_key
from morl.fronts.head_scorer import head_scorer
from morl.fronts.pipeline import Run
from morl.models.fetch import default_cache
from morl.models.head_files import HeadSet
from morl.models.language_model import LanguageModel
from morl.plots import finding_figures, write_evaluation
from morl.storage import write_json
from morl.training.features import Progress
from morl.training.head_scores import reward_names

EVALUATION, PAGE = "evaluation.json", "evaluation.html"
FEATURES = "features"  # below the cache, as runs that fit heads name it
VERSION = 1
ABOUT = f"""
Assesses reward heads by suites, and writes their tables, figures, evaluation.json and
evaluation.html. Every number has a 95% interval over prompts.

Suites: {"; ".join(f"{name} ({suite.about})" for name, suite in SUITES.items())}.

Feedback is READER:PATH, or READER:PATH:OBJECTIVE for readers that leave the objective
open: hh:hh-rlhf/helpful-base-test.jsonl.gz:helpful. Readers are {", ".join(READERS)}.

Numbers are about feedback that the heads have not learned from: --fitted-on names what
they have, and leaves its prompts out.
"""


@dataclass(frozen=True)
class EvaluateConfig:
    """What ``morl evaluate`` is told.

    Args:
      heads: Folder of fitted heads, or that of a run that fitted them.
      suite: Suites to run, in this order.
      on: Feedback to test on: READER:PATH or READER:PATH:OBJECTIVE; may be given
        several times.
      against: Feedback of another domain, for the suite generalisation.
      gold: Folder of heads that judge what the heads select, for the suite best_of_n;
        scores in the feedback judge where not given.
      fitted_on: Feedback that the heads learned from: its prompts are left out of all
        tests.
      data: Folder that the feedback is in.
      limit: Most records of each source, drawn by the seed; 0 for all.
      model: Model that heads read: smollm2, a GGUF file, a Hugging Face folder, or
        ORG/NAME. The heads' own is found by its digest where not given.
      other_template: Accept heads that were fitted under another chat template than the
        model has now.
      seed: Seed of draws, perturbations and bootstraps.
      out: Folder of results.
      cache: Folder of models and features, shared between runs; MORL_CACHE or
        ~/.cache/morl where not given.
      dry_run: Read the feedback, print the settings and what would be done, and do
        nothing.
    """

    heads: tyro.conf.Positional[Path]
    suite: tuple[str, ...] = ()
    on: tuple[str, ...] = ()
    against: tuple[str, ...] = ()
    gold: Path | None = None
    fitted_on: tuple[str, ...] = ()
    data: Path = Path()
    limit: int = 0
    model: str = ""
    other_template: bool = False
    seed: int = 0
    out: Path = Path("runs/evaluation")
    cache: Path | None = None
    dry_run: bool = False


@dataclass(frozen=True)
class Feedback:
    """What is tested on, read and drawn.

    Args:
      on: Of ``--on``.
      against: Of ``--against``.
      left_out: Records whose prompts the heads learned from.
    """

    on: list[Record]
    against: list[Record]
    left_out: int

    @property
    def words(self) -> str:
        """For people."""
        count = sum(len(r.responses) for r in (*self.on, *self.against))
        total = len(self.on) + len(self.against)
        out = f"; {self.left_out} left out, seen in fitting" if self.left_out else ""
        return f"{total} records with {count} responses{out}"


class Opened(NamedTuple):
    """Heads with the model that they read."""

    model: LanguageModel
    heads: HeadSet
    cache: Path

    def scorer(self, progress: Progress) -> Scorer:
        """A scorer whose work is reported."""
        return head_scorer(self.model, self.heads, cache=self.cache, progress=progress)


def evaluate(argv: Sequence[str]) -> None:
    """Runs the command."""
    config = parse(EvaluateConfig, argv, prog="morl evaluate", about=ABOUT)
    suites = find_suites(config.suite)
    check_options(suites, against=bool(config.against))
    given = [config.heads] + ([config.gold] if config.gold else [])
    folders = [*map(heads_folder, given)]
    feedback = _feedback(config)
    if config.dry_run:
        _dry_run(config, feedback)
        return
    cache = config.cache or default_cache()
    run = Run(config.out, cache, Stages(3 + len(suites) + bool(config.gold)), [])
    with run.stage("model", "bytes") as stage:
        opened, *golden = (_opened(folder, config, cache) for folder in folders)
        names = ", ".join(reward_names(opened.heads))
        stage.remark = f"{opened.model.name}; heads for {names}"
    request = _request(run, opened, golden, feedback, config.seed)
    findings = []
    for name, suite in suites.items():
        with run.stage(name, "tokens") as stage:
            own = replace(request, scorer=opened.scorer(stage.progress))
            findings.append(suite.run(own))
            stage.remark = suite.about
    with run.stage("report", "figures") as stage:
        figures = _write(config, opened, feedback, findings)
        stage.remark = f"{len(figures)} figures and {PAGE}"
    for finding in findings:
        OUT.print(render_finding(finding))
    OUT.print(f"results  {config.out / EVALUATION}\nreport   {config.out / PAGE}")
    for path in figures:
        OUT.print(f"figure   {path}")


def parse_source(text: str, option: str) -> DataSource:
    """What READER:PATH or READER:PATH:OBJECTIVE stands for.

    Args:
      text: As it was typed.
      option: Where, for the error.

    Raises:
      InputError: It has another form, or names no reader.
    """
    reader, _, rest = text.partition(":")
    path, _, objective = rest.rpartition(":") if ":" in rest else (rest, "", "")
    if reader not in READERS or not path:
        raise InputError(
            f"found {text!r}, expected READER:PATH or READER:PATH:OBJECTIVE with a "
            f"reader of {', '.join(READERS)}",
            where=option,
        )
    return DataSource(reader, path, objective)


def _feedback(config: EvaluateConfig) -> Feedback:
    """What is tested on, without the prompts that the heads learned from.

    Raises:
      InputError: There is nothing to test on, or nothing is left of it.
    """
    if not config.on:
        raise InputError("found none, expected feedback to test on", where="--on")
    if config.limit < 0:
        raise InputError(f"found {config.limit}, expected 0 or more", where="--limit")
    learned = _sources(config, config.fitted_on, "--fitted-on")
    seen = {opening_key(record) for records in learned for record in records}
    parts, left_out = [], 0
    for texts, option in ((config.on, "--on"), (config.against, "--against")):
        kept = []
        for text, records in zip(texts, _sources(config, texts, option), strict=True):
            fresh = [r for r in records if not seen or opening_key(r) not in seen]
            left_out += len(records) - len(fresh)
            if not any(record.responses for record in fresh):
                raise InputError(
                    f"{text} has no response to a prompt that the heads have not "
                    "learned from",
                    where=option,
                )
            kept += _drawn(fresh, config.limit, config.seed)
        parts.append(kept)
    return Feedback(parts[0], parts[1], left_out)


def _sources(
    config: EvaluateConfig, texts: Sequence[str], option: str
) -> list[list[Record]]:
    return [read_source(parse_source(text, option), config.data) for text in texts]


def _drawn(records: list[Record], limit: int, seed: int) -> list[Record]:
    """At most so many, in their order; all for a limit of 0."""
    if not limit or len(records) <= limit:
        return records
    places = np.random.default_rng(seed).permutation(len(records))[:limit]
    return [records[place] for place in sorted(places.tolist())]


def _opened(folder: Path, config: EvaluateConfig, cache: Path) -> Opened:
    return Opened(
        *open_heads(
            folder,
            config.model,
            folder,
            cache,
            other_template=config.other_template,
        ),
        cache / FEATURES,
    )


def _request(
    run: Run, opened: Opened, golden: Sequence[Opened], feedback: Feedback, seed: int
) -> Request:
    """Scores what is tested on."""
    with run.stage("scores", "tokens") as stage:
        scorer = opened.scorer(stage.progress)
        on = Data(feedback.on, scorer(feedback.on))
        against = None
        if feedback.against:
            against = Data(feedback.against, scorer(feedback.against))
        stage.remark = feedback.words
    gold = None
    for judge in golden:
        with run.stage("gold scores", "tokens") as stage:
            scored = judge.scorer(stage.progress)(feedback.on)
            gold = (reward_names(judge.heads), scored)
            stage.remark = f"heads for {', '.join(reward_names(judge.heads))}"
    return Request(reward_names(opened.heads), on, scorer, seed, against, gold)


def _write(
    config: EvaluateConfig,
    opened: Opened,
    feedback: Feedback,
    findings: Sequence[Finding],
) -> list[Path]:
    """Writes the results; returns the figures that are for people, not for print."""
    facts = {
        "command": command_line(),
        "heads": f"{config.heads}, for {', '.join(reward_names(opened.heads))}",
        "model": f"{opened.model.name} {opened.model.fingerprint[:12]}",
        "feedback": ", ".join((*config.on, *config.against)) + f": {feedback.words}",
        "left out as learned from": ", ".join(config.fitted_on) or "nothing",
        "gold": str(config.gold or "scores in the feedback"),
        "seed": str(config.seed),
    }
    found = {
        "version": VERSION,
        "facts": facts,
        "findings": [finding_json(finding) for finding in findings],
    }
    write_json(config.out / EVALUATION, found)
    title = f"Heads on {opened.model.name}, assessed"
    write_evaluation(config.out / PAGE, findings, title=title, facts=facts)
    drawn = [
        path
        for finding in findings
        for path in finding_figures(finding, config.out / FIGURES)
    ]
    return [path for path in drawn if path.suffix == ".png"]


def _dry_run(config: EvaluateConfig, feedback: Feedback) -> None:
    OUT.print(as_yaml(config))
    OUT.print(
        f"would score {feedback.words} by the heads in {config.heads}, run "
        f"{', '.join(config.suite)}, and write "
        f"{config.out}/{{{EVALUATION},{PAGE},{FIGURES}}}"
    )
