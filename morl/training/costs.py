"""What a compiled program costs a device: products, memory traffic, collectives."""

import re
from collections.abc import Mapping, Sequence
from math import prod
from typing import NamedTuple

from morl.training.hlo import Computation, Instruction, ProgramText, Shape
from morl.training.loops import Runs, runs

COLLECTIVES = (
    "all-gather",
    "all-reduce",
    "reduce-scatter",
    "all-to-all",
    "collective-permute",
)
# What moves nothing, or is counted where it is computed.
_FREE = (
    *("parameter", "constant", "tuple", "get-tuple-element", "bitcast", "iota"),
    *("while", "conditional", "call", "after-all", "opt-barrier", "domain"),
    *("partition-id", "replica-id", "add-dependency"),
)
# Calls by which the TPU compiler marks memory and begins collectives: nothing moves.
_MARKS = ("AllocateBuffer", "AsyncCollectiveStart", "AsyncCollectiveDone", "Bitcast")
_FUSED = ("calls", "to_apply")


class Collective(NamedTuple):
    """All collectives of one kind.

    Attributes:
      count: How often they run in a step.
      bytes: That one device sends for them.
      largest: Bytes of the largest array that one of them gives.
    """

    count: int
    bytes: float
    largest: int


class Costs(NamedTuple):
    """What one step asks of one device, loops counted as often as they go round.

    Attributes:
      flops: Operations of matrix products; others are not counted.
      bytes: To and from the device's main memory.
      collectives: By kind.
      unknown_loops: Loops that are counted once, for want of knowing better.
    """

    flops: int
    bytes: int
    collectives: dict[str, Collective]
    unknown_loops: tuple[str, ...]


def program_costs(program: ProgramText) -> Costs:
    """Counts a compiled program, which is that of one device.

    The compiler's own count takes every loop for one round, so that of a model whose
    layers are scanned is too small by their number.
    """
    found = runs(program)
    fused = _fused(program)
    flops = moved = 0
    for computation in program.computations.values():
        count = found.counts[computation.name]
        for line in computation.instructions.values() if count else ():
            flops += count * product_flops(computation, line)
            if computation.name not in fused:
                moved += count * traffic(program, computation, line)
    sent = distinct_collectives(program, found)
    moved += sum(
        one.count * (sum(map(_main, _given(one.here, one.line))) + _out(one.line))
        for one in sent
        if one.here.name in fused
    )
    return Costs(flops, moved, collectives(sent), found.unknown)


def _fused(program: ProgramText) -> set[str]:
    """Computations whose values stay on the chip: those inside of fusions."""
    inside: set[str] = set()
    for computation in program.computations.values():
        for line in computation.instructions.values():
            if line.opcode != "call":
                inside |= {name for role, name in line.calls if role in _FUSED}
    return inside


def product_flops(here: Computation, line: Instruction) -> int:
    """Operations of a product or convolution; 0 of anything else."""
    if line.opcode not in ("dot", "convolution"):
        return 0
    left, right = (here.instructions[name].shapes[0] for name in line.operands[:2])
    out = line.shapes[0].dims
    if line.opcode == "dot":
        found = re.search(r"lhs_contracting_dims=\{([\d,]*)\}", line.attributes)
        places = [int(one) for one in found[1].split(",") if one] if found else []
        return 2 * prod(out) * prod(left.dims[place] for place in places)
    return _convolution_flops(line, left.dims, right.dims, out)


def _convolution_flops(
    line: Instruction,
    left: tuple[int, ...],
    right: tuple[int, ...],
    out: tuple[int, ...],
) -> int:
    """Only what meets an entry counts: compilers write batched products as
    convolutions of dilated arrays, most of which is padding."""
    labels = re.search(r"dim_labels=(\w+)_(\w+)->(\w+)", line.attributes)
    assert labels is not None
    first, kernel, result = labels.groups()
    window = re.search(r"window=\{([^}]*)\}", line.attributes)
    fields = dict(one.split("=") for one in window[1].split()) if window else {}
    pairs = 1
    for number in range(len(kernel) - 2):
        sign = str(number)
        size, wide = left[first.index(sign)], right[kernel.index(sign)]
        count = out[result.index(sign)]
        pairs *= _meetings(size, wide, count, fields, number)
    inputs = right[kernel.index("i")]
    return 2 * out[result.index("b")] * out[result.index("f")] * inputs * pairs


def _meetings(
    size: int, window: int, count: int, fields: Mapping[str, str], axis: int
) -> int:
    """How many entries meet in a convolution along one axis."""

    def number(name: str, default: int) -> int:
        text = fields.get(name, "")
        return int(text.split("x")[axis].split("_")[0]) if text else default

    stride, pad = number("stride", 1), number("pad", 0)
    spread, reach = number("lhs_dilate", 1), number("rhs_dilate", 1)
    last = (size - 1) * spread
    return sum(
        0 <= place <= last and not place % spread
        for at in range(count)
        for place in range(at * stride - pad, at * stride - pad + window * reach, reach)
    )


def traffic(program: ProgramText, here: Computation, line: Instruction) -> int:
    """Bytes that an instruction outside of fusions reads and writes.

    Parts of arrays count as parts, and what is updated in place as what is written.
    """
    if line.opcode in _FREE or line.opcode.endswith("-done"):
        return 0
    if _marks(line):
        return 0
    if line.opcode.endswith("-start"):
        return _begun(line)
    sizes = [sum(map(_main, here.instructions[name].shapes)) for name in line.operands]
    if line.opcode in ("dynamic-slice", "gather"):
        return 2 * _out(line)
    if line.opcode == "dynamic-update-slice":
        return 2 * sizes[1]
    if line.opcode == "scatter":
        return 3 * sum(sizes[2:])
    if line.opcode == "fusion":
        inner = program.computations[dict(line.calls)["calls"]]
        reads = sum(
            min(size, _read(program, inner, place) if size else 0)
            for place, size in enumerate(sizes)
        )
        return reads + _written(inner, line.shapes)
    return sum(sizes) + _out(line)


def _given(here: Computation, line: Instruction) -> list[Shape]:
    """Arrays that an instruction reads."""
    return [shape for name in line.operands for shape in here.instructions[name].shapes]


def _out(line: Instruction) -> int:
    """Bytes of main memory that an instruction gives."""
    return sum(map(_main, line.shapes))


def _begun(line: Instruction) -> int:
    """Bytes of what goes on in the background: it gives what it reads and writes."""
    if line.opcode == "copy-start" or len(line.shapes) < 2:
        return _out(line)
    read, written, *_ = line.shapes
    if "slice" in line.opcode:  # reads no more than it writes
        return written.bytes * (not read.space) + _main(written)
    return _out(line)


def _main(shape: Shape) -> int:
    """Bytes in main memory: those in faster ones cost nothing here."""
    return 0 if shape.space else shape.bytes


def _bytes(line: Instruction) -> int:
    return sum(shape.bytes for shape in line.shapes)


def _read(program: ProgramText, here: Computation, place: int) -> int:
    """Bytes of a parameter that a fused computation reads."""
    return _used(program, here, here.parameters[place])


def _used(program: ProgramText, here: Computation, name: str) -> int:
    """Bytes of a value that those who read it read of it."""
    whole, total = _bytes(here.instructions[name]), 0
    for line in here.instructions.values():
        if name not in line.operands:
            continue
        at = line.operands.index(name)
        if line.opcode in ("dynamic-slice", "slice", "gather") and at == 0:
            total += _bytes(line)
        elif _passes(here, line) or (line.opcode == "dynamic-update-slice" and at == 0):
            continue
        elif line.opcode == "bitcast" and not line.root:
            total += _used(program, here, line.name)
        elif line.opcode == "fusion":
            inner = program.computations[dict(line.calls)["calls"]]
            total += _read(program, inner, at)
        else:
            return whole
    return min(total, whole)


def _passes(here: Computation, line: Instruction) -> bool:
    """Whether a fused value is passed on: to the caller, or to a collective under way,
    whose bytes are counted once."""
    handed = line.root and line.opcode == "tuple"
    return handed or _marks(line) or _kind(here, line) in COLLECTIVES


def _marks(line: Instruction) -> bool:
    """Whether it only marks memory, or the begin or end of a collective."""
    found = (mark in line.attributes for mark in _MARKS)
    return line.opcode == "custom-call" and any(found)


def _written(here: Computation, shapes: tuple[Shape, ...]) -> int:
    """Bytes that a fusion writes; of an array that it updates in place, the update."""
    root = here.root
    values = list(root.operands) if root.opcode == "tuple" else [root.name]
    if len(values) != len(shapes):
        return sum(map(_main, shapes))
    total = 0
    for name, shape in zip(values, shapes, strict=True):
        line = here.instructions[name]
        while line.opcode in ("bitcast", "copy", "reshape") and line.operands:
            line = here.instructions[line.operands[0]]
        if line.opcode == "parameter" or _passes(here, line):
            continue
        if line.opcode == "dynamic-update-slice":
            update = _bytes(here.instructions[line.operands[1]])
            total += min(_main(shape), update)
        else:
            total += _main(shape)
    return total


class Sent(NamedTuple):
    """A collective in the text of a program, and how often it runs."""

    kind: str
    count: int
    here: Computation
    line: Instruction


def distinct_collectives(program: ProgramText, found: Runs) -> list[Sent]:
    """Collectives of a program, each once.

    One that runs beside several fusions stands in each of them, by one channel.
    """
    seen: dict[str, Sent] = {}
    for computation in program.computations.values():
        for line in computation.instructions.values():
            kind = _kind(computation, line)
            count = found.counts[computation.name]
            if kind not in COLLECTIVES or not count:
                continue
            channel = re.search(r"channel_id=(\d+)", line.attributes)
            key = f"{kind} {channel[1]}" if channel else line.name
            if key not in seen or seen[key].count < count:
                seen[key] = Sent(kind, count, computation, line)
    return list(seen.values())


def collectives(found: Sequence[Sent]) -> dict[str, Collective]:
    """Collectives by kind, and the bytes that a device sends for them."""
    totals: dict[str, Collective] = {}
    for kind, count, here, line in found:
        sent, largest = _sent(kind, here, line)
        old = totals.get(kind, Collective(0, 0.0, 0))
        totals[kind] = Collective(
            old.count + count, old.bytes + count * sent, max(old.largest, largest)
        )
    return {kind: totals[kind] for kind in COLLECTIVES if kind in totals}


def _kind(here: Computation, line: Instruction) -> str:
    """What a collective does: TPUs scatter a sum in a fusion that is named for it."""
    kind = line.opcode.removesuffix("-start")
    scattered = here.name.startswith("all-reduce-scatter")
    return "reduce-scatter" if kind == "all-reduce" and scattered else kind


def _sent(kind: str, here: Computation, line: Instruction) -> tuple[float, int]:
    """Bytes that one device of a ring sends, and the size of the largest array."""
    given = [here.instructions[name] for name in line.operands]
    read = sum(_bytes(one) for one in given)
    size = group_size(line)
    if kind == "collective-permute":
        return float(read), read
    share = (size - 1) / size
    if kind == "all-gather":
        whole = read * size
        parts = [shape.bytes * size for one in given for shape in one.shapes]
        return whole * share, max(parts)
    largest = max(shape.bytes for one in given for shape in one.shapes)
    return float(read * share) * (2 if kind == "all-reduce" else 1), largest


def group_size(line: Instruction) -> int:
    """How many devices take part in one run of a collective.

    Examples:
      >>> from morl.training.hlo import Instruction
      >>> for text in ("{{0,1},{2,3}}", "[4,8]<=[32]", "mesh['a'=2,'b'=16] {'b'}"):
      ...     found = f", replica_groups={text}, dimensions={{0}}"
      ...     print(group_size(Instruction("x", "", (), (), "", found, (), False)))
      2
      8
      16
    """
    text = line.attributes.partition("replica_groups=")[2]
    if text.startswith("mesh["):
        sizes = dict(re.findall(r"'([^']+)'=(\d+)", text[: text.index("]")]))
        axes = re.findall(r"'([^']+)'", text[text.index("{") : text.index("}")])
        return prod(int(sizes[axis]) for axis in axes)
    if found := re.match(r"\[([\d,]+)\]<=", text):
        return int(found[1].split(",")[-1])
    if found := re.match(r"\{\{([\d,]*)\}", text):
        return len(found[1].split(","))
    return 1
