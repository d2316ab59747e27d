"""Heads on disk: what is read back, and what is refused."""

import json
from dataclasses import replace

import jax
import numpy as np
import pytest
from flax import nnx

from morl.errors import InputError
from morl.models import Transformer
from morl.models.chat import train_chat_tokenizer
from morl.models.config import TransformerConfig
from morl.models.head_files import (
    HeadKind,
    HeadSet,
    load_heads,
    save_heads,
)
from morl.models.heads import (
    Reading,
    States,
    ensemble,
    estimates,
    gaussian,
    init_linear_head,
    linear,
    mlp,
    quantile,
)
from morl.models.language_model import LanguageModel
from morl.models.truncation import Truncation


@pytest.fixture(scope="module")
def backbone():
    chat = train_chat_tokenizer(["some words to learn a vocabulary from"], 300)
    config = TransformerConfig(chat.vocab_size, 16, 1, 2, 1, 8, 32)
    return LanguageModel("tiny", Transformer(config, rngs=nnx.Rngs(0)), chat, "f" * 64)


@pytest.fixture
def heads(backbone):
    return HeadSet(
        ("helpful", "harmless", "honest"),
        Reading(1, "sum"),
        init_linear_head(jax.random.key(0), 16, 3),
        backbone.fingerprint,
        backbone.chat.template_hash,
        Truncation(300, None),
    )


def same(one, other):
    jax.tree.map(np.testing.assert_array_equal, one.head, other.head)
    return replace(one, head=other.head) == other


@pytest.mark.parametrize("truncation", [Truncation(300, None), Truncation(64, 16)])
def test_what_was_saved_is_loaded_to_the_last_bit(
    backbone, heads, tmp_path, truncation
):
    given = replace(heads, truncation=truncation)
    save_heads(tmp_path / "heads", given)
    assert same(given, load_heads(tmp_path / "heads", backbone))
    assert [path.name for path in tmp_path.iterdir()] == ["heads"]


def test_heads_saved_again_replace_the_old_ones(backbone, heads, tmp_path):
    save_heads(tmp_path / "heads", heads)
    other = replace(heads, head=init_linear_head(jax.random.key(1), 16, 3))
    save_heads(tmp_path / "heads", other)
    assert same(other, load_heads(tmp_path / "heads", backbone))


def test_another_template_is_refused_unless_told(backbone, heads, tmp_path):
    save_heads(tmp_path / "heads", heads)
    chat = backbone.chat
    template = replace(chat.template, variables={"enable_thinking": False})
    other = replace(backbone, chat=replace(chat, template=template))
    with pytest.raises(InputError, match="chat template"):
        load_heads(tmp_path / "heads", other)
    assert same(heads, load_heads(tmp_path / "heads", other, other_template=True))


def test_another_model_is_refused(backbone, heads, tmp_path):
    save_heads(tmp_path / "heads", heads)
    with pytest.raises(InputError, match="SHA-256 ffffffffffff, tiny has 000000000000"):
        load_heads(tmp_path / "heads", replace(backbone, fingerprint="0" * 64))


def test_parameters_that_are_not_those_of_the_manifest_are_refused(
    backbone, heads, tmp_path
):
    save_heads(tmp_path / "heads", heads)
    manifest = tmp_path / "heads" / "heads.json"
    found = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(found | {"sha256": "0" * 64}))
    with pytest.raises(InputError, match="do not match their digest"):
        load_heads(tmp_path / "heads", backbone)


@pytest.mark.parametrize("key", ["objectives", "reading", "truncation", "sha256"])
def test_a_manifest_without_a_key_names_it(backbone, heads, tmp_path, key):
    save_heads(tmp_path / "heads", heads)
    manifest = tmp_path / "heads" / "heads.json"
    found = json.loads(manifest.read_text())
    del found[key]
    manifest.write_text(json.dumps(found))
    with pytest.raises(InputError, match=f"'{key}' is missing"):
        load_heads(tmp_path / "heads", backbone)


@pytest.mark.parametrize("version", [1, 3, "2"])
def test_heads_of_another_version_are_refused(backbone, heads, tmp_path, version):
    save_heads(tmp_path / "heads", heads)
    manifest = tmp_path / "heads" / "heads.json"
    found = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(found | {"version": version}))
    with pytest.raises(InputError, match=f"version {version}, expected 2"):
        load_heads(tmp_path / "heads", backbone)


KINDS = {
    "linear": linear,
    "mlp": mlp,
    "quantile": quantile,
    "gaussian": gaussian,
    "ensemble": ensemble,
}
SETTINGS = {
    "mlp": {"hidden_width": 5},
    "quantile": {"levels": [0.1, 0.5, 0.9]},
    "ensemble": {"num_members": 4},
}


def of_kind(heads, name):
    settings = SETTINGS.get(name, {})
    head = KINDS[name](**settings)
    params = head.init(jax.random.key(3), 16, len(heads.objectives))
    return replace(heads, head=params, kind=HeadKind(name, settings, head))


def rewrite(folder, **changes):
    manifest = folder / "heads.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | changes))


@pytest.mark.parametrize("name", KINDS)
def test_heads_of_every_kind_score_as_before_they_were_saved(
    backbone, heads, tmp_path, name
):
    given = of_kind(heads, name)
    save_heads(tmp_path / "heads", given)
    found = load_heads(tmp_path / "heads", backbone, kinds=KINDS)
    assert same(given, found)
    assert found.kind == given.kind
    states = States(jax.random.normal(jax.random.key(4), (5, 16)))
    expected, read = (
        estimates(each.kind.head, each.kind.head.read(each.head, states))
        for each in (given, found)
    )
    assert expected.mean.shape == expected.deviation.shape == (5, 3)
    jax.tree.map(np.testing.assert_array_equal, read, expected)


def test_transforms_come_back_with_the_heads_under_their_digest(
    backbone, heads, tmp_path
):
    transforms = {"debias.mean": np.array(3.5, np.float32), "other": np.arange(3.0)}
    given = replace(heads, transforms=transforms)
    save_heads(tmp_path / "heads", given)
    found = load_heads(tmp_path / "heads", backbone)
    assert found.transforms.keys() == transforms.keys()
    for name, array in transforms.items():
        np.testing.assert_array_equal(found.transforms[name], array)
    digest = json.loads((tmp_path / "heads" / "heads.json").read_text())["sha256"]
    save_heads(tmp_path / "bare", heads)
    bare = json.loads((tmp_path / "bare" / "heads.json").read_text())["sha256"]
    assert digest != bare


def test_a_manifest_that_names_no_kind_is_of_linear_heads(backbone, heads, tmp_path):
    save_heads(tmp_path / "heads", heads)
    manifest = tmp_path / "heads" / "heads.json"
    found = json.loads(manifest.read_text())
    del found["head"]
    manifest.write_text(json.dumps(found))
    assert same(heads, load_heads(tmp_path / "heads", backbone))


def test_a_kind_that_the_table_lacks_is_refused_by_name(backbone, heads, tmp_path):
    save_heads(tmp_path / "heads", of_kind(heads, "quantile"))
    words = "head.kind: found 'quantile', expected one of linear"
    with pytest.raises(InputError, match=words):
        load_heads(tmp_path / "heads", backbone)


@pytest.mark.parametrize(
    ("head", "words"),
    [
        ({"kind": "ensemble", "settings": {"num_members": 1}}, "found 1, expected 2"),
        ({"kind": "ensemble", "settings": {"size": 4}}, "'size'"),
        ({"kind": "ensemble"}, "'settings' is missing"),
        ({"kind": "ensemble", "settings": "all"}, "not a manifest of heads"),
        (
            {"kind": "ensemble", "settings": {"num_members": 3}},
            r"'weight': \(16, 12\).*ensemble heads for helpful, harmless, honest have "
            r".*'weight': \(16, 9\)",
        ),
        ({"kind": "mlp", "settings": {}}, "mlp heads for helpful.*'hidden.weight'"),
    ],
)
def test_a_kind_that_the_parameters_are_not_of_is_refused(
    backbone, heads, tmp_path, head, words
):
    save_heads(tmp_path / "heads", of_kind(heads, "ensemble"))
    rewrite(tmp_path / "heads", head=head)
    with pytest.raises(InputError, match=words):
        load_heads(tmp_path / "heads", backbone, kinds=KINDS)


def test_a_set_of_objectives_of_another_size_is_refused(backbone, heads, tmp_path):
    save_heads(tmp_path / "heads", heads)
    rewrite(tmp_path / "heads", objectives=["helpful", "harmless"])
    with pytest.raises(InputError, match="linear heads for helpful, harmless have"):
        load_heads(tmp_path / "heads", backbone)
