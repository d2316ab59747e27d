"""The whole way: feedback, heads, candidates, front; what is done is kept."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from morl.errors import InputError
from morl.feedback import Record
from morl.fronts.assemble import BEST_OF_N, assemble_front
from morl.fronts.candidates import Candidates
from morl.fronts.evaluation import Evaluation, evaluate_heads
from morl.fronts.examples import candidate_lines, choose_examples
from morl.fronts.fitting import Fitted, encode_records, fit_pool, read_features
from morl.fronts.pool import Pool, balanced_prompts, make_pool
from morl.fronts.provenance import absent
from morl.fronts.sampling import Sampled, encode_candidates, sample_candidates
from morl.fronts.scoring import calibrated_rewards, head_columns, score_candidates
from morl.fronts.settings import CandidateSettings, HeadSettings, SweepSettings
from morl.models.head_files import HeadSet, save_heads
from morl.models.language_model import LanguageModel
from morl.pareto import Front, Provenance, write_front
from morl.rewards import Composition
from morl.storage import content_hash, write_json, write_text
from morl.training.features import Features, Progress
from morl.types import Names

HEADS = "heads"
SELECTOR, JUDGE = "selector", "judge"
METRICS = "metrics.json"
FRONT = "front.json"
COMPOSITION = "composition.yaml"
CANDIDATES = "candidates.jsonl"
SETTINGS = "settings.json"


@runtime_checkable
class Console(Protocol):
    """Where a run says what it does; nobody subclasses it."""

    def begin(self, stage: str, unit: str) -> Progress:
        """A stage begins; its progress is counted in ``unit``."""
        ...

    def end(self, stage: str, seconds: float, remark: str) -> None:
        """The stage is done."""
        ...

    def abandon(self) -> None:
        """The stage failed or was interrupted; nothing of it stays open."""
        ...


@runtime_checkable
class Fit(Protocol):
    """Fits heads to a pool: :func:`morl.fronts.fitting.fit_pool` or ``fit_whole``."""

    def __call__(
        self,
        language_model: LanguageModel,
        pool: Pool,
        features: Features,
        settings: HeadSettings,
        *,
        progress: Progress | None = None,
    ) -> Fitted:
        """Heads and their out-of-fold readings."""
        ...


@dataclass(frozen=True)
class RunSettings:
    """What a run is told, beside its model and feedback."""

    heads: HeadSettings = HeadSettings()
    candidates: CandidateSettings = CandidateSettings()
    front: SweepSettings = SweepSettings()

    @property
    def seeds(self) -> tuple[int, int, int]:
        """Of the heads, the candidates and the front."""
        return self.heads.seed, self.candidates.seed, self.front.seed


@dataclass
class Run:
    """One run under way: where it writes, what it keeps, and what it has done.

    Args:
      out: Folder of results.
      cache: Folder of features and samples, shared between runs.
      console: Told of every stage.
      stages: Stages done, with their seconds; filled as the run goes.
    """

    out: Path
    cache: Path
    console: Console
    stages: list[dict[str, Any]]

    @contextmanager
    def stage(self, name: str, unit: str = "") -> Iterator["Stage"]:
        """Times a stage and reports its end, with the remark that it leaves."""
        stage = Stage(self.console.begin(name, unit))
        start = time.perf_counter()
        try:
            yield stage
        except BaseException:
            self.console.abandon()
            raise
        seconds = time.perf_counter() - start
        self.stages.append(
            {"stage": name, "seconds": round(seconds, 1), "result": stage.remark}
        )
        self.console.end(name, seconds, stage.remark)


@dataclass
class Stage:
    """A stage under way; ``remark`` is what it leaves to say."""

    progress: Progress
    remark: str = ""


class Heads(NamedTuple):
    """Fitted heads with the pool they learned from and their assessment."""

    pool: Pool
    fitted: Fitted
    evaluation: Evaluation


class Answered(NamedTuple):
    """Prompts that the reference policy answered.

    Attributes:
      prompts: Records whose prompts they are.
      sampled: The candidates of each.
      features: Of all candidates, one prompt's after the other's.
    """

    prompts: Sequence[Record]
    sampled: Sequence[Sampled]
    features: Features


class Traced(NamedTuple):
    """A finished run."""

    front: Front
    composition: Composition
    candidates: Candidates
    evaluation: Evaluation
    examples: list[dict[str, Any]]


def fit_stage(
    run: Run,
    language_model: LanguageModel,
    records: Sequence[Record],
    objectives: Names,
    settings: HeadSettings,
    *,
    outside: Sequence[Record] = (),
    fit: Fit = fit_pool,
) -> Heads:
    """Reads features, fits and assesses heads; writes them and ``metrics.json``.

    Args:
      run: Where to.
      language_model: The frozen backbone.
      records: All feedback.
      objectives: What heads are fitted for.
      settings: How.
      outside: Records that only test, such as HHH-alignment.
      fit: :func:`fit_pool`, or :func:`fit_whole` where true rewards will judge.
    """
    with run.stage("feedback", "records") as stage:
        pool = make_pool(records, objectives, settings)
        inside = len(pool.records)
        encoded = encode_records(
            language_model,
            [*pool.records, *outside],
            settings,
            progress=stage.progress,
        )
        own = encoded[:inside]
        cut = sum(e.dropped_messages + e.cut_prompt_tokens > 0 for e in own)
        stage.remark = (
            f"{inside} records, {len(pool.pairs.objective)} pairs and "
            f"{len(pool.scores.objective)} labels for {', '.join(objectives)}"
            + (f"; {cut} prompts cut to {settings.max_tokens} tokens" if cut else "")
        )
    with run.stage("features", "tokens") as stage:
        features = read_features(
            language_model,
            encoded,
            settings,
            cache=run.cache / "features",
            progress=stage.progress,
        )
        stage.remark = f"{len(features.values)} responses"
    with run.stage("heads", "fits") as stage:
        fitted = fit(
            language_model,
            pool,
            features.of_records(0, inside),
            settings,
            progress=stage.progress,
        )
        evaluation = evaluate_heads(
            pool,
            fitted,
            outside,
            features.of_records(inside, len(encoded)),
            progress=stage.progress,
        )
        save_heads(run.out / HEADS, fitted.heads)
        if fitted.parts is not None:
            save_heads(run.out / SELECTOR, fitted.parts.selector)
            save_heads(run.out / JUDGE, fitted.parts.judge)
        write_json(run.out / METRICS, evaluation.metrics())
        stage.remark = evaluation.summary()
    return Heads(pool, fitted, evaluation)


def sample_stage(
    run: Run,
    language_model: LanguageModel,
    prompts: Sequence[Record],
    settings: CandidateSettings,
    heads: HeadSettings,
) -> Answered:
    """Samples candidates and reads their features, as heads with ``heads`` do."""
    with run.stage("candidates", "responses") as stage:
        tokens = [language_model.chat.encode_prompt(r.prompt) for r in prompts]
        sampled = sample_candidates(
            language_model,
            tokens,
            settings,
            cache=run.cache / "candidates",
            progress=stage.progress,
        )
        stage.remark = f"{len(prompts)} prompts x {settings.num_samples} responses"
    with run.stage("candidate features", "tokens") as stage:
        features = read_features(
            language_model,
            encode_candidates(language_model, prompts, sampled, heads),
            heads,
            cache=run.cache / "features",
            progress=stage.progress,
        )
        stage.remark = f"{len(features.values)} responses"
    return Answered(prompts, sampled, features)


def choose_prompts(
    language_model: LanguageModel,
    records: Sequence[Record],
    objectives: Names,
    settings: CandidateSettings,
) -> list[Record]:
    """Held-out prompts that fit, balanced over objectives.

    Raises:
      InputError: None is held out, or none fits.
    """
    if not records:
        raise InputError(
            "no prompt is held out from the heads, to be answered: found feedback on "
            "too few prompts, expected dozens",
            where="sources",
        )
    fits = lambda record: (
        len(language_model.chat.encode_prompt(record.prompt))
        <= settings.max_prompt_tokens
    )
    drawn = balanced_prompts(
        [record for record in records if fits(record)],
        objectives,
        settings.num_prompts,
        seed=settings.seed,
    )
    if not drawn:
        raise InputError(
            f"no held-out prompt has at most {settings.max_prompt_tokens} tokens",
            where="candidates.max_prompt_tokens",
        )
    return drawn


def trace_stage(
    run: Run,
    heads: Heads,
    composition: Composition,
    answered: Answered,
    settings: RunSettings,
    provenance: Provenance,
    *,
    gold: Float[np.ndarray, "b n j"] | None = None,
    units: tuple[str, ...] = (),
) -> Traced:
    """Traces every weighting; writes ``front.json`` and what it was made from.

    Args:
      run: Where to.
      heads: Selector and judge, or the heads that select where gold judges.
      composition: What selects.
      answered: The candidates to select among.
      settings: How.
      provenance: Where it comes from; the seeds are added here.
      gold: True rewards, where known: they are the judge, and the exact front is
        traced.
      units: Unit of each objective as judged.
    """
    with run.stage("front", "steps") as stage:
        stage.progress(0, 3)
        selector, judged = _sides(heads, composition, answered, gold)
        scored = score_candidates(
            composition,
            selector,
            *answered,
            judged,
            seed=settings.candidates.seed,
        )
        stage.progress(1, 3)
        front = assemble_front(
            scored.composition,
            scored.candidates,
            settings.front,
            gold=gold is not None,
            units=units,
            provenance=replace(provenance, seeds=settings.seeds),
        )
        stage.progress(2, 3)
        examples = choose_examples(scored.composition, scored.candidates)
        traced = Traced(
            front, scored.composition, scored.candidates, heads.evaluation, examples
        )
        _write(run.out, traced, settings)
        volume = front.hypervolume[BEST_OF_N].value
        lacking = absent(scored.candidates)
        stage.remark = ", ".join(
            [
                f"{len(front.points)} points, hypervolume {volume:.3g}",
                *(f"{n} responses without {name}" for name, n in lacking.items()),
            ]
        )
    return traced


def _write(out: Path, traced: Traced, settings: RunSettings) -> None:
    """Leaves the front, and what it was made from."""
    write_front(out / FRONT, traced.front)
    write_json(out / SETTINGS, asdict(settings))
    write_text(out / COMPOSITION, traced.composition.to_yaml())
    write_text(out / CANDIDATES, candidate_lines(traced.candidates))


def _sides(
    heads: Heads,
    composition: Composition,
    answered: Answered,
    gold: Float[np.ndarray, "b n j"] | None,
) -> tuple[HeadSet, Float[np.ndarray, "b n j"]]:
    """Heads that select, and what the judge says in the composition's order."""
    if gold is not None:
        # True rewards judge: no feedback has to be kept back for a judge of heads.
        return heads.fitted.heads, gold
    if heads.fitted.parts is None:
        raise InputError(
            "found heads of the whole pool alone, expected a selector and a judge of "
            "its parts (fit_pool)",
            where="heads",
        )
    shape = (len(answered.sampled), len(answered.sampled[0].texts))
    columns = head_columns(heads.fitted.parts.judge, answered.features, shape)
    order = [heads.pool.objectives.index(name) for name in composition.objectives]
    judged = calibrated_rewards(columns, heads.pool.objectives)[..., order]
    return heads.fitted.parts.selector, judged


def config_hash(*settings: object) -> str:
    """SHA-256 of resolved settings."""
    return content_hash(*settings)
