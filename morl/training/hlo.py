"""Reads the text of a compiled program: computations and their instructions."""

import re
from collections.abc import Mapping, Sequence
from math import prod
from typing import NamedTuple

BITS: Mapping[str, int] = {
    "pred": 8,
    "s4": 4,
    "u4": 4,
    "s8": 8,
    "u8": 8,
    "s16": 16,
    "u16": 16,
    "s32": 32,
    "u32": 32,
    "s64": 64,
    "u64": 64,
    "f16": 16,
    "bf16": 16,
    "f32": 32,
    "f64": 64,
    "c64": 64,
    "c128": 128,
}
_SHAPE = re.compile(r"(\w+)\[([\d,]*)\](?:\{([^{}]*)\})?")
_NAME = re.compile(r"^\s+(ROOT )?%?([\w.\-]+) = ")
_HEADER = re.compile(r"^(ENTRY )?%?([\w.\-]+) \(.*\{\s*$")
_OPERAND = re.compile(r"%([\w.\-]+)")
_CALLED = re.compile(
    r"(calls|to_apply|body|condition|branch_computations|called_computations|"
    r"true_computation|false_computation)=(\{[^{}]*\}|%?[\w.\-]+)"
)
_SPACE = re.compile(r"S\((\d+)\)")


class Shape(NamedTuple):
    """One array of a program.

    Attributes:
      dtype: As the program writes it.
      dims: Its shape.
      space: Number of the memory that it is in; 0 is the device's main memory.
    """

    dtype: str
    dims: tuple[int, ...]
    space: int = 0

    @property
    def bytes(self) -> int:
        """Bytes without padding; tokens and other opaque things have none."""
        return -(-prod(self.dims) * BITS.get(self.dtype, 0) // 8)


class Instruction(NamedTuple):
    """One line of a program.

    Attributes:
      name: Unique in the program.
      opcode: What it does.
      shapes: Arrays that it gives; those of a tuple one after the other.
      operands: Names of what it reads.
      inside: What stands between its parentheses.
      attributes: What stands behind them.
      calls: Role and name of each computation that it runs.
      root: Whether it is the value of its computation.
    """

    name: str
    opcode: str
    shapes: tuple[Shape, ...]
    operands: tuple[str, ...]
    inside: str
    attributes: str
    calls: tuple[tuple[str, str], ...]
    root: bool


class Computation(NamedTuple):
    """A function of a program.

    Attributes:
      name: Its name.
      instructions: By name, operands ahead of what reads them.
      root: Its value.
      parameters: Names of its parameters, in order.
    """

    name: str
    instructions: Mapping[str, Instruction]
    root: Instruction
    parameters: tuple[str, ...]


class ProgramText(NamedTuple):
    """A compiled program of one device.

    Attributes:
      computations: By name.
      entry: Name of the one that runs first.
    """

    computations: Mapping[str, Computation]
    entry: str


def read_program(text: str) -> ProgramText:
    """The computations of a compiled program.

    Args:
      text: From ``compiled.as_text()``.

    Raises:
      ValueError: There is no entry in it.
    """
    computations: dict[str, Computation] = {}
    entry, name = "", ""
    lines: list[Instruction] = []
    for line in text.splitlines():
        if header := _HEADER.match(line):
            name, lines = header[2], []
            entry = name if header[1] else entry
        elif line.startswith("}") and name:
            computations[name] = _computation(name, lines)
            name = ""
        elif name and (found := _NAME.match(line)):
            lines.append(_instruction(re.sub(r"/\*.*?\*/", "", line), found))
    if not entry:
        raise ValueError("found no ENTRY in the text of a compiled program")
    return ProgramText(computations, entry)


def _computation(name: str, lines: Sequence[Instruction]) -> Computation:
    numbered = sorted(
        (int(line.inside), line.name) for line in lines if line.opcode == "parameter"
    )
    root = next((line for line in lines if line.root), lines[-1])
    return Computation(
        name, {line.name: line for line in lines}, root, tuple(n for _, n in numbered)
    )


def _instruction(line: str, found: re.Match[str]) -> Instruction:
    rest = line[_NAME.match(line).end() :]  # type: ignore[union-attr]
    stop = _closing(rest) if rest.startswith("(") else _type_end(rest)
    kind, rest = rest[:stop], rest[stop:].lstrip()
    opcode, _, _ = rest.partition("(")
    end = _closing(rest[len(opcode) :]) + len(opcode)
    inside, attributes = rest[len(opcode) + 1 : end - 1], rest[end:]
    called = [
        (role, one)
        for role, names in _CALLED.findall(attributes)
        for one in re.findall(r"[\w.\-]+", names)
    ]
    return Instruction(
        found[2],
        opcode,
        tuple(map(_shape, _SHAPE.findall(kind))),
        tuple(_OPERAND.findall(inside)),
        inside,
        attributes,
        tuple(called),
        bool(found[1]),
    )


def _type_end(text: str) -> int:
    found = _SHAPE.match(text)
    return found.end() if found else text.index(" ")


def _closing(text: str) -> int:
    """Where the parenthesis that ``text`` begins with is closed, and one further."""
    depth = 0
    for place, sign in enumerate(text):
        depth += (sign == "(") - (sign == ")")
        if not depth:
            return place + 1
    return len(text)


def _shape(found: tuple[str, str, str]) -> Shape:
    dtype, dims, layout = found
    space = _SPACE.search(layout)
    sizes = tuple(int(size) for size in dims.split(",") if size)
    return Shape(dtype, sizes, int(space[1]) if space else 0)
