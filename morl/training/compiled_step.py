"""A training step as a program: compiled from shapes, for devices that need not be."""

import re
import warnings
from typing import NamedTuple

import jax
from jax.sharding import Mesh

from morl.training.abstract import Arguments
from morl.training.costs import Costs, program_costs
from morl.training.hlo import read_program
from morl.training.reward_design import Parts
from morl.training.strategies import jit_step


class NoRoom(Exception):
    """The compiler found that a program does not fit.

    Args:
      message: What it said.
    """

    @property
    def used(self) -> int | None:
        """Bytes that the program would use, where the message says so.

        Examples:
          >>> NoRoom("Used 16.5G of 15.75G hbm. Exceeded hbm capacity by 768M.").used
          17716740096
        """
        found = re.search(r"Used ([\d.]+)([KMG]) of", str(self))
        if found is None:
            return None
        return int(float(found[1]) * 1024 ** (" KMG".index(found[2])))


class Built(NamedTuple):
    """A compiled step.

    Attributes:
      costs: What it asks of a device.
      arguments: Bytes of what it takes, with the padding of layouts.
      results: Bytes of what it gives and does not put in their place.
      temporary: Bytes that it needs besides.
      code: Bytes of the program.
    """

    costs: Costs
    arguments: int
    results: int
    temporary: int
    code: int


def compile_step(parts: Parts, mesh: Mesh, given: Arguments) -> Built:
    """The step that a run would take, compiled for the devices of the mesh.

    Args:
      parts: Of a reward model, from shapes alone.
      mesh: The devices.
      given: What the step takes.

    Raises:
      NoRoom: It needs more memory than they have.
    """
    step = jit_step(parts.program, parts.update, mesh)
    lowered = step.lower(given.state, given.frozen, given.batch)
    try:
        with warnings.catch_warnings():
            # Programs of devices that are not here cannot be kept between processes.
            warnings.filterwarnings("ignore", "Error .* compilation cache entry")
            compiled = lowered.compile()
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        raise NoRoom(_first_line(error)) from error
    stats = compiled.memory_analysis()
    return Built(
        program_costs(read_program(compiled.as_text())),
        stats.argument_size_in_bytes,
        max(stats.output_size_in_bytes - stats.alias_size_in_bytes, 0),
        stats.temp_size_in_bytes,
        stats.generated_code_size_in_bytes,
    )


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    used = [line for line in lines if "Used" in line]
    return (used or lines)[0]
