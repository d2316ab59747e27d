"""Suite: does the reward follow length, form or slips in place of substance?"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from morl.assess.accuracy import ordered
from morl.assess.estimates import Estimate, mean_estimate
from morl.assess.findings import Bars, Finding, Sheet
from morl.assess.length import centred, matched, rank_correlation
from morl.assess.perturbations import Perturbation
from morl.assess.scored import Scored, Scorer
from morl.assess.suites.inputs import (
    PairSet,
    pair_sets,
    prompt_groups,
    response_lengths,
    response_starts,
)
from morl.errors import InputError
from morl.feedback import Message, Record
from morl.types import Names

QUESTION = "Does the reward follow length, form or slips in place of substance?"
RATIO = 1.25
LENGTH_CAPTION = (
    f"Matched: pairs whose lengths differ by a factor of {RATIO} at most, where length "
    "tells little. Longer is better, shorter is better: by which response is labelled "
    "better; a reward that follows length is good at the one and bad at the other. "
    "Lengths in characters."
)
FOLLOWS_CAPTION = (
    "Spearman's correlation of reward and length, over all responses, and after the "
    "mean of its prompt is taken from each."
)
CHANGE_CAPTION = (
    "Change: of the reward of a response when its text is changed, in deviations of "
    "the head's rewards; its size without its sign beside it. Flips: pairs that are "
    "ordered otherwise once both responses are changed. Attacked: accuracy where the "
    "worse response alone is changed, beside that before, on the same pairs. Texts "
    "that a perturbation leaves as they are do not count."
)


class Changed(NamedTuple):
    """What a perturbation does to the rewards.

    Attributes:
      rewards: After it, as before where the text stayed as it was.
      changed: Where the text did not.
    """

    rewards: Float[np.ndarray, "n k"]
    changed: Bool[np.ndarray, " n"]


def robustness(
    records: Sequence[Record],
    scored: Scored,
    heads: Names,
    scorer: Scorer,
    perturbations: Mapping[str, Perturbation],
    *,
    seed: int = 0,
) -> Finding:
    """Length bias, and what changes of form do to rewards and to orders.

    Args:
      records: With preferences.
      scored: Of their responses.
      heads: Names of the heads.
      scorer: Scores the changed responses.
      perturbations: Name to change.
      seed: Of perturbations and bootstrap.

    Raises:
      InputError: There is no preference.
    """
    sets = pair_sets(records, scored, heads)
    found = _changed(records, scored, scorer, perturbations, seed)
    groups = _response_groups(records)
    effects = [
        {"perturbation": name, "head": head}
        | _effect(change, scored, column, head, sets, groups, seed)
        for name, change in found.items()
        if change.changed.any()
        for column, head in enumerate(heads)
    ]
    idle = [name for name, change in found.items() if not change.changed.any()]
    return Finding(
        "robustness",
        QUESTION,
        (
            Sheet("Length", _length_lines(sets, seed), LENGTH_CAPTION),
            Sheet(
                "Reward and length",
                _correlations(records, scored, heads, groups, seed),
                FOLLOWS_CAPTION,
            ),
            Sheet("Perturbations", tuple(effects), CHANGE_CAPTION),
        ),
        _bars(effects, heads),
        tuple(f"No text here has anything for {name} to change." for name in idle),
    )


def _length_lines(sets: Sequence[PairSet], seed: int) -> tuple[dict, ...]:
    lines = []
    for pairs in sets:
        right = ordered(pairs.margins)
        share = lambda keep, right=right, pairs=pairs: mean_estimate(
            right[keep], pairs.groups[keep], seed=seed
        )
        near = matched(pairs.better_length, pairs.worse_length, ratio=RATIO)
        lines.append(
            {
                "data": pairs.data,
                "objective": pairs.objective,
                "head": pairs.head,
                "all": share(np.ones_like(near)),
                "matched": share(near),
                "matched pairs": int(near.sum()),
                "longer is better": share(pairs.better_length > pairs.worse_length),
                "shorter is better": share(pairs.better_length < pairs.worse_length),
            }
        )
    return tuple(lines)


def _correlations(
    records: Sequence[Record],
    scored: Scored,
    heads: Names,
    groups: Int[np.ndarray, " n"],
    seed: int,
) -> tuple[dict, ...]:
    lengths = np.log1p(response_lengths(records))
    return tuple(
        {
            "head": head,
            "over responses": rank_correlation(rewards, lengths, groups, seed=seed),
            "within prompts": rank_correlation(
                centred(rewards, groups), centred(lengths, groups), groups, seed=seed
            ),
        }
        for head, rewards in zip(heads, scored.rewards.T.astype(float), strict=True)
    )


def _changed(
    records: Sequence[Record],
    scored: Scored,
    scorer: Scorer,
    perturbations: Mapping[str, Perturbation],
    seed: int,
) -> dict[str, Changed]:
    """All changed texts in one call: those of a prompt share it."""
    starts = response_starts(records)
    asked: list[Record] = []
    places: list[tuple[str, int]] = []
    for row, record in enumerate(records):
        responses = []
        for number, response in enumerate(record.responses):
            place = int(starts[row]) + number
            for name, change in perturbations.items():
                other = _perturbed(response, change, seed + place)
                if other != response:
                    responses.append(other)
                    places.append((name, place))
        if responses:
            asked.append(Record(record.prompt, tuple(responses), {}))
    found = {
        name: Changed(scored.rewards.copy(), np.zeros(len(scored.rewards), bool))
        for name in perturbations
    }
    if not asked:
        return found
    rewards = scorer(asked).rewards
    if len(rewards) != len(places):
        raise InputError(
            f"found {len(rewards)} rewards, expected {len(places)}", where="scorer"
        )
    for (name, place), row in zip(places, rewards, strict=True):
        found[name].rewards[place] = row
        found[name].changed[place] = True
    return found


def _perturbed(
    response: tuple[Message, ...], change: Perturbation, seed: int
) -> tuple[Message, ...]:
    """The response with the last turn of its assistant changed."""
    turns = list(response)
    last = max(i for i, turn in enumerate(turns) if turn.role == "assistant")
    text = change(turns[last].content, seed)
    if text != turns[last].content:
        turns[last] = Message("assistant", text)
    return tuple(turns)


def _effect(
    change: Changed,
    scored: Scored,
    column: int,
    head: str,
    sets: Sequence[PairSet],
    groups: Int[np.ndarray, " n"],
    seed: int,
) -> dict[str, int | Estimate]:
    before, after = (
        rewards[:, column].astype(float) for rewards in (scored.rewards, change.rewards)
    )
    here = change.changed
    moved = (after - before)[here] / max(np.std(before), np.finfo(float).tiny)
    own = [pairs for pairs in sets if pairs.head == head]
    joined = lambda parts: np.concatenate([np.zeros(0, int), *parts])
    better = joined(pairs.better for pairs in own)
    worse = joined(pairs.worse for pairs in own)
    prompts = joined(pairs.groups for pairs in own)
    kept = here[better] | here[worse]
    old = ordered((before[better] - before[worse])[kept])
    both = ordered((after[better] - after[worse])[kept])
    hit = here[worse]
    share = lambda values, keep: mean_estimate(values, prompts[keep], seed=seed)
    attacked = lambda rewards: share(
        ordered((before[better] - rewards[worse])[hit]), hit
    )
    return {
        "texts": int(here.sum()),
        "change": mean_estimate(moved, groups[here], seed=seed),
        "size": mean_estimate(np.abs(moved), groups[here], seed=seed),
        "flips": share(np.abs(both - old), kept),
        "before": attacked(before),
        "attacked": attacked(after),
    }


def _bars(effects: Sequence[Mapping], heads: Names) -> tuple[Bars, ...]:
    """What each perturbation does, a series a head."""
    names = tuple(dict.fromkeys(str(line["perturbation"]) for line in effects))
    if not names:
        return ()
    series = lambda key: {
        head: tuple(line[key] for line in effects if line["head"] == head)
        for head in heads
    }
    return (
        Bars(
            "Change of the reward by perturbations of the text",
            "change [deviations of the head's rewards]",
            names,
            series("change"),
            0.0,
        ),
        Bars("Pairs whose order flips", "share of pairs", names, series("flips"), 0.0),
    )


def _response_groups(records: Sequence[Record]) -> Int[np.ndarray, " n"]:
    counts = [len(record.responses) for record in records]
    return np.repeat(prompt_groups(records), counts)
