"""Dominance, hypervolume, directions, and the record of a front."""

from morl.pareto.archive import Archive, init_archive, update_archive
from morl.pareto.attainment import attainment, attainment_surface
from morl.pareto.comparison import (
    Estimate,
    difference_interval,
    indicator_intervals,
    one_by_one,
    probability_higher,
)
from morl.pareto.contributions import hypervolume_contributions
from morl.pareto.coverage import convex_coverage
from morl.pareto.directions import (
    dirichlet,
    simplex_lattice,
    sobol_simplex,
    sobol_sphere,
)
from morl.pareto.distances import igd, igd_plus
from morl.pareto.dominance import crowding_distance, front_rank, non_dominated
from morl.pareto.epsilon import epsilon_additive
from morl.pareto.expected import expected_utility, maximum_utility_loss
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
from morl.pareto.hypervolume import hypervolume
from morl.pareto.knees import knee_distance, trade_off
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
from morl.pareto.polar import polar_hypervolume
from morl.pareto.r2 import r2, r2_exact
from morl.pareto.riesz import riesz_directions
from morl.pareto.spread import mean_inner_product, spacing
from morl.pareto.verdicts import Verdict, control_verdict

__all__ = [
    "Archive",
    "Estimate",
    "ExactFront",
    "Front",
    "FrontPoint",
    "Gain",
    "Hypervolume",
    "Normalisation",
    "Provenance",
    "Verdict",
    "attainment",
    "attainment_surface",
    "control_gains",
    "control_verdict",
    "convex_coverage",
    "crowding_distance",
    "difference_interval",
    "dirichlet",
    "epsilon_additive",
    "expected_utility",
    "find_ties",
    "front_from_json",
    "front_rank",
    "front_text",
    "front_to_json",
    "hypervolume",
    "hypervolume_contributions",
    "hypervolume_interval",
    "igd",
    "igd_plus",
    "indicator_intervals",
    "init_archive",
    "intervals_of",
    "knee_distance",
    "mark_dominated",
    "maximum_utility_loss",
    "mean_inner_product",
    "methods_of",
    "monotonicity_violations",
    "non_dominated",
    "normalised",
    "one_by_one",
    "polar_hypervolume",
    "probability_higher",
    "protocol_reference",
    "r2",
    "r2_exact",
    "read_front",
    "rewards_of",
    "riesz_directions",
    "select",
    "separated",
    "share_closed",
    "simplex_lattice",
    "sobol_simplex",
    "sobol_sphere",
    "spacing",
    "trade_off",
    "update_archive",
    "vertex_gains",
    "weights_of",
    "write_front",
]
