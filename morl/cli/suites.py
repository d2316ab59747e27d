"""The one table from suite to function, and what each suite needs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from morl.assess.findings import Finding
from morl.assess.scored import Scored, Scorer
from morl.assess.suites.accuracy import accuracy
from morl.errors import InputError
from morl.feedback import Record
from morl.types import Names


class Data(NamedTuple):
    """Records, and what the heads say of their responses."""

    records: Sequence[Record]
    scored: Scored


@dataclass(frozen=True)
class Request:
    """What suites are run on.

    Args:
      heads: Names of the heads.
      on: What is tested on.
      scorer: Scores other records by the same heads.
      seed: Of bootstraps, draws and perturbations.
      against: Feedback of another domain, where given.
      gold: Rewards of ``on`` by heads that had no part in the selection, where given,
        and their names.
    """

    heads: Names
    on: Data
    scorer: Scorer
    seed: int
    against: Data | None = None
    gold: tuple[Names, Scored] | None = None


class Suite(NamedTuple):
    """A suite.

    Attributes:
      run: What runs it.
      about: In words what it asks.
      needs_against: What it needs ``--against`` for; empty where it does not.
    """

    run: Callable[[Request], Finding]
    about: str
    needs_against: str = ""


def _accuracy(request: Request) -> Finding:
    return accuracy(*request.on, request.heads, seed=request.seed)


SUITES: dict[str, Suite] = {
    "accuracy": Suite(_accuracy, "pairs in order, by data set and subset"),
}


def find_suites(names: Sequence[str]) -> dict[str, Suite]:
    """The suites of these names.

    Raises:
      InputError: There is none, one is unknown, or one is given twice.
    """
    known = ", ".join(SUITES)
    if not names:
        raise InputError(f"found none, expected some of {known}", where="--suite")
    for name in names:
        if name not in SUITES:
            raise InputError(f"found {name!r}, expected {known}", where="--suite")
        if list(names).count(name) > 1:
            raise InputError(f"found {name!r} twice", where="--suite")
    return {name: SUITES[name] for name in names}


def check_options(suites: Mapping[str, Suite], *, against: bool) -> None:
    """Refuses, before anything is loaded, suites that lack their data.

    Raises:
      InputError: Names the suite, what it needs, and the option that gives it.
    """
    for name, suite in suites.items():
        if suite.needs_against and not against:
            raise InputError(
                f"needs {suite.needs_against}: add --against READER:PATH",
                where=f"--suite {name}",
            )
