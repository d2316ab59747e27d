"""Scalarizers: a reward vector and weights to one utility, larger is better.

Each takes one reward vector; batch with ``jax.vmap`` at the call site, ``in_axes=(0,
None)`` where the weights are shared and ``0`` where they vary.
"""

from morl.scalarize.chebyshev import chebyshev, smooth_chebyshev
from morl.scalarize.linear import linear
from morl.scalarize.present import keep_present
from morl.scalarize.worst_case import worst_case

__all__ = ["chebyshev", "keep_present", "linear", "smooth_chebyshev", "worst_case"]
