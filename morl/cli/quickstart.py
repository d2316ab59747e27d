"""``morl quickstart``: a front of three objectives, from nothing, in minutes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import morl
from morl.cli.arguments import as_yaml, command_line, parse
from morl.cli.console import OUT, Stages
from morl.cli.report import report_stage
from morl.cli.summary import print_example, print_front, print_heads, print_places
from morl.fronts.assemble import BEST_OF_N
from morl.fronts.pipeline import Run
from morl.fronts.quickstart import (
    QuickstartSettings,
    noisy_feedback,
    run_quickstart,
)
from morl.rewards import Composition
from morl.worlds import preference_world

STAGES = 8


@dataclass(frozen=True)
class QuickstartConfig:
    """Trains a tiny language model on an embedded world whose gold rewards are known,
    fits three reward heads to noisy preferences, and traces the Pareto front of
    helpfulness, harmlessness and honesty against the exact one.

    Args:
      out: Folder of results.
      settings: Sizes; the defaults take minutes on two cores.
      dry_run: Check and print the settings and what would be done, and do nothing.
    """

    out: Path = Path("runs/quickstart")
    settings: QuickstartSettings = QuickstartSettings()
    dry_run: bool = False


def quickstart_reward() -> Composition:
    """The reward of the quickstart: three objectives with equal weights."""
    helpful, harmless, honest = morl.objectives("helpful", "harmless", "honest")
    return (helpful + harmless + honest) / 3


def quickstart(argv: Sequence[str]) -> None:
    """Runs the command."""
    config = parse(
        QuickstartConfig, argv, prog="morl quickstart", default=QuickstartConfig()
    )
    if config.dry_run:
        noisy_feedback(preference_world(), config.settings)
        OUT.print(as_yaml(config))
        OUT.print(
            "would train a tiny language model, fit heads, sample candidates, trace "
            f"the front and write {config.out}/{{front.json,report.html,figures}}"
        )
        return
    reward = quickstart_reward()
    OUT.print(str(reward))
    run = Run(config.out, config.out / "cache", Stages(STAGES), [])
    traced, _ = run_quickstart(run, reward, config.settings, command_line())
    figures = report_stage(run, traced, title="The quickstart's front")
    print_heads(traced.evaluation)
    print_front(traced.front)
    exact = traced.front.exact
    if exact is not None and BEST_OF_N in exact.share_closed:
        share = exact.share_closed[BEST_OF_N]
        OUT.print(
            f"\nbest-of-n by the heads closes {share:.0%} of the gap from "
            "the reference policy to the exact front (hypervolume under gold rewards)"
        )
    print_example(traced.examples[0], traced.front.objectives)
    print_places(config.out, figures)
    total = sum(stage["seconds"] for stage in run.stages)
    OUT.print(f"\ndone in {total:.0f} s")
