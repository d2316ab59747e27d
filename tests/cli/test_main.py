import os
import re
import subprocess
import sys
import warnings
from importlib.metadata import version
from itertools import takewhile

import pytest

from morl.cli.main import COMMANDS
from morl.storage import write_text


def test_no_command_shows_the_commands_and_exits_with_2(command):
    ran = command()
    assert ran.code == 2
    assert set(COMMANDS) <= set(re.findall(r"^  (\w+) ", ran.out, re.MULTILINE))


def test_help_exits_with_0(command):
    ran = command("--help")
    assert ran.code == 0
    assert "usage: morl COMMAND" in ran.out


def test_the_version_is_that_of_the_package(command):
    ran = command("--version")
    assert (ran.code, ran.out) == (0, f"morl {version('morl')}\n")


def test_an_unknown_command_is_named(command):
    ran = command("scoer")
    assert (ran.code, ran.out) == (2, "")
    assert "no command 'scoer'" in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_within_the_width_of_a_terminal(name, command):
    ran = command(name, "--help")
    assert ran.code == 0
    assert ran.out.startswith(f"usage: morl {name}")
    _, _, after = ran.out.partition("\n\n")
    ends = ("options", "positional arguments")
    inside = lambda line: not line.strip("╭─╮ ").endswith(ends)
    lines = [line for line in takewhile(inside, after.split("\n")) if line]
    assert len(" ".join(lines).split()) > 8
    assert max(map(len, lines)) <= 80
    assert all(re.match(r" \S", line) for line in lines)
    assert "Args:" not in ran.out


@pytest.mark.parametrize("name", ["score", "plot", "check", "fetch"])
def test_a_missing_or_unknown_argument_exits_with_2(name, command):
    for argv in ([], ["--no-such-flag", "x"]):
        ran = command(name, *argv)
        assert ran.code == 2
        assert ran.out == ""
        assert "Traceback" not in ran.err


def test_a_warning_is_one_line_without_a_place_in_the_source(monkeypatch, command):
    warn = lambda argv: warnings.warn(f"look at {argv[0]}", UserWarning, stacklevel=1)
    monkeypatch.setitem(COMMANDS, "warn", (warn, ""))
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert command("warn", "this").err == "morl warn: look at this\n"


def test_an_interrupt_says_how_to_go_on(monkeypatch, command):
    def interrupted(argv):
        raise KeyboardInterrupt(*argv)

    monkeypatch.setitem(COMMANDS, "wait", (interrupted, ""))
    ran = command("wait")
    assert ran.code == 130
    assert "same command again" in ran.err


def test_a_folder_that_cannot_be_written_is_named_and_exits_with_2(
    tmp_path, monkeypatch, refused
):
    taken = tmp_path / "taken"
    taken.write_text("a file where a folder has to be")
    monkeypatch.setitem(COMMANDS, "save", (lambda _: write_text(taken / "a", "x"), ""))
    assert refused("save") == f"morl save: {taken}: File exists"


def test_a_reader_that_leaves_early_is_no_error():
    # A pipe whose reading end is closed, as `| head` leaves it.
    read, write = os.pipe()
    os.close(read)
    check = "from morl.cli.main import main; main(['score', '--help'])"
    with os.fdopen(write, "w") as closed:
        ran = subprocess.run(
            [sys.executable, "-c", check],
            stdout=closed,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert ran.stderr == b""
    assert ran.returncode == 141
