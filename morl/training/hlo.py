"""Reads the text of a compiled program: its instructions, and how often each runs."""

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
_KNOWN = re.compile(r'known_trip_count"?:\{"?n"?:"?(\d+)')


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


class Runs(NamedTuple):
    """How often computations run.

    Attributes:
      counts: By the name of a computation.
      unknown: Loops of which the program does not say how often they go round; they are
        counted once.
    """

    counts: Mapping[str, int]
    unknown: tuple[str, ...]


def runs(program: ProgramText) -> Runs:
    """How often each computation runs, bodies of loops as often as they go round."""
    counts: dict[str, int] = dict.fromkeys(program.computations, 0)
    counts[program.entry] = 1
    unknown: list[str] = []
    for name in _callers_first(program):
        for line in program.computations[name].instructions.values():
            trips: int | None = 1
            if line.opcode == "while":
                trips = trip_count(program, name, line)
                if trips is None:
                    unknown.append(line.name)
                    trips = 1
            for _, callee in line.calls:
                counts[callee] += counts[name] * trips
    return Runs(counts, tuple(unknown))


def _callers_first(program: ProgramText) -> list[str]:
    done: list[str] = []
    seen: set[str] = set()

    def visit(name: str) -> None:
        if name in seen:
            return
        seen.add(name)
        for line in program.computations[name].instructions.values():
            for _, callee in line.calls:
                visit(callee)
        done.append(name)

    visit(program.entry)
    return done[::-1]


class _Value(NamedTuple):
    """A number that a loop computes: a constant, or its counter plus a constant."""

    counter: int | None  # place in the tuple of the loop
    offset: int


class _Test(NamedTuple):
    """A comparison of two such numbers."""

    direction: str
    left: _Value
    right: _Value


_Found = _Value | _Test | None
_SAME = ("copy", "bitcast", "convert", "reshape", "copy-start", "copy-done")


def trip_count(program: ProgramText, caller: str, loop: Instruction) -> int | None:
    """How often a loop goes round; None where the program does not show it.

    Compilers say so of some loops. Others count up from a constant to a constant, which
    is read off their start, their condition and their step.

    Args:
      program: The loop's.
      caller: Name of the computation that the loop is in.
      loop: A ``while``.
    """
    if known := _KNOWN.search(loop.attributes):
        return int(known[1])
    called = dict(loop.calls)
    test = _value(program, called["condition"], None, ())
    if not isinstance(test, _Test) or test.left.counter is None:
        return None
    place = test.left.counter
    body = program.computations[called["body"]]
    here = program.computations[caller]
    start = _element(program, here, loop.operands[0], place)
    later = _value(program, body.name, body.root.operands[place], ())
    if not isinstance(start, _Value) or not isinstance(later, _Value):
        return None
    step = later.offset
    known = start.counter is None and later.counter == place
    if not known or test.right.counter is not None:
        return None
    limit = test.right.offset + (test.direction in ("LE", "GE"))
    if test.direction not in ("LT", "LE") or step <= 0:
        return None
    return max(-(-(limit - test.left.offset - start.offset) // step), 0)


def _element(program: ProgramText, here: Computation, name: str, place: int) -> _Found:
    """An entry of a tuple that is built in this computation."""
    line = here.instructions[name]
    if line.opcode == "tuple":
        return _value(program, here.name, line.operands[place], ())
    return None


def _value(
    program: ProgramText, name: str, of: str | None, given: tuple[_Found, ...]
) -> _Found:
    """What an instruction computes, as far as loops count with it.

    Args:
      program: The program.
      name: Of the computation.
      of: Of the instruction; the computation's value without one.
      given: Values of its parameters, for one that is called by a fusion.
    """
    here = program.computations[name]
    line = here.root if of is None else here.instructions[of]
    look = lambda operand: _value(program, name, operand, given)
    if line.opcode == "constant" and re.fullmatch(r"-?\d+", line.inside):
        return _Value(None, int(line.inside))
    if line.opcode == "parameter" and given:
        return given[int(line.inside)]
    if line.opcode == "get-tuple-element":
        return _entry(program, here, line, given)
    if line.opcode in _SAME and line.operands:
        return look(line.operands[0])
    if line.opcode == "fusion":
        inner = tuple(map(look, line.operands))
        return _value(program, dict(line.calls)["calls"], None, inner)
    if line.opcode in ("add", "subtract", "compare"):
        left, right = map(look, line.operands)
        if not isinstance(left, _Value) or not isinstance(right, _Value):
            return None
        return _combined(line, left, right)
    return None


def _entry(
    program: ProgramText,
    here: Computation,
    line: Instruction,
    given: tuple[_Found, ...],
) -> _Found:
    """An entry of the loop's tuple, or of what a fusion gives."""
    found = re.search(r"index=(\d+)", line.attributes)
    place = int(found[1]) if found else 0
    source = here.instructions[line.operands[0]]
    if source.opcode == "parameter" and not given:
        return _Value(place, 0)
    if source.opcode == "fusion":
        callee = dict(source.calls)["calls"]
        inner = tuple(_value(program, here.name, one, given) for one in source.operands)
        root = program.computations[callee].root
        if root.opcode == "tuple":
            return _value(program, callee, root.operands[place], inner)
    if source.opcode == "tuple":
        return _value(program, here.name, source.operands[place], given)
    return None


def _combined(line: Instruction, left: _Value, right: _Value) -> _Found:
    if line.opcode == "compare":
        found = re.search(r"direction=(\w+)", line.attributes)
        return _Test(found[1] if found else "", left, right)
    if line.opcode == "add":
        if left.counter is not None and right.counter is not None:
            return None
        counter = left.counter if left.counter is not None else right.counter
        return _Value(counter, left.offset + right.offset)
    if right.counter is not None:
        return None
    return _Value(left.counter, left.offset - right.offset)
