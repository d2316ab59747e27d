import json
from pathlib import Path

import pytest

from morl.cli import plan as plan_command
from morl.cli.plan_table import amount
from morl.training import topologies

EXAMPLES = Path(__file__).parents[2] / "examples"
SIZES = {"qwen3_06b.yaml": 596_049_920, "llama31_8b.yaml": 7_504_924_672}
TINY = """
shape: {vocab_size: 128, width: 16, num_layers: 2, num_heads: 4, num_kv_heads: 2,
  head_dim: 4, ffn_width: 32}
training: {mode: full, batch_size: 8, layers: scanned}
mesh: {fsdp: 4}
plan: {topology: "cpu:8", tokens: 32}
"""


@pytest.fixture
def tiny(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY + f"out: {tmp_path / 'out'}\n")
    return path


@pytest.fixture(autouse=True)
def own_devices(monkeypatch):
    """Tests share a process: what platform it computes on is not theirs to change."""
    monkeypatch.setattr(plan_command.jax.config, "update", lambda *_: None)


def test_a_plan_is_printed_and_saved(tiny, tmp_path, command):
    ran = command("plan", tiny)
    assert ran.code == 0, ran.err
    found = json.loads((tmp_path / "out" / "plan.json").read_text())
    assert found["compiled"]
    assert found["mesh"] == {"data": 2, "fsdp": 4, "tensor": 1}
    assert found["batch"]["tokens"] == 8 * 32
    for key in (
        *("fits", "compiled", "bytes_per_device", "flops", "collectives"),
        *("seconds_per_step", "binds"),
    ):
        assert key in found
    assert "parameters" in ran.out
    assert "all-gather" in ran.out
    assert "nothing is published of cpu" in ran.out


def test_a_dry_run_compiles_nothing(tiny, tmp_path, command):
    ran = command("plan", tiny, "--dry-run")
    assert ran.code == 0
    assert "would compile a step for cpu:8" in ran.out
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["qwen3_06b.yaml", "llama31_8b.yaml"])
def test_the_examples_have_the_sizes_of_their_models(
    name, tmp_path, command, monkeypatch
):
    monkeypatch.setattr(topologies, "has_compiler", lambda: False)
    devices = ("--topology", "v5e:4x4", "--mesh.fsdp", "16")
    ran = command("plan", EXAMPLES / name, *devices, "--out", tmp_path)
    assert ran.code == 0, ran.err
    found = json.loads((tmp_path / "plan.json").read_text())
    assert not found["compiled"]
    assert "morl[tpu]" in ran.out
    # Norms, and the heads of the objectives, are whole on each device.
    held = found["bytes_per_device"]["parameters"] * 16 / 4
    assert held == pytest.approx(SIZES[name], rel=0.01)


def test_a_file_of_fit_is_a_file_of_plan_but_for_its_shape(tiny, command):
    tiny.write_text(tiny.read_text().partition("training")[2].join(["training", ""]))
    ran = command("plan", tiny)
    assert ran.code == 2
    assert "model: found 'smollm2'" in ran.err
    assert "shape in CONFIG.yaml" in ran.err


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("--training.mode", "frozen"), "training.mode: found frozen"),
        (("--strategy", "pmap"), "strategy: found pmap, expected jit"),
        (("--topology", "v1:2"), "topology: found 'v1:2'"),
        (("--mesh.fsdp", "3"), "does not make 8 devices"),
        (("--training.batch-size", "4"), "expected a multiple of 8"),
        (("--pairs", "0"), "plan: found pairs 0"),
        (("--responses", "0"), "plan.responses: found 0"),
    ],
)
def test_what_cannot_be_planned_is_refused_in_a_line(tiny, command, change, complaint):
    ran = command("plan", tiny, *change)
    assert ran.code == 2
    assert complaint in ran.err
    assert "Traceback" not in ran.err


def test_an_unknown_key_of_a_shape_is_named(tiny, command):
    tiny.write_text(tiny.read_text().replace("ffn_width", "ffn_wide"))
    ran = command("plan", tiny)
    assert ran.code == 2
    assert "did you mean 'ffn_width'?" in ran.err


def test_amounts_are_shown_in_units_that_are_read_easily():
    assert [amount(size) for size in (0, 999, 2048, 3 * 2**20, 5.5 * 2**30)] == [
        "0 B",
        "999 B",
        "2.00 KiB",
        "3.00 MiB",
        "5.50 GiB",
    ]
