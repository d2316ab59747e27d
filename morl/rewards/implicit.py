r"""The reward that a tuned policy implies, from its log-probabilities alone."""

from dataclasses import dataclass
from typing import Literal

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from morl.errors import InputError
from morl.rewards.batch import LogProbs, Scored, TextBatch, scored
from morl.rewards.objective import Declarations, Reward

Values = Array | np.ndarray


def implicit_token_rewards(
    log_probs: Float[Values, "*batch t"],
    reference_log_probs: Float[Values, "*batch t"],
    mask: Bool[Values, "*batch t"],
    *,
    beta: float,
) -> Float[Array, "*batch t"]:
    r"""Reward of each token under which a policy is the best answer to its reference.

    .. math:: r_t = \beta \log \frac{\pi(y_t \mid x, y_{<t})}{\pi_{ref}(y_t \mid x,
       y_{<t})}

    Args:
      log_probs: Of the tokens under the policy; anything off the mask, NaN included.
      reference_log_probs: Of the same tokens under the reference policy.
      mask: Tokens of the response.
      beta: Strength :math:`\beta > 0` of the KL penalty the policy was tuned with.

    Returns:
      One reward a token in float32, zero off the mask.

    References:
      Rafailov et al., From r to Q* (arXiv:2404.12358), 2024, Section 4.
    """
    policy, reference = jnp.asarray(log_probs), jnp.asarray(reference_log_probs)
    kind = jnp.promote_types(policy.dtype, jnp.float32)
    ratio = policy.astype(kind) - reference.astype(kind)
    return beta * jnp.where(mask, ratio, 0)


def implicit_rewards(
    log_probs: Float[Values, "*batch t"],
    reference_log_probs: Float[Values, "*batch t"],
    mask: Bool[Values, "*batch t"],
    *,
    beta: float,
) -> Float[Array, "*batch"]:
    r"""Reward of a response under which a policy is the best answer to its reference.

    .. math:: r(x, y) = \beta \log \frac{\pi(y \mid x)}{\pi_{ref}(y \mid x)}
       \;(+\; \beta \log Z(x))

    The last term is the same for all responses to a prompt and is left out: values
    compare within a prompt only.

    Args:
      log_probs: Of the tokens under the policy.
      reference_log_probs: Of the same tokens under the reference policy.
      mask: Tokens of the response.
      beta: Strength :math:`\beta > 0` of the KL penalty the policy was tuned with.

    Returns:
      One reward a response, in nats times ``beta``.

    Examples:
      >>> policy, reference = jnp.log(jnp.array([[0.5, 0.9]])), jnp.log(0.25)
      >>> mask = jnp.array([[True, False]])
      >>> print(implicit_rewards(policy, jnp.full((1, 2), reference), mask, beta=0.1))
      [0.06931472]

    References:
      Rafailov et al., Direct Preference Optimization (arXiv:2305.18290), 2023,
      Equation 5.
    """
    rewards = implicit_token_rewards(log_probs, reference_log_probs, mask, beta=beta)
    return jnp.sum(rewards, axis=-1)


@dataclass(frozen=True)
class ImplicitSource:
    """Settings of :func:`implicit_reward`."""

    name: str
    beta: float

    def __post_init__(self) -> None:
        """Refuses a strength that is not positive."""
        if not 0 < self.beta < float("inf"):
            raise InputError(
                f"found {self.beta}, expected a positive number",
                where=f"{self.name}.beta",
            )

    def token_values(self, batch: TextBatch) -> Float[Array, "n t"]:
        """One reward a token, zero off the response."""
        pair, mask = self._inputs(batch)
        return implicit_token_rewards(pair.policy, pair.reference, mask, beta=self.beta)

    def score(self, batch: TextBatch) -> Scored:
        """The sum over response tokens; absent where there are none."""
        pair, mask = self._inputs(batch)
        counts = np.sum(np.asarray(mask), axis=1)
        totals = np.asarray(
            implicit_rewards(pair.policy, pair.reference, mask, beta=self.beta)
        )
        values: list[float | None] = []
        reasons = []
        for total, count in zip(totals.tolist(), counts.tolist(), strict=True):
            good = count > 0 and np.isfinite(total)
            values.append(total if good else None)
            if good:
                ratio = total / self.beta
                tokens = f"{count} token{'' if count == 1 else 's'}"
                reasons.append(f"{self.beta:g} x {ratio:+.2f} nats over {tokens}")
            else:
                cause = f"log-ratio is {total}" if count else "no response tokens"
                reasons.append(f"absent: {cause}")
        return scored(values, reasons)

    def _inputs(self, batch: TextBatch) -> tuple[LogProbs, Bool[Values, "n t"]]:
        if self.name not in batch.log_probs or batch.mask is None:
            known = ", ".join(batch.log_probs) or "nothing"
            raise InputError(
                f"needs the batch's mask and log_probs[{self.name!r}]; it has "
                f"log_probs of {known} and {'no' if batch.mask is None else 'a'} mask",
                where=self.name,
            )
        return batch.log_probs[self.name], batch.mask


def implicit_reward(
    name: str, beta: float, *, granularity: Literal["general", "token"] = "general"
) -> Reward:
    r"""The reward :math:`\beta \log (\pi / \pi_{ref})` of a tuned policy.

    Args:
      name: Name of the reward; the batch holds its log-probabilities under it.
      beta: Strength of the KL penalty the policy was tuned with.
      granularity: ``"token"`` declares that credit is given to single tokens; the
        score of a response is the sum over them either way.

    Returns:
      A reward that compares within a prompt only: the partition function is unknown.

    Raises:
      InputError: ``beta`` is not positive; at scoring, the batch has no
        log-probabilities under ``name``.
    """
    declares = Declarations(
        basis="data-driven", expression="implicit", granularity=granularity
    )
    return Reward(
        name,
        source=ImplicitSource(name, beta),
        unit="nats x beta",
        scale="per-prompt",
        declares=declares,
    )
