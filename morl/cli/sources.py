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
      reader: hh, hh-hub, truthfulqa, truthfulqa-all, halueval, finegrained-rlhf,
        unieval, hhh-alignment, xstest, or jsonl, the feedback format of morl.
      path: File or folder, below the data folder unless absolute; for hh-hub the
        id of a data set.
      objective: What its preferences are about, for readers that leave it open.
    """

    reader: str
    path: str
    objective: str = ""


Reader = Callable[[DataSource, Path], list[Record]]


def _hh(source: DataSource, path: Path) -> list[Record]:
    return read_hh(path, _objective(source))


def _hh_hub(source: DataSource, path: Path) -> list[Record]:
    del path
    return read_hh_hub(source.path, _objective(source))


READERS: dict[str, Reader] = {
    "hh": _hh,
    "hh-hub": _hh_hub,
    "truthfulqa": lambda source, path: read_truthfulqa(
        path, source.objective or "honest"
    ),
    "truthfulqa-all": lambda source, path: read_truthfulqa_all(
        path, source.objective or "honest"
    ),
    "halueval": lambda source, path: read_halueval(path, source.objective or "honest"),
    "finegrained-rlhf": lambda source, path: read_finegrained_rlhf(
        path, source.objective or "preferred"
    ),
    "unieval": lambda _, path: read_unieval(path),
    "hhh-alignment": lambda _, path: read_hhh_alignment(path),
    "xstest": lambda _, path: read_xstest(path),
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
    if source.reader != "hh-hub" and not path.exists():
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


def _objective(source: DataSource) -> str:
    if not source.objective:
        raise InputError(
            f"reader {source.reader!r} leaves the objective open: give one of your "
            "choice, such as 'helpful'",
            where=f"sources: {source.path}",
        )
    return source.objective
