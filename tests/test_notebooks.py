import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(path.stem for path in FOLDER.glob("*.ipynb"))
TIMEOUT = 600  # seconds a cell


def read(name):
    return nbformat.read(FOLDER / f"{name}.ipynb", nbformat.NO_CONVERT)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Runs a notebook, once, in a folder of its own: gives its outputs by cell."""
    found = {}

    def outputs(name):
        if name not in found:
            notebook = read(name)
            place = {"metadata": {"path": str(tmp_path_factory.mktemp(name))}}
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("JAX_PLATFORMS", "cpu")
                NotebookClient(notebook, timeout=TIMEOUT, resources=place).execute()
            cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
            found[name] = {cell.id: cell.outputs for cell in cells}
        return found[name]

    return outputs


def said(outputs):
    return "".join(output.text for output in outputs if output.name == "stdout")


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_is_valid_and_holds_no_outputs(name):
    notebook = read(name)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert (cell.outputs, cell.execution_count) == ([], None)


@pytest.mark.slow
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_runs_and_shows_nothing_but_text_and_pictures(name, run):
    for cell, outputs in run(name).items():
        for output in outputs:
            assert output.output_type in ("stream", "display_data"), cell
            assert output.get("name", "stdout") == "stdout", output
            assert set(output.get("data", ())) <= {"text/plain", "image/png"}, cell


@pytest.mark.slow
def test_the_notebook_of_a_front_shows_what_its_prose_says(run):
    cells = run("compose_and_trace")
    assert "harmless >= -0.5, multiplier 2" in said(cells["reward"])
    volumes = dict(re.findall(r"(\S.*?) +hypervolume +([\d.]+)", said(cells["front"])))
    assert float(volumes["best-of-n"]) > 5 * float(volumes["noise best-of-n"])
    assert "compiled 1 time(s)" in said(cells["compile-once"])
    rows = {
        line.split()[0]: [float(number) for number in line.split()[1:]]
        for line in said(cells["scalarizers"]).splitlines()[1:]
    }
    linear = rows.pop("linear")
    for helpful, _, honest, shortfall in rows.values():
        assert helpful < linear[0]
        assert honest < linear[2]
        assert shortfall < linear[3]
    assert "short by" in said(cells["explain-one"])
    for picture in ("panels", "two-objectives"):
        assert [set(output.data) for output in cells[picture]] == [
            {"text/plain", "image/png"}
        ]


@pytest.mark.slow
def test_the_notebook_of_reward_models_trains_assesses_and_draws(run):
    cells = run("reward_models")
    assert said(cells["fit"]).count("On held-out prompts") == 2
    accuracies = re.findall(r"(\w+) +helpful +in order ([\d.]+)", said(cells["assess"]))
    assert [kind for kind, _ in accuracies] == ["linear", "ensemble"]
    assert all(float(share) > 0.6 for _, share in accuracies)
    assert said(cells["calibration"]).count("calibration error") == 6
    assert "mixture" in said(cells["gate"])
    assert [set(output.data) for output in cells["rejection"]] == [
        {"text/plain", "image/png"}
    ]
