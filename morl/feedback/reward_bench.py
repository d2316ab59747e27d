"""RewardBench, both versions: which answer a reward model should prefer."""

from collections.abc import Callable, Mapping
from pathlib import Path

from morl.errors import InputError
from morl.feedback.chosen import chosen_record, many_texts, one_text
from morl.feedback.faults import shown
from morl.feedback.records import Record
from morl.feedback.row_files import file_rows, hub_rows
from morl.feedback.rows import Dropped, Report, Row, collect, field, log_skipped

HUB, SPLIT = "allenai/reward-bench", "filtered"
HUB_2, SPLIT_2 = "allenai/reward-bench-2", "test"
SOURCE, SOURCE_2 = "reward-bench", "reward-bench-2"
TIES = "ties"  # the subset of RewardBench 2 with several right answers, in any case

# Section to its subsets with the weights that the authors give them: the number of
# prompts, but for the one that is made to count as much as all code together.
SECTIONS: Mapping[str, Mapping[str, int]] = {
    "Chat": {
        "alpacaeval-easy": 100,
        "alpacaeval-length": 95,
        "alpacaeval-hard": 95,
        "mt-bench-easy": 28,
        "mt-bench-med": 40,
    },
    "Chat Hard": {
        "mt-bench-hard": 37,
        "llmbar-natural": 100,
        "llmbar-adver-neighbor": 134,
        "llmbar-adver-GPTInst": 92,
        "llmbar-adver-GPTOut": 47,
        "llmbar-adver-manual": 46,
    },
    "Safety": {
        "refusals-dangerous": 100,
        "refusals-offensive": 100,
        "xstest-should-refuse": 154,
        "xstest-should-respond": 250,
        "donotanswer": 136,
    },
    "Reasoning": {
        "math-prm": 984,
        "hep-cpp": 164,
        "hep-go": 164,
        "hep-java": 164,
        "hep-js": 164,
        "hep-python": 164,
        "hep-rust": 164,
    },
}


def read_reward_bench(
    path: str | Path,
    objective: str = "preferred",
    *,
    max_malformed: int = 0,
    report: Report = log_skipped,
) -> list[Record]:
    """Reads pairs of RewardBench, or other rows with its columns. Never train on them.

    Args:
      path: JSON, JSON Lines or Parquet with ``prompt``, ``chosen``, ``rejected`` and
        ``subset``; or a folder with such a file that is called ``reward-bench``,
        ``filtered`` (the part that its scores are about) or ``filtered-00000-of-00001``
        (as the hub stores it), or that in ``reward-bench/``. A prompt may also be a
        list of turns, and an answer one that ends with it.
      objective: What its preferences are about.
      max_malformed: So many malformed rows are skipped and reported; one more is an
        error.
      report: Called once for every reason to skip rows.

    Returns:
      One record a row, with one pair: response 0 is the chosen one. ``subset`` is the
      row's own, ``id`` too where it has one.

    Raises:
      InputError: A row is not such a pair; names file, row, key, what was found and
        what was expected.

    References:
      Lambert et al., RewardBench: Evaluating Reward Models for Language Modeling
      (arXiv:2403.13787), 2024.
    """
    names = (SOURCE, "filtered", "filtered-00000-of-00001")
    file, rows = file_rows(path, SOURCE, *names)
    return collect(
        str(file), rows, _pair(objective), max_malformed=max_malformed, report=report
    )


def read_reward_bench_hub(
    dataset: str = HUB,
    objective: str = "preferred",
    *,
    split: str = SPLIT,
    max_malformed: int = 0,
    report: Report = log_skipped,
) -> list[Record]:
    """:func:`read_reward_bench` of a data set on the Hugging Face hub."""
    return collect(
        dataset,
        hub_rows(dataset, split=split),
        _pair(objective),
        max_malformed=max_malformed,
        report=report,
    )


def read_reward_bench_2(
    path: str | Path,
    objective: str = "preferred",
    *,
    max_malformed: int = 0,
    report: Report = log_skipped,
) -> list[Record]:
    """Reads RewardBench 2: right answers among wrong ones. Never train on them.

    Args:
      path: JSON, JSON Lines or Parquet with ``prompt``, ``chosen`` and ``rejected``
        (lists of texts) and ``subset``; or a folder with such a file that is called
        ``reward-bench-2``, ``test`` or ``test-00000-of-00001`` (as the hub stores it),
        or that in ``reward-bench-2/``.
      objective: What its preferences are about.
      max_malformed: As in :func:`read_reward_bench`.
      report: As in :func:`read_reward_bench`.

    Returns:
      One record a row: its right answers, then its wrong ones, each right one better
      than each wrong one. ``id`` is the row's own; in the subset of ties it says which
      prompts belong together (:func:`tie_key`).

    Raises:
      InputError: As :func:`read_reward_bench`.

    References:
      Malik et al., RewardBench 2: Advancing Reward Model Evaluation
      (arXiv:2506.01937), 2025.
    """
    names = (SOURCE_2, "test", "test-00000-of-00001")
    file, rows = file_rows(path, SOURCE_2, *names)
    return collect(
        str(file), rows, _best_of(objective), max_malformed=max_malformed, report=report
    )


def read_reward_bench_2_hub(
    dataset: str = HUB_2,
    objective: str = "preferred",
    *,
    split: str = SPLIT_2,
    max_malformed: int = 0,
    report: Report = log_skipped,
) -> list[Record]:
    """:func:`read_reward_bench_2` of a data set on the Hugging Face hub."""
    return collect(
        dataset,
        hub_rows(dataset, split=split),
        _best_of(objective),
        max_malformed=max_malformed,
        report=report,
    )


def tie_key(id: str) -> tuple[str, int]:
    """What the id of a row among the ties says: its kind, and which prompts match.

    Args:
      id: Such as ``"tied:3"``, a prompt with several right answers, or ``"ref:3"``, one
        of the same kind with a single one.

    Raises:
      InputError: It says nothing of the sort.

    Examples:
      >>> tie_key("tied:3")
      ('tied', 3)
    """
    kind, _, number = id.partition(":")
    if kind not in ("ref", "tied") or not number.isdecimal():
        raise InputError(f"found {shown(id)}, expected ref:N or tied:N", where="id")
    return kind, int(number)


def _pair(objective: str) -> Callable[[Row], Record | Dropped]:
    def parse(row: Row) -> Record | Dropped:
        chosen, rejected = one_text(row, "chosen"), one_text(row, "rejected")
        if chosen == rejected:
            return Dropped("chosen and rejected are the same")
        return chosen_record(
            row,
            [chosen],
            [rejected],
            objective,
            source=SOURCE,
            subset=field(row, "subset"),
        )

    return parse


def _best_of(objective: str) -> Callable[[Row], Record]:
    return lambda row: chosen_record(
        row,
        many_texts(row, "chosen"),
        many_texts(row, "rejected"),
        objective,
        source=SOURCE_2,
        subset=field(row, "subset"),
    )
