import jax
import numpy as np
import pytest
from flax import nnx

from morl.errors import InputError
from morl.models import Transformer
from morl.models.chat import train_chat_tokenizer
from morl.models.config import TransformerConfig
from morl.models.fetch import fetch_smollm2, no_progress
from morl.models.language_model import (
    LanguageModel,
    load_language_model,
    save_language_model,
)
from morl.sampling import generate


def test_a_tokenizer_of_another_model_is_refused(tmp_path):
    chat = train_chat_tokenizer(["some words to learn a vocabulary from"], 300)
    config = TransformerConfig(chat.vocab_size - 1, 8, 1, 1, 1, 8, 8)
    model = Transformer(config, rngs=nnx.Rngs(0))
    save_language_model(LanguageModel("other", model, chat, ""), tmp_path)
    complaint = f"tokenizer has {chat.vocab_size} tokens.*{config.vocab_size}"
    with pytest.raises(InputError, match=complaint):
        load_language_model(tmp_path)


@pytest.mark.slow
def test_smollm2_knows_the_capital_of_france():
    smollm2 = load_language_model(fetch_smollm2(progress=no_progress))
    prompt = smollm2.chat.encode_prompt("What is the capital of France?")
    generation = generate(
        smollm2.model,
        [prompt],
        jax.random.split(jax.random.key(0), 1),
        max_new_tokens=16,
        temperature=0.0,
        stop_ids=smollm2.chat.stop_ids,
    )
    tokens = np.asarray(generation.tokens)[0][np.asarray(generation.mask)[0]]
    assert tokens[-1] in smollm2.chat.stop_ids
    assert smollm2.chat.decode(tokens) == "The capital of France is Paris."
