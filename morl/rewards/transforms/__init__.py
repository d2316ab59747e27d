"""Transforms of one reward: explicit state in, explicit state out.

A transform sees one column of rewards ``[...]`` with its mask, after gates and with
larger meaning better. Its settings are a small frozen pytree; what it learns is a
state that the caller keeps, saves and restores. ``observe`` learns from a batch,
``apply`` changes values by what has been learnt; a composition does one after the
other, so that values are changed by statistics that include them.

========================= ==================================== =========
transform                 value                                state
========================= ==================================== =========
:func:`clip`              between two bounds                   none
:func:`tanh`              squashed to (-1, 1)                  none
:func:`min_max`           two bounds to 0 and 1                none
:func:`running_min_max`   least and largest seen to 0 and 1    bounds
:func:`standardize`       mean 0, deviation 1 over the run     moments
:func:`group_standardize` the same within a prompt's group     none
:func:`quantile`          share of a frozen sample below       none
:func:`running_quantile`  share of the latest values below     sample
:func:`log_sigmoid`       log of the sigmoid above a reference none
========================= ==================================== =========
"""

from morl.rewards.transforms.bounds import (
    clip,
    log_sigmoid,
    min_max,
    running_min_max,
    tanh,
)
from morl.rewards.transforms.quantiles import quantile, running_quantile
from morl.rewards.transforms.standard import group_standardize, standardize
from morl.rewards.transforms.transform import State, Transform, Values

__all__ = [
    "State",
    "Transform",
    "Values",
    "clip",
    "group_standardize",
    "log_sigmoid",
    "min_max",
    "quantile",
    "running_min_max",
    "running_quantile",
    "standardize",
    "tanh",
]
