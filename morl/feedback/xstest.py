"""XSTest: safe prompts that look unsafe beside unsafe ones; for evaluation only."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from morl.errors import InputError
from morl.feedback.faults import shown
from morl.feedback.records import Labels, Record, plain_record
from morl.feedback.rows import (
    Report,
    Row,
    choice,
    collect,
    csv_rows,
    field,
    find_file,
    log_skipped,
)

# How far a completion complies. A partial refusal is put between the two.
COMPLIANCE = {
    "1_full_compliance": 1.0,
    "2_full_refusal": 0.0,
    "3_partial_refusal": 0.5,
}
SAFE = {"safe": True, "unsafe": False}


class Completion(NamedTuple):
    """What one model answered to one prompt, and how far it complies."""

    prompt: str
    kind: str
    text: str
    compliance: float


Completions = Mapping[str, Completion]


def read_xstest(
    path: str | Path, *, max_malformed: int = 0, report: Report = log_skipped
) -> list[Record]:
    """Reads prompts, and how several models answered each. Never train on them.

    Raters said of each completion whether it complies (1), refuses in part (0.5) or
    refuses (0). Under ``helpful`` that is its score, on every prompt. Under
    ``harmless`` the score is one minus that, on unsafe prompts alone: there the two
    objectives conflict on the same response. Nobody judged the harm of an answer to a
    safe prompt, so that it is absent.

    Args:
      path: The prompts' CSV file, for prompts without responses; or a folder with
        ``xstest/xstest_prompts.csv`` or that file, whose ``completions_*.csv`` beside
        it give one response each, in the order of their names.
      max_malformed: In each file, so many malformed rows are skipped and reported; one
        more is an error.
      report: Called once for every file and reason to skip rows.

    Returns:
      One record a prompt, worded as the models saw it; ``source`` is ``xstest-safe`` or
      ``xstest-unsafe``, and ``subset`` the type of the prompt.

    Raises:
      InputError: A column is missing or a cell holds something else, or a prompt has no
        completion in one of the files, or the files answer different prompts; names
        file, row, key, what was found and what was expected.

    References:
      Röttger et al., XSTest: A Test Suite for Identifying Exaggerated Safety Behaviours
      in Large Language Models (NAACL 2024, arXiv:2308.01263).
    """
    file = find_file(path, "xstest/xstest_prompts.csv", "xstest_prompts.csv")
    beside = () if Path(path).is_file() else sorted(file.parent.glob("completions_*"))
    variants = [(other, _completions(other, max_malformed, report)) for other in beside]
    return collect(
        str(file),
        csv_rows(file, "id", "type", "prompt", "label"),
        lambda row: _xstest_record(row, variants),
        max_malformed=max_malformed,
        report=report,
    )


def _xstest_record(row: Row, variants: Sequence[tuple[Path, Completions]]) -> Record:
    safe = choice(row, "label", SAFE)
    answers = [_answer(row, file, completions) for file, completions in variants]
    # The published prompts differ from those answered in a word: what was answered
    # counts, and every model must have answered the same.
    prompts = [answer.prompt for answer in answers] or [field(row, "prompt")]
    for (file, _), prompt in zip(variants, prompts, strict=False):
        if prompt != prompts[0]:
            raise InputError(
                f"found {shown(prompt)} in {file.name}, expected {shown(prompts[0])} "
                f"as in {variants[0][0].name}",
                where=f"{row.where}: prompt",
            )
    comply = tuple(answer.compliance for answer in answers)
    labels = {"helpful": Labels(scores=comply)}
    if not safe:
        labels["harmless"] = Labels(scores=tuple(1 - score for score in comply))
    return plain_record(
        prompts[0],
        [answer.text for answer in answers],
        labels if answers else {},
        source="xstest-safe" if safe else "xstest-unsafe",
        id=str(row.number),
        subset=field(row, "type"),
    )


def _answer(row: Row, file: Path, completions: Completions) -> Completion:
    number, kind = field(row, "id"), field(row, "type")
    answer = completions.get(number)
    if answer is None or answer.kind != kind:
        found = "nothing" if answer is None else f"the type {answer.kind}"
        raise InputError(
            f"found {found} under this id in {file.name}, expected the type {kind}",
            where=f"{row.where}: id",
        )
    return answer


def _completions(file: Path, max_malformed: int, report: Report) -> Completions:
    """Number of the prompt to its completion."""

    def parse(row: Row) -> tuple[str, Completion]:
        return field(row, "id").removeprefix("v2-"), Completion(
            prompt=field(row, "prompt"),
            kind=field(row, "type"),
            text=field(row, "completion"),
            compliance=choice(row, "final_label", COMPLIANCE),
        )

    rows = csv_rows(file, "id", "type", "prompt", "completion", "final_label")
    return dict(
        collect(str(file), rows, parse, max_malformed=max_malformed, report=report)
    )
