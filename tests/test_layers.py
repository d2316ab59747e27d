"""Imports point down: a room may import only rooms before it in this list."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1] / "morl"
ROOMS = [
    "errors",
    "types",
    "numerics",
    "storage",
    "scalarize",
    "pareto",
    "losses",
    "weighting",
    "feedback",
    "worlds",
    "models",
    "rewards",
    "sampling",
    "training",
    "assess",
    "fronts",
    "tracing",
    "plots",
    "cli",
]
RANK = {room: rank for rank, room in enumerate(ROOMS)}


def imported_rooms(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            top, _, rest = node.module.partition(".")
            if top == "morl":
                yield from (
                    [rest.split(".")[0]] if rest else [n.name for n in node.names]
                )
        elif isinstance(node, ast.Import):
            for name in node.names:
                if name.name.startswith("morl."):
                    yield name.name.split(".")[1]


def test_every_room_is_in_the_order():
    found = {p.stem for p in ROOT.iterdir() if not p.name.startswith(("_", "."))}
    assert found == set(ROOMS)


def test_imports_point_down():
    for path in ROOT.rglob("*.py"):
        here = path.relative_to(ROOT).parts[0].removesuffix(".py")
        if here == "__init__":
            continue
        for there in imported_rooms(path):
            assert there == here or RANK[there] < RANK[here], f"{path} imports {there}"


def test_the_picture_shows_every_room_above_those_that_it_imports():
    page = (ROOT.parent / "docs" / "architecture.md").read_text()
    floors = [
        [name.strip() for name in line.split("|")[1:-1]]
        for line in page.partition("A room rests on those below")[2].splitlines()
        if line.startswith("|") and "`" not in line
    ]
    floors = floors[: [floor[0] for floor in floors].index("errors") + 1]
    height = {room: -place for place, floor in enumerate(floors) for room in floor}
    assert height.keys() == set(ROOMS)
    for path in ROOT.rglob("*.py"):
        here = path.relative_to(ROOT).parts[0].removesuffix(".py")
        if here == "__init__":
            continue
        for there in imported_rooms(path):
            assert there == here or height[there] < height[here], f"{path}: {there}"


def test_importing_morl_loads_no_plotting():
    import subprocess
    import sys

    check = "import sys, morl; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


# Run apart: in a process that imported the modules already, nothing would change.
EXPORTS = """
import importlib, pkgutil, morl

rooms = [
    importlib.import_module(found.name)
    for found in pkgutil.walk_packages(morl.__path__, "morl.")
    if found.ispkg
]
listed = [room for room in (morl, *rooms) if hasattr(room, "__all__")]
said = {(room, name): getattr(room, name) for room in listed for name in room.__all__}
for found in pkgutil.walk_packages(morl.__path__, "morl."):
    importlib.import_module(found.name)
for (room, name), before in said.items():
    assert getattr(room, name) is before, f"{room.__name__}.{name} is hidden"
assert len(said) > 300
"""


def test_no_exported_name_is_hidden_by_the_module_of_that_name():
    import subprocess
    import sys

    command = [sys.executable, "-c", EXPORTS]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_init_files_only_export():
    allowed = ast.Import | ast.ImportFrom | ast.Assign | ast.Expr
    for path in ROOT.rglob("__init__.py"):
        for node in ast.parse(path.read_text()).body:
            assert isinstance(node, allowed), f"{path}:{node.lineno}"
