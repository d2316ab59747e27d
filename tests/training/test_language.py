import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from morl.errors import InputError
from morl.models import Transformer, TransformerConfig
from morl.models.chat import EncodedRecord, train_chat_tokenizer
from morl.training.features import pack
from morl.training.language import (
    LanguageSettings,
    document_loss,
    predictions,
    train_language_model,
)

TINY = LanguageSettings(
    width=16,
    num_layers=1,
    num_heads=2,
    num_documents=320,
    batch_size=4,
    adam_learning_rate=0.05,
)


def record(prompt, *responses):
    arrays = tuple(np.array(response, np.int32) for response in responses)
    own = tuple(np.ones(len(response), bool) for response in responses)
    return EncodedRecord(np.array(prompt, np.int32), arrays, own)


@pytest.mark.slow
def test_packed_responses_cost_what_each_costs_alone():
    config = TransformerConfig(32, 16, 2, 2, 1, 8, 32)
    model = Transformer(config, rngs=nnx.Rngs(0))
    prompt, responses = [3, 4, 5], ([6, 7], [8], [9, 10, 11])
    total = 0.0
    for response in responses:
        tokens = jnp.array([[*prompt, *response]])
        count = tokens.shape[1]
        hidden = model(tokens, jnp.arange(count)[None], jnp.zeros((1, count), int))
        log_probs = jax.nn.log_softmax(model.logits(hidden.hidden)[0])
        for place, token in enumerate(response, start=len(prompt)):
            total -= float(log_probs[place - 1, token])
    batch = pack([record(prompt, *responses)], 12)
    loss = document_loss(model, batch, predictions(batch))
    assert float(loss.weight) == 6
    np.testing.assert_allclose(float(loss.total), total, rtol=1e-5)


def test_what_the_assistant_did_not_write_is_not_predicted():
    given = record([3, 4], [5, 6, 7], [8])
    given = given._replace(own=(np.array([True, False, True]), given.own[1]))
    wanted = predictions(pack([given], 10))
    assert wanted.targets[wanted.mask].tolist() == [5, 7, 8]
    assert wanted.sources[wanted.mask].tolist() == [1, 3, 1]


@pytest.mark.slow
def test_training_learns_which_response_follows_which_prompt():
    chat = train_chat_tokenizer(["one two three four"], 280)
    pairs = (("one", "two"), ("three", "four"))
    documents = [
        chat.encode_responses(pairs[n % 2][0], [pairs[n % 2][1]], max_tokens=64)
        for n in range(320)
    ]
    told = []
    model, losses = train_language_model(
        chat, documents, TINY, progress=lambda done, total: told.append((done, total))
    )
    assert told == [(25, 80), (50, 80), (75, 80), (80, 80)]
    assert losses[-1] < 0.1 * losses[0]
    again, _ = train_language_model(chat, documents, TINY)
    np.testing.assert_array_equal(again.embedding[...], model.embedding[...])


def test_fewer_documents_than_a_batch_are_refused():
    chat = train_chat_tokenizer(["one two"], 270)
    with pytest.raises(InputError, match="found 1 documents, expected at least 4"):
        train_language_model(chat, [record([1], [2])], TINY)
