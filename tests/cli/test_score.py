import json
import shutil
import warnings
from dataclasses import asdict, replace

import jax.numpy as jnp
import numpy as np
import pytest

from morl.feedback import Labels, Message, Record, plain_record, write_jsonl
from morl.fronts.pipeline import RunSettings
from morl.fronts.settings import CandidateSettings
from morl.models.head_files import load_heads, save_heads
from morl.models.language_model import load_language_model
from morl.rewards import calibrate, objective, objectives, percentile, rules, transforms

HEDGES = """
rewards:
  hedges: {source: {kind: lexicon, terms: [[maybe, 1.0]]}}
  length: {source: {kind: length, unit: word}}
utility: {sum: {hedges: -2.0, length: 0.25}}
"""


@pytest.fixture
def hedges(tmp_path):
    path = tmp_path / "hedges.yaml"
    path.write_text(HEDGES)
    return path


@pytest.fixture
def headed(tmp_path):
    """A composition of two heads, not calibrated."""
    path = tmp_path / "headed.yaml"
    helpful, harmless = objectives("helpful", "harmless")
    path.write_text((0.75 * helpful + 0.25 * harmless).to_yaml())
    return path


@pytest.fixture
def run_folder(tmp_path, fitted):
    """A folder as a finished run leaves it: calibrated composition, heads, model."""
    folder = tmp_path / "run"
    (folder / "cache" / "model").mkdir(parents=True)
    (folder / "cache" / "model" / "abc").symlink_to(fitted.model)
    (folder / "heads").symlink_to(fitted.heads)
    helpful, harmless = (
        objective(name, scale="per-prompt") for name in ("helpful", "harmless")
    )
    reward = helpful + harmless - 0.1 * rules.length("word")
    samples = jnp.asarray(np.random.default_rng(0).normal(size=(4, 3, 3)), jnp.float32)
    units = calibrate(
        samples, jnp.ones(samples.shape, bool), names=reward.names, keep=("length",)
    )
    (folder / "composition.yaml").write_text(reward.calibrated(units).to_yaml())
    return folder


def rows(ran):
    assert ran.code == 0, ran.err
    return [json.loads(line) for line in ran.out.splitlines()]


def parts(response):
    return {part["name"]: part for part in response["parts"]}


def head_values(fitted, prompt, text, **limits):
    """Raw rewards by the plainest way: one row of tokens, no packing, no batches."""
    model = load_language_model(fitted.model)
    heads = load_heads(fitted.heads, model)
    limits = {"max_tokens": 4096} | limits
    encoded = model.chat.encode_responses(prompt, [text.strip()], **limits)
    tokens = np.concatenate([encoded.prompt, encoded.responses[0]])[None]
    positions = np.arange(tokens.shape[1], dtype=np.int32)[None]
    arrays = map(jnp.asarray, (tokens, positions, np.zeros_like(tokens)))
    states = model.model(*arrays, taps=(1,)).taps[0]
    values = np.asarray(states[0, -1]) @ np.asarray(heads.head.weight)
    return dict(
        zip(heads.objectives, values + np.asarray(heads.head.bias), strict=True)
    )


# Tables and JSON -------------------------------------------------------------------


def test_a_table_shows_what_each_reward_contributes(command, hedges):
    ran = command("score", hedges, "--text", "maybe it is")
    assert ran.code == 0
    assert "utility = -2 * hedges + 0.25 * length" in ran.out
    cells = [line.replace("│", "|").split("|") for line in ran.out.splitlines()]
    shown = {row[1].strip(): [c.strip() for c in row[2:6]] for row in cells if row[2:]}
    assert shown["hedges"] == ["+1", "+1", "-2", "-2"]
    assert shown["length"] == ["+3", "+3", "+0.25", "+0.75"]
    assert shown["utility"][-1] == "-1.25"


def test_json_holds_the_same_numbers_as_the_sum_says(command, hedges):
    (found,) = rows(command("score", hedges, "--text", "maybe so", "--json"))
    (response,) = found["responses"]
    assert response["utility"] == pytest.approx(-2.0 * 1 + 0.25 * 2)
    assert parts(response)["length"]["contribution"] == pytest.approx(0.5)
    assert response["text"] == "maybe so"
    assert found["exact"]


def test_brackets_in_texts_are_shown_and_are_no_markup(command, hedges):
    ran = command("score", hedges, "--text", "[bold]x[/bold]", "--prompt", "[red]why")
    assert "[bold]x[/bold]" in ran.out
    assert "[red]why" in ran.out


def test_weights_replace_the_coefficients_of_objectives_only(command, tmp_path):
    spec = tmp_path / "spec.yaml"
    hedging = rules.lexicon(["maybe"], name="hedges").steer()
    spec.write_text((1.0 * hedging + 0.5 * rules.length("word")).to_yaml())
    argv = ["score", spec, "--text", "maybe so", "--json", "--weights", "-3"]
    (found,) = rows(command(*argv))
    assert found["responses"][0]["utility"] == pytest.approx(-3.0 + 0.5 * 2)
    argv.remove("--json")
    assert "with weights of hedges -3\n" in command(*argv).out


def test_an_absent_reward_is_shown_as_absent_and_never_as_zero(command, tmp_path):
    spec = tmp_path / "spec.yaml"
    spec.write_text((1.0 * rules.answer() + 0.5 * rules.length("word")).to_yaml())
    (found,) = rows(command("score", spec, "--text", "it is 4", "--json"))
    response = found["responses"][0]
    assert parts(response)["answer"]["raw"] is None
    assert response["utility"] is None
    assert "absent" in command("score", spec, "--text", "it is 4").out


def test_an_out_folder_gets_the_json_lines(command, hedges, tmp_path):
    argv = ["score", hedges, "--text", "a b", "--out", tmp_path / "o"]
    assert "scores.jsonl" in command(*argv).out
    written = (tmp_path / "o" / "scores.jsonl").read_text()
    assert written == command("score", hedges, "--text", "a b", "--json").out


def test_a_dry_run_says_what_it_would_do_and_writes_nothing(
    command, headed, fitted, tmp_path
):
    before = sorted(tmp_path.iterdir())
    argv = ["--heads", fitted.heads, "--text", "a", "--prompt", "q", "--dry-run"]
    ran = command("score", headed, *argv, "--out", tmp_path / "o")
    assert ran.code == 0
    assert "would score 1 responses to 1 prompts by helpful, harmless" in ran.out
    assert sorted(tmp_path.iterdir()) == before


# Where responses come from -----------------------------------------------------------


def texts(ran):
    return [
        (found["prompt"][-1]["content"], [r["text"] for r in found["responses"]])
        for found in rows(ran)
    ]


def test_piped_text_is_one_response(command, hedges, piped):
    piped("one\n\ntwo\n")
    assert texts(command("score", hedges, "--json")) == [("", ["one\n\ntwo"])]


def test_a_line_of_three_dashes_divides_responses(command, hedges, piped):
    piped("one -- a --- b\n---\ntwo\n---  \n\n---\nthree")
    argv = ["score", hedges, "--json", "--prompt", "q"]
    assert texts(command(*argv)) == [("q", ["one -- a --- b", "two", "three"])]


def test_line_ends_of_windows_divide_responses_too(command, hedges, piped):
    piped("one\r\n---\r\ntwo\r\n")
    assert texts(command("score", hedges, "--json")) == [("", ["one", "two"])]


@pytest.mark.parametrize("prompt", [[], ["--prompt", "q"]], ids=["bare", "prompted"])
def test_responses_that_are_json_are_text(command, hedges, piped, prompt):
    responses = ['{"answer": 4}', '{"answer": 5}\n{"answer": 6}', "[1]"]
    piped("\n---\n".join(responses))
    ran = command("score", hedges, "--json", *prompt)
    assert texts(ran) == [("q" if prompt else "", responses)]


def test_files_and_texts_are_read_together(command, hedges, tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("from a file")
    ran = command("score", hedges, path, "--text", "typed", "--json")
    assert texts(ran) == [("", ["typed", "from a file"])]


def test_a_dash_is_standard_input(command, hedges, piped, tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("from a file")
    piped("piped")
    ran = command("score", hedges, path, "-", "--json")
    assert texts(ran) == [("", ["from a file", "piped"])]


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_records_of_feedback_are_scored(command, hedges, tmp_path, name):
    labels = {"helpful": Labels(scores=(1.0, 0.0))}
    records = [plain_record("q1", ["a", "b"], labels), plain_record("q2", ["c"])]
    write_jsonl(tmp_path / name, records)
    ran = command("score", hedges, tmp_path / name, "--json")
    assert texts(ran) == [("q1", ["a", "b"]), ("q2", ["c"])]


def test_rows_with_one_response_are_joined_by_their_prompt(command, hedges, piped):
    given = [("q1", "a"), ("q2", "b"), ("q1", "c")]
    piped("".join(json.dumps({"prompt": p, "response": r}) + "\n" for p, r in given))
    ran = command("score", hedges, "--json")
    assert texts(ran) == [("q1", ["a", "c"]), ("q2", ["b"])]


def test_chats_keep_their_turns(command, hedges, tmp_path):
    prompt = (Message("system", "Be brief."), Message("user", "Hello?"))
    write_jsonl(
        tmp_path / "a.jsonl", [Record(prompt, ((Message("assistant", "Hi"),),), {})]
    )
    (found,) = rows(command("score", hedges, tmp_path / "a.jsonl", "--json"))
    assert [turn["role"] for turn in found["prompt"]] == ["system", "user"]


def test_a_reference_answer_reaches_the_rule_that_verifies(command, tmp_path, piped):
    spec = tmp_path / "spec.yaml"
    spec.write_text((1.0 * rules.answer()).to_yaml())
    given = [("4", "The answer is 4"), (["5", "five"], "The answer is 4")]
    lines = [{"prompt": "q", "response": t, "reference": r} for r, t in given]
    piped("\n".join(map(json.dumps, lines)))
    (found,) = rows(command("score", spec, "--json"))
    assert [response["utility"] for response in found["responses"]] == [1.0, 0.0]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ('{"prompt": "q", "responce": "a"}', "responce"),
        ('{"prompt": "q", "response": 3}', "2: response: found 3"),
        ('{"prompt": "q", "response": "a", "refrence": "b"}', "refrence"),
        ('{"prompt": "q", "response": "a", "reference": 4}', "2: reference: found 4"),
        ('{"response": "a"}', "prompt"),
        ('{"prompt": "q", "resp', "a JSON object"),
        ("[1]", "found [1]"),
    ],
)
def test_a_row_that_is_none_is_named_with_its_line(
    refused, hedges, tmp_path, line, complaint
):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"prompt": "q", "response": "a"}\n' + line)
    said = refused("score", hedges, path)
    assert "rows.jsonl:2" in said
    assert complaint in said


def test_nothing_to_score_says_how_to_give_something(refused, hedges, piped):
    piped(" \n---\n")
    assert "--text" in refused("score", hedges)


def test_a_prompt_beside_rows_with_their_own_is_refused(refused, hedges, piped):
    piped('{"prompt": "q", "response": "a"}')
    assert "drop --prompt" in refused("score", hedges, "--prompt", "p")


def test_bytes_that_are_no_text_are_refused(refused, hedges, tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe\x00")
    assert "a.txt: is not text" in refused("score", hedges, tmp_path / "a.txt")


# Heads --------------------------------------------------------------------------------


def test_heads_give_what_the_model_says_of_each_response(command, headed, fitted):
    argv = [
        "--heads",
        fitted.heads,
        "--model",
        fitted.model,
        "--prompt",
        "Which words?",
    ]
    argv += ["--text", "some words", "--text", "to learn from these"]
    (found,) = rows(command("score", headed, *argv, "--json"))
    for response in found["responses"]:
        expected = head_values(fitted, "Which words?", response["text"])
        got = {name: part["raw"] for name, part in parts(response).items()}
        assert got == pytest.approx(expected, abs=1e-5)
        utility = 0.75 * expected["helpful"] + 0.25 * expected["harmless"]
        assert response["utility"] == pytest.approx(utility, abs=1e-5)
        assert parts(response)["helpful"]["reason"] == "head on layer 1, last"


@pytest.mark.slow
def test_heads_see_what_they_were_fitted_to_see_and_say_so(
    command, headed, fitted, tmp_path
):
    text, prompt = "some words to learn " * 20, "Which words? " * 40
    argv = ["--heads", fitted.heads, "--model", fitted.model]
    argv += ["--prompt", prompt, "--text", text]
    (found,) = rows(command("score", headed, *argv, "--json"))
    cut = head_values(fitted, prompt, text, max_tokens=96, response_tokens=24)
    whole = head_values(fitted, prompt, text)
    (response,) = found["responses"]
    got = parts(response)["helpful"]
    assert got["raw"] == pytest.approx(cut["helpful"], abs=1e-5)
    assert got["raw"] != pytest.approx(whole["helpful"], abs=1e-3)
    assert "saw the first 24 of " in got["reason"]
    assert "tokens of the prompt" in got["reason"]
    # A rule counts the response, not what a head saw of it.
    spec = tmp_path / "long.yaml"
    helpful = objective("helpful")
    spec.write_text((helpful - 0.01 * rules.length("token")).to_yaml())
    (counted,) = rows(command("score", spec, *argv, "--json"))
    chat = load_language_model(fitted.model).chat
    encoded = chat.encode_responses(prompt, [text.strip()], max_tokens=4096)
    length = parts(counted["responses"][0])["length"]
    assert length["raw"] == len(encoded.responses[0]) > 24


def test_a_threshold_on_heads_warns_whatever_the_reward_declares(
    command, tmp_path, fitted
):
    spec = tmp_path / "spec.yaml"
    helpful, harmless = objectives("helpful", "harmless")
    spec.write_text((helpful + harmless).subject_to(harmless >= 0.2).to_yaml())
    argv = ["--heads", fitted.heads, "--model", fitted.model, "--prompt", "q"]
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        ran = command("score", spec, *argv, "--text", "a")
    assert ran.code == 0
    assert ran.err.startswith("morl score: harmless: scores that compare only within")
    assert ran.err.count("compare only within") == 1


def test_a_rewarded_length_in_tokens_counts_those_of_the_response(
    command, refused, tmp_path, fitted
):
    spec = tmp_path / "spec.yaml"
    spec.write_text((1.0 * rules.length("token")).to_yaml())
    argv = ["score", spec, "--prompt", "q", "--text", "some words"]
    assert "--model NAME" in refused(*argv)
    (found,) = rows(command(*argv, "--model", fitted.model, "--json"))
    chat = load_language_model(fitted.model).chat
    encoded = chat.encode_responses("q", ["some words"], max_tokens=512)
    assert found["responses"][0]["utility"] == len(encoded.responses[0])


@pytest.mark.slow
def test_a_finished_run_needs_no_other_argument(command, run_folder, fitted):
    argv = ["--prompt", "q", "--text", "some words", "--text", "to learn"]
    (found,) = rows(command("score", run_folder, *argv, "--json"))
    assert found["calibrated"]
    assert "2 responses" in found["note"]
    raw = [head_values(fitted, "q", t)["helpful"] for t in ("some words", "to learn")]
    both = [parts(response)["helpful"] for response in found["responses"]]
    values = [part["calibrated"] for part in both]
    assert [part["raw"] for part in both] == pytest.approx(raw, abs=1e-5)
    # Centred on the mean of the two, so they differ in sign alone.
    assert values[0] == pytest.approx(-values[1], abs=1e-4)
    assert np.sign(values[0]) == np.sign(raw[0] - raw[1])
    assert parts(found["responses"][0])["length"]["calibrated"] == 2.0


def test_a_lone_response_has_raw_values_and_says_what_is_missing(command, run_folder):
    argv = ["score", run_folder, "--prompt", "q", "--text", "some words"]
    (found,) = rows(command(*argv, "--json"))
    shown = parts(found["responses"][0])
    assert shown["helpful"]["raw"] is not None
    assert shown["helpful"]["calibrated"] is None
    assert shown["helpful"]["contribution"] is None
    assert shown["length"]["calibrated"] == 2.0
    assert "one response to this prompt" in found["note"]
    assert "one response to this prompt" in command(*argv).out


def test_a_lone_response_is_centred_on_samples_of_the_model(command, run_folder):
    argv = ["score", run_folder, "--prompt", "q", "--text", "some words", "--json"]
    argv += ["--reference", "2"]
    first, again, other = (
        rows(command(*argv, "--seed", seed))[0] for seed in (0, 0, 1)
    )
    assert "2 responses sampled" in first["note"]
    assert first == again
    values = [parts(f["responses"][0])["helpful"]["calibrated"] for f in (first, other)]
    assert None not in values
    assert values[0] != values[1]


def test_samples_are_drawn_as_the_run_drew_its_own(command, refused, run_folder):
    argv = ["score", run_folder, "--prompt", "q", "--text", "some words", "--json"]
    argv += ["--reference", "2"]
    (plain,) = rows(command(*argv))
    settings = asdict(RunSettings(candidates=CandidateSettings(max_new_tokens=2)))
    (run_folder / "settings.json").write_text(json.dumps(settings))
    (short,) = rows(command(*argv))
    assert "at most 2 tokens" in short["note"]
    values = [parts(f["responses"][0])["helpful"]["calibrated"] for f in (plain, short)]
    assert values[0] != values[1]
    settings["candidates"]["max_new_tokens"] = "few"
    (run_folder / "settings.json").write_text(json.dumps(settings))
    said = refused(*argv)
    assert "settings.json: candidates: max_new_tokens: found 'few'" in said


def test_heads_of_another_template_are_scored_only_when_told(
    command, refused, headed, fitted, tmp_path
):
    heads = tmp_path / "heads"
    shutil.copytree(fitted.heads, heads)
    manifest = json.loads((heads / "heads.json").read_text())
    manifest["template_hash"] = "0" * 64
    (heads / "heads.json").write_text(json.dumps(manifest))
    argv = ["score", headed, "--heads", heads, "--model", fitted.model]
    argv += ["--prompt", "q", "--text", "a", "--json"]
    assert "morl score --other-template" in refused(*argv)
    assert len(rows(command(*argv, "--other-template"))) == 1


def test_a_run_scores_by_the_heads_that_it_selected_by(command, run_folder, fitted):
    argv = ["score", run_folder, "--prompt", "q", "--json", "--text", "a"]

    def raw():
        (found,) = rows(command(*argv))
        return parts(found["responses"][0])["helpful"]["raw"]

    of_the_pool = raw()
    shutil.copytree(fitted.heads, run_folder / "selector")
    assert raw() == of_the_pool
    heads = load_heads(fitted.heads, load_language_model(fitted.model))
    other = heads.head._replace(bias=heads.head.bias + 1.0)
    save_heads(run_folder / "selector", replace(heads, head=other))
    assert raw() == pytest.approx(of_the_pool + 1.0, abs=1e-5)


@pytest.mark.parametrize("flags", [["--reference", "1"], ["--reference", "-2"]])
def test_one_sample_cannot_centre(refused, run_folder, flags):
    said = refused("score", run_folder, "--text", "a", "--prompt", "q", *flags)
    assert "--reference" in said


def test_samples_for_what_is_not_calibrated_are_refused(refused, hedges):
    said = refused("score", hedges, "--text", "a", "--reference", "4")
    assert "not calibrated" in said


def test_missing_heads_are_asked_for_by_the_name_of_the_flag(refused, headed):
    said = refused("score", headed, "--text", "a", "--prompt", "q")
    assert "helpful, harmless" in said
    assert "--heads DIR" in said


def test_a_missing_prompt_is_asked_for(refused, headed, fitted):
    argv = ["--heads", fitted.heads, "--model", fitted.model, "--text", "a"]
    assert "--prompt TEXT" in refused("score", headed, *argv)


def test_heads_for_other_rewards_are_named(refused, tmp_path, fitted):
    spec = tmp_path / "spec.yaml"
    spec.write_text((1.0 * objectives("honest")[0]).to_yaml())
    argv = ["--heads", fitted.heads, "--model", fitted.model, "--text", "a"]
    said = refused("score", spec, *argv, "--prompt", "q")
    assert "helpful, harmless" in said
    assert "honest" in said


def test_an_unknown_backbone_is_asked_for_by_name(refused, headed, fitted, tmp_path):
    # The heads alone: no model lies beside them or in the cache.
    (tmp_path / "alone").mkdir()
    (tmp_path / "alone" / "heads").symlink_to(fitted.heads)
    argv = ["--heads", tmp_path / "alone" / "heads", "--cache", tmp_path / "none"]
    said = refused("score", headed, *argv, "--text", "a", "--prompt", "q")
    assert "--model NAME" in said


def test_damaged_heads_are_refused(refused, headed, fitted, tmp_path):
    (tmp_path / "heads").mkdir()
    (tmp_path / "heads" / "heads.json").write_text('{"objectives": [')
    argv = ["--heads", tmp_path / "heads", "--model", fitted.model]
    said = refused("score", headed, *argv, "--text", "a", "--prompt", "q")
    assert "heads.json" in said


def test_heads_that_do_not_say_where_responses_were_cut_are_refused(
    refused, headed, fitted, tmp_path
):
    shutil.copytree(fitted.heads, tmp_path / "heads")
    path = tmp_path / "heads" / "heads.json"
    manifest = json.loads(path.read_text())
    assert manifest["truncation"] == {"max_tokens": 96, "response_tokens": 24}
    argv = ["--heads", tmp_path / "heads", "--model", fitted.model]
    argv += ["--text", "a", "--prompt", "q"]
    old = {k: v for k, v in manifest.items() if k not in ("version", "truncation")}
    path.write_text(json.dumps(old))
    said = refused("score", headed, *argv)
    assert "version 1, expected 2" in said
    assert "fit the heads again" in said
    for damage in ({"truncation": {"max_tokens": 1}}, {"reading": 3}, {"sha256": ""}):
        path.write_text(json.dumps(manifest | damage))
        assert "heads" in refused("score", headed, *argv)


# Specifications -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("rewards: {a: {}}\nutilty: {sum: {a: 1}}", "utility"),
        ("rewards: {a: {sorce: 1}}\nutility: {sum: {a: 1}}", "source"),
        ("rewards: {a: {}}\nutility: {sum: {a: 1, b: 1}}", "'b'"),
        ("rewards: {a: {}}\nutility: {sum: {a: .nan}}", "nan"),
        ("rewards: {a: {}}\nutility: {sum: {a: [1]}}", "[1]"),
        ("rewards: {a: {\nutility", "is not YAML"),
        ("rewards: {a: {}, a: {}}\nutility: {sum: {a: 1}}", "given twice"),
        ("", "mapping"),
        ("- 1", "mapping"),
    ],
)
def test_a_broken_specification_is_named_in_one_line(
    refused, tmp_path, text, complaint
):
    spec = tmp_path / "spec.yaml"
    spec.write_text(text)
    said = refused("score", spec, "--text", "a")
    assert "spec.yaml" in said
    assert complaint in said


def test_a_missing_specification_is_named(refused, tmp_path):
    said = refused("score", tmp_path / "none.yaml", "--text", "a")
    assert "none.yaml: no such file" in said


def test_a_folder_that_is_no_run_is_named(refused, tmp_path):
    said = refused("score", tmp_path, "--text", "a")
    assert "composition.yaml" in said


def test_a_wrong_number_of_weights_names_the_objectives(refused, headed, fitted):
    argv = ["--heads", fitted.heads, "--text", "a", "--weights", "1"]
    said = refused("score", headed, *argv)
    assert "helpful" in said
    assert "--weights: found 1, expected a number for each of" in said


def test_weights_of_rules_alone_say_that_nothing_is_weighed(refused, tmp_path):
    spec = tmp_path / "rules.yaml"
    spec.write_text((-0.1 * rules.length(unit="word")).to_yaml())
    said = refused("score", spec, "--text", "a", "--weights", "0.5")
    assert "--weights: found 0.5, and no objective to weigh: none of length" in said


@pytest.mark.parametrize("weight", ["nan", "inf"])
def test_weights_that_are_not_finite_are_refused_by_their_flag(
    refused, headed, fitted, weight
):
    argv = ["--heads", fitted.heads, "--text", "a", "--weights", weight, "1"]
    said = refused("score", headed, *argv)
    assert f"--weights: found {weight} 1, expected finite numbers" in said


def test_transforms_that_learn_are_refused(refused, tmp_path):
    spec = tmp_path / "spec.yaml"
    learning = rules.length("word").through(transforms.standardize())
    spec.write_text((1.0 * learning).to_yaml())
    assert "length" in refused("score", spec, "--text", "a")


def test_an_uncalibrated_threshold_warns_once_in_words(command, tmp_path, fitted):
    spec = tmp_path / "spec.yaml"
    helpful = objective("helpful", scale="per-prompt")
    spec.write_text((1.0 * helpful).subject_to(helpful >= 0.2).to_yaml())
    argv = ["--heads", fitted.heads, "--model", fitted.model, "--prompt", "q"]
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        ran = command("score", spec, *argv, "--text", "a")
    assert ran.code == 0
    assert ran.err.startswith("morl score: helpful: scores that compare only within")
    assert ".py" not in ran.err


def test_a_percentile_without_calibration_is_refused(refused, tmp_path, fitted):
    spec = tmp_path / "spec.yaml"
    helpful = objective("helpful", scale="per-prompt")
    spec.write_text((1.0 * helpful).subject_to(helpful >= percentile(60)).to_yaml())
    argv = ["--heads", fitted.heads, "--model", fitted.model, "--prompt", "q"]
    assert "calibrat" in refused("score", spec, *argv, "--text", "a")


# Functions ----------------------------------------------------------------------------

JUDGED = """
rewards: {kind: {source: {kind: callable, fn: {source: kind}}}}
utility: {sum: {kind: 2.0}}
"""


@pytest.fixture
def judged(tmp_path):
    path = tmp_path / "judged.yaml"
    path.write_text(JUDGED)
    return path


def test_a_function_of_a_python_file_scores(command, judged, tmp_path):
    (tmp_path / "mine.py").write_text(
        "WORD = 'please'\n"
        "def kind(prompt, response):\n"
        "    return float(WORD in response), f'asked {prompt}'\n"
    )
    argv = ["--functions", tmp_path / "mine.py", "--prompt", "q"]
    ran = command("score", judged, *argv, "--text", "please", "--text", "no", "--json")
    (found,) = rows(ran)
    assert [response["utility"] for response in found["responses"]] == [2.0, 0.0]
    assert parts(found["responses"][0])["kind"]["critique"] == "asked q"


def test_a_missing_function_is_asked_for(refused, judged, tmp_path):
    assert "--functions FILE.py" in refused("score", judged, "--text", "a")
    (tmp_path / "mine.py").write_text("def kinds(): ...")
    argv = ["--functions", tmp_path / "mine.py", "--text", "a"]
    said = refused("score", judged, *argv)
    assert "needs the function 'kind'" in said
    assert "mine.py defines kinds" in said
    assert "from_yaml" not in said


@pytest.mark.parametrize(
    "code", ["def (", "1 / 0", "import no_such_module", "raise SystemExit(3)"]
)
def test_a_python_file_that_fails_is_one_line(refused, judged, tmp_path, code):
    (tmp_path / "mine.py").write_text(code)
    argv = ["--functions", tmp_path / "mine.py", "--text", "a"]
    assert "mine.py: cannot be run" in refused("score", judged, *argv)


def test_a_missing_python_file_is_named(refused, judged, tmp_path):
    argv = ["--functions", tmp_path / "none.py", "--text", "a"]
    assert "none.py: no such file" in refused("score", judged, *argv)
