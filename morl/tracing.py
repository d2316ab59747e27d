"""From a reward and a policy to a front, in one call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Array, Float

from morl.errors import InputError
from morl.numerics import NUM_RESAMPLES
from morl.rewards.objective import Operand

if TYPE_CHECKING:
    import morl.fronts
    import morl.pareto
    import morl.rewards


def trace(
    reward: Operand,
    policy: morl.fronts.Candidates | morl.fronts.Policy,
    *,
    weights: Float[Array | np.ndarray, "w k"] | None = None,
    betas: Sequence[float] | None = None,
    gold: bool = False,
    units: tuple[str, ...] = (),
    resamples: int = NUM_RESAMPLES,
    seed: int = 0,
) -> morl.pareto.Front:
    """What every weighting of a reward's objectives reaches, by best-of-n and the tilt.

    Each weighting replaces the coefficients of the objectives; rules keep theirs. All
    are traced in one compiled program, beside a control whose heads know nothing, and
    judged by rewards that the selection does not see.

    Args:
      reward: An objective or composition.
      policy: Responses that were sampled and scored before
        (:func:`morl.fronts.text_candidates`), or a :class:`morl.fronts.Policy`, whose
        model answers its prompts and to whose answers the reward is calibrated.
      weights: Weightings of the objectives, a row each; the lattice of 66 for three
        objectives, and the centroid, where not given. Vertices are always traced too.
      betas: Weights of the KL in the tilt, in units of utility.
      gold: The judge's rewards are the true ones: the front that a selection by them
        reaches is the exact front.
      units: Unit of each objective as judged.
      resamples: Bootstrap resamples of the prompts.
      seed: Of noise and bootstrap.

    Returns:
      The front; ``morl.plots.front`` draws it, ``morl.pareto.write_front`` saves it.

    Raises:
      InputError: Candidates of another reward, weights that are none, or an objective
        without head or source.

    Examples:
      >>> import morl
      >>> from morl.fronts import text_candidates
      >>> short, polite = morl.objectives("short", "polite")
      >>> texts = [["No.", "No, thank you.", "I am afraid not, thank you."]] * 2
      >>> judged = np.array([[[3.0, 0.0], [2.0, 1.0], [1.0, 3.0]]] * 2)
      >>> seen = {"short": judged[..., 0], "polite": judged[..., 1]}
      >>> candidates = text_candidates(
      ...     short + polite, ["Tea?", "Milk?"], texts, judged, columns=seen)
      >>> front = trace(short + polite, candidates, gold=True, resamples=20)
      >>> print(f"{front.exact.share_closed['best-of-n']:.2f}")
      1.00
    """
    # Imported when called: `import morl` loads neither flax nor orbax.
    from morl.fronts import Candidates, SweepSettings, assemble_front
    from morl.rewards import Composition

    composition = Composition.of(reward)
    if isinstance(policy, Candidates):
        candidates, model, judge = policy, "", ""
    else:
        judged = policy.judged(composition)
        composition, candidates = judged.composition, judged.candidates
        model = f"{policy.model.name} {policy.model.fingerprint[:12]}"
        judge = "heads other than those that select"
    settings = SweepSettings(resamples=resamples, seed=seed)
    return assemble_front(
        composition,
        candidates,
        settings if betas is None else replace(settings, betas=tuple(betas)),
        weights=None if weights is None else np.asarray(weights, float),
        gold=gold,
        units=units,
        provenance=replace(
            _provenance(composition, candidates, seed), model=model, judge=judge
        ),
    )


def _provenance(
    composition: morl.rewards.Composition,
    candidates: morl.fronts.Candidates,
    seed: int,
) -> morl.pareto.Provenance:
    from morl.pareto import Provenance

    try:
        config_hash = composition.spec_hash
    except InputError:
        config_hash = ""  # a scalarizer without a name has no text to hash
    return Provenance(
        config_hash=config_hash,
        seeds=(candidates.seed, seed),
        created_by="morl.trace",
    )
