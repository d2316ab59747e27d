"""Ours and a peer side by side: run alternately, checked against each other, reported.

Every benchmark prints a table and, as its last line, one JSON object::

    {"benchmark": ..., "cases": [{"case", "ours", "peer", "unit", "ratio"}],
     "machine": ..., "versions": ...}

``ours`` and ``peer`` are medians over the rounds. ``ratio`` is the median over the
rounds of ours divided by the peer's of the same round, so that a machine that is slower
for a while is slower for both; all units are rates, so above 1 ours is better.
"""

import json
import os
import platform
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import version
from typing import NamedTuple

import jax
import numpy as np
from rich.console import Console
from rich.table import Table

from morl.errors import InputError

LEAST_ROUNDS = 5


class Timed(NamedTuple):
    """What one run took, in seconds, and what it computed."""

    seconds: float
    result: np.ndarray


class Case(NamedTuple):
    """One comparison.

    Attributes:
      name: Method, size and mode.
      amount: How much a run does, such as its tokens; a rate is this by its seconds.
      unit: The unit of the rate.
      ours: One run of ours.
      peer: One run of the peer on the same input.
      agreement: Says in words how the two results agree; raises Disagreement.
    """

    name: str
    amount: float
    unit: str
    ours: Callable[[], Timed]
    peer: Callable[[], Timed]
    agreement: Callable[[np.ndarray, np.ndarray], str]


class Row(NamedTuple):
    """What was measured of a case: medians, and the quartiles of its ratios."""

    case: Case
    ours: float
    peer: float
    ratio: float
    quartiles: tuple[float, float]
    agreement: str


class Disagreement(AssertionError):
    """The two sides did not compute the same thing: their times compare nothing."""


def use_cores(count: int) -> None:
    """Keeps this process, and the peers it starts, on ``count`` cores and the CPU.

    Call it before anything is computed: XLA counts the cores once.
    """
    jax.config.update("jax_platforms", "cpu")
    if sys.platform == "linux":
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])


def close_enough(tolerance: float) -> Callable[[np.ndarray, np.ndarray], str]:
    """Agreement of floats within ``tolerance`` of the largest magnitude."""

    def agreement(ours: np.ndarray, peer: np.ndarray) -> str:
        if ours.shape != peer.shape:
            raise Disagreement(f"ours has shape {ours.shape}, the peer {peer.shape}")
        gap = float(np.max(np.abs(ours - peer)) / np.max(np.abs(peer)))
        if not gap <= tolerance:
            raise Disagreement(f"apart by {gap:.1e} of the largest, over {tolerance}")
        return f"within {gap:.0e}"

    return agreement


def measure(case: Case, rounds: int) -> Row:
    """Runs both sides once unmeasured, then alternately, the first of a round in turn.

    Every round's results are compared, not the first alone.

    Raises:
      Disagreement: The results differ.
    """
    said = case.agreement(case.ours().result, case.peer().result)
    rates = []
    for number in range(rounds):
        ours_first = number % 2 == 0
        if ours_first:
            ours, peer = case.ours(), case.peer()
        else:
            peer, ours = case.peer(), case.ours()
        case.agreement(ours.result, peer.result)
        rates.append((case.amount / ours.seconds, case.amount / peer.seconds))
    ours_rates, peer_rates = np.array(rates).T
    low, ratio, high = np.quantile(ours_rates / peer_rates, (0.25, 0.5, 0.75))
    return Row(
        case,
        float(np.median(ours_rates)),
        float(np.median(peer_rates)),
        float(ratio),
        (float(low), float(high)),
        said,
    )


def machine() -> dict[str, str | int]:
    """The processor, the cores this process may use, and the system."""
    name = platform.processor() or platform.machine()
    if sys.platform == "linux":
        with open("/proc/cpuinfo") as lines:
            models = [line for line in lines if line.startswith("model name")]
        name = models[0].partition(":")[2].strip() if models else name
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    return {"processor": name, "cores": cores, "system": platform.system()}


def versions(packages: Iterable[str], of_peer: Mapping[str, str]) -> dict[str, str]:
    """Python and our packages, and what the peer says of itself."""
    ours = {name: version(name) for name in ("morl", "jax", "jaxlib", *packages)}
    return {"python": platform.python_version(), **ours, **of_peer}


def report(benchmark: str, rows: Sequence[Row], of_peer: Mapping[str, str]) -> None:
    """Prints the table, and last the JSON line."""
    table = Table(title=benchmark, title_justify="left")
    table.add_column("case", overflow="fold")
    for name in ("ours", "peer", "unit", "ratio", "quartiles", "results agree"):
        table.add_column(name, justify="left" if name == "unit" else "right")
    for row in rows:
        table.add_row(
            row.case.name,
            f"{row.ours:,.1f}",
            f"{row.peer:,.1f}",
            row.case.unit,
            f"{row.ratio:.3f}",
            f"{row.quartiles[0]:.3f} to {row.quartiles[1]:.3f}",
            row.agreement,
        )
    Console(width=None if sys.stdout.isatty() else 160).print(table)
    cases = [
        {
            "case": row.case.name,
            "ours": round(row.ours, 3),
            "peer": round(row.peer, 3),
            "unit": row.case.unit,
            "ratio": round(row.ratio, 4),
        }
        for row in rows
    ]
    line = {
        "benchmark": benchmark,
        "cases": cases,
        "machine": machine(),
        "versions": versions((), of_peer),
    }
    print(json.dumps(line), flush=True)


def run(
    benchmark: str, cases: Iterable[Case], rounds: int, of_peer: Mapping[str, str]
) -> None:
    """Measures case by case, saying on stderr how it goes, and reports.

    Raises:
      InputError: There are too few rounds for a median.
    """
    if rounds < LEAST_ROUNDS:
        raise InputError(
            f"found {rounds}, expected {LEAST_ROUNDS} or more", where="rounds"
        )
    rows = []
    for case in cases:
        print(f"{benchmark}: {case.name} ...", file=sys.stderr, flush=True)
        row = measure(case, rounds)
        print(
            f"  ours {row.ours:,.1f}, peer {row.peer:,.1f} {case.unit}, "
            f"ratio {row.ratio:.3f}",
            file=sys.stderr,
            flush=True,
        )
        rows.append(row)
    report(benchmark, rows, of_peer)


def show(title: str, head: Iterable[str], lines: Iterable[Iterable[str]]) -> None:
    """Prints a table as the page holds it."""
    head = [*head]
    print(f"\n{title}\n")
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for line in lines:
        print("| " + " | ".join(line) + " |", flush=True)


def exit_with_message(main: Callable[[], None]) -> None:
    """Runs a benchmark; what it cannot do is one clear message and an exit code.

    Code 2: bad input, or a peer that cannot be made or run. Code 1: the two sides
    disagree.
    """
    try:
        main()
    except InputError as error:
        print(f"{error}", file=sys.stderr)
        sys.exit(2)
    except Disagreement as error:
        print(f"not the same computation: {error}", file=sys.stderr)
        sys.exit(1)
