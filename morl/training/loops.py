"""How often each part of a compiled program runs: the rounds of its loops."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from morl.training.hlo import Computation, Instruction, ProgramText

_KNOWN = re.compile(r'known_trip_count"?:\{"?n"?:"?(\d+)')


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
