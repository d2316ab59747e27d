"""The quickstart: a tiny language model of a world whose gold rewards are known."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from morl.errors import InputError
from morl.feedback import Message, Record
from morl.fronts.fitting import fit_whole
from morl.fronts.pipeline import (
    Run,
    RunSettings,
    Traced,
    config_hash,
    fit_stage,
    sample_stage,
    trace_stage,
)
from morl.fronts.pool import make_pool
from morl.fronts.sampling import Sampled
from morl.fronts.settings import CandidateSettings, HeadSettings, SweepSettings
from morl.models.chat import ChatTokenizer, EncodedRecord, train_chat_tokenizer
from morl.models.language_model import (
    LanguageModel,
    load_language_model,
    save_language_model,
)
from morl.models.loading import fingerprint
from morl.pareto import Provenance
from morl.rewards import Composition
from morl.training.bounds import check_numbers
from morl.training.features import Progress
from morl.training.language import (
    LanguageSettings,
    positions_of,
    train_language_model,
)
from morl.worlds import PreferenceWorld, preference_world

MODEL = "model"
UNITS = ("gold points",) * 3
MOST_RESPONSES = 256  # the world has more than these to every prompt


@dataclass(frozen=True)
class QuickstartSettings:
    """Sizes of the quickstart.

    Args:
      language: The tiny language model.
      responses: Responses a prompt that it is trained on, packed into one row.
      row_tokens: Tokens of such a row; responses that do not fit are left out.
      records: Prompts whose responses are compared.
      compared: Responses a record; every two are a noisy preference pair, most of
        which label one objective.
      noise: Share of labels that are flipped.
      run: Heads, candidates and front.

    Raises:
      InputError: A number is out of its range, or two of them do not fit.
    """

    language: LanguageSettings = LanguageSettings(
        width=192,
        num_layers=2,
        vocab_size=4096,
        ffn_multiple=2,
        num_documents=3200,
        batch_size=8,
        learning_rate=0.02,
        adam_learning_rate=8e-3,
    )
    responses: int = 8
    row_tokens: int = 256
    records: int = 600
    compared: int = 8
    noise: float = 0.1
    run: RunSettings = RunSettings(
        heads=HeadSettings(max_pairs=10_000, pooling="sum", folds=3),
        candidates=CandidateSettings(
            num_prompts=96,
            num_samples=12,
            max_new_tokens=72,
            batch_prompts=48,
            temperature=0.5,
        ),
        front=SweepSettings(betas=(0.1, 0.5)),
    )

    def __post_init__(self) -> None:
        """Refuses what would fail only after the language model is trained."""
        least = {"responses": 1, "row_tokens": 2, "records": 1, "compared": 2}
        check_numbers("settings", vars(self), least)
        for name in ("responses", "compared"):
            if vars(self)[name] > MOST_RESPONSES:
                raise InputError(
                    f"found {vars(self)[name]}, expected at most {MOST_RESPONSES}",
                    where=f"settings.{name}",
                )
        if not 0 <= self.noise <= 1:
            raise InputError(
                f"found {self.noise}, expected 0 to 1", where="settings.noise"
            )
        self._check_fit()

    def _check_fit(self) -> None:
        """Refuses heads and candidates that the language model has no room for."""
        depth = self.language.num_layers
        for layer in self.run.heads.layers:
            if layer == 0 or not -depth <= layer <= depth:
                raise InputError(
                    f"found {layer}, expected 1 to {depth}, or -{depth} to -1 from the "
                    "last (settings.language.num_layers)",
                    where="settings.run.heads.layers",
                )
        room = positions_of(self.row_tokens)
        if self.run.candidates.max_new_tokens >= room:
            raise InputError(
                f"found {self.run.candidates.max_new_tokens}, expected fewer than the "
                f"{room} positions that settings.row_tokens gives the model",
                where="settings.run.candidates.max_new_tokens",
            )


def run_quickstart(
    run: Run, composition: Composition, settings: QuickstartSettings, command: str
) -> tuple[Traced, LanguageModel]:
    """Trains the tiny model, fits heads to noisy preferences, traces the front.

    Args:
      run: Where to; a model that a run left there is used again.
      composition: What selects; its objectives are the world's.
      settings: Sizes.
      command: For the provenance.

    Returns:
      The finished run and the tiny model.
    """
    world = preference_world()
    records = noisy_feedback(world, settings)
    model = language_stage(run, world, settings)
    heads = fit_stage(
        run, model, records, world.objectives, settings.run.heads, fit=fit_whole
    )
    prompts = held_out_prompts(world, settings.run.candidates)
    answered = sample_stage(
        run, model, prompts, settings.run.candidates, settings.run.heads
    )
    provenance = Provenance(
        config_hash=config_hash(repr(settings), composition.to_yaml()),
        created_by="morl quickstart",
        command=command,
        model=f"{model.name} {model.fingerprint[:12]}",
        judge="the world's gold rewards, which no head has seen",
        data=(
            f"{len(heads.pool.pairs.objective)} preference pairs of the embedded world",
        ),
    )
    traced = trace_stage(
        run,
        heads,
        composition,
        answered,
        settings.run,
        provenance,
        gold=gold_rewards(world, prompts, answered.sampled, composition),
        units=UNITS,
    )
    return traced, model


def noisy_feedback(
    world: PreferenceWorld, settings: QuickstartSettings
) -> list[Record]:
    """The preferences that heads are fitted to.

    Raises:
      InputError: They are too few for the heads; known before a model is trained.
    """
    records = world.records(
        settings.records,
        seed=settings.run.heads.seed,
        noise=settings.noise,
        num_responses=settings.compared,
    )
    make_pool(records, world.objectives, settings.run.heads)
    return records


def language_stage(
    run: Run, world: PreferenceWorld, settings: QuickstartSettings
) -> LanguageModel:
    """Trains the tiny language model, or loads the one that a run left."""
    folder = model_folder(run.cache, settings)
    with run.stage("language model", "steps") as stage:
        if (folder / "config.json").exists():
            try:
                model = load_language_model(folder)
                stage.remark = "trained before"
                return replace(model, name="tiny")
            except InputError as error:
                stage.remark = f"{error}; trained again"
        model, loss = train_tiny_model(
            world, settings, folder=folder, progress=stage.progress
        )
        config = model.model.config
        stage.remark += (
            f"{config.num_layers} layers of width {config.width}, "
            f"{config.vocab_size} tokens, {loss:.2f} nats a response token"
        )
    return model


def model_folder(cache: Path, settings: QuickstartSettings) -> Path:
    """Where the tiny model is kept: named by what its training depends on."""
    told = config_hash(repr(settings.language), settings.responses, settings.row_tokens)
    return cache / MODEL / told[:16]


def train_tiny_model(
    world: PreferenceWorld,
    settings: QuickstartSettings,
    *,
    folder: Path,
    progress: Progress | None = None,
) -> tuple[LanguageModel, float]:
    """Trains a tiny language model on the world's corpus and saves it.

    Args:
      world: Whose prompts and responses it learns, those of held-out wordings too.
      settings: Sizes.
      folder: Where the model is saved, as a Hugging Face folder.
      progress: Called with steps done and in all.

    Returns:
      The model, and its mean loss over the last steps in nats a response token.
    """
    language = settings.language
    prompts = [p for split in ("train", "test") for p in world.prompts(split)]
    sample = [text for p in prompts[:400] for text in world.responses(p, 3, 0)]
    chat = train_chat_tokenizer([*prompts, *sample], language.vocab_size)
    rng = np.random.default_rng(language.seed)
    rounds = -(-language.num_documents // len(prompts))
    order = np.concatenate([rng.permutation(len(prompts)) for _ in range(rounds)])
    documents = [
        _row(chat, prompts[place], world, number, settings)
        for number, place in enumerate(order[: language.num_documents])
    ]
    model, losses = train_language_model(chat, documents, language, progress=progress)
    unsaved = LanguageModel("tiny", model, chat, "")
    save_language_model(unsaved, folder)
    saved = replace(unsaved, fingerprint=fingerprint([folder / "model.safetensors"]))
    return saved, float(losses[-25:].mean())


def held_out_prompts(
    world: PreferenceWorld, settings: CandidateSettings
) -> list[Record]:
    """Prompts in wordings that no preference was given for."""
    prompts = world.prompts("test")
    rng = np.random.default_rng(settings.seed)
    chosen = rng.permutation(len(prompts))[: settings.num_prompts]
    return [
        Record(
            prompt=(Message("user", prompts[place]),),
            responses=((Message("assistant", ""),),),
            labels={},
            source="preference_world",
            id=f"test-{place}",
        )
        for place in sorted(chosen)
    ]


def gold_rewards(
    world: PreferenceWorld,
    prompts: Sequence[Record],
    sampled: Sequence[Sampled],
    composition: Composition,
) -> Float[np.ndarray, "b n j"]:
    """True rewards of all candidates, in the order of the composition's objectives."""
    order = [world.objectives.index(name) for name in composition.objectives]
    gold = [
        world.gold(record.prompt[0].content, one.texts)
        for record, one in zip(prompts, sampled, strict=True)
    ]
    return np.stack(gold)[..., order]


def _row(
    chat: ChatTokenizer,
    prompt: str,
    world: PreferenceWorld,
    number: int,
    settings: QuickstartSettings,
) -> EncodedRecord:
    """A prompt with as many of its responses as a row holds."""
    texts = world.responses(prompt, settings.responses, number)
    try:
        record = chat.encode_responses(prompt, texts, max_tokens=settings.row_tokens)
    except InputError:
        raise InputError(
            f"found {settings.row_tokens}, expected enough for a prompt with any one "
            "response, such as 256",
            where="settings.row_tokens",
        ) from None
    total, kept = len(record.prompt), []
    for place, response in enumerate(record.responses):
        if total + len(response) <= settings.row_tokens:
            total += len(response)
            kept.append(place)
    return record._replace(
        responses=tuple(record.responses[place] for place in kept),
        own=tuple(record.own[place] for place in kept),
    )
