import json
import math

import numpy as np
import pytest
from rich.console import Console

from morl.assess import (
    Baselines,
    Difference,
    accuracy_difference,
    area_under_roc,
    cross_accuracy,
    cross_rows,
    head_table,
    label_row,
    length_rule_margins,
    pair_accuracy,
    pair_calibration,
    render_cross_table,
    render_head_table,
    report_rows,
    verdict,
)
from morl.errors import InputError
from morl.plots.report_heads import HeadTables, heads_section

NAMES = ("helpful", "harmless", "honest")
OBJECTIVE = np.arange(600) % 2
GROUPS = np.arange(600) // 3
LENGTH, WORDS = np.random.default_rng(0).normal(size=(2, 600))
RULE = np.random.default_rng(2).normal(size=600)
BESIDE = Baselines(LENGTH, RULE, WORDS)
MARGINS = np.random.default_rng(1).normal(size=(600, 3)) + np.array([1.0, 0.0, 0.0])


def table(**changes):
    arguments = {
        "objectives": NAMES,
        "baselines": BESIDE,
        "data": {"helpful": "dialogues [bold]"},
    }
    return head_table(MARGINS, OBJECTIVE, GROUPS, **(arguments | changes))


def shown(renderable):
    console = Console(width=80, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(renderable)
    console.file.close()
    return console.export_text()


def test_a_row_holds_what_its_parts_say():
    helpful, harmless = table()
    here = OBJECTIVE == 1
    own, prompts = MARGINS[here, 1], GROUPS[here]
    alone = pair_accuracy(own, prompts)
    assert harmless["objective"] == "harmless"
    assert "data" not in harmless and helpful["data"] == "dialogues [bold]"
    assert (harmless["pairs"], harmless["prompts"]) == (300, 200)
    assert harmless["accuracy"] == alone.value
    assert harmless["interval"] == [alone.low, alone.high]
    for key, other in (
        ("length_baseline", LENGTH),
        ("length_rule", RULE),
        ("response_only", WORDS),
    ):
        base = pair_accuracy(other[here], prompts)
        gain = accuracy_difference(own, other[here], prompts)
        assert harmless[key] == base.value
        assert harmless[f"{key}_interval"] == [base.low, base.high]
        assert harmless[f"{key}_gain"] == gain.value
        assert harmless[f"{key}_gain_interval"] == [gain.low, gain.high]
    calibration = pair_calibration(own)
    assert harmless["calibration_error"] == calibration.error
    assert harmless["calibration_chance"] == calibration.chance
    assert harmless["brier"] == calibration.brier


def test_objectives_without_pairs_have_no_row():
    assert [row["objective"] for row in table()] == ["helpful", "harmless"]


def test_a_head_that_knows_nothing_is_said_to_beat_nothing():
    helpful, harmless = table()
    assert helpful["verdict"] == "beats both baselines"
    assert helpful["beats_baselines"] and not harmless["beats_baselines"]
    assert harmless["verdict"] == (
        "does not clearly beat its length rule; "
        "does not clearly beat its response-only baseline"
    )


def test_a_head_below_its_baseline_is_said_to_be_worse():
    rows = table(baselines=BESIDE._replace(response_only=np.ones(600)))
    assert rows[0]["verdict"] == (
        "beats its length rule; is worse than its response-only baseline"
    )


def test_a_head_that_only_knows_that_shorter_wins_beats_no_rule_of_length():
    # Two in three pairs are won by the shorter response, and the head says just that.
    length = np.where(np.arange(600) % 3, -1.0, 1.0)
    rule = length_rule_margins(length, OBJECTIVE, GROUPS % 5)
    margins = np.column_stack([-length] * 3)
    row = head_table(
        margins,
        OBJECTIVE,
        GROUPS,
        objectives=NAMES,
        baselines=Baselines(length, rule, WORDS),
    )[0]
    assert row["accuracy"] == pytest.approx(2 / 3)
    assert row["length_baseline"] == pytest.approx(1 / 3)
    assert row["length_baseline_gain_interval"][0] > 0
    assert row["length_rule"] == row["accuracy"]
    assert row["verdict"].startswith("does not clearly beat its length rule;")


@pytest.mark.parametrize(
    ("gain", "words"),
    [
        (Difference(0.1, 0.001, 0.2), "beats it"),
        (Difference(0.1, 0.0, 0.2), "does not clearly beat it"),
        (Difference(-0.1, -0.2, 0.0), "does not clearly beat it"),
        (Difference(-0.1, -0.2, -0.001), "is worse than it"),
        (Difference(0.4, math.nan, math.nan), "does not clearly beat it"),
    ],
)
def test_verdicts_go_by_the_interval_of_the_difference(gain, words):
    assert verdict({"it": gain}) == words


def test_a_baseline_that_could_not_be_fitted_is_left_out_and_said_to_be():
    words = np.where(OBJECTIVE == 1, np.nan, WORDS)
    whole, rows = table(), table(baselines=BESIDE._replace(response_only=words))
    assert rows[0] == whole[0]
    ends = ("", "_interval", "_gain", "_gain_interval")
    assert [rows[1]["response_only" + end] for end in ends] == [None] * 4
    assert rows[1]["length_rule_gain"] == whole[1]["length_rule_gain"]
    assert rows[1]["beats_baselines"] is False
    said = "its response-only baseline could not be fitted"
    assert rows[1]["verdict"].endswith(f"; {said}")
    assert json.loads(json.dumps(rows)) == rows
    console = " ".join(shown(render_head_table(rows)).split())
    assert said in console
    assert said in heads_section(HeadTables(report_rows(rows)))


def test_rows_are_json_that_comes_back_equal():
    rows = table()
    assert json.loads(json.dumps(rows, allow_nan=False)) == rows


def test_one_prompt_gives_no_interval_rather_than_nan():
    rows = head_table(
        MARGINS[:3],
        np.zeros(3, int),
        np.zeros(3, int),
        objectives=NAMES,
        baselines=Baselines(*(column[:3] for column in BESIDE)),
    )
    assert rows[0]["interval"] is None
    assert rows[0]["length_baseline_gain_interval"] is None
    json.dumps(rows, allow_nan=False)
    assert "helpful" in shown(render_head_table(rows))
    assert heads_section(HeadTables(report_rows(rows)))


def test_a_label_row_reads_as_the_others_do_and_says_what_it_is():
    labels = np.arange(600) % 3 == 0
    row = label_row(
        MARGINS[:, 1] + labels,
        labels,
        GROUPS,
        objective="honest",
        baselines=BESIDE,
        data="checked answers",
    )
    assert (row["data"], row["measure"]) == ("checked answers", "AUC")
    assert table()[0]["measure"] == "accuracy"
    assert (
        row["accuracy"] == area_under_roc(MARGINS[:, 1] + labels, labels, GROUPS).value
    )
    assert row["response_only"] == area_under_roc(WORDS, labels, GROUPS).value
    assert row["verdict"] == "beats both baselines"
    assert set(row) == set(table()[0])


def test_the_report_and_the_console_show_every_verdict_and_number():
    rows = table()
    matrix = cross_accuracy(MARGINS, OBJECTIVE, GROUPS, heads=NAMES, columns=NAMES)
    page = heads_section(HeadTables(report_rows(rows), matrix))
    text = " ".join(shown(render_head_table(rows)).split())
    for row in rows:
        low, high = row["interval"]
        assert f"{row['accuracy']:.3f} [{low:.3f}, {high:.3f}]" in page
        assert f"The {row['objective']} head" in page
        assert f"{row['verdict']}." in page
        assert f"{row['length_rule_gain']:+.3f} [" in page
        assert f"rule {row['length_rule']:.3f}" in text
        for number in (row["accuracy"], low, row["response_only"], row["brier"]):
            assert f"{number:.3f}" in (page if number == row["brier"] else text)
        assert row["verdict"] in text
    # Markup in the name of data is text, not style.
    assert "[bold]" in text


def test_tables_fit_into_80_columns():
    matrix = cross_accuracy(MARGINS, OBJECTIVE, GROUPS, heads=NAMES, columns=NAMES)
    for renderable in (render_head_table(table()), render_cross_table(matrix)):
        text = shown(renderable)
        assert max(map(len, text.splitlines())) <= 80
        assert "…" not in text


def test_the_cross_matrix_says_none_where_there_are_no_pairs():
    matrix = cross_accuracy(MARGINS, OBJECTIVE, GROUPS, heads=NAMES, columns=NAMES)
    assert '<td class="shade" style="background:#ffffff">-</td>' in heads_section(
        HeadTables(cross=matrix)
    )
    assert len(cross_rows(matrix)) == 6
    assert "-" in shown(render_cross_table(matrix)).splitlines()[6]


def test_cross_rows_say_which_heads_reverse_pairs():
    margins = np.column_stack([np.ones(60), -np.ones(60), LENGTH[:60]])
    matrix = cross_accuracy(
        margins, np.zeros(60, int), np.arange(60), heads=NAMES, columns=NAMES
    )
    assert [row["verdict"] for row in cross_rows(matrix)] == [
        "orders them better than chance",
        "reverses them: the objectives conflict",
        "not clearly different from chance",
    ]


@pytest.mark.parametrize(
    ("objectives", "objective", "message"),
    [
        (("a",), OBJECTIVE, "margins: found 3 columns, but objectives are"),
        (NAMES, OBJECTIVE + 2, "objective: found indices from 2 to 3"),
    ],
)
def test_names_that_do_not_fit_are_refused(objectives, objective, message):
    with pytest.raises(InputError, match=message):
        head_table(
            MARGINS,
            objective,
            GROUPS,
            objectives=objectives,
            baselines=BESIDE,
        )
