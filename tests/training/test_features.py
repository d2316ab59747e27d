import jax
import numpy as np
import pytest
from flax import nnx

from morl.errors import InputError
from morl.models import (
    EncodedRecord,
    LanguageModel,
    Transformer,
    TransformerConfig,
    train_chat_tokenizer,
)
from morl.models.heads import Reading
from morl.training.features import (
    extract_features,
    pack,
    record_length,
    split_record,
)


@pytest.fixture(scope="module")
def backbone():
    chat = train_chat_tokenizer(["some words to learn from"], 300)
    config = TransformerConfig(chat.vocab_size, 16, 2, 2, 1, 8, 24)
    return LanguageModel("tiny", Transformer(config, rngs=nnx.Rngs(0)), chat, "f" * 64)


def make_records(count, seed=0):
    rng = np.random.default_rng(seed)
    draw = lambda n: rng.integers(0, 250, n).astype(np.int32)
    records = []
    for index in range(count):
        responses = tuple(draw(3 + (index + r) % 5) for r in range(1 + index % 3))
        own = tuple(np.ones(len(r), bool) for r in responses)
        records.append(EncodedRecord(draw(4 + index % 7), responses, own))
    return records


def alone(backbone, record, index):
    """Features of one response by a plain forward pass over prompt and response."""
    tokens = np.concatenate([record.prompt, record.responses[index]])[None]
    length = tokens.shape[1]
    hidden = backbone.model(
        jax.numpy.asarray(tokens),
        jax.numpy.arange(length)[None],
        jax.numpy.zeros((1, length), int),
    ).hidden[0]
    mine = hidden[len(record.prompt) :]
    return np.asarray(mine[-1]), np.asarray(mine.mean(axis=0))


@pytest.mark.slow
def test_packed_features_equal_those_of_each_response_alone(backbone):
    records = make_records(7)
    features = extract_features(
        backbone, records, layers=(1, 2), boundaries=(16, 32, 64), batch_tokens=128
    )
    last = features.read(Reading(2, "last"))
    mean = features.read(Reading(2, "mean"))
    for row, record in enumerate(records):
        for index in range(len(record.responses)):
            place = features.starts[row] + index
            expected = alone(backbone, record, index)
            np.testing.assert_allclose(last[place], expected[0], atol=2e-5)
            np.testing.assert_allclose(mean[place], expected[1], atol=2e-5)


def test_a_sum_is_the_mean_times_the_length(backbone):
    features = extract_features(backbone, make_records(4), layers=(2,))
    total = features.read(Reading(2, "sum"))
    mean = features.read(Reading(2, "mean"))
    np.testing.assert_allclose(total, mean * features.lengths[:, None])


def test_what_was_cached_is_not_computed_again_and_is_equal(backbone, tmp_path):
    records = make_records(9)
    seen = []
    compute = lambda some: extract_features(
        backbone,
        some,
        layers=(2,),
        cache=tmp_path,
        batch_tokens=64,
        progress=lambda done, total: seen.append((done, total)),
    )
    first = compute(records)
    seen.clear()
    second = compute(records)
    assert seen == [(seen[0][1], seen[0][1])]
    np.testing.assert_array_equal(first.values, second.values)


def test_an_interrupted_extraction_goes_on_to_the_same_numbers(backbone, tmp_path):
    records = make_records(12)

    class Killed(Exception):
        pass

    def die(done, total):
        if done > total / 2:
            raise Killed

    options = {"layers": (2,), "batch_tokens": 64}
    whole = extract_features(backbone, records, cache=tmp_path / "a", **options)
    with pytest.raises(Killed):
        extract_features(
            backbone, records, cache=tmp_path / "b", progress=die, **options
        )
    resumed = extract_features(backbone, records, cache=tmp_path / "b", **options)
    np.testing.assert_array_equal(whole.values, resumed.values)


def test_a_damaged_shard_is_named(backbone, tmp_path):
    records = make_records(3)
    extract_features(backbone, records, layers=(2,), cache=tmp_path)
    shard = next(tmp_path.rglob("*.safetensors"))
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(bytes(content))
    with pytest.raises(InputError, match=shard.name):
        extract_features(backbone, records, layers=(2,), cache=tmp_path)


def test_a_layer_that_does_not_exist_is_refused(backbone):
    with pytest.raises(InputError, match="expected 1 to 2"):
        extract_features(backbone, make_records(1), layers=(3,))


@pytest.mark.slow
def test_responses_that_do_not_fit_one_row_are_split_over_rows_that_repeat_the_prompt(
    backbone,
):
    draw = lambda n: np.random.default_rng(n).integers(0, 250, n).astype(np.int32)
    responses = tuple(draw(4 + n % 3) for n in range(9))
    own = tuple(np.ones(len(response), bool) for response in responses)
    records = [
        *make_records(3),
        EncodedRecord(draw(11), responses, own),
        *make_records(2, seed=1),
    ]
    told = []
    features = extract_features(
        backbone,
        records,
        layers=(2,),
        boundaries=(16, 32),
        batch_tokens=64,
        progress=lambda done, total: told.append((done, total)),
    )
    assert told[-1][0] == told[-1][1]
    np.testing.assert_array_equal(
        np.diff(features.starts), [len(record.responses) for record in records]
    )
    last = features.read(Reading(2, "last"))
    for row, record in list(enumerate(records))[3:5]:  # the long one and the next
        for index in range(len(record.responses)):
            place = features.starts[row] + index
            np.testing.assert_allclose(
                last[place], alone(backbone, record, index)[0], atol=2e-5
            )


def test_the_features_of_some_records_are_theirs_alone(backbone):
    records = make_records(6)
    whole = extract_features(backbone, records, layers=(1, 2))
    part = whole.of_records(2, 5)
    alone = extract_features(backbone, records[2:5], layers=(1, 2))
    np.testing.assert_array_equal(part.starts, alone.starts)
    np.testing.assert_array_equal(part.lengths, alone.lengths)
    np.testing.assert_allclose(part.values, alone.values, atol=2e-5)


def test_rows_of_a_split_record_hold_every_response_once_in_order():
    record = make_records(3)[2]
    longest = max(len(response) for response in record.responses)
    pieces = split_record(record, len(record.prompt) + longest)
    assert len(pieces) > 1
    for piece in pieces:
        np.testing.assert_array_equal(piece.prompt, record.prompt)
        assert record_length(piece) <= len(record.prompt) + longest
    rows = [response for piece in pieces for response in piece.responses]
    assert all(map(np.array_equal, rows, record.responses))
    assert split_record(record, record_length(record))[0] == record
    bare = EncodedRecord(record.prompt, (), ())
    assert split_record(bare, len(record.prompt)) == [bare]


def test_a_prompt_with_one_response_longer_than_a_row_is_refused(backbone):
    records = make_records(1)
    size = record_length(records[0])
    with pytest.raises(InputError, match=f"found {size} tokens in a prompt with one"):
        extract_features(backbone, records, layers=(2,), boundaries=(size - 1,))


def test_a_record_longer_than_its_row_is_refused():
    with pytest.raises(InputError, match="expected at most 4"):
        pack(make_records(1), 4)
