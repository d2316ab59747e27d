"""What a composition prints."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np

import morl
from morl.rewards import Declarations, rules

helpful = morl.objective("helpful", range=(-2, 3))
harmless = morl.objective("harmless", unit="points", scale="per-prompt")
toxicity = morl.objective("toxicity", range=(0, 1), direction="minimize")
judge = morl.objective(
    "judge", declares=Declarations("hybrid", "non-numerical", "implicit", "token")
)


def composition():
    transforms = morl.transforms
    return (
        0.5 * helpful.through(transforms.clip(-1, 1), transforms.standardize())
        + 0.2 * toxicity
        + morl.schedules.linear(0, 1, steps=10)
        * judge.when(toxicity <= 0.5, judge >= -1, otherwise=0)
        - 0.01 * rules.length()
        + 1
    ).subject_to(harmless >= 0.2, multiplier=2.0)


def test_the_table_is_aligned_and_complete():
    lines = str(composition()).splitlines()
    header, rule, *rows = lines[2:9]
    starts = [0, *(i + 2 for i in range(len(rule) - 2) if rule[i : i + 2] == "  ")]
    cells = lambda line: [
        line[a:b].strip() for a, b in zip(starts, [*starts[1:], None], strict=True)
    ]
    assert cells(header) == [
        "component",
        "basis",
        "format",
        "expression",
        "granularity",
        "weight",
        "range",
        "condition",
        "transforms",
    ]
    clip = "clip(-1, 1) > standardize()"
    gate = "(toxicity <= 0.5) & (judge >= -1), else 0"
    data, rule_based = ["data-driven", "numerical"], ["rule-based", "numerical"]
    plain = ["explicit", "general"]
    assert [cells(row) for row in rows] == [
        ["helpful", *data, *plain, "0.5", "[-2, 3]", "-", clip],
        ["toxicity", *data, *plain, "0.2", "[0, 1] (less is better)", "-", "-"],
        [
            "judge",
            "hybrid",
            "non-numerical",
            "implicit",
            "token",
            "linear(0, 1, 10)",
            "-",
            gate,
            "-",
        ],
        ["harmless", *data, *plain, "-", "points (per prompt)", "-", "-"],
        ["length", *rule_based, *plain, "-0.01", "[0, inf] token", "-", "-"],
    ]


def test_the_first_line_is_the_formula():
    assert str(composition()).splitlines()[0] == (
        "utility = 0.5 * helpful + 0.2 * toxicity + linear(0, 1, 10) * judge "
        "- 0.01 * length + 1"
    )


def test_constraints_and_the_choice_for_the_absent_are_said():
    text = str(composition())
    assert "  harmless >= 0.2, multiplier 2" in text
    assert "absent: the weights of absent objectives go to those present" in text
    strict = str(composition().if_absent("propagate"))
    assert "absent: an absent reward makes the utility absent" in strict


def test_formulas_of_scalarizers_and_branches_read_as_they_are_written():
    fair = 2 * morl.smooth_chebyshev(
        {helpful: 0.5, harmless: 0.5}, temperature=0.1, ideal={"harmless": 1.0}
    )
    branch = morl.where((toxicity <= 0.5) | (helpful >= 0), fair - 1, -helpful)
    assert repr(branch) == (
        "Composition(where((toxicity <= 0.5) | (helpful >= 0), "
        "2 * smooth_chebyshev({helpful: 0.5, harmless: 0.5}, temperature=0.1, "
        "ideal={harmless: 1}) - 1, -helpful))"
    )


def test_a_piecewise_schedule_shows_its_steps_and_values():
    steps = morl.schedules.piecewise((10, 20), (0.0, 0.5, 1.0))
    assert repr(steps * helpful) == (
        "Composition(piecewise((10, 20), (0, 0.5, 1)) * helpful)"
    )


def test_thresholds_say_what_they_mean_to_the_reference_policy():
    scores = jnp.asarray(np.linspace(-1, 1, 101), jnp.float32)[None, :, None]
    here = jnp.ones(scores.shape, bool)
    calibration = morl.calibrate(scores, here, names=("harmless",))
    low, high = (
        calibration.value_at("harmless", 21),
        calibration.value_at("harmless", 63),
    )
    gated = helpful.when(harmless >= low)
    safe = gated.subject_to(harmless >= high, harmless >= morl.percentile(90))
    text = str(safe.calibrated(calibration))
    assert "(the 63rd percentile of the reference policy), multiplier 1" in text
    assert "(the 21st percentile of the reference policy)" in text
    shown = f"{float(calibration.value_at('harmless', 90)):g}"
    assert f"harmless >= percentile(90) (harmless >= {shown}), multiplier 1" in text
    assert "calibrated: harmless less the mean of the reference policy's" in text


def test_a_composition_inside_a_transformation_still_prints():
    texts = []

    @jax.jit
    def show(composition):
        texts.append(str(composition))
        return 0

    show(composition())
    assert "<traced> * helpful" in texts[0]


def test_importing_morl_is_light():
    program = (
        "import sys, morl\n"
        "heavy = {'matplotlib', 'flax', 'optax', 'orbax', 'rich'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "[]"
