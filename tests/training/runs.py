"""A tiny reward model and its feedback, which tests of training share."""

from dataclasses import replace
from functools import partial

import jax
import numpy as np
from flax import nnx
from jax.experimental.multihost_utils import process_allgather

from morl.losses import bradley_terry, squared_error
from morl.models.adapters import AdapterSettings
from morl.models.chat import EncodedRecord
from morl.models.config import TransformerConfig
from morl.models.heads import linear
from morl.models.transformer import ANYWHERE, Transformer
from morl.training.mesh import MeshSettings, held_on, make_mesh
from morl.training.optimizer import OptimizerSettings, constant
from morl.training.reward_batch import Example, widths
from morl.training.reward_design import (
    Design,
    TrainingSettings,
    prepared_backbone,
    reward_parts,
    start,
)
from morl.training.reward_program import ObjectiveLosses
from morl.training.reward_rows import FeatureTable, RowMaker, data_order, make_fed
from morl.training.strategies import jit_route, pmap_route, shard_map_route

ROUTES = {"jit": jit_route, "shard_map": shard_map_route, "pmap": pmap_route}
NAMES = ("helpful", "harmless", "honest")
CONFIG = TransformerConfig(64, 16, 2, 4, 2, 4, 32)
ONE_LAYER = replace(CONFIG, num_layers=1)  # half the time to compile
BOUNDARIES = (32,)
OPTIMIZER = OptimizerSettings(learning_rate=1e-3)


def example(number):
    """Two responses, a preference for one of two objectives, and some scores."""
    random = np.random.default_rng(number)
    tokens = lambda count: random.integers(0, 64, count).astype(np.int32)
    responses = (tokens(5 + number % 7), tokens(4 + number % 5))
    own = tuple(np.ones(len(response), bool) for response in responses)
    scores = ((0, 2, 0.3),) if number % 3 else ()
    record = EncodedRecord(tokens(6 + number % 9), responses, own)
    return Example(record, ((0, 1, number % 2, 1.0),), scores, f"example {number}")


EXAMPLES = [example(number) for number in range(64)]


def pair_loss(gaps, strength, mask, *, weights=None):
    del strength
    return bradley_terry(gaps, 0 * gaps, mask, weights=weights)


LOSSES = ObjectiveLosses(pair_loss, squared_error)


def settings(**changes):
    adapters = AdapterSettings(rank=4, dropout=changes.pop("dropout", 0.0))
    return TrainingSettings(
        **{"mode": "full", "batch_size": 8, "adapters": adapters} | changes
    )


def design(*, head=None, weighting=None, remat=None):
    rate = constant(OPTIMIZER, 0)
    head = linear() if head is None else head
    return Design(NAMES, head, (LOSSES,) * 3, (1.0, 1.0, 0.5), rate, weighting, remat)


def make_parts(made, chosen, *, config=ONE_LAYER, held=ANYWHERE):
    backbone = None
    if chosen.mode != "frozen":
        model = Transformer(config, rngs=nnx.Rngs(0))
        backbone = prepared_backbone(model, chosen, jax.random.key(0))
    head = made.head.init(jax.random.key(1), CONFIG.width, len(NAMES))
    return reward_parts(backbone, head, made, chosen, OPTIMIZER, held=held)


def rows(mode="full"):
    """Rows of tokens, or of features that say nothing of their labels."""
    room = widths(EXAMPLES)
    if mode != "frozen":
        return RowMaker(EXAMPLES, room, len(NAMES))
    random = np.random.default_rng(0)
    draw = lambda *shape: random.normal(size=shape).astype(np.float32)
    count, width = len(EXAMPLES), CONFIG.width
    features = FeatureTable(draw(count, room.responses, width), draw(count, width))
    return RowMaker(EXAMPLES, room, len(NAMES), features)


def trained(
    strategy="jit",
    mesh=None,
    *,
    num_steps=4,
    devices=1,
    made=None,
    config=ONE_LAYER,
    gathered=False,
    **changes,
):
    """Parameters and metrics after some steps."""
    mesh = make_mesh(mesh or MeshSettings(), jax.devices()[:devices])
    chosen, made = settings(**changes), made or design()
    parts = make_parts(
        made,
        chosen,
        config=config,
        held=held_on(mesh) if strategy == "jit" else ANYWHERE,
    )
    route = ROUTES[strategy](parts.program, parts.update, mesh)
    state = route.place_params(start(parts, made, chosen))
    frozen = route.place_params(parts.frozen)
    count = chosen.batch_size * chosen.accumulate
    drawn = data_order(rows(chosen.mode), BOUNDARIES, count, 0).after(0)
    feed = partial(
        make_fed,
        rows(chosen.mode),
        accumulate=chosen.accumulate,
        share=route.share(chosen.batch_size),
        place=route.place_batch,
    )
    metrics = None
    for _ in range(num_steps):
        state, metrics = route.step(state, frozen, feed(next(drawn)).batch)
        jax.block_until_ready(metrics)
    if gathered:
        state = jax.tree.map(whole, state)
    return jax.device_get(state), jax.device_get(metrics)


def whole(leaf):
    """An array of which other processes may hold parts."""
    if leaf.is_fully_addressable:
        return leaf
    return process_allgather(leaf, tiled=True)


def furthest(first, second):
    """The largest difference of two trees."""
    gaps = jax.tree.map(lambda a, b: np.max(np.abs(a - b), initial=0), first, second)
    return max(jax.tree.leaves(gaps))
