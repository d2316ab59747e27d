"""What people look at: prompts answered along the front, and all candidates as text."""

import json
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from morl.fronts.candidates import Candidates
from morl.fronts.measure import BEST_OF_N
from morl.rewards import Composition
from morl.sampling.select import best_of_n
from morl.types import Names

# Whoever shows an example says so: it is no sample of what the policy answers.
HOW_CHOSEN = (
    "chosen because its answer changes most with the weighting, and among such prompts "
    "because the judge's rewards of its candidates lie furthest apart: not typical"
)


def choose_examples(
    composition: Composition, candidates: Candidates, *, count: int = 3
) -> list[dict[str, Any]]:
    """Prompts whose best response changes most with the weighting, and the answers.

    Among prompts with as many different answers, those whose candidates' rewards by the
    judge lie furthest apart come first (:data:`HOW_CHOSEN`). Weightings are the
    vertices and the centroid.
    """
    names = candidates.objectives
    centroid = np.full((1, len(names)), 1 / len(names))
    corners = np.concatenate([np.eye(len(names)), centroid])
    rewards = jnp.asarray(candidates.rewards, jnp.float32)
    present = jnp.asarray(candidates.present)
    choose = lambda corner: jnp.argmax(
        best_of_n(*composition.utility(rewards, present, corner)), axis=-1
    )
    picks = np.stack([choose(jnp.asarray(corner, jnp.float32)) for corner in corners])
    spread = np.array([len(set(column)) for column in picks.T])
    gap = np.ptp(candidates.judged, axis=1).sum(axis=-1)
    chosen = np.lexsort((-gap, -spread))[:count]
    labels = [f"{name} only" for name in names] + ["equal weights"]
    return [
        {
            "prompt": candidates.prompts[row],
            "answers": [
                {
                    "text": candidates.responses[row][picks[corner, row]],
                    "weights": corners[corner].tolist(),
                    "method": BEST_OF_N,
                    "rewards": candidates.judged[row, picks[corner, row]].tolist(),
                    "label": labels[corner],
                }
                for corner in range(len(corners))
            ],
        }
        for row in chosen
    ]


def candidate_lines(candidates: Candidates) -> str:
    """One JSON object a prompt: responses with both sides' rewards."""
    rows = zip(candidates.prompts, candidates.responses, strict=True)
    lines = [
        json.dumps(
            {
                "prompt": prompt,
                "responses": list(texts),
                "selector": _named(candidates.names, candidates.rewards[row]),
                "judge": _named(candidates.objectives, candidates.judged[row]),
            }
        )
        for row, (prompt, texts) in enumerate(rows)
    ]
    return "\n".join(lines) + "\n"


def _named(
    names: Names, rewards: Float[np.ndarray, "n k"]
) -> dict[str, list[float | None]]:
    return {
        name: [float(value) if np.isfinite(value) else None for value in column]
        for name, column in zip(names, rewards.T, strict=True)
    }
