"""HaluEval: answers of a chat model that people checked for hallucination."""

from pathlib import Path

from morl.feedback.records import Labels, Record, plain_record
from morl.feedback.rows import (
    Report,
    Row,
    choice,
    collect,
    field,
    find_file,
    json_line_rows,
    log_skipped,
)

SCORES = {"no": 1.0, "yes": 0.0}  # by the question: does the answer hallucinate?


def read_halueval(
    path: str | Path,
    objective: str = "honest",
    *,
    max_malformed: int = 0,
    report: Report = log_skipped,
) -> list[Record]:
    """Reads the general part of HaluEval: one answer a question, with a score.

    Args:
      path: The JSON Lines file, or a folder with ``halueval/general_data.json`` or
        that file.
      objective: What an answer without hallucination shows.
      max_malformed: So many malformed rows are skipped and reported; one more is an
        error.
      report: Called once for every reason to skip rows.

    Returns:
      One record a row, with one response, scored 1 where raters found no hallucination
      and 0 where they found one.

    Raises:
      InputError: A key is missing or holds something else; names file, line, key, what
        was found and what was expected.

    References:
      Li et al., HaluEval: A Large-Scale Hallucination Evaluation Benchmark for Large
      Language Models (arXiv:2305.11747), 2023.
    """

    def parse(row: Row) -> Record:
        score = choice(row, "hallucination", SCORES)
        return plain_record(
            field(row, "user_query"),
            [field(row, "chatgpt_response")],
            {objective: Labels(scores=(score,))},
            source="halueval",
            id=str(row.number),
        )

    file = find_file(path, "halueval/general_data.json", "general_data.json")
    return collect(
        str(file),
        json_line_rows(file),
        parse,
        max_malformed=max_malformed,
        report=report,
    )
