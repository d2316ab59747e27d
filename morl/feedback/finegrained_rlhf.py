"""Fine-grained RLHF: answers from passages, with marked errors and preferences."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

from morl.errors import InputError
from morl.feedback.faults import is_index, is_list, shown
from morl.feedback.records import Labels, Pair, Record, Span, plain_record
from morl.feedback.rows import (
    Report,
    Row,
    choice,
    collect,
    field,
    find_file,
    json_array_rows,
    log_skipped,
)

ANSWERS = ("prediction 1", "prediction 2", "prediction 3", "prediction 4")
COUPLES = tuple(combinations(range(len(ANSWERS)), 2))  # the order of the judgements
TIE, FIRST, SECOND = 0, 1, 2
RELEVANCE, FACTUALITY, COMPLETENESS = "relevance", "factuality", "completeness"
ERRORS = {
    "Irrelevant": RELEVANCE,
    "Redundant": RELEVANCE,
    "Incoherent": RELEVANCE,
    "Wrong-Grounding": FACTUALITY,
    "Unverifiable": FACTUALITY,
}
MISSING = ("Missing-Answer", "Missing-Major-Auxiliary", "Missing-Minor-Auxiliary")
SOUND, WRONG = 1.0, -1.0  # of a token, as in the authors' training


class Error(NamedTuple):
    """A marked part of the first answer, in characters, and what it speaks against."""

    start: int
    end: int
    objective: str


def read_finegrained_rlhf(
    path: str | Path,
    objective: str = "preferred",
    *,
    max_malformed: int = 0,
    report: Report = log_skipped,
) -> list[Record]:
    """Reads four answers a question, compared as wholes and marked in detail.

    Raters compared each two of the four answers. Where their six judgements rank the
    answers they are a ``ranking``, which holds ties; in a few rows they do not, such as
    where an answer ties with two that differ, and those rows have ``pairs`` and lose
    their ties.

    Errors were marked in the first answer alone, and only it is labelled in detail:

    - ``relevance``: what was called irrelevant, redundant or incoherent is -1;
    - ``factuality``: what was called unverifiable or contradicts the passages is -1;
    - under each the rest of the answer is 1, less what was marked for the other: raters
      mark a part once, so that nobody said whether what is off the point is true;
    - ``completeness``: a score for the whole answer, minus the number of pieces of
      information that raters found missing, whatever their weight.

    Args:
      path: The JSON file, or a folder with ``finegrained-rlhf/dev_feedback.json``, that
        file, or the authors' ``train_feedback.json``.
      objective: What the preferences between whole answers are about.
      max_malformed: So many malformed rows are skipped and reported; one more is an
        error.
      report: Called once for every reason to skip rows.

    Returns:
      One record a question. Its prompt is the passages and below them the question, so
      that a prompt that has to be cut keeps its question.

    Raises:
      InputError: A row holds something else; names file, row, key, what was found and
        what was expected.

    References:
      Wu et al., Fine-Grained Human Feedback Gives Better Rewards for Language Model
      Training (arXiv:2306.01693), 2023.
    """

    def parse(row: Row) -> Record:
        answers = [field(row, key) for key in ANSWERS]
        return plain_record(
            _prompt(row),
            answers,
            {objective: _preferences(row), **_details(row)},
            source="finegrained-rlhf",
            id=str(row.number),
        )

    names = ("dev_feedback.json", "train_feedback.json")
    file = find_file(path, *(f"finegrained-rlhf/{name}" for name in names), *names)
    return collect(
        str(file),
        json_array_rows(file),
        parse,
        max_malformed=max_malformed,
        report=report,
    )


def _prompt(row: Row) -> str:
    question = field(row, "question")
    texts = []
    for place, passage in enumerate(_listed(row.value, "passages", row.where)):
        if not is_list(passage) or not all(isinstance(part, str) for part in passage):
            raise _wrong(
                passage, "a title and sentences", row.where, f"passages[{place}]"
            )
        title, *sentences = passage or [""]
        text = " ".join(part.strip() for part in sentences).strip()
        texts.append(text if text.startswith(title) else f"{title}\n\n{text}")
    return "\n\n".join([*texts, question])


def _preferences(row: Row) -> Labels:
    found = _listed(row.value, "preference", row.where)
    if len(found) != len(COUPLES):
        raise _wrong(found, f"{len(COUPLES)} judgements", row.where, "preference")
    for place, verdict in enumerate(found):
        if not is_index(verdict) or verdict > SECOND:
            key = f"preference[{place}]"
            raise _wrong(verdict, "0 (a tie), 1 or 2", row.where, key)
    better = {
        (one, other) if verdict == FIRST else (other, one)
        for (one, other), verdict in zip(COUPLES, found, strict=True)
        if verdict != TIE
    }
    ranking = _ranking(better)
    if ranking is not None:
        return Labels(ranking=ranking)
    return Labels(pairs=tuple(Pair(*couple) for couple in sorted(better)))


def _ranking(better: set[tuple[int, int]]) -> tuple[tuple[int, ...], ...] | None:
    """Groups, best first, that imply these preferences and no other; None without."""
    losses = [sum(worse == one for _, worse in better) for one in range(len(ANSWERS))]
    groups = tuple(
        tuple(one for one, count in enumerate(losses) if count == number)
        for number in sorted(set(losses))
    )
    implied = {
        (upper, lower)
        for above, below in combinations(groups, 2)
        for upper in above
        for lower in below
    }
    return groups if implied == better else None


def _details(row: Row) -> dict[str, Labels]:
    where = f"{row.where}: feedback"
    feedback = row.value.get("feedback")
    if not isinstance(feedback, Mapping):
        raise _wrong(feedback, "an object with errors and missing-info", where)
    stored = row.value[ANSWERS[0]]  # what characters are counted in
    shift, text = len(stored) - len(stored.lstrip()), stored.strip()
    errors = [
        _error(Row(0, f"{where}.errors[{place}]", value), len(stored))
        for place, value in enumerate(_listed(feedback, "errors", where, "."))
    ]
    missing = _listed(feedback, "missing-info", where, ".")
    for place, value in enumerate(missing):
        one = Row(0, f"{where}.missing-info[{place}]", value)
        choice(one, "error type", dict.fromkeys(MISSING))
    labels: dict[str, Labels] = {
        name: Labels(token_scores=(_spans(errors, name, shift, text), None, None, None))
        for name in (RELEVANCE, FACTUALITY)
    }
    score = 0.0 - len(missing)
    return labels | {COMPLETENESS: Labels(scores=(score, None, None, None))}


def _spans(
    errors: Iterable[Error], objective: str, shift: int, text: str
) -> tuple[Span, ...]:
    """What is wrong under an objective, and the words that nobody marked."""
    end = len(text)
    marked = sorted(
        (max(error.start - shift, 0), min(error.end - shift, end), error.objective)
        for error in errors
    )
    wrong = [Span(a, b, WRONG) for a, b, name in marked if name == objective and a < b]
    reached, sound = 0, []
    for start, after, _ in [*marked, (end, end, "")]:
        words = text[reached:start]
        if words.strip():
            # Without the spaces around them: a token begins with the one before it,
            # and would belong to this side and to what is marked on the other.
            first = start - len(words.lstrip())
            sound.append(Span(first, reached + len(words.rstrip()), SOUND))
        reached = max(reached, after)
    # Where a token straddles an edge the later span holds: the error.
    return (*sound, *wrong)


def _error(row: Row, length: int) -> Error:
    objective = choice(row, "error type", ERRORS)
    start, end = row.value.get("start"), row.value.get("end")
    if not is_index(start) or start >= length:
        raise _wrong(start, f"a character below {length}", row.where, "start")
    if not is_index(end) or not start < end <= length:
        expected = f"a character above {start}, at most {length}"
        raise _wrong(end, expected, row.where, "end")
    return Error(start, end, objective)


def _listed(value: Mapping, key: str, where: str, glue: str = ": ") -> Sequence[Any]:
    found: Any = value.get(key)
    if not is_list(found):
        raise _wrong(found, "a list", f"{where}{glue}{key}")
    return found


def _wrong(found: Any, expected: str, *where: str) -> InputError:
    return InputError(
        f"found {shown(found)}, expected {expected}", where=": ".join(where)
    )
