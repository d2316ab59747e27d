"""What a reward model is made of and what of it is trained, ready for any route."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jaxtyping import Array, PRNGKeyArray, PyTree

from morl.errors import InputError
from morl.models.adapters import AdapterSettings
from morl.models.config import DTYPES, TransformerConfig
from morl.models.heads import Head
from morl.models.layout import adapt, stack_layers
from morl.models.transformer import ANYWHERE, Held, Remat, Transformer
from morl.rewards.mixture import Mixture
from morl.training.bounds import check_numbers
from morl.training.mixing import mixture_program
from morl.training.optimizer import OptimizerSettings, make_optimizer
from morl.training.reward_program import (
    BACKBONE,
    CUTS,
    HEADS,
    ObjectiveLosses,
    Split,
    cast_floats,
    encode_features,
    reward_program,
    split_backbone,
    token_encoder,
)
from morl.training.state import Params, Program, TrainState, init_state
from morl.training.step import Update
from morl.types import Names
from morl.weighting import Weighting

STEPS_KEY = 0x73746570  # folded into the seed, for what steps draw
MODES = ("frozen", "heads", "lora", "full")


@dataclass(frozen=True)
class TrainingSettings:
    """What of a reward model is trained, and on how much at once.

    Args:
      mode: frozen trains heads on features computed once; heads trains them with the
        backbone in the step; lora adds adapters; full trains everything.
      batch_size: Prompts of a micro-batch, over all devices.
      accumulate: Micro-batches of an update.
      dtype: What the backbone computes in; masters and sums are float32 in any case.
      layers: unrolled compiles every layer; scanned compiles one, whatever the depth.
      adapters: Those of lora.
      average_decay: Of a moving average of the parameters, which is what is kept in
        the end; 0 keeps none.
      validation: Share of the prompts that are held out.
      seed: Of parameters, order and dropout.

    Raises:
      InputError: A number is out of its range, or a name is not known.
    """

    mode: Literal["frozen", "heads", "lora", "full"] = "frozen"
    batch_size: int = 8
    accumulate: int = 1
    dtype: str = "float32"
    layers: Literal["unrolled", "scanned"] = "unrolled"
    adapters: AdapterSettings = AdapterSettings()
    average_decay: float = 0.0
    validation: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuses what cannot be trained."""
        check_numbers("training", vars(self), {"batch_size": 1, "accumulate": 1})
        for name, names in (("mode", MODES), ("dtype", DTYPES)):
            if vars(self)[name] not in names:
                raise InputError(
                    f"found {vars(self)[name]!r}, expected one of {', '.join(names)}",
                    where=f"training.{name}",
                )
        for name in ("average_decay", "validation"):
            if not 0 <= vars(self)[name] < 1:
                raise InputError(
                    f"found {vars(self)[name]}, expected at least 0 and below 1",
                    where=f"training.{name}",
                )


class Design(NamedTuple):
    """What a reward model is made of, as functions.

    Attributes:
      names: The objectives.
      head: The kind of its heads.
      losses: How each objective learns.
      weights: What each objective counts for.
      learning_rate: Of a step.
      weighting: What chooses weights from gradients; None keeps those given.
      remat: What layers keep for the backward pass; None keeps everything.
      mixture: What the gate of gated heads learns to mix, the heads themselves staying
        as they are; None where heads are trained.
    """

    names: Names
    head: Head
    losses: tuple[ObjectiveLosses, ...]
    weights: tuple[float, ...]
    learning_rate: optax.Schedule
    weighting: Weighting | None = None
    remat: Remat | None = None
    mixture: Mixture | None = None


class Parts(NamedTuple):
    """A program with the parameters that it starts from."""

    program: Program
    update: Update
    params: Params
    frozen: Params
    graph: nnx.GraphDef | None


def tokens_needed(settings: TrainingSettings) -> bool:
    """Whether the backbone runs in the step."""
    return settings.mode != "frozen"


def prepared_backbone(
    model: Transformer, settings: TrainingSettings, key: PRNGKeyArray
) -> Split:
    """The backbone as it is trained: adapted, stacked, in its types, and parted.

    What is frozen is kept in the type that is computed in; what is trained in float32.
    """
    if settings.mode == "lora":
        model = adapt(model, settings.adapters, key)
    if settings.layers == "scanned":
        model = stack_layers(model)
    split = split_backbone(model, whole=settings.mode == "full")
    return split._replace(
        trained=cast_floats(split.trained, "float32"),
        frozen=cast_floats(split.frozen, settings.dtype),
    )


def abstract_backbone(config: TransformerConfig, settings: TrainingSettings) -> Split:
    """The same as shapes alone: no weights are needed, and none are made."""
    graph: list[nnx.GraphDef] = []

    def build() -> tuple[Params, Params]:
        model = Transformer(config, rngs=nnx.Rngs(0))
        split = prepared_backbone(model, settings, jax.random.key(0))
        graph.append(split.graph)
        return split.trained, split.frozen

    trained, frozen = jax.eval_shape(build)
    return Split(graph[0], trained, frozen)


def reward_parts(
    backbone: Split | None,
    head: PyTree[Array | jax.ShapeDtypeStruct],
    design: Design,
    settings: TrainingSettings,
    optimizer: OptimizerSettings,
    *,
    held: Held = ANYWHERE,
) -> Parts:
    """Program, update and parameters of a reward model; arrays or shapes alike.

    Args:
      backbone: From :func:`prepared_backbone`; None where rows are features.
      head: Parameters of the heads; with a mixture those of gated ones, of which the
        gate is trained.
      design: Functions that the model is made of.
      settings: What is trained.
      optimizer: How.
      held: Where activations are held, from :func:`morl.training.mesh.held_on`.
    """
    frozen: Params = {}
    params: Params = {HEADS: head}
    encode = encode_features
    if backbone is not None:
        params[BACKBONE], frozen[BACKBONE] = backbone.trained, backbone.frozen
        encode = token_encoder(
            backbone.graph, dtype=settings.dtype, remat=design.remat, held=held
        )
    if design.mixture is None:
        params |= _thresholds(design)
        program = reward_program(
            design.names,
            design.head,
            design.losses,
            encode,
            dropout=settings.mode == "lora" and settings.adapters.dropout > 0,
        )
    else:
        frozen[HEADS], params[HEADS] = head
        program = mixture_program(
            design.names, design.head, design.losses, encode, design.mixture
        )
    update = Update(
        make_optimizer(optimizer, design.learning_rate),
        design.weighting,
        settings.average_decay,
    )
    graph = None if backbone is None else backbone.graph
    return Parts(program, update, params, frozen, graph)


def _thresholds(design: Design) -> Params:
    """Free parameters of ordinal objectives: thresholds around 0, a nat apart."""
    step = float(np.log(np.expm1(1.0)))
    counts = {
        name: losses.num_cuts
        for name, losses in zip(design.names, design.losses, strict=True)
        if losses.num_cuts
    }
    cuts = {
        name: jnp.full(count, step, jnp.float32).at[0].set(-(count - 1) / 2)
        for name, count in counts.items()
    }
    return {CUTS: cuts} if cuts else {}


def start(parts: Parts, design: Design, settings: TrainingSettings) -> TrainState:
    """The state before the first step."""
    return init_state(
        parts.params,
        parts.update.optimizer,
        jnp.asarray(design.weights, jnp.float32),
        # Steps fold their numbers in: apart from what else is made of the seed.
        jax.random.fold_in(jax.random.key(settings.seed), STEPS_KEY),
        weighting=design.weighting,
        averaged=settings.average_decay > 0,
    )


def flops_per_token(config: TransformerConfig, settings: TrainingSettings) -> float:
    """Operations that a step needs for a token in products with the layers' weights.

    Two for every weight forward, as many again for the gradients of activations where
    any layer learns, and for those of the weights where they do. Of the last layer all
    tokens need keys and values, and so its fused product; the rest is needed for the
    few that heads read, and is not counted, unless layers are scanned and run alike.
    What is computed again to save memory does not count, nor do attention's own
    products, adapters and heads.

    References:
      Chowdhery et al., PaLM (arXiv:2204.02311), appendix B: model FLOPs utilisation.
    """
    query, key = (
        count * config.head_dim for count in (config.num_heads, config.num_kv_heads)
    )
    last = config.width * (query + 2 * key)
    layer = last + config.width * (query + 3 * config.ffn_width)
    if settings.layers == "scanned":
        last = layer
    passes = {"frozen": 0, "heads": 2, "lora": 4, "full": 6}[settings.mode]
    return float(passes * ((config.num_layers - 1) * layer + last))
