"""HHH alignment: expert-written better and worse answers; for evaluation only."""

import re
from pathlib import Path

from morl.errors import InputError
from morl.feedback.dialogue import dialogue_turns
from morl.feedback.faults import shown
from morl.feedback.records import Labels, Message, Pair, Record
from morl.feedback.rows import (
    Dropped,
    Report,
    Row,
    choice,
    collect,
    field,
    find_file,
    json_array_rows,
    log_skipped,
)

OBJECTIVES = ("helpful", "harmless", "honest", "other")
_CASE = re.compile(
    r"###The instruction to evaluate:\n(?P<instruction>.*)"
    r"\n\n###Response to evaluate:\n(?P<response>.*)\n\n###Score Rubrics:",
    re.DOTALL,
)


def read_hhh_alignment(
    path: str | Path, *, max_malformed: int = 0, report: Report = log_skipped
) -> list[Record]:
    """Reads better and worse answers for four objectives. Never train on them.

    Instruction and responses stand inside the prompt of a judge, under
    ``###The instruction to evaluate:`` and ``###Response to evaluate:``; what surrounds
    them is left out. An instruction that goes on with ``Human:`` and ``Assistant:`` is
    parsed into its turns; its first turn bears no marker.

    Args:
      path: The JSON file, or a folder with ``hhh-alignment/hhh_alignment_eval.json`` or
        that file.
      max_malformed: So many malformed rows are skipped and reported; one more is an
        error.
      report: Called once for every reason to skip rows.

    Returns:
      One record a row, with one pair under ``helpful``, ``harmless``, ``honest`` or
      ``other``: response 0 is the better one.

    Raises:
      InputError: A row is not such a pair; names file, row, key, what was found and
        what was expected.

    References:
      Askell et al., A General Language Assistant as a Laboratory for Alignment
      (arXiv:2112.00861), 2021.
    """
    file = find_file(
        path, "hhh-alignment/hhh_alignment_eval.json", "hhh_alignment_eval.json"
    )
    return collect(
        str(file),
        json_array_rows(file),
        _hhh_record,
        max_malformed=max_malformed,
        report=report,
    )


def _hhh_record(row: Row) -> Record | Dropped:
    objective = choice(row, "source", {name: name for name in OBJECTIVES})
    instruction, better = _case(row, "chosen_instruction")
    other_instruction, worse = _case(row, "rejected_instruction")
    if instruction != other_instruction:
        raise InputError(
            f"found the instruction {shown(other_instruction)}, expected that of "
            f"chosen_instruction: {shown(instruction)}",
            where=f"{row.where}: rejected_instruction",
        )
    if better == worse:
        return Dropped("both responses are the same")
    return Record(
        prompt=_prompt(instruction),
        responses=((Message("assistant", better),), (Message("assistant", worse),)),
        labels={objective: Labels(pairs=(Pair(better=0, worse=1),))},
        source="hhh-alignment",
        id=str(row.number),
    )


def _case(row: Row, key: str) -> tuple[str, str]:
    """The instruction and the response inside the prompt of a judge."""
    text = field(row, key)
    case = _CASE.search(text)
    if case is None:
        raise InputError(
            f"found {shown(text)}, expected '###The instruction to evaluate:', "
            "'###Response to evaluate:' and '###Score Rubrics:' each on a line",
            where=f"{row.where}: {key}",
        )
    return case["instruction"].strip(), case["response"].strip()


def _prompt(instruction: str) -> tuple[Message, ...]:
    first, turns = dialogue_turns(instruction)
    return (Message("user", first), *turns) if first else turns
