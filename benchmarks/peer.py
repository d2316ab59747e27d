"""The peer: a process of ``.venv-peers`` that answers one JSON request a line."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from harness import Timed

from morl.errors import InputError

ROOT = Path(__file__).parents[1]
PYTHON = ROOT / ".venv-peers" / "bin" / "python"
SERVER = ROOT / "benchmarks" / "peers" / "torch_peer.py"


def torch_command() -> list[str]:
    """The command that starts the peer; makes its environment on first use.

    Raises:
      InputError: The environment cannot be made; the message says why.
    """
    if not (PYTHON.parents[1] / ".installed").exists():
        print("making .venv-peers (torch and transformers) ...", file=sys.stderr)
        made = subprocess.run(
            ["make", "-C", str(ROOT), "peers"], capture_output=True, text=True
        )
        if made.returncode:
            raise InputError(
                f"`make peers` failed:\n{made.stderr.strip()[-2000:]}",
                where=".venv-peers",
            )
    return [str(PYTHON), str(SERVER)]


class Peer:
    """A running peer, from :func:`running`.

    Start-up and loading lie outside every timing: the peer measures a run itself, and
    says how long it took beside what it computed.
    """

    def __init__(self, process: subprocess.Popen[str], log: IO[str]) -> None:
        """Takes a process whose stdin and stdout are pipes and whose stderr a file."""
        self._process = process
        self._log = log

    def ask(self, do: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """One request, one answer.

        Raises:
          InputError: The peer refused, or ended; the message carries its last words.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            request = json.dumps({"do": do, **arguments})
            self._process.stdin.write(request + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            self._process.wait()
            self._log.seek(0)
            raise InputError(
                f"ended with code {self._process.returncode} when asked to {do!r}:\n"
                f"{self._log.read().strip()[-2000:]}",
                where="peer",
            )
        answer = json.loads(line)
        if "error" in answer:
            raise InputError(f"{do!r} failed:\n{answer['error']}", where="peer")
        return answer

    def timed(self, do: str, arguments: dict[str, Any]) -> Timed:
        """One run, measured by the peer."""
        answer = self.ask(do, arguments)
        return Timed(answer["seconds"], np.asarray(answer["result"]))


@contextmanager
def running(command: Sequence[str]) -> Iterator[Peer]:
    """Starts a peer, and ends it behind the block.

    Args:
      command: What to start; it reads requests on stdin and answers on stdout.
    """
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        with process:
            try:
                yield Peer(process, log)
            finally:
                process.kill()  # it has nothing to save, and may be deep in a product
