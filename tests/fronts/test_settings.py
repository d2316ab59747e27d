"""What cannot be done is refused before anything is done, by the name of the flag."""

import math
from dataclasses import replace

import pytest

from morl.cli.main import main
from morl.errors import InputError
from morl.fronts import CandidateSettings, HeadSettings, SweepSettings
from morl.fronts.pipeline import RunSettings
from morl.fronts.quickstart import QuickstartSettings, model_folder, train_tiny_model
from morl.training.language import LanguageSettings
from morl.worlds import preference_world

HEADS, CANDIDATES, FRONT = HeadSettings(), CandidateSettings(), SweepSettings()


@pytest.mark.parametrize(
    ("settings", "changed", "message"),
    [
        (HEADS, {"pooling": "median"}, "heads.pooling: found 'median', expected one"),
        (HEADS, {"layer": 3}, r"heads.layer: found 3, expected one of .*\(-1,\)"),
        (HEADS, {"folds": 1}, "heads.folds: found 1, expected at least 2"),
        (HEADS, {"max_pairs": 0}, "heads.max_pairs: found 0"),
        (HEADS, {"margin": math.inf}, "heads.margin: found inf"),
        (HEADS, {"margin": math.nan}, "heads.margin: found nan"),
        (HEADS, {"max_tokens": 4096}, "heads.max_tokens: found 4096, .* 2048"),
        (HEADS, {"max_tokens": 256}, "heads.response_tokens: found 256, .* fewer than"),
        (HEADS, {"seed": -1}, "heads.seed: found -1, expected 0 to 4294967295"),
        (CANDIDATES, {"temperature": -1.0}, "candidates.temperature: found -1.0"),
        (CANDIDATES, {"temperature": 0.0}, "all responses to a prompt are equal"),
        (CANDIDATES, {"temperature": math.nan}, "candidates.temperature: found nan"),
        (CANDIDATES, {"temperature": math.inf}, "candidates.temperature: found inf"),
        (CANDIDATES, {"top_p": 7.0}, "candidates.top_p: found 7.0"),
        (CANDIDATES, {"top_p": 0.0}, "candidates.top_p: found 0.0"),
        (CANDIDATES, {"num_samples": 1}, "candidates.num_samples: found 1, .* 2"),
        (CANDIDATES, {"batch_prompts": 0}, "candidates.batch_prompts: found 0"),
        (CANDIDATES, {"seed": 2**32}, "candidates.seed: found 4294967296"),
        (FRONT, {"divisions": 0}, "front.divisions: found 0"),
        (FRONT, {"resamples": 0}, "front.resamples: found 0"),
        (FRONT, {"betas": (0.5, 0.0)}, r"front.betas: found \(0.5, 0.0\)"),
        (FRONT, {"betas": (math.inf,)}, "front.betas: found"),
        (FRONT, {"seed": -3}, "front.seed: found -3"),
    ],
)
def test_settings_that_cannot_be_met_are_named(settings, changed, message):
    with pytest.raises(InputError, match=message):
        replace(settings, **changed)


def test_what_lies_at_the_bounds_is_accepted():
    replace(HEADS, max_tokens=2048, response_tokens=2047, margin=0.0, folds=2)
    replace(CANDIDATES, top_p=1.0, temperature=1e-3, num_samples=2, seed=2**32 - 1)
    replace(FRONT, betas=(), divisions=1, noise_draws=1, resamples=1)


LANGUAGE, QUICKSTART = LanguageSettings(), QuickstartSettings()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"num_heads": 0}, "language.num_heads: found 0, expected at least 1"),
        ({"num_heads": 5}, "language.num_heads: found 5, expected 1 or an even"),
        ({"num_heads": 6}, "language.width: found 128, expected a multiple .* .12"),
        ({"width": 0}, "language.width: found 0"),
        ({"width": 4}, "language.width: found 4, expected a multiple of .* .8"),
        ({"num_layers": 0}, "language.num_layers: found 0"),
        ({"vocab_size": 258}, "language.vocab_size: found 258, expected at least 259"),
        ({"ffn_multiple": 0}, "language.ffn_multiple: found 0"),
        ({"batch_size": 0}, "language.batch_size: found 0"),
        ({"num_documents": 0}, "num_documents: found 0, .* language.batch_size .8"),
        ({"learning_rate": math.nan}, "language.learning_rate: found nan"),
        ({"adam_learning_rate": -1.0}, "language.adam_learning_rate: found -1.0"),
        ({"seed": -1}, "language.seed: found -1"),
    ],
)
def test_a_language_model_that_cannot_be_trained_is_refused(changed, message):
    with pytest.raises(InputError, match=message):
        replace(LANGUAGE, **changed)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"noise": 2.0}, "settings.noise: found 2.0, expected 0 to 1"),
        ({"noise": math.nan}, "settings.noise: found nan"),
        ({"compared": 1}, "settings.compared: found 1, expected at least 2"),
        ({"compared": 10**6}, "settings.compared: found 1000000, expected at most"),
        ({"records": 0}, "settings.records: found 0"),
        ({"responses": 0}, "settings.responses: found 0"),
        ({"row_tokens": 1}, "settings.row_tokens: found 1"),
        (
            {"run": RunSettings(HeadSettings(layers=(1, 7), layer=7))},
            "settings.run.heads.layers: found 7, expected 1 to 2",
        ),
        (
            {"run": RunSettings(candidates=CandidateSettings(max_new_tokens=512))},
            "settings.run.candidates.max_new_tokens: found 512, .* 512 positions",
        ),
    ],
)
def test_a_quickstart_that_cannot_be_run_is_refused(changed, message):
    with pytest.raises(InputError, match=message):
        replace(QUICKSTART, **changed)


def test_a_dry_run_of_the_quickstart_refuses_feedback_that_is_too_little(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["quickstart", "--dry-run", "--settings.records", "1"])
    assert stopped.value.code == 2
    assert "feedback: found no pair or label" in capsys.readouterr().err


@pytest.mark.slow
def test_a_row_that_holds_no_response_is_named(tmp_path):
    settings = replace(QUICKSTART, row_tokens=8)
    with pytest.raises(InputError, match=r"settings.row_tokens: found 8"):
        train_tiny_model(
            preference_world(),
            replace(settings, language=replace(LANGUAGE, vocab_size=259)),
            folder=tmp_path,
        )


def test_only_what_training_depends_on_trains_another_model(tmp_path):
    kept = model_folder(tmp_path, QUICKSTART)
    other_run = RunSettings(HeadSettings(folds=2), CandidateSettings(seed=5))
    for changed in (
        {"noise": 0.3},
        {"records": 9},
        {"compared": 3},
        {"run": other_run},
    ):
        assert model_folder(tmp_path, replace(QUICKSTART, **changed)) == kept
    seeded = replace(QUICKSTART.language, seed=1)
    for changed in ({"responses": 2}, {"row_tokens": 300}, {"language": seeded}):
        assert model_folder(tmp_path, replace(QUICKSTART, **changed)) != kept
