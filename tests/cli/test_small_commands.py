import pytest

from morl.cli.main import main
from morl.cli.sources import READERS
from morl.feedback import Labels, Pair, plain_record, write_jsonl
from morl.pareto import Front, FrontPoint, write_front


@pytest.fixture
def front(tmp_path):
    points = tuple(
        FrontPoint("best-of-n", (w, 1 - w), (w, 1 - w), ((0.0, 1.0), (0.0, 1.0)))
        for w in (0.0, 0.5, 1.0)
    )
    path = tmp_path / "front.json"
    write_front(path, Front(("helpful", "harmless"), (-0.1, -0.1), points))
    return path


def exit_code(argv):
    with pytest.raises(SystemExit) as stopped:
        main(argv)
    return stopped.value.code


def test_plot_draws_a_saved_front(front, tmp_path, capsys):
    main(["plot", str(front), "--out", str(tmp_path / "figures")])
    assert "front.png" in capsys.readouterr().out.replace("\n", "")
    assert (tmp_path / "figures" / "front.png").stat().st_size > 1000


def test_a_dry_run_of_plot_draws_nothing(front, tmp_path, capsys):
    main(["plot", str(front), "--out", str(tmp_path / "figures"), "--dry-run"])
    assert "would draw 3 points" in capsys.readouterr().out
    assert not (tmp_path / "figures").exists()


@pytest.mark.parametrize("text", ["{", '{"objectives": []}', ""])
def test_a_broken_front_is_named_and_exits_with_2(tmp_path, capsys, text):
    path = tmp_path / "front.json"
    path.write_text(text)
    assert exit_code(["plot", str(path)]) == 2
    complaint = capsys.readouterr().err
    assert "front.json" in complaint
    assert "Traceback" not in complaint


def test_check_describes_sound_feedback(tmp_path, capsys):
    path = tmp_path / "a.jsonl"
    labels = {"helpful": Labels(pairs=(Pair(0, 1),))}
    write_jsonl(path, [plain_record("Hello?", ["Hi.", "Go."], labels)])
    main(["check", str(path)])
    shown = capsys.readouterr().out
    assert "sound" in shown
    assert "helpful" in shown


def test_check_lists_every_problem_and_exits_with_1(tmp_path, capsys):
    path = tmp_path / "a.jsonl"
    path.write_text('{"prompt": 3, "responses": ["a"]}\nnot json\n')
    assert exit_code(["check", str(path)]) == 1
    assert "2 problems" in capsys.readouterr().out


def test_check_of_a_missing_file_exits_with_2(tmp_path):
    assert exit_code(["check", str(tmp_path / "none.jsonl")]) == 2


def test_fetch_refuses_what_is_no_model(capsys):
    assert exit_code(["fetch", "no-such-model"]) == 2
    assert "smollm2" in capsys.readouterr().err


def test_a_dry_run_of_fetch_says_where(tmp_path, capsys):
    main(["fetch", "smollm2", "--cache", str(tmp_path), "--dry-run"])
    assert "would fetch smollm2" in capsys.readouterr().out


def test_an_unknown_command_lists_those_there_are(capsys):
    assert exit_code(["trian"]) == 2
    assert "quickstart" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["quickstart", "front", "fit", "plot", "check"])
def test_help_explains(command, capsys):
    assert exit_code([command, "--help"]) == 0
    assert "usage: morl" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["front", "fit"])
def test_help_without_a_file_tells_all_that_the_file_may_say(command, capsys):
    assert exit_code([command, "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert f"usage: morl {command} CONFIG.yaml [-h]" in shown
    assert "CONFIG.yaml is a YAML file" in shown
    for said in ("sources", "outside", *READERS):
        assert said in shown
    assert "`" not in shown.partition("heads options")[0]


def test_help_of_fit_is_about_heads(capsys):
    exit_code(["fit", "--help"])
    about = capsys.readouterr().out.partition("options ─")[0]
    assert "Fits reward heads" in about
    assert "Pareto" not in about


def test_help_of_a_source_lists_the_readers(tmp_path, capsys):
    path = tmp_path / "config.yaml"
    path.write_text("sources: [{reader: jsonl, path: a}]")
    exit_code(["front", str(path), "--help"])
    told = capsys.readouterr().out.partition("--sources.0.reader")[2]
    for name in READERS:
        assert name in told.partition("--sources.0.path")[0]


def test_a_missing_configuration_is_asked_for_without_saying_the_command_twice(capsys):
    assert exit_code(["fit"]) == 2
    assert capsys.readouterr().err.count("morl fit") == 1


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("heads: {max_pair: 3}", "max_pairs"),
        ("heads: {max_pairs: many}", "expected int"),
        ("heads: [", "is not YAML"),
        ("- a", "expected keys"),
        ("sources: [{reader: hh}]", "path"),
    ],
)
def test_a_broken_configuration_is_named_and_exits_with_2(
    tmp_path, capsys, text, complaint
):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    assert exit_code(["front", str(path)]) == 2
    shown = capsys.readouterr().err
    assert "config.yaml" in shown
    assert complaint in shown
    assert "Traceback" not in shown
