"""``morl front`` and ``morl fit``: the whole way on a real model, or its first half."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import jax

import morl
from morl.cli.arguments import as_yaml, command_line, parse_with_config
from morl.cli.console import OUT, Stages
from morl.cli.report import report_stage
from morl.cli.sources import (
    OBJECTIVES,
    READERS,
    SMOLLM2,
    DataSource,
    find_model,
    read_sources,
)
from morl.cli.specification import (
    read_composition,
    record_backbone,
    refuse_learning,
)
from morl.cli.summary import print_example, print_front, print_heads, print_places
from morl.errors import InputError
from morl.feedback import Record
from morl.fronts.pipeline import (
    HEADS,
    METRICS,
    Heads,
    Run,
    RunSettings,
    choose_prompts,
    config_hash,
    fit_stage,
    sample_stage,
    trace_stage,
)
from morl.fronts.settings import CandidateSettings, HeadSettings, SweepSettings
from morl.models.fetch import default_cache
from morl.models.language_model import LanguageModel, load_language_model
from morl.pareto import Provenance
from morl.rewards import Composition, objective
from morl.rewards.functions import ArraySource
from morl.rewards.implicit import ImplicitSource
from morl.rewards.rules.answer import Answer
from morl.rewards.schedule import is_schedule

FIT_STAGES, FRONT_STAGES = 4, 8
CONFIG_HELP = f"""

CONFIG.yaml is a YAML file whose keys are the options below, such as model, heads:
{{folds: 5}} or out; an option that is given after it counts in place of its own.

Two keys stand in CONFIG.yaml alone: sources, the feedback to learn from, which is
required, and outside, feedback that only tests. Each is a list of {{reader: hh,
path: FILE, objective: helpful}}; readers are {", ".join(READERS)}.
With CONFIG.yaml before --help, each of their entries is an option as well.
"""
FIT_HELP = """
Fits reward heads on the frozen features of a language model and measures them beside
their baselines, as morl front does before it traces a front: fetches what is missing,
and writes the heads and their table. Run the same command again to go on where it was
interrupted.

It takes the configuration of morl front; reward, functions, candidates and front do
nothing here.
"""
FRONT_HELP = """
Traces the Pareto front of a language model's rewards: fetches what is missing, fits
reward heads on its frozen features, samples candidates, selects among them at every
weighting, and lets heads that had no part in the selection judge. Run the same command
again to go on where it was interrupted.
"""
JUDGE = "heads fitted to feedback on other prompts than the selector's"


@dataclass(frozen=True)
class FrontConfig:
    """What ``morl front`` and ``morl fit`` are told.

    Args:
      model: smollm2, a GGUF file, a Hugging Face folder, or ORG/NAME.
      sources: Feedback to learn from: reader, path below ``data``, objective.
      outside: Feedback that only tests.
      objectives: What heads are fitted for.
      reward: A composition in YAML (composition.to_yaml()), or the folder of a
        finished run; the mean of the objectives where not given.
      functions: A Python file that defines the functions that reward names. It is run.
      heads: How heads are fitted.
      candidates: What is sampled.
      front: How the front is traced.
      data: Folder that the sources are in.
      out: Folder of results.
      cache: Folder of features and samples, shared between runs;
        MORL_CACHE or ~/.cache/morl where not given.
      dry_run: Print the settings and what would be done, and do nothing.
    """

    model: str = SMOLLM2
    sources: tuple[DataSource, ...] = ()
    outside: tuple[DataSource, ...] = ()
    objectives: tuple[str, ...] = OBJECTIVES
    reward: Path | None = None
    functions: Path | None = None
    heads: HeadSettings = HeadSettings()
    candidates: CandidateSettings = CandidateSettings()
    front: SweepSettings = SweepSettings()
    data: Path = Path()
    out: Path = Path("runs/front")
    cache: Path | None = None
    dry_run: bool = False

    def __post_init__(self) -> None:
        """Refuses no objective, and objectives that are given twice."""
        if not self.objectives:
            raise InputError("found none, expected one or more", where="objectives")
        if len(set(self.objectives)) < len(self.objectives):
            raise InputError(
                f"found {', '.join(self.objectives)}, expected each once",
                where="objectives",
            )

    def run(self, stages: int) -> Run:
        """The run under way."""
        return Run(self.out, self.cache or default_cache(), Stages(stages), [])


def fit(argv: Sequence[str]) -> None:
    """Runs ``morl fit``: heads, ``metrics.json`` and the table."""
    config = parse_with_config(
        FrontConfig, argv, prog="morl fit", about=FIT_HELP + CONFIG_HELP
    )
    if config.dry_run:
        _dry_run(config, f"write {config.out / HEADS} and {config.out / METRICS}")
        return
    run = config.run(FIT_STAGES)
    _, _, heads = _fitted(run, config)
    print_heads(heads.evaluation)
    OUT.print(f"heads    {config.out / HEADS}\nmetrics  {config.out / METRICS}")


def front(argv: Sequence[str]) -> None:
    """Runs ``morl front``: the whole way to the report."""
    config = parse_with_config(
        FrontConfig, argv, prog="morl front", about=FRONT_HELP + CONFIG_HELP
    )
    reward = _reward(config)
    if config.dry_run:
        _dry_run(
            config,
            f"sample {config.candidates.num_prompts} prompts x "
            f"{config.candidates.num_samples} candidates, trace the front, and write "
            f"{config.out}/{{front.json,report.html,figures}}",
        )
        return
    run = config.run(FRONT_STAGES)
    model, records, heads = _fitted(run, config)
    prompts = choose_prompts(
        model, heads.pool.held_out, config.objectives, config.candidates
    )
    answered = sample_stage(run, model, prompts, config.candidates, config.heads)
    traced = trace_stage(
        run,
        heads,
        reward,
        answered,
        RunSettings(config.heads, config.candidates, config.front),
        _provenance(config, model, records, reward),
        units=("reference deviations",) * len(reward.objectives),
    )
    figures = report_stage(run, traced, title=f"The front of {model.name}")
    print_heads(traced.evaluation)
    print_front(traced.front)
    print_example(traced.examples[0], traced.front.objectives)
    print_places(config.out, figures)


def _read(config: FrontConfig) -> tuple[list[Record], list[Record]]:
    """Feedback to learn from, and feedback that only tests."""
    if not config.sources:
        raise InputError("found none, expected feedback to learn from", where="sources")
    return (
        read_sources(config.sources, config.data),
        read_sources(config.outside, config.data),
    )


def _fitted(run: Run, config: FrontConfig) -> tuple[LanguageModel, list[Record], Heads]:
    with run.stage("model", "bytes") as stage:
        records, outside = _read(config)
        path = find_model(config.model, run.cache)
        model = load_language_model(path)
        record_backbone(run.out, path)
        stage.remark = f"{model.name}, {len(records)} records of feedback"
    heads = fit_stage(
        run, model, records, config.objectives, config.heads, outside=outside
    )
    return model, records, heads


def _reward(config: FrontConfig) -> Composition:
    """The composition that the file names; the mean of the objectives without one.

    Raises:
      InputError: The file is no composition, or asks for heads that are not fitted.
    """
    if config.reward is None:
        named = [objective(name, scale="per-prompt") for name in config.objectives]
        return morl.linear({one: 1 / len(named) for one in named})
    reward = read_composition(config.reward, config.functions)
    _check_sources(reward, str(config.reward))
    _check_heads(reward, config)
    return reward


def _check_sources(reward: Composition, where: str) -> None:
    """Refuses, before hours of work, what has no value in a run."""
    refuse_learning(reward, where)
    if any(map(is_schedule, jax.tree.leaves(reward, is_leaf=is_schedule))):
        raise InputError(
            "a number is scheduled over steps, and a front has none: give it as it is "
            "at one step, composition.at(step)",
            where=where,
        )
    lacking = {
        ImplicitSource: "log-probabilities of a second policy",
        Answer: "reference answers",
    }
    for one in reward.rewards:
        lacks = lacking.get(type(one.source))
        if isinstance(one.source, ArraySource) and one.source.of != "tokens":
            lacks = one.source.of
        if lacks is not None:
            raise InputError(
                f"{one.name}: needs {lacks}, which sampled responses come without",
                where=where,
            )


def _check_heads(reward: Composition, config: FrontConfig) -> None:
    """Refuses, before hours of work, rewards that no head would give or judge."""
    headed = ", ".join(config.objectives)
    sourceless = [one.name for one in reward.rewards if one.source is None]
    if missing := [name for name in sourceless if name not in config.objectives]:
        raise InputError(
            f"{', '.join(missing)}: no source and no head; heads are fitted for "
            f"{headed} (objectives in the configuration)",
            where=str(config.reward),
        )
    unjudged = [name for name in reward.objectives if name not in config.objectives]
    if unjudged:
        raise InputError(
            f"{', '.join(unjudged)}: declared an objective, but heads judge and there "
            f"are heads for {headed}; leave out 'objective: true', and it counts with "
            "its coefficient",
            where=str(config.reward),
        )


def _provenance(
    config: FrontConfig,
    model: LanguageModel,
    records: Sequence[Record],
    reward: Composition,
) -> Provenance:
    asked = {
        k: v for k, v in asdict(config).items() if k not in ("data", "out", "cache")
    }
    counts: dict[str, int] = {}
    for record in records:
        counts[record.source] = counts.get(record.source, 0) + 1
    return Provenance(
        config_hash=config_hash(repr(asked), reward.to_yaml()),
        created_by="morl front",
        command=command_line(),
        model=f"{model.name} {model.fingerprint[:12]}",
        judge=JUDGE,
        data=tuple(f"{source}: {count} records" for source, count in counts.items()),
    )


def _dry_run(config: FrontConfig, action: str) -> None:
    records, outside = _read(config)
    OUT.print(as_yaml(config))
    OUT.print(
        f"would load {config.model} (fetching it if it is missing), fit heads for "
        f"{', '.join(config.objectives)} to {len(records)} records, test them on "
        f"{len(outside)} more, and {action}"
    )
