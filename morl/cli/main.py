"""The one table from command to function."""

import os
import sys
import warnings
from collections.abc import Callable, Sequence
from importlib.metadata import version

from morl.errors import InputError

Command = Callable[[Sequence[str]], None]


def _quickstart(argv: Sequence[str]) -> None:
    from morl.cli.quickstart import quickstart

    quickstart(argv)


def _front(argv: Sequence[str]) -> None:
    from morl.cli.front import front

    front(argv)


def _fit(argv: Sequence[str]) -> None:
    from morl.cli.fit import fit

    fit(argv)


def _plan(argv: Sequence[str]) -> None:
    from morl.cli.plan import plan

    plan(argv)


def _plot(argv: Sequence[str]) -> None:
    from morl.cli.plot import plot

    plot(argv)


def _check(argv: Sequence[str]) -> None:
    from morl.cli.check import check

    check(argv)


def _fetch(argv: Sequence[str]) -> None:
    from morl.cli.fetch import fetch

    fetch(argv)


def _score(argv: Sequence[str]) -> None:
    from morl.cli.score import score

    score(argv)


def _evaluate(argv: Sequence[str]) -> None:
    from morl.cli.evaluate import evaluate

    evaluate(argv)


# Imported when called: `morl --help` answers at once.
COMMANDS: dict[str, tuple[Command, str]] = {
    "quickstart": (_quickstart, "a front of three objectives, from nothing"),
    "front": (_front, "the whole way on a real model: CONFIG.yaml"),
    "fit": (_fit, "reward heads and their table: CONFIG.yaml"),
    "plan": (_plan, "what training would ask of devices not here: CONFIG.yaml"),
    "score": (_score, "what a composition says of responses, and why: SPEC"),
    "evaluate": (_evaluate, "how good heads are, by suites: HEADS"),
    "plot": (_plot, "figures of a saved front: front.json"),
    "check": (_check, "validate feedback in JSONL"),
    "fetch": (_fetch, "fetch a model: smollm2 or ORG/NAME"),
}
USAGE = 2
CLOSED = 141  # what a shell reports of a program whose reader left


def usage() -> str:
    """What there is."""
    rows = [f"  {name:<12}{text}" for name, (_, text) in COMMANDS.items()]
    return "\n".join(
        [
            "usage: morl COMMAND [options]",
            "",
            "Multi-objective reward composition for aligning language models.",
            "",
            *rows,
            "",
            "morl COMMAND --help explains its options; --version is the version.",
        ]
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Runs a command; exits with code 2 on bad input, with one clear message."""
    given = list(sys.argv[1:] if argv is None else argv)
    if not given or given[0] in ("-h", "--help"):
        print(usage())
        sys.exit(0 if given else USAGE)
    if given[0] == "--version":
        print(f"morl {version('morl')}")
        sys.exit(0)
    name, *rest = given
    if name not in COMMANDS:
        print(f"morl: no command {name!r}\n\n{usage()}", file=sys.stderr)
        sys.exit(USAGE)
    try:
        _run(name, rest)
    except InputError as error:
        print(f"\nmorl {name}: {error}", file=sys.stderr)
        sys.exit(USAGE)
    except KeyboardInterrupt:
        print(
            f"\nmorl {name}: interrupted; run the same command again to go on",
            file=sys.stderr,
        )
        sys.exit(130)
    except BrokenPipeError:
        # Whoever read the output has enough, as head does; the interpreter would
        # complain once more when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(CLOSED)
    except OSError as error:
        # A full disk, a folder that is closed to us: nothing that a traceback explains.
        place = error.filename
        if place is None:
            place = "output"
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        print(f"\nmorl {name}: {place}: {error.strerror or error}", file=sys.stderr)
        sys.exit(USAGE)


def _run(name: str, argv: Sequence[str]) -> None:
    """Runs a command; its warnings are one line each, without a place in the source."""

    def show(message: Warning | str, *_: object, **__: object) -> None:
        from tqdm import tqdm

        # A bar under way moves out of its way, and is drawn again below it.
        tqdm.write(f"morl {name}: {message}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.showwarning = show
        COMMANDS[name][0](argv)
        sys.stdout.flush()
