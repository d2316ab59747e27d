"""What cannot be done is refused before anything is done, by the name of the flag."""

import math
from dataclasses import replace

import pytest

from morl.errors import InputError
from morl.fronts import CandidateSettings, HeadSettings, SweepSettings

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
