"""The text of the preference world: topics, their sentences, wordings of prompts.

The files under ``assistant/`` hold the text; this module reads and checks them. A
sentence has one meaning: it stands once in the bank, under one topic and role.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path

import yaml

from morl.errors import InputError

KINDS: dict[str, tuple[str, ...]] = {
    "plain": ("answer", "detail", "care", "slip"),
    "risky": ("steps", "safer", "decline", "risk", "myth"),
    "uncertain": ("claim", "fact", "truth"),
}
GENERIC_ROLES = (
    "opening",
    "flattery",
    "hedge",
    "refusal",
    "warning",
    "scare",
    "assurance",
    "filler",
    "closing",
)
SPLITS = ("train", "test")

_REFERENCE = re.compile(r"([a-z]+)([1-9])")
_SENTENCE = re.compile(r"[^.!?]*[.!?]+|[^.!?]+")


@dataclass(frozen=True)
class Sentence:
    """What a known sentence means: its role, and its topic (None: a generic one)."""

    text: str
    role: str
    topic: str | None


@dataclass(frozen=True)
class Topic:
    """One question, the sentences that may answer it, and answers written by hand.

    Attributes:
      name: Key of the topic.
      kind: ``"plain"``, ``"risky"`` or ``"uncertain"``.
      question: The bare question.
      sentences: The topic's own sentences by role, in reading order.
      written: Hand-written responses, each as its sentences.
    """

    name: str
    kind: str
    question: str
    sentences: Mapping[str, tuple[str, ...]]
    written: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Bank:
    """All text of the world.

    Attributes:
      topics: Topics by name.
      generic: Sentences that fit any topic, by role.
      wordings: Patterns around a question, by split; ``{Q}`` is the question,
        ``{q}`` the question with a small first letter.
      meanings: What each known sentence means, by its text.
      prompt_topics: The topic of each prompt the world knows, by its text.
    """

    topics: Mapping[str, Topic]
    generic: Mapping[str, tuple[str, ...]]
    wordings: Mapping[str, tuple[str, ...]]
    meanings: Mapping[str, Sentence]
    prompt_topics: Mapping[str, str]


def normal_text(text: str) -> str:
    """Text with each run of white space as one space, and none at the ends."""
    return " ".join(text.split())


def split_sentences(text: str) -> list[str]:
    """Sentences of ``text``: each ends with its marks; a rest without one counts too.

    The bank uses ``.``, ``!`` and ``?`` only at the end of a sentence, so that this
    split undoes joining its sentences with spaces.

    Examples:
      >>> split_sentences("Rice needs water.  Stir it! And th")
      ['Rice needs water.', 'Stir it!', 'And th']
    """
    return [part.strip() for part in _SENTENCE.findall(normal_text(text))]


def worded(pattern: str, question: str) -> str:
    """The prompt that a wording makes of a question.

    Examples:
      >>> worded("Quick question: {q}", "Is ice cold?")
      'Quick question: is ice cold?'
    """
    return pattern.format(Q=question, q=question[0].lower() + question[1:])


def load_bank(folder: Path | Traversable) -> Bank:
    """Reads and checks a bank.

    Args:
      folder: Holds ``generic.yaml`` and one file of topics a kind.

    Returns:
      The bank.

    Raises:
      InputError: A file is not YAML, a role is missing or unknown, a topic or
        sentence stands twice, a sentence would not survive splitting, or a written
        response names a sentence that is not there.
    """
    shared = _read(folder / "generic.yaml")
    generic = _texts(shared.get("sentences"), GENERIC_ROLES, "generic.yaml: sentences")
    wordings = _texts(shared.get("wordings"), SPLITS, "generic.yaml: wordings")
    topics = dict(_topics(folder, generic))
    meanings: dict[str, Sentence] = {}
    for sentence in _sentences(topics, generic):
        where = f"{sentence.topic or 'generic'}.{sentence.role}"
        if sentence.text in meanings:
            raise InputError(f"stands twice: {sentence.text!r}", where=where)
        alone = split_sentences(sentence.text) == [sentence.text]
        if not alone or sentence.text[-1] not in ".!?":
            raise InputError(f"is not one sentence: {sentence.text!r}", where=where)
        meanings[sentence.text] = sentence
    prompt_topics = {
        worded(pattern, topic.question): topic.name
        for patterns in wordings.values()
        for pattern in patterns
        for topic in topics.values()
    }
    return Bank(topics, generic, wordings, meanings, prompt_topics)


def _read(path: Path | Traversable) -> dict:
    try:
        found = yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER)
    except yaml.YAMLError as error:
        raise InputError(f"not valid YAML ({error})", where=path.name) from None
    if not isinstance(found, dict):
        raise InputError("found no mapping of names", where=path.name)
    return found


def _texts(entry: object, keys: Sequence[str], where: str) -> dict[str, tuple]:
    """The lists of texts of ``entry``, whose keys must be ``keys`` and no others."""
    found = sorted(entry) if isinstance(entry, dict) else entry
    if not isinstance(entry, dict) or set(entry) != set(keys):
        raise InputError(f"found {found}, expected {sorted(keys)}", where=where)
    for key in keys:
        if not all(isinstance(text, str) for text in entry[key]):
            raise InputError(
                f"found {entry[key]}, expected texts", where=f"{where}.{key}"
            )
    return {key: tuple(entry[key]) for key in keys}


def _topics(
    folder: Path | Traversable, generic: Mapping[str, tuple[str, ...]]
) -> Iterator[tuple[str, Topic]]:
    seen: set[str] = set()
    for kind, roles in KINDS.items():
        for name, entry in _read(folder / f"{kind}.yaml").items():
            where = f"{kind}.yaml: {name}"
            if name in seen:
                raise InputError("topic stands twice", where=where)
            seen.add(name)
            if not isinstance(entry, dict) or not isinstance(
                entry.get("question"), str
            ):
                raise InputError("found no text under 'question'", where=where)
            rest = {key: entry[key] for key in entry if key != "question"}
            own = _texts(rest, (*roles, "written"), where)
            written = own.pop("written")
            known = own | dict(generic)
            responses = tuple(
                tuple(_resolve(word, known, where) for word in line.split())
                for line in written
            )
            yield name, Topic(name, kind, entry["question"], own, responses)


def _resolve(
    reference: str, sentences: Mapping[str, tuple[str, ...]], where: str
) -> str:
    match = _REFERENCE.fullmatch(reference)
    if match and match[1] in sentences and int(match[2]) <= len(sentences[match[1]]):
        return sentences[match[1]][int(match[2]) - 1]
    raise InputError(f"no sentence {reference!r}", where=f"{where}.written")


def _sentences(
    topics: Mapping[str, Topic], generic: Mapping[str, tuple[str, ...]]
) -> Iterator[Sentence]:
    for role, texts in generic.items():
        yield from (Sentence(text, role, None) for text in texts)
    for topic in topics.values():
        for role, texts in topic.sentences.items():
            yield from (Sentence(text, role, topic.name) for text in texts)


# The C loader reads the bank about ten times faster; both give the same result.
_LOADER = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
