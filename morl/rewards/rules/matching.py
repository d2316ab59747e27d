"""Regular-expression matching in a child process that a time limit can stop."""

import json
import signal
import subprocess
import sys
from typing import NamedTuple

MODES = ("fullmatch", "search", "count")
SLOW_LIMIT = 3
SHOWN_CHARACTERS = 40

# The child knows nothing of morl and starts in some 20 ms. It arms a timer of its own
# processor time for each text; nobody handles the signal, so the kernel ends the child
# even inside the matching engine, and a busy machine does not make a text look slow.
CHILD = f"""
import json, re, signal, sys
pattern, mode, timeout, texts = json.load(sys.stdin)
expression = re.compile(pattern)
for text in texts:
    signal.setitimer(signal.ITIMER_PROF, timeout)
    if mode == "count":
        found = list(expression.finditer(text))
    else:
        one = (expression.search if mode == "search" else expression.fullmatch)(text)
        found = [one] if one else []
    first = found[0] if found else None
    shown = first.group()[:{SHOWN_CHARACTERS}] if first else ""
    print(json.dumps([len(found), first.start() if first else 0, shown]), flush=True)
"""


class Match(NamedTuple):
    """How often a text matches, where first, and the beginning of that match."""

    count: int
    start: int
    shown: str


def matches(
    pattern: str, mode: str, texts: list[str], *, timeout: float
) -> list[Match | None]:
    """Matches each text, one after another, in ``timeout`` seconds each at most.

    Args:
      pattern: A pattern that compiles.
      mode: One of ``MODES``.
      texts: What is searched.
      timeout: Seconds of processor time a text may take.

    Returns:
      One result a text: None where it took longer, and for every text after the third
      of those.

    Raises:
      RuntimeError: The child process failed for another reason.
    """
    results: list[Match | None] = []
    slow = 0
    while len(results) < len(texts) and slow < SLOW_LIMIT:
        results += _until_slow(pattern, mode, texts[len(results) :], timeout)
        if len(results) < len(texts):
            results.append(None)
            slow += 1
    return results + [None] * (len(texts) - len(results))


def _until_slow(
    pattern: str, mode: str, texts: list[str], timeout: float
) -> list[Match]:
    """Results of a fresh child up to the first text that takes too long."""
    child = subprocess.run(
        [sys.executable, "-I", "-S", "-c", CHILD],
        input=json.dumps([pattern, mode, timeout, texts]),
        capture_output=True,
        text=True,
        check=False,
    )
    if child.returncode not in (0, -signal.SIGPROF):
        raise RuntimeError(f"matching {pattern!r} failed: {child.stderr.strip()}")
    return [Match(*json.loads(line)) for line in child.stdout.splitlines()]
