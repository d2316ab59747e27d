"""Names that a configuration may use: readers of feedback, and models."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from morl.errors import InputError
from morl.feedback import (
    Record,
    read_finegrained_rlhf,
    read_halueval,
    read_hh,
    read_hh_hub,
    read_hhh_alignment,
    read_jsonl,
    read_reward_bench,
    read_reward_bench_2,
    read_reward_bench_2_hub,
    read_reward_bench_hub,
    read_rm_bench,
    read_rm_bench_hub,
    read_truthfulqa,
    read_truthfulqa_all,
    read_unieval,
    read_xstest,
)
from morl.models.fetch import fetch_smollm2
from morl.models.hub import fetch_hub
from morl.models.language_model import LanguageModel, load_language_model

OBJECTIVES = ("helpful", "harmless", "honest")
SMOLLM2 = "smollm2"


@dataclass(frozen=True)
class DataSource:
    """One file or folder of feedback.

    Args:
      reader: hh, truthfulqa, truthfulqa-all, halueval, finegrained-rlhf, unieval,
        hhh-alignment, xstest, reward-bench, reward-bench-2, rm-bench; hh-hub,
        reward-bench-hub, reward-bench-2-hub, rm-bench-hub; or jsonl, the feedback
        format of morl.
      path: File or folder, below the data folder unless absolute; for readers in -hub
        the id of a data set.
      objective: What its preferences are about, for readers that leave it open.
    """

    reader: str
    path: str
    objective: str = ""


Reader = Callable[[DataSource, Path], list[Record]]


def _open(read: Callable[..., list[Record]], default: str = "") -> Reader:
    """A reader of files that leaves the objective open, as a function of a source."""
    return lambda source, path: read(path, _objective(source, default))


def _hub(read: Callable[..., list[Record]], default: str = "") -> Reader:
    """A reader of a data set on the hub, whose path is an id."""
    return lambda source, _: read(source.path, _objective(source, default))


HUB = "-hub"
READERS: dict[str, Reader] = {
    "hh": _open(read_hh),
    "hh-hub": _hub(read_hh_hub),
    "truthfulqa": _open(read_truthfulqa, "honest"),
    "truthfulqa-all": _open(read_truthfulqa_all, "honest"),
    "halueval": _open(read_halueval, "honest"),
    "finegrained-rlhf": _open(read_finegrained_rlhf, "preferred"),
    "unieval": lambda _, path: read_unieval(path),
    "hhh-alignment": lambda _, path: read_hhh_alignment(path),
    "xstest": lambda _, path: read_xstest(path),
    "reward-bench": _open(read_reward_bench, "preferred"),
    "reward-bench-hub": _hub(read_reward_bench_hub, "preferred"),
    "reward-bench-2": _open(read_reward_bench_2, "preferred"),
    "reward-bench-2-hub": _hub(read_reward_bench_2_hub, "preferred"),
    "rm-bench": _open(read_rm_bench, "preferred"),
    "rm-bench-hub": _hub(read_rm_bench_hub, "preferred"),
    "jsonl": lambda _, path: read_jsonl(path),
}


def read_source(source: DataSource, root: Path) -> list[Record]:
    """Reads one source of feedback.

    Raises:
      InputError: The reader is unknown, the file is missing or holds no record, or a
        row is malformed.
    """
    if source.reader not in READERS:
        raise InputError(
            f"found reader {source.reader!r}, expected one of {', '.join(READERS)}",
            where="sources",
        )
    path = root / source.path
    if not source.reader.endswith(HUB) and not path.exists():
        raise InputError(
            "no such file or folder; --data DIR says where the sources are",
            where=str(path),
        )
    records = READERS[source.reader](source, path)
    if not records:
        raise InputError("holds no record, expected feedback", where=str(path))
    return records


def read_sources(sources: Sequence[DataSource], root: Path) -> list[Record]:
    """Reads all sources, one after the other."""
    return [record for source in sources for record in read_source(source, root)]


def find_model(name: str, cache: Path) -> Path:
    """The file or folder of a model, fetched where it is missing.

    Args:
      name: ``smollm2``, a path, or ``ORG/NAME`` of a Hugging Face model.
      cache: Where fetched models are kept.

    Raises:
      InputError: There is no such model.
    """
    if Path(name).exists():
        return Path(name)
    if name == SMOLLM2:
        return fetch_smollm2(cache)
    if name.count("/") == 1 and not name.startswith((".", "/")):
        return fetch_hub(name, cache)
    raise InputError(
        f"found {name!r}, expected {SMOLLM2!r}, a GGUF file, a Hugging Face folder, or "
        "ORG/NAME",
        where="model",
    )


def open_model(name: str, cache: Path) -> LanguageModel:
    """Loads a model by name, fetching what is missing."""
    return load_language_model(find_model(name, cache))


def _objective(source: DataSource, default: str) -> str:
    if not source.objective and not default:
        raise InputError(
            f"reader {source.reader!r} leaves the objective open: give one of your "
            "choice, such as 'helpful'",
            where=f"sources: {source.path}",
        )
    return source.objective or default
