import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import pytest
import yaml

from morl.cli.arguments import as_yaml, parse, parse_with_config
from morl.cli.check import CheckConfig
from morl.cli.config import read_text, read_yaml, settings_from
from morl.cli.fetch import FetchConfig
from morl.cli.front import FrontConfig
from morl.cli.plot import PlotConfig
from morl.cli.quickstart import QuickstartConfig
from morl.cli.score import ScoreConfig
from morl.cli.sources import DataSource
from morl.errors import InputError
from morl.fronts.settings import HeadSettings

HH = Path(__file__).parents[2] / "examples" / "hh_smollm2.yaml"


@dataclass(frozen=True)
class Inner:
    """Part of the settings.

    Args:
      rate: A rate.
      sizes: Some sizes.
    """

    rate: float = 0.5
    sizes: tuple[int, ...] = (1, 2)

    def __post_init__(self) -> None:
        if self.rate < 0:
            raise InputError(f"found {self.rate}, expected 0 or more", where="rate")


@dataclass(frozen=True)
class Outer:
    """Settings with one field of every kind.

    Args:
      name: A name.
      inner: A part.
      parts: Parts.
      bounds: A pair.
      where: A path.
      limit: A number or none.
      mixed: A number or a text.
      table: Numbers by name.
      on: Yes or no.
      side: One of two.
    """

    name: str
    inner: Inner = Inner()
    parts: tuple[Inner, ...] = ()
    bounds: tuple[float, str] = (0.0, "a")
    where: Path = Path("here")
    limit: int | None = 3
    mixed: int | str = 1
    table: dict[str, float] = field(default_factory=dict)
    on: bool = False
    side: Literal["left", 1] = "left"


FULL = Outer(
    "ünï: [x]",
    Inner(1e-7, ()),
    (Inner(math.inf), Inner(2.0, (7,))),
    (-0.1, "null"),
    Path("/a b/c"),
    None,
    "7",
    {"1e-3": 1e-3},
    True,
    1,
)


def back(settings):
    return settings_from(type(settings), yaml.safe_load(as_yaml(settings)), "x.yaml")


@pytest.mark.parametrize(
    "settings",
    [
        Outer("a"),
        FULL,
        replace(FULL, mixed=7, limit=0),
        FrontConfig(),
        FrontConfig(
            sources=(DataSource("hh", "a.gz", "helpful"), DataSource("xstest", "b")),
            objectives=("one",),
            heads=HeadSettings(layers=(3, -1), layer=3, margin=0.25),
            cache=Path("there"),
            dry_run=True,
        ),
        QuickstartConfig(),
        PlotConfig(Path("front.json"), kind=("front",)),
        CheckConfig((Path("a"), Path("b")), ("helpful",)),
        FetchConfig("smollm2"),
        ScoreConfig(Path("spec.yaml"), text=("a\nb", "---"), weights=(0.1, 1e-9)),
    ],
    ids=lambda settings: type(settings).__name__,
)
def test_settings_read_back_from_their_yaml_are_equal(settings):
    assert back(settings) == settings


def test_the_example_of_the_real_run_is_settings():
    config = settings_from(FrontConfig, read_yaml(HH), str(HH))
    assert config.heads.layer in config.heads.layers
    assert back(config) == config


def test_what_is_not_given_keeps_its_default():
    made = settings_from(Outer, {"name": "a", "inner": {"sizes": [3]}}, "x.yaml")
    assert made == Outer("a", Inner(sizes=(3,)))


def test_an_integer_is_a_float_but_not_the_reverse():
    made = settings_from(Inner, {"rate": 2}, "x.yaml")
    assert isinstance(made.rate, float)
    with pytest.raises(InputError, match=r"sizes\[1\]: found 2.5, expected int"):
        settings_from(Inner, {"sizes": [1, 2.5]}, "x.yaml")


@pytest.mark.parametrize("text", ["1e-3", "1E-3", "+1e-3", "0.1e-2", ".1e-2"])
def test_a_number_of_yaml_1_2_is_a_number(text):
    assert settings_from(Inner, yaml.safe_load(f"rate: {text}"), "x").rate == 1e-3


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ({"name": "a", "iner": {}}, r"x.yaml: found unknown key 'iner'.*mean 'inner'"),
        ({"name": "a", "inner": {"rat": 1}}, r"x.yaml: inner: .*'rat'.*mean 'rate'"),
        ({"name": "a", "zzz": 1}, r"found unknown key 'zzz', expected name, inner"),
        ({"name": "a", 3: 1}, "found unknown key 3"),
        ({}, "x.yaml: lacks name"),
        ({"name": 3}, "x.yaml: name: found 3, expected str"),
        ({"name": None}, "x.yaml: name: found None, expected str"),
        ({"name": "a", "on": 1}, "on: found 1, expected bool"),
        ({"name": "a", "inner": {"rate": True}}, "rate: found True, expected float"),
        ({"name": "a", "inner": {"rate": "fast"}}, "rate: found 'fast'"),
        ({"name": "a", "inner": None}, "inner: found None, expected keys"),
        ({"name": "a", "inner": {"sizes": 3}}, "sizes: found 3, expected a list"),
        ({"name": "a", "inner": {"sizes": "12"}}, "sizes: found '12', expected a list"),
        ({"name": "a", "parts": [{}, {"rate": "x"}]}, r"parts\[1\]: rate: found 'x'"),
        ({"name": "a", "bounds": [1.0]}, "bounds: found 1 entries, expected 2"),
        ({"name": "a", "bounds": ["b", "a"]}, r"bounds\[0\]: found 'b'"),
        ({"name": "a", "limit": "x"}, "limit: found 'x', expected int"),
        ({"name": "a", "limit": True}, "limit: found True, expected int"),
        ({"name": "a", "mixed": [1]}, r"mixed: found \[1\]"),
        ({"name": "a", "table": {"b": "x"}}, "table: b: found 'x', expected float"),
        ({"name": "a", "table": [1]}, "table: found .*expected keys"),
        ({"name": "a", "side": "top"}, "side: found 'top', expected one of left, 1"),
        ({"name": "a", "side": True}, "side: found True, expected one of left, 1"),
        ({"name": "a", "where": 3}, "where: found 3, expected Path"),
        ({"name": "a", "inner": {"rate": -1}}, "x.yaml: inner: rate: found -1.0"),
        ([{"name": "a"}], "x.yaml: found .*expected keys"),
        ("a" * 500, r"found 'a{50,59}\.\.\., expected keys"),
    ],
)
def test_what_cannot_be_settings_is_named_with_file_and_key(value, complaint):
    with pytest.raises(InputError, match=complaint):
        settings_from(Outer, value, "x.yaml")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: 1\nb: [1, 2\nc: 3", ":3: is not YAML"),
        ("a: 1\nb: 'x", ":2: is not YAML"),
        ("a: 1\n\tb: 2", ":2: is not YAML"),
        ("a: 1\nb: {c: 1, c: 2}", " line 2: 'c' is given twice"),
        ("a: 1\nb:\n- {d: 1}\n- {d: 1, d: 1}", " line 4: 'd' is given twice"),
        ("a: !!python/object/apply:os.getcwd []", ":1: is not YAML"),
        ("a: \0", ": is not YAML"),
    ],
)
def test_broken_yaml_is_one_line_with_file_and_line(tmp_path, text, line):
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as raised:
        read_yaml(path)
    said = str(raised.value)
    assert said.startswith(f"{path}{line}")
    assert "\n" not in said


def test_a_truncated_file_never_gives_other_settings_without_a_word(tmp_path):
    path, whole = tmp_path / "c.yaml", HH.read_text()
    expected = settings_from(FrontConfig, read_yaml(HH), "c")
    refused = 0
    for end in range(0, len(whole), 7):
        path.write_text(whole[:end])
        try:
            made = settings_from(FrontConfig, read_yaml(path) or {}, "c")
        except InputError:
            refused += 1
            continue
        # What was cut off has its default; nothing else was made up.
        assert made.model in (
            expected.model,
            FrontConfig().model,
            *_prefixes(made.model),
        )
    assert refused > 0.3 * len(whole) / 7


def _prefixes(text):
    return [text[:n] for n in range(len(text) + 1)]


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (Path.exists, "no such file"),
        (Path.mkdir, "is a folder, expected a file"),
        (lambda path: path.write_bytes(b"\xff\xfe\x00a"), "is not text"),
    ],
    ids=["missing", "folder", "bytes"],
)
def test_a_file_that_is_no_text_is_named(tmp_path, make, complaint):
    path = tmp_path / "c.yaml"
    make(path)
    with pytest.raises(InputError, match=f"c.yaml: {complaint}"):
        read_text(path)


def test_files_are_utf8_whatever_the_machine_says(tmp_path, monkeypatch):
    monkeypatch.setenv("LC_ALL", "C")
    path = tmp_path / "c.yaml"
    path.write_bytes("name: Grüße".encode())
    assert read_yaml(path) == {"name": "Grüße"}


# Flags over files -----------------------------------------------------------------


def test_flags_override_the_file_and_the_file_the_defaults(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("heads: {max_pairs: 7, seed: 3}\nobjectives: [one]\n")
    argv = [str(path), "--heads.max-pairs", "9", "--out", "there"]
    made = parse_with_config(FrontConfig, argv, prog="morl front")
    assert (made.heads.max_pairs, made.heads.seed) == (9, 3)
    assert (made.objectives, made.out) == (("one",), Path("there"))
    assert made.candidates == FrontConfig().candidates


def test_an_empty_file_is_all_defaults(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("# nothing\n")
    assert parse_with_config(FrontConfig, [str(path)], prog="x") == FrontConfig()


def test_a_file_that_is_required_is_asked_for():
    with pytest.raises(InputError, match=r"CONFIG\.yaml"):
        parse_with_config(FrontConfig, ["--out", "x"], prog="morl front")


def test_where_there_is_a_default_no_file_is_needed():
    made = parse_with_config(
        FrontConfig, ["--heads.seed", "5"], prog="x", default=FrontConfig()
    )
    assert made.heads.seed == 5


@pytest.mark.parametrize(
    "argv",
    [["--settings.run.heads.max-pair", "3"], ["--settings.noise", "loud"], ["stray"]],
)
def test_a_flag_that_cannot_be_exits_with_2(argv, capsys):
    with pytest.raises(SystemExit) as stopped:
        parse(
            QuickstartConfig, argv, prog="morl quickstart", default=QuickstartConfig()
        )
    assert stopped.value.code == 2
    assert "Traceback" not in capsys.readouterr().err


def test_a_value_out_of_range_names_its_flag(command):
    ran = command("quickstart", "--settings.run.heads.folds", "1", "--dry-run")
    assert (ran.code, ran.out) == (2, "")
    assert "heads.folds: found 1" in " ".join(ran.err.split())
    assert "Traceback" not in ran.err


def test_a_near_miss_in_a_file_is_one_line(refused, tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("heads: {max_pair: 3}")
    said = refused("front", path)
    assert f"{path}: heads: found unknown key 'max_pair'" in said
    assert "did you mean 'max_pairs'?" in said
