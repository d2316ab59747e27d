"""What XLA is asked for where it compiles products of many columns for a CPU."""

from functools import cache

import jax
import jax.numpy as jnp

# By default XLA gives every product to YNNPACK. It is ahead of Eigen in products of a
# few columns, as in decoding, and in attention, which it fuses; with 32 columns or more
# Eigen takes a sixth less time. With reductions alone YNNPACK keeps attention. Loops
# between the products gain from the widest registers that the processor has.
WIDE_PRODUCTS = {
    "xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_REDUCE",
    "xla_cpu_prefer_vector_width": "512",
}


@cache
def wide_products() -> dict[str, str]:
    """Compiler options of a program whose products have 32 columns or more.

    Returns:
      Options for ``jax.jit``: none off the CPU, and none that this XLA does not know.
    """
    if jax.default_backend() != "cpu":
        return {}
    known = {}
    for name, value in WIDE_PRODUCTS.items():
        empty = jax.jit(lambda: jnp.zeros(())).lower()
        try:
            empty.compile(compiler_options={name: value})
        except jax.errors.JaxRuntimeError:
            continue
        known[name] = value
    return known
