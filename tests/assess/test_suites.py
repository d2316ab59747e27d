"""Suites on records made for the test, by scorers whose verdict is known."""

import json

import numpy as np
import pytest

from morl.assess import Scored, finding_json, render_finding
from morl.assess import perturbations as changes
from morl.assess.suites.accuracy import accuracy
from morl.assess.suites.agreement import agreement
from morl.assess.suites.best_of_n import best_of_n_suite
from morl.assess.suites.calibration import calibration
from morl.assess.suites.generalisation import generalisation
from morl.assess.suites.robustness import robustness
from morl.assess.suites.safety import REFUSALS, safety
from morl.assess.suites.uncertainty import uncertainty
from morl.errors import InputError
from morl.feedback import Labels, Pair, plain_record

HEADS = ("helpful", "harmless")


def texts(records):
    return [turns[0].content for record in records for turns in record.responses]


def scorer(*columns):
    """A scorer that gives each text one number a head."""
    return lambda records: Scored(
        np.array([[f(t) for f in columns] for t in texts(records)], float).reshape(
            -1, len(columns)
        )
    )


BY_LENGTH = scorer(len, lambda text: -len(text))


def pair(number, better, worse, objective="helpful", **named):
    labels = {objective: Labels(pairs=(Pair(0, 1),))}
    return plain_record(f"question {number}", [better, worse], labels, **named)


def line(finding, sheet=0, **wanted):
    (found,) = (
        row
        for row in finding.sheets[sheet].lines
        if all(row[key] == value for key, value in wanted.items())
    )
    return found


LONGER = [pair(n, "a long answer", "short", source="made") for n in range(10)]
SHORTER = [pair(n + 50, "short", "a long answer", source="made") for n in range(10)]


def test_a_reward_of_length_gains_nothing_over_the_rule_of_length():
    records = LONGER + SHORTER[:5]
    found = line(accuracy(records, BY_LENGTH(records), HEADS), head="helpful")
    assert found["accuracy"].value == found["longer wins"].value == 10 / 15
    assert found["gain"][:3] == (0, 0, 0)


def test_an_objective_without_a_head_is_judged_by_all():
    records = [pair(n, "yes yes", "no", "other") for n in range(4)]
    rows = accuracy(records, BY_LENGTH(records), HEADS).sheets[0].lines
    assert [(row["head"], row["accuracy"].value) for row in rows] == [
        ("helpful", 1),
        ("harmless", 0),
    ]


def test_subsets_have_lines_of_their_own_and_one_together():
    records = [
        pair(n, "aa", "b", source="s", subset=("x", "y")[n % 2]) for n in range(6)
    ]
    rows = accuracy(records, BY_LENGTH(records), HEADS).sheets[0].lines
    assert [(row["data"], row["pairs"]) for row in rows] == [
        ("s, x", 3),
        ("s, y", 3),
        ("s", 6),
    ]


def test_sections_of_rewardbench_weigh_subsets_as_their_authors_do():
    right = [
        pair(n, "aa", "b", source="reward-bench", subset="mt-bench-easy")
        for n in range(4)
    ]
    wrong = [
        pair(n + 9, "b", "aa", source="reward-bench", subset="alpacaeval-easy")
        for n in range(4)
    ]
    code = [
        pair(n + 20, "aa", "b", source="reward-bench", subset="hep-cpp")
        for n in range(4)
    ]
    records = right + wrong + code
    found = line(accuracy(records, BY_LENGTH(records), HEADS), 1, head="helpful")
    assert found["Chat"].value == pytest.approx(28 / 128)
    assert found["Reasoning"].value == 1
    assert found["all"].value == pytest.approx((28 / 128 + 1) / 2)
    assert "Safety" not in found


def ranked(id, right, wrong, subset):
    pairs = tuple(
        Pair(i, len(right) + j) for i in range(len(right)) for j in range(len(wrong))
    )
    return plain_record(
        f"question {id}",
        [*right, *wrong],
        {"preferred": Labels(pairs=pairs)},
        source="reward-bench-2",
        id=id,
        subset=subset,
    )


def test_the_best_of_four_must_be_right_and_ties_have_their_score():
    four = [
        ranked("a", ["xxxx"], ["x", "xx", "xxx"], "Math"),
        ranked("b", ["xxx"], ["x", "xx", "xxxx"], "Math"),
        ranked("c", ["xxxx"], ["xxxx", "xx", "x"], "Math"),
    ]
    ties = [
        ranked(f"{kind}:{n}", right, ["x"], "Ties")
        for n in range(3)
        for kind, right in (("tied", ["xxxx", "yyyy"]), ("ref", ["xxxxx"]))
    ]
    records = four + ties
    found = line(accuracy(records, BY_LENGTH(records), HEADS), 1, head="helpful")
    assert found["Math"].value == pytest.approx((1 + 0 + 0.5) / 3)
    assert found["Ties"].value == pytest.approx(1.01)
    assert found["all"].value == pytest.approx((0.5 + 1.01) / 2)


def test_rm_bench_tells_style_from_substance():
    labels = {
        "preferred": Labels(
            pairs=tuple(Pair(i, 3 + j) for i in range(3) for j in range(3))
        )
    }
    styles = ["x", "xxx", "xxxxx"]
    records = [
        plain_record(
            f"question {n}",
            [*(f"{s}+" for s in styles), *styles],
            labels,
            source="rm-bench",
            subset=domain,
        )
        for n, domain in enumerate(("chat", "safety-refuse", "safety-response") * 2)
    ]
    finding = accuracy(records, BY_LENGTH(records), HEADS)
    found = line(finding, 1, head="helpful", domain="all")
    assert [found[level].value for level in ("easy", "normal", "hard")] == [1, 1, 0]
    row = line(finding, 2, head="helpful", **{"right answer": "concise"})
    assert row["against concise"].value == 1
    assert row["against detailed"].value == 0


def test_a_reward_of_length_fails_where_the_shorter_is_better():
    records = LONGER + SHORTER
    finding = robustness(records, BY_LENGTH(records), HEADS, BY_LENGTH, {})
    found = line(finding, 0, head="helpful")
    assert found["longer is better"].value == 1
    assert found["shorter is better"].value == 0
    assert found["matched pairs"] == 0
    assert line(finding, 1, head="helpful")["within prompts"].value == pytest.approx(1)
    assert line(finding, 1, head="harmless")["over responses"].value == pytest.approx(
        -1
    )


def test_filler_buys_a_reward_of_length_and_orders_stay_where_both_have_it():
    records = LONGER
    same = {"filler": lambda text, _: text + "!" * 40}
    finding = robustness(records, BY_LENGTH(records), HEADS, BY_LENGTH, same)
    found = line(finding, 2, head="helpful")
    assert found["change"].value == pytest.approx(40 / np.std([13, 5]))
    assert (found["flips"].value, found["before"].value) == (0, 1)
    assert found["attacked"].value == 0
    assert found["texts"] == 20


def test_a_reward_that_reads_no_form_does_not_move():
    blind = scorer(lambda text: len(text.replace("*", "")), lambda _: 0)
    records = LONGER
    finding = robustness(
        records, blind(records), HEADS, blind, {"bold": changes.bold}, seed=3
    )
    found = line(finding, 2, head="helpful")
    assert (found["change"].value, found["size"].value, found["flips"].value) == (
        0,
    ) * 3


def test_a_perturbation_without_a_text_to_change_is_said_to_have_none():
    records = LONGER
    idle = {"items": changes.shuffled_items}
    finding = robustness(records, BY_LENGTH(records), HEADS, BY_LENGTH, idle)
    assert finding.notes == ("No text here has anything for items to change.",)


def test_what_is_lost_on_another_domain_is_set_beside_the_rule_of_length():
    found = line(
        generalisation(LONGER, BY_LENGTH(LONGER), SHORTER, BY_LENGTH(SHORTER), HEADS),
        head="helpful",
    )
    assert found["lost"].value == 1
    assert found["lost beyond length"][:3] == (0, 0, 0)


def xstest(number, safe, subset="homonyms"):
    comply = (1.0, 0.0)
    labels = {"helpful": Labels(scores=comply)}
    return plain_record(
        f"prompt {number}",
        ["Sure, here is how it is done.", "No."],
        labels,
        source="xstest-safe" if safe else "xstest-unsafe",
        subset=subset,
    )


def test_a_reward_that_always_complies_is_right_on_safe_prompts_alone():
    complies = scorer(
        lambda text: text.startswith("Sure"), lambda text: text in (*REFUSALS, "No.")
    )
    records = [xstest(n, n % 2 == 0, "xy"[n % 3 == 0]) for n in range(12)]
    finding = safety(records, complies(records), HEADS, complies)
    for head, prompts, share in (
        ("helpful", "safe", 1),
        ("helpful", "unsafe", 0),
        ("harmless", "safe", 0),
        ("harmless", "unsafe", 1),
    ):
        found = line(finding, head=head, prompts=prompts, category="all")
        assert found["answers"].value == found["stock refusals"].value == share
        assert found["stock refusals"].count == 6 * len(REFUSALS)
    categories = {row["category"] for row in finding.sheets[0].lines}
    assert categories == {"all", "x", "y"}


def test_the_uncertainty_of_heads_gives_two_more_ways_to_reject():
    records = LONGER + SHORTER
    rewards = BY_LENGTH(records).rewards
    plain = uncertainty(records, Scored(rewards), HEADS)
    assert [row["certain by"] for row in plain.sheets[0].lines] == ["margin"]
    doubt = np.ones_like(rewards)
    doubt[20:] = 9.0  # where the reward is wrong
    knowing = uncertainty(records, Scored(rewards, doubt), HEADS)
    assert line(knowing, **{"certain by": "deviation"})["ratio"].value > 0.8
    assert line(knowing, **{"certain by": "margin"})["ratio"].value == pytest.approx(0)


def test_margins_that_are_always_right_claim_too_little():
    records = LONGER
    found = line(calibration(records, Scored(BY_LENGTH(records).rewards / 80), HEADS))
    assert found["happened"] == 1
    assert found["error"] == pytest.approx(1 - 1 / (1 + np.exp(-0.1)))


def test_opposite_heads_never_order_alike():
    records = [*LONGER, plain_record("alone", ["a"])]
    finding = agreement(records, BY_LENGTH(records), HEADS)
    assert line(finding, head="helpful")["ordered alike"].value == 0
    assert line(finding, 1, head="harmless")["helpful pairs"].value == 0


def test_gold_is_in_the_labels_or_in_other_heads():
    scored = Labels(scores=(1.0, 2.0, 3.0, None))
    records = [
        plain_record(f"q {n}", ["a", "bb", "ccc", "dddd"], {"helpful": scored})
        for n in range(5)
    ]
    own = best_of_n_suite(records, BY_LENGTH(records), HEADS)
    found = line(own, head="helpful")
    assert found["n"] == 3
    assert found["gain"].value == pytest.approx(1 / np.std([1, 2, 3]))
    other = best_of_n_suite(
        records, BY_LENGTH(records), HEADS, (("helpful",), scorer(len)(records))
    )
    assert line(other, head="helpful")["n"] == 4


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (lambda _, s: accuracy([plain_record("a", ["b"])], s, HEADS), "rewards of sh"),
        (lambda r, s: safety(r, s, HEADS, BY_LENGTH), "add --on xstest:FOLDER"),
        (lambda r, s: best_of_n_suite(r, s, HEADS), "add --gold HEADS"),
        (
            lambda r, s: agreement(r, Scored(s.rewards[:, :1]), HEADS[:1]),
            "expected two or more",
        ),
    ],
)
def test_a_suite_says_what_it_lacks(run, message):
    with pytest.raises(InputError, match=message):
        run(LONGER, BY_LENGTH(LONGER))


def test_a_finding_is_json_and_a_table():
    records = LONGER
    finding = uncertainty(records, BY_LENGTH(records), HEADS)
    told = json.loads(json.dumps(finding_json(finding), allow_nan=False))
    assert told["tables"][0]["rows"][0]["all pairs"]["value"] == 1
    assert len(told["curves"][0]["x"]) == len(told["curves"][0]["y"]) == 20
    assert render_finding(finding).renderables
