"""``morl fit`` with a ``training`` section: heads of any kind are saved and read."""

import json

import pytest

from morl.cli.head_kinds import KINDS
from morl.feedback import Labels, Pair, plain_record, write_jsonl
from morl.fronts.head_scorer import head_scorer
from morl.models.head_files import load_heads
from morl.models.language_model import load_language_model
from morl.rewards import objectives


@pytest.fixture
def feedback(tmp_path):
    """Preferences for two objectives."""
    label = lambda n: "harmless" if n % 2 else "helpful"
    records = [
        plain_record(
            f"Question {n}?",
            [f"Yes, {n}. It is so.", "No."],
            {label(n): Labels(pairs=(Pair(0, 1),))},
            source="mine",
        )
        for n in range(12)
    ]
    write_jsonl(tmp_path / "mine.jsonl", records)
    return tmp_path


def train(command, fitted, folder, kind):
    config = folder / "config.yaml"
    config.write_text(
        f"""
model: {fitted.model}
sources: [{{reader: jsonl, path: mine.jsonl}}]
objectives: [helpful, harmless]
head: {{kind: {kind}, members: 3}}
training: {{mode: frozen, batch_size: 8, validation: 0.0}}
loop: {{num_steps: 2}}
text: {{max_tokens: 96, response_tokens: 24}}
"""
    )
    places = ("--data", folder, "--out", folder / "run", "--cache", folder / "cache")
    ran = command("fit", config, *places)
    assert ran.code == 0, ran.err
    return folder / "run"


@pytest.mark.slow
def test_an_ensemble_is_trained_saved_and_evaluated_by_its_deviation(
    command, fitted, feedback
):
    run = train(command, fitted, feedback, "ensemble")
    found = json.loads((run / "heads" / "heads.json").read_text())
    assert found["head"] == {"kind": "ensemble", "settings": {"num_members": 3}}
    assert not (run / "head.safetensors").exists()
    ran = command(
        *("evaluate", run, "--suite", "uncertainty", "--model", fitted.model),
        *("--data", feedback, "--on", "jsonl:mine.jsonl"),
        *("--out", feedback / "out", "--cache", feedback / "cache"),
    )
    assert ran.code == 0, ran.err
    (finding,) = json.loads((feedback / "out" / "evaluation.json").read_text())[
        "findings"
    ]
    told = json.dumps(finding)
    assert all(name in told for name in ("margin", "deviation", "ratio"))


def test_a_composition_is_scored_by_the_means_of_quantiles(command, fitted, feedback):
    run = train(command, fitted, feedback, "quantile")
    helpful, harmless = objectives("helpful", "harmless")
    spec = feedback / "headed.yaml"
    spec.write_text((0.75 * helpful + 0.25 * harmless).to_yaml())
    ran = command(
        *("score", spec, "--heads", run / "heads", "--model", fitted.model),
        *("--prompt", "Which words?", "--text", "some words", "--json"),
    )
    assert ran.code == 0, ran.err
    (response,) = json.loads(ran.out)["responses"]
    model = load_language_model(fitted.model)
    heads = load_heads(run / "heads", model, kinds=KINDS)
    record = plain_record("Which words?", ["some words"], {}, source="mine")
    scored = head_scorer(model, heads)([record])
    assert scored.uncertainty.shape == (1, 2)
    assert (scored.uncertainty > 0).all()
    utility = scored.rewards[0] @ [0.75, 0.25]
    assert response["utility"] == pytest.approx(utility, abs=1e-5)
