"""What every peer does with its pipes: one JSON request a line, one answer a line."""

import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from typing import Any

Answer = dict[str, Any]


def serve(commands: Mapping[str, Callable[..., Answer]]) -> None:
    """Answers until stdin is closed; what fails is answered with its traceback.

    Args:
      commands: What to call for each ``do`` of a request, with its other entries.
    """
    # Whatever a library prints must not mix with the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = commands[request.pop("do")](**request)
        except Exception:
            answer = {"error": traceback.format_exc()}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
