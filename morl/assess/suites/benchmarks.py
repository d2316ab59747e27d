"""The scores that RewardBench, RewardBench 2 and RM-Bench define for themselves."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from morl.assess.accuracy import ordered
from morl.assess.best_of import Gaps, best_of_credit, gaps, ties_score
from morl.assess.estimates import (
    Estimate,
    Sampled,
    combined,
    estimate_of,
    mean_estimate,
    sampled_mean,
)
from morl.assess.findings import Sheet
from morl.assess.scored import Scored
from morl.assess.suites.inputs import prompt_groups, response_lengths, response_starts
from morl.feedback import Record, reward_bench, rm_bench
from morl.types import Names

LENGTH = "longer wins"
OVERALL = "all"


class Answered(NamedTuple):
    """The records of a benchmark, and what each judge says of their answers.

    Attributes:
      records: Its records.
      rewards: Name of a judge, the heads and the rule of length, to one array a record.
      right: Which answers of each record are right.
      groups: The prompt of each record.
    """

    records: list[Record]
    rewards: dict[str, list[Float[np.ndarray, " n"]]]
    right: list[Bool[np.ndarray, " n"]]
    groups: Int[np.ndarray, " b"]

    def where(self, subset: str) -> list[int]:
        """Rows of a subset."""
        return [i for i, each in enumerate(self.records) if each.subset == subset]

    @property
    def subsets(self) -> list[str]:
        """Those that occur, in order of appearance."""
        return list(dict.fromkeys(record.subset for record in self.records))


def section_sheet(
    records: Sequence[Record], scored: Scored, heads: Names, *, seed: int
) -> list[Sheet]:
    """RewardBench's sections: means of subsets, by the weights of its authors."""
    found = _answered(records, scored, heads, reward_bench.SOURCE)
    known = {name for subsets in reward_bench.SECTIONS.values() for name in subsets}
    if not known & set(found.subsets):
        return []
    lines = []
    for judge, rewards in found.rewards.items():
        line: dict[str, str | Estimate] = {"head": judge}
        sections = []
        for section, weights in reward_bench.SECTIONS.items():
            present = [name for name in weights if name in found.subsets]
            if not present:
                continue
            parts = [
                _mean_credit(found, rewards, name, seed + place)
                for place, name in enumerate(weights)
                if name in present
            ]
            sections.append(combined(parts, [float(weights[name]) for name in present]))
            line[section] = estimate_of(sections[-1])
        line[OVERALL] = estimate_of(combined(sections, [1.0] * len(sections)))
        lines.append(line)
    caption = (
        "Each section is a mean of those of its subsets that are here, weighted as its "
        "authors do; all: the mean of the sections. Prior test sets are not part of it."
    )
    return [Sheet("RewardBench", tuple(lines), caption)]


def best_of_sheet(
    records: Sequence[Record], scored: Scored, heads: Names, *, seed: int
) -> list[Sheet]:
    """RewardBench 2: the best answer is right; ties have a score of their own."""
    found = _answered(records, scored, heads, reward_bench.SOURCE_2)
    if not found.records:
        return []
    lines = []
    for judge, rewards in found.rewards.items():
        parts: dict[str, Sampled] = {}
        for place, subset in enumerate(found.subsets):
            if subset.lower() == reward_bench.TIES:
                parts[subset] = _ties(found, rewards, subset, seed + place)
            else:
                parts[subset] = _mean_credit(found, rewards, subset, seed + place)
        line: dict[str, str | Estimate] = {"head": judge}
        line |= {name: estimate_of(part) for name, part in parts.items()}
        line[OVERALL] = estimate_of(combined(list(parts.values()), [1.0] * len(parts)))
        lines.append(line)
    caption = (
        "Share of prompts whose best answer by reward is right, among four: chance is "
        "0.25. Ties: the score of its authors for prompts with several right answers. "
        "All: the mean of the subsets."
    )
    return [Sheet("RewardBench 2", tuple(lines), caption)]


def style_sheets(
    records: Sequence[Record], scored: Scored, heads: Names, *, seed: int
) -> list[Sheet]:
    """RM-Bench: substance against style, by domain and by the pair of styles."""
    found = _answered(records, scored, heads, rm_bench.SOURCE)
    if not found.records:
        return []
    domains, matrix = [], []
    for judge, rewards in found.rewards.items():
        right = np.stack([_styles(values) for values in rewards])  # [b 3 3]
        levels = _levels(right)
        parts = {
            domain: {
                level: sampled_mean(values[rows], found.groups[rows], seed=seed + place)
                for level, values in levels.items()
            }
            for place, domain in enumerate(found.subsets)
            for rows in [found.where(domain)]
        }
        for domain, part in (parts | {OVERALL: _overall(parts)}).items():
            line: dict[str, str | Estimate] = {"head": judge, "domain": domain}
            domains.append(line | {key: estimate_of(own) for key, own in part.items()})
        for row, style in enumerate(rm_bench.STYLES):
            cells = {
                f"against {other}": mean_estimate(
                    right[:, row, column], found.groups, seed=seed
                )
                for column, other in enumerate(rm_bench.STYLES)
            }
            matrix.append({"head": judge, "right answer": style} | cells)
    return [
        Sheet("RM-Bench", tuple(domains), STYLE_CAPTION),
        Sheet(
            "RM-Bench by style", tuple(matrix), "Rows: the style of the right answer."
        ),
    ]


STYLE_CAPTION = (
    "Easy: the right answer has the fancier style; normal: both have the same; hard: "
    "the wrong one has the fancier. All: the mean of the domains, those of safety "
    "counting as one."
)


def _answered(
    records: Sequence[Record], scored: Scored, heads: Names, source: str
) -> Answered:
    starts = response_starts(records)
    rows = [i for i, record in enumerate(records) if record.source == source]
    own = [records[i] for i in rows]
    places = [slice(starts[i], starts[i + 1]) for i in rows]
    lengths = response_lengths(records).astype(float)
    columns = dict(zip(heads, scored.rewards.T.astype(float), strict=True))
    judges = {**columns, LENGTH: lengths}
    return Answered(
        own,
        {name: [values[here] for here in places] for name, values in judges.items()},
        [_right(record) for record in own],
        prompt_groups(own),
    )


def _right(record: Record) -> Bool[np.ndarray, " n"]:
    right = np.zeros(len(record.responses), bool)
    for labels in record.labels.values():
        right[[pair.better for pair in labels.pairs]] = True
    return right


def _mean_credit(
    found: Answered, rewards: Sequence[Float[np.ndarray, " _"]], subset: str, seed: int
) -> Sampled:
    rows = found.where(subset)
    credit = np.array([best_of_credit(rewards[i], found.right[i]) for i in rows])
    return sampled_mean(credit, found.groups[rows], seed=seed)


def _ties(
    found: Answered, rewards: Sequence[Float[np.ndarray, " _"]], subset: str, seed: int
) -> Sampled:
    kinds: dict[str, dict[int, Gaps]] = defaultdict(dict)
    for row in found.where(subset):
        kind, number = reward_bench.tie_key(found.records[row].id)
        kinds[kind][number] = gaps(rewards[row], found.right[row])
    return ties_score(kinds["tied"], kinds["ref"], seed=seed)


def _styles(rewards: Float[np.ndarray, " n"]) -> Float[np.ndarray, "s s"]:
    """Whether each right answer (rows) is above each wrong one (columns)."""
    right, wrong = np.split(rewards, 2)
    return ordered(right[:, None] - wrong[None, :])


def _levels(right: Float[np.ndarray, "b s s"]) -> dict[str, Float[np.ndarray, " b"]]:
    size = right.shape[1]
    lower, upper = np.tril_indices(size, -1), np.triu_indices(size, 1)
    return {
        "easy": right[:, lower[0], lower[1]].mean(axis=1),
        "normal": np.diagonal(right, axis1=1, axis2=2).mean(axis=1),
        "hard": right[:, upper[0], upper[1]].mean(axis=1),
    }


def _overall(parts: Mapping[str, Mapping[str, Sampled]]) -> dict[str, Sampled]:
    """The mean of the domains, in which the parts of safety share one place."""
    family = lambda domain: domain.partition("-")[0]
    sizes = defaultdict(int)
    for domain in parts:
        sizes[family(domain)] += 1
    weights = [1 / sizes[family(domain)] for domain in parts]
    levels = next(iter(parts.values()))
    return {
        level: combined([part[level] for part in parts.values()], weights)
        for level in levels
    }
