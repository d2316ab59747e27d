"""What a run prints says what the page says."""

from dataclasses import replace

import pytest

from morl.cli.summary import print_example, print_front
from morl.fronts.examples import HOW_CHOSEN
from morl.pareto import Front, FrontPoint, control_verdict
from morl.plots import write_report

BOUNDS = ((-0.1, 0.1), (-0.2, 0.2))
BASE = FrontPoint("reference", (0.0, 0.0), (0.0, 0.0), BOUNDS, kl=0.0, role="base")
NOISE = FrontPoint("noise best-of-n", (1.0, 0.0), (0.0, 0.0), BOUNDS, role="control")
SWEPT = FrontPoint("best-of-n", (1.0, 0.0), (1.0, 0.0), ((0.8, 1.2), BOUNDS[1]))
SOUND = Front(("helpful", "harmless"), (-1.0, -1.0), (BASE, SWEPT, NOISE))
LIFTED = replace(NOISE, rewards=(0.0, 0.9), interval=(BOUNDS[0], (0.7, 1.1)))
LEAKY = replace(SOUND, points=(BASE, SWEPT, LIFTED))
BARE = replace(SOUND, points=(BASE, SWEPT))


@pytest.mark.parametrize(
    ("front", "sound", "words"),
    [
        (SOUND, True, "no clear gain over the base policy in any of 2 comparisons"),
        (LEAKY, False, "in 1 of 2 comparisons (noise best-of-n: harmless), outside a"),
        (BARE, False, "No control was drawn"),
    ],
    ids=["sound", "leaky", "bare"],
)
def test_console_and_page_say_the_same_of_the_control(
    front, sound, words, capsys, tmp_path
):
    found = control_verdict(front)
    assert found.sound is sound
    assert words in found.text
    print_front(front)
    assert found.text in " ".join(capsys.readouterr().out.split())
    write_report(tmp_path / "report.html", front)
    kind = "verdict" if sound else "verdict off"
    assert f'<p class="{kind}">{found.text}</p>' in (
        tmp_path / "report.html"
    ).read_text().replace("&#x27;", "'")


def test_a_gain_of_the_control_is_said_to_happen_by_chance_and_how_to_look_again():
    text = control_verdict(LEAKY).text
    assert "One sound run in 20 does" in text
    # The setting has this name in every command, below different options.
    assert "(the setting front.seed)" in text


def test_whoever_sees_an_example_is_told_how_it_was_chosen(capsys, tmp_path):
    answer = {"text": "Yes.", "weights": [1, 0], "rewards": [1, 0], "label": "a"}
    example = {"prompt": "Is it?", "answers": [answer]}
    print_example(example, SOUND.objectives)
    assert HOW_CHOSEN in " ".join(capsys.readouterr().out.split())
    path = tmp_path / "report.html"
    write_report(path, SOUND, examples=[example], chosen=HOW_CHOSEN)
    page = path.read_text().replace("&#x27;", "'")
    assert f"Each prompt was {HOW_CHOSEN}. Answers were written" in page
