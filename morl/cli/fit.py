"""``morl fit``: heads by L-BFGS, or a reward model trained by gradients."""

from collections.abc import Sequence
from pathlib import Path

from morl.cli.config import read_yaml
from morl.cli.front import fit as fit_by_lbfgs
from morl.cli.reward_fit import fit_reward_model

TRAINING = "training"


def fit(argv: Sequence[str]) -> None:
    """Runs the command: a configuration with a ``training`` section trains."""
    if argv and not argv[0].startswith("-") and Path(argv[0]).is_file():
        found = read_yaml(argv[0])
        if isinstance(found, dict) and TRAINING in found:
            fit_reward_model(argv)
            return
    fit_by_lbfgs(argv)
