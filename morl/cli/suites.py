"""The one table from suite to function, and what each suite needs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from morl.assess import perturbations
from morl.assess.findings import Finding
from morl.assess.perturbations import Perturbation
from morl.assess.scored import Scored, Scorer
from morl.assess.suites.accuracy import accuracy
from morl.assess.suites.agreement import agreement
from morl.assess.suites.best_of_n import best_of_n_suite
from morl.assess.suites.calibration import calibration
from morl.assess.suites.generalisation import generalisation
from morl.assess.suites.robustness import robustness
from morl.assess.suites.safety import safety
from morl.assess.suites.uncertainty import uncertainty
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


OTHER_DOMAIN = "feedback of another domain than that of --on"
PERTURBATIONS: dict[str, Perturbation] = {
    "bold words": perturbations.bold,
    "bullets": perturbations.bullets,
    "heading": perturbations.heading,
    "filler": perturbations.filler,
    "upper case": perturbations.upper_case,
    "lower case": perturbations.lower_case,
    "typos": perturbations.typos,
    "sentences in another order": perturbations.shuffled_sentences,
    "items in another order": perturbations.shuffled_items,
}


def _robustness(request: Request) -> Finding:
    return robustness(
        *request.on,
        request.heads,
        request.scorer,
        PERTURBATIONS,
        seed=request.seed,
    )


def _generalisation(request: Request) -> Finding:
    if request.against is None:
        raise InputError(f"needs {OTHER_DOMAIN}", where="--against")
    return generalisation(
        *request.on, *request.against, request.heads, seed=request.seed
    )


def _safety(request: Request) -> Finding:
    return safety(*request.on, request.heads, request.scorer, seed=request.seed)


def _best_of_n(request: Request) -> Finding:
    return best_of_n_suite(*request.on, request.heads, request.gold, seed=request.seed)


def _plain(
    suite: Callable[..., Finding],
) -> Callable[[Request], Finding]:
    """A suite that needs records and their rewards alone."""
    return lambda request: suite(*request.on, request.heads, seed=request.seed)


SUITES: dict[str, Suite] = {
    "accuracy": Suite(_plain(accuracy), "pairs in order, by data set and subset"),
    "robustness": Suite(_robustness, "length bias, and changes of form"),
    "generalisation": Suite(
        _generalisation,
        "a domain held out beside that of the fit",
        needs_against=OTHER_DOMAIN,
    ),
    "safety": Suite(_safety, "refusal and over-refusal on XSTest"),
    "calibration": Suite(_plain(calibration), "whether margins mean probabilities"),
    "uncertainty": Suite(_plain(uncertainty), "accuracy where doubt is rejected"),
    "agreement": Suite(_plain(agreement), "objectives on the same responses"),
    "best_of_n": Suite(_best_of_n, "what selection gains by another judge"),
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
