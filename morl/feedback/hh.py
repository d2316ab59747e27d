"""HH-RLHF: which of two dialogues was more helpful, or more harmless."""

from pathlib import Path

from morl.errors import InputError
from morl.feedback.dialogue import dialogue_turns
from morl.feedback.faults import shown
from morl.feedback.records import Labels, Message, Pair, Record
from morl.feedback.row_files import hub_rows
from morl.feedback.rows import (
    Dropped,
    Report,
    Row,
    collect,
    find_file,
    json_line_rows,
    log_skipped,
    maybe_empty_field,
)


def read_hh(
    path: str | Path,
    objective: str,
    *,
    max_malformed: int = 0,
    report: Report = log_skipped,
) -> list[Record]:
    """Reads preferences between two dialogues in the format of HH-RLHF.

    Each row has ``chosen`` and ``rejected``, whole dialogues whose turns are marked by
    a blank line and ``Human:`` or ``Assistant:``. The turns that both begin with are
    the prompt; the remaining turns of each are its response: one assistant turn as a
    rule, several where the dialogues part earlier or one side goes on. A response may
    be empty: its rater preferred, or refused, silence. Rows whose two dialogues are
    equal carry no preference; they are dropped and reported.

    Args:
      path: A JSON Lines file, plain or gzipped; or a folder with
        ``hh-rlhf/OBJECTIVE-base-test.jsonl.gz``, with that file, or with
        ``OBJECTIVE-base/test.jsonl.gz`` as its authors publish it.
      objective: What the preference is about, such as ``"helpful"``.
      max_malformed: So many malformed rows are skipped and reported; one more is an
        error.
      report: Called once for every reason to skip rows.

    Returns:
      One record a row, with one pair: response 0 is the chosen one.

    Raises:
      InputError: A row is not such a dialogue; names file, line, key, what was found
        and what was expected.

    References:
      Bai et al., Training a Helpful and Harmless Assistant with Reinforcement Learning
      from Human Feedback (arXiv:2204.05862), 2022.
    """
    names = [f"{objective}-base-test.jsonl{end}" for end in (".gz", "")]
    names += [f"{objective}-base/test.jsonl{end}" for end in (".gz", "")]
    file = find_file(path, *(f"hh-rlhf/{name}" for name in names), *names)
    return collect(
        str(file),
        json_line_rows(file),
        lambda row: _hh_record(row, objective),
        max_malformed=max_malformed,
        report=report,
    )


def read_hh_hub(
    dataset: str,
    objective: str,
    *,
    split: str = "test",
    max_malformed: int = 0,
    report: Report = log_skipped,
) -> list[Record]:
    """Reads HH-RLHF, or a data set in its format, from the Hugging Face hub.

    Args:
      dataset: Its id, such as ``"Anthropic/hh-rlhf"``; its folder
        ``OBJECTIVE-base`` is read.
      objective: What the preference is about.
      split: Which part, ``"train"`` or ``"test"``.
      max_malformed: As in :func:`read_hh`.
      report: As in :func:`read_hh`.

    Returns:
      As :func:`read_hh`.

    Raises:
      InputError: The ``hub`` extra is not installed, the data set cannot be loaded, or
        a row is not such a dialogue.
    """
    return collect(
        dataset,
        hub_rows(dataset, split=split, data_dir=f"{objective}-base"),
        lambda row: _hh_record(row, objective),
        max_malformed=max_malformed,
        report=report,
    )


def _hh_record(row: Row, objective: str) -> Record | Dropped:
    chosen, rejected = _dialogue(row, "chosen"), _dialogue(row, "rejected")
    if chosen == rejected:
        return Dropped("chosen and rejected are the same")
    shared = _shared_turns(chosen, rejected)
    if shared == 0:
        raise InputError(
            f"found {shown(rejected[0].content)}, expected a dialogue that begins "
            f"like chosen: {shown(chosen[0].content)}",
            where=f"{row.where}: rejected",
        )
    return Record(
        prompt=chosen[:shared],
        responses=(chosen[shared:], rejected[shared:]),
        labels={objective: Labels(pairs=(Pair(better=0, worse=1),))},
        source=f"hh-{objective}",
        id=str(row.number),
    )


def _dialogue(row: Row, key: str) -> tuple[Message, ...]:
    text = maybe_empty_field(row, key)
    before, turns = dialogue_turns(text)
    where = f"{row.where}: {key}"
    if before or not turns:
        raise InputError(
            f"found {shown(text)}, expected a blank line and 'Human:' or 'Assistant:' "
            "at the start",
            where=where,
        )
    if turns[-1].role != "assistant":
        raise InputError(
            "found a last turn by 'Human:', expected one by 'Assistant:'", where=where
        )
    return turns


def _shared_turns(a: tuple[Message, ...], b: tuple[Message, ...]) -> int:
    """How many turns both begin with, leaving each at least its last."""
    shared = 0
    while shared < min(len(a), len(b)) - 1 and a[shared] == b[shared]:
        shared += 1
    return shared
