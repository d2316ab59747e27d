"""Dominance, hypervolume, directions, and the record of a front."""

from morl.pareto.directions import simplex_lattice
from morl.pareto.files import (
    front_from_json,
    front_text,
    front_to_json,
    read_front,
    write_front,
)
from morl.pareto.front import (
    ExactFront,
    Front,
    FrontPoint,
    Hypervolume,
    Provenance,
    intervals_of,
    methods_of,
    rewards_of,
    select,
    weights_of,
)
from morl.pareto.host import hypervolume, hypervolume_contributions, non_dominated
from morl.pareto.marks import (
    Gain,
    control_gains,
    find_ties,
    hypervolume_interval,
    mark_dominated,
    monotonicity_violations,
    separated,
    share_closed,
    vertex_gains,
)
from morl.pareto.normalisation import Normalisation, normalised, protocol_reference
from morl.pareto.verdicts import Verdict, control_verdict

__all__ = [
    "ExactFront",
    "Front",
    "FrontPoint",
    "Gain",
    "Hypervolume",
    "Normalisation",
    "Provenance",
    "Verdict",
    "control_gains",
    "control_verdict",
    "find_ties",
    "front_from_json",
    "front_text",
    "front_to_json",
    "hypervolume",
    "hypervolume_contributions",
    "hypervolume_interval",
    "intervals_of",
    "mark_dominated",
    "methods_of",
    "monotonicity_violations",
    "non_dominated",
    "normalised",
    "protocol_reference",
    "read_front",
    "rewards_of",
    "select",
    "separated",
    "share_closed",
    "simplex_lattice",
    "vertex_gains",
    "weights_of",
    "write_front",
]
