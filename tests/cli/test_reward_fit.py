import json
import shutil
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
import yaml

from morl.cli.config import settings_from
from morl.cli.head_kinds import KINDS
from morl.cli.loss_choices import LossChoice, chosen_losses
from morl.cli.reward_model import RewardConfig
from morl.feedback import Labels, Pair, plain_record, write_jsonl
from morl.models.head_files import load_heads
from morl.models.heads import head_rewards
from morl.models.language_model import load_language_model
from morl.storage import read_json
from morl.training.head_scores import reward_names, saved_debias

CONFIG = {
    "model": "model",
    "sources": [{"reader": "jsonl", "path": "feedback.jsonl"}],
    "objectives": ["helpful", "harmless"],
    "text": {"max_tokens": 64, "response_tokens": 24, "boundaries": [64, 96]},
    "training": {"mode": "frozen", "batch_size": 8, "validation": 0.3},
    "optimizer": {"learning_rate": 0.01},
    "loop": {"num_steps": 12, "log_every": 4, "evaluate_every": 6},
    "checkpoint": {"every": 6},
}


def records(count=60):
    """Long answers are better, short ones harmless."""
    return [
        plain_record(
            f"{number} some words",
            ["words " * (3 + number % 4), "a"],
            {
                "helpful": Labels(pairs=(Pair(0, 1),)),
                "harmless": Labels(scores=(0.0, 1.0)),
            },
            source="made up",
            id=str(number),
        )
        for number in range(count)
    ]


@pytest.fixture
def folder(tmp_path, monkeypatch, fitted):
    """A folder with a model, feedback and a configuration, and the command in it."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(fitted.model, "model")
    write_jsonl("feedback.jsonl", records())

    def write(**changes):
        whole = {**CONFIG, **changes}
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(whole))
        return ("fit", "config.yaml", "--out", "out", "--cache", "cache")

    write.root = tmp_path
    return write


def lines(root):
    text = (root / "out" / "metrics.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def test_heads_on_frozen_features_are_trained_measured_and_saved(folder, command):
    ran = command(*folder())
    assert ran.code == 0, ran.err
    backbone = load_language_model("model")
    heads = load_heads("out/heads", backbone)
    assert heads.objectives == ("helpful", "harmless")
    assert heads.truncation.max_tokens == 64
    result = read_json("out/result.json")
    assert result["ended"] == "done"
    assert result["evaluation"]["evaluation/accuracy/helpful"] == 1.0
    assert "helpful" in ran.out and "1.000" in ran.out
    assert [line["step"] for line in lines(folder.root)] == [4, 6, 8, 12, 12]


def test_the_same_command_again_has_nothing_to_train(folder, command):
    assert command(*folder()).code == 0
    before = (folder.root / "out/heads/heads.json").read_bytes()
    assert command(*folder()).code == 0
    assert (folder.root / "out/heads/heads.json").read_bytes() == before


def test_checkpoints_of_another_run_are_refused_by_what_differs(folder, command):
    assert command(*folder()).code == 0
    ran = command(*folder(optimizer={"learning_rate": 0.02}))
    assert ran.code == 2
    assert "a run with another optimizer: give another out" in ran.err


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["lora", "full"])
def test_a_trained_model_is_saved_with_heads_that_read_it(folder, command, mode):
    training = {"mode": mode, "batch_size": 8, "validation": 0.3, "seed": 1}
    optimizer = {"learning_rate": 0.01}
    ran = command(*folder(training=training, optimizer=optimizer))
    assert ran.code == 0, ran.err
    trained, base = load_language_model("out/model"), load_language_model("model")
    heads = load_heads("out/heads", trained)
    assert trained.fingerprint != base.fingerprint
    encoded = trained.chat.encode_responses(
        "1 some words", ["words words words", "a"], max_tokens=64, response_tokens=24
    )
    rewards = []
    for response in encoded.responses:
        tokens = jnp.asarray(np.concatenate([encoded.prompt, response]))[None]
        places = jnp.arange(tokens.shape[1])[None]
        hidden = trained.model(tokens, places, 0 * places).hidden[0, -1]
        rewards.append(head_rewards(heads.head, hidden))
    assert rewards[0][0] > rewards[1][0]
    assert rewards[0][1] < rewards[1][1]


@pytest.mark.slow
def test_adapters_trained_in_bfloat16_are_merged_onto_exact_weights(folder, command):
    training = {"mode": "lora", "batch_size": 8, "dtype": "bfloat16"}
    ran = command(*folder(training=training))
    assert ran.code == 0, ran.err
    trained, base = load_language_model("out/model"), load_language_model("model")
    same = lambda read: np.array_equal(read(trained.model), read(base.model))
    assert same(lambda model: model.embedding[...])
    first, second = (m.model.layers[0].down.weight[...] for m in (trained, base))
    assert not np.array_equal(first, second)
    # bfloat16 would have rounded the weights to 8 bits.
    assert not np.array_equal(first, first.astype(jnp.bfloat16).astype(jnp.float32))


def test_an_objective_without_labels_is_refused_before_anything_is_trained(
    folder, command
):
    ran = command(*folder(objectives=["helpful", "honest"]))
    assert ran.code == 2
    assert "no pair or score for 'honest'" in ran.err
    assert not (folder.root / "out").exists()


def test_an_empty_response_is_named(folder, command):
    labels = {"helpful": Labels(pairs=(Pair(0, 1),))}
    bad = plain_record("a", ["words", ""], labels, source="made up", id="61")
    write_jsonl("feedback.jsonl", [*records(), bad])
    ran = command(*folder())
    # The template ends every turn, so that an empty answer is still one token.
    assert ran.code == 0, ran.err


def test_a_prompt_longer_than_the_context_loses_its_beginning(folder, command):
    labels = {"helpful": Labels(pairs=(Pair(0, 1),))}
    long = plain_record("some words " * 200, ["words", "a"], labels, source="made up")
    write_jsonl("feedback.jsonl", [*records(), long])
    assert command(*folder()).code == 0


def test_rows_that_no_boundary_holds_are_refused(folder, command):
    training = {"mode": "heads", "batch_size": 8}
    text = {"max_tokens": 64, "response_tokens": 24, "boundaries": [16]}
    ran = command(*folder(training=training, text=text))
    assert ran.code == 2
    assert "expected 0 to 16, the last of boundaries" in ran.err


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"losses": {"honest": {}}}, "losses: found honest"),
        ({"weights": {"helpful": -1.0}}, "weights: found {'helpful': -1.0}"),
        ({"weighting": "mgda"}, "weighting: found 'mgda', expected one of aligned"),
        ({"mesh": {"fsdp": 0}}, "mesh.fsdp: found 0"),
        ({"mesh": {"fsdp": 5}}, "which does not make 8 devices"),
        ({"strategy": "pmap", "mesh": {"fsdp": 2}}, "pmap copies the parameters"),
        ({"trackers": ["mlflow"]}, "found 'mlflow', expected one of tensorboard"),
        ({"training": {"mode": "frozen", "batch_size": 3}}, "found 3 rows"),
        ({"training": {"mode": "all"}}, "expected one of frozen, heads, lora, full"),
    ],
)
def test_settings_that_cannot_be_are_refused_by_their_key(
    folder, command, changes, said
):
    ran = command(*folder(**changes))
    assert ran.code == 2
    assert said in ran.err


def test_a_dry_run_writes_nothing(folder, command):
    ran = command(*folder(), "--dry-run")
    assert ran.code == 0
    assert "would load model" in ran.out
    assert not (folder.root / "out").exists()


@pytest.mark.parametrize(
    "pairs", ["bradley_terry", "margin", "scaled", "soft", "rao_kupper", "davidson"]
)
@pytest.mark.parametrize("scores", ["squared", "huber", "binary"])
def test_every_named_loss_is_finite_and_counts_its_labels(pairs, scores):
    losses = chosen_losses(LossChoice(pairs, scores))
    gaps, mask = jnp.array([0.3, jnp.nan]), jnp.array([True, False])
    for loss in (losses.pairs, losses.scores):
        found = loss(gaps, jnp.ones(2), mask, weights=None)
        assert np.isfinite(found.total)
        assert found.weight == 1


def test_settings_that_were_written_read_back_as_the_same(folder, command):
    loss = {"pairs": "margin", "margin": 0.5}
    ran = command(*folder(losses={"helpful": loss}), "--dry-run")
    assert ran.code == 0, ran.err
    written = ran.out.partition("would load")[0]
    assert yaml.safe_load(written)["losses"]["helpful"]["margin"] == 0.5
    again = settings_from(RewardConfig, yaml.safe_load(written), "written")
    assert again.losses["helpful"] == LossChoice("margin", margin=0.5)


def test_objectives_are_named_once():
    with pytest.raises(ValueError, match="each once"):
        replace(RewardConfig(), objectives=("a", "a"))


FAST_LOOP = {"num_steps": 12, "log_every": 12}


def test_a_gate_is_trained_over_the_heads_of_a_run_and_scores_with_them(
    folder, command
):
    assert command(*folder(loop=FAST_LOOP)).code == 0
    pairs = {"labels": "pairs"}
    mixed = {
        "mixture": {"heads": "out", "hidden_width": 8, "debias": 0.3},
        "losses": {"helpful": pairs, "harmless": pairs},
        "loop": FAST_LOOP,
    }
    command_line = folder(**mixed)
    ran = command(*command_line[:3], "gate", *command_line[4:])
    assert ran.code == 0, ran.err
    assert "mixture" in ran.out
    backbone = load_language_model("model")
    plain = load_heads("out/heads", backbone)
    gated = load_heads("gate/heads", backbone, kinds=KINDS)
    np.testing.assert_array_equal(gated.head.heads.weight, plain.head.weight)
    assert reward_names(gated) == ("helpful", "harmless", "mixture")
    assert (gated.reading, gated.truncation) == (plain.reading, plain.truncation)
    found = read_json("gate/result.json")
    assert found["debias"].keys() == {"helpful", "harmless"}
    assert found["length_correlation"].keys() == {"helpful", "harmless", "mixture"}
    # Here the two objectives want the opposite of the same pairs.
    share = lambda name: found["evaluation"][f"evaluation/accuracy/{name}"]
    assert share("helpful") + share("harmless") == pytest.approx(1)
    ran = command(
        *("evaluate", "gate", "--model", "model", "--suite", "accuracy"),
        *("--on", "jsonl:feedback.jsonl", "--out", "found", "--cache", "cache"),
    )
    assert ran.code == 0, ran.err
    rows = read_json("found/evaluation.json")["findings"][0]["tables"][0]["rows"]
    judges = {(row["objective"], row["head"]) for row in rows}
    assert ("helpful", "mixture") in judges and ("helpful", "harmless") not in judges


def test_a_correction_for_length_is_fitted_and_saved_with_the_heads(folder, command):
    ran = command(*folder(debias=0.3, loop=FAST_LOOP))
    assert ran.code == 0, ran.err
    heads = load_heads("out/heads", load_language_model("model"))
    debias = saved_debias(heads)
    assert debias.coefficients[0] > 0  # long answers are better here
    found = read_json("out/result.json")
    assert found["debias"]["helpful"] == pytest.approx(float(debias.coefficients[0]))
    correlation = found["length_correlation"]["helpful"]
    assert abs(correlation["value"]) < 0.6
    assert correlation["prompts"] == correlation["count"] / 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("head", "loss"),
    [
        ("linear", {"scores": "ordinal", "grades": 2, "labels": "scores"}),
        ("linear", {"pairs": "plackett_luce"}),
        ("ensemble", {"pairs": "plackett_luce"}),
        ("mlp", {"pairs": "davidson", "tie": 0.2}),
        ("quantile", {"scores": "pinball", "labels": "scores"}),
        ("gaussian", {"scores": "gaussian", "labels": "scores"}),
    ],
)
def test_objectives_learn_by_every_loss_that_a_configuration_names(
    folder, command, head, loss
):
    kind = {"kind": head, "hidden_width": 8, "members": 3}
    ran = command(*folder(head=kind, losses={"harmless": loss}))
    assert ran.code == 0, ran.err
    found = read_json("out/result.json")["evaluation"]
    assert np.isfinite(found["evaluation/loss/harmless"])
    assert found["evaluation/accuracy/helpful"] == 1.0
    backbone = load_language_model("model")
    assert load_heads("out/heads", backbone, kinds=KINDS).kind.name == head


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"losses": {"helpful": {"scores": "pinball"}}},
            "losses.helpful.scores: found pinball with linear heads, expected",
        ),
        (
            {"losses": {"harmless": {"scores": "ordinal", "labels": "scores"}}},
            None,
        ),
        (
            {"losses": {"harmless": {"labels": "scores", "scores": "binary"}}},
            None,
        ),
        ({"losses": {"helpful": {"grades": 1}}}, "losses.grades: found 1"),
        ({"losses": {"helpful": {"pairs": "rao_kupper", "tie": 0}}}, "losses.tie"),
        ({"reading": {"layer": 9}}, "reading.layer: found 9, "),
        ({"debias": 1.5}, "debias: found 1.5, expected at least 0 and below 1"),
        ({"mixture": {"heads": "nowhere"}}, "nowhere: found no heads.json"),
        ({"mixture": {"temperature": 0}}, "mixture.temperature: found 0"),
        ({"mixture": {"scale": -1.0}}, "mixture.scale: found -1.0"),
        (
            {"mixture": {"heads": "out"}, "debias": 0.1},
            "debias: found 0.1 with a mixture, expected mixture.debias",
        ),
        (
            {"mixture": {"heads": "out"}, "objectives": ["helpful", "mixture"]},
            "objectives: found 'mixture', expected another name",
        ),
        ({"head": {"kind": "ensemble", "members": 1}}, "head.members: found 1"),
        ({"head": {"hidden_width": -3}}, "head.hidden_width: found -3"),
        (
            {
                "head": {"kind": "gaussian"},
                "losses": {"harmless": {"pairs": "plackett_luce"}},
            },
            "losses.harmless.pairs: found plackett_luce with gaussian heads",
        ),
        (
            {
                "head": {"kind": "gaussian"},
                "losses": {"harmless": {"labels": "scores"}},
            },
            "expected losses.harmless.scores gaussian",
        ),
        (
            {"weights": {"helpful": 2.0}, "weighting": "famo"},
            "weights: found weights with famo, which takes none",
        ),
        (
            {
                "training": {"mode": "frozen", "validation": 0.0},
                "loop": {"patience": 3},
            },
            "loop.patience: found 3 with training.validation 0",
        ),
        (
            {"training": {"mode": "full", "batch_size": 8}, "debias": 0.1},
            "debias: found it with training.mode full",
        ),
    ],
)
def test_heads_and_losses_that_cannot_be_are_refused(folder, command, changes, said):
    if said is None:
        bad = Labels(scores=(0.5, 7.0))
        odd = plain_record("a", ["words", "b"], {"harmless": bad}, source="odd", id="7")
        write_jsonl("feedback.jsonl", [*records(), odd])
        said = "odd 7: found a score of "
    ran = command(*folder(**changes))
    assert ran.code == 2
    assert said in " ".join(ran.err.split())
    assert not (folder.root / "out").exists()
