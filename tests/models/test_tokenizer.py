"""Tokenizers against other programs, and damaged files."""

import json
import re
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, processors

from morl.errors import InputError
from morl.models import (
    load_chat_tokenizer,
    save_chat_tokenizer,
    train_chat_tokenizer,
)
from morl.models.fetch import SMOLLM2, default_cache, fetch_smollm2
from morl.models.gguf_metadata import read_gguf_metadata

HERE = Path(__file__).parent
TEXTS = ["to be or not to be, that is the question: 1999 café"] * 5


@pytest.fixture(scope="module")
def smollm2():
    cached = default_cache() / SMOLLM2.name / Path(SMOLLM2.member).name
    return load_chat_tokenizer(cached if cached.is_file() else fetch_smollm2())


@pytest.mark.slow
def test_smollm2_tokens_are_those_of_byte_pair_encoding_by_its_definition(smollm2):
    golden = json.loads((HERE / "golden" / "smollm2_tokens.json").read_text())
    agreeing = 0
    for row in golden["rows"]:
        tokens = smollm2.plain.encode(row["text"]).ids
        assert tokens == row["definition"], row["text"]
        assert smollm2.decode(tokens) == row["text"]
        # transformers does not know this pre-tokenizer's splitting before numbers.
        if not re.search(r"\s\s\d|\s[½Ⅷ²]", row["text"]):
            assert tokens == row["peer"], row["text"]
            agreeing += 1
    assert agreeing >= 19


@pytest.mark.slow
def test_smollm2_prompt_is_the_published_one(smollm2):
    assert smollm2.template.source == (
        (HERE / "templates" / "smollm2.jinja").read_bytes().decode()
    )
    assert smollm2.stop_ids == (2,)
    assert smollm2.bos is None
    assert smollm2.vocab_size == 49152
    prompt = smollm2.encode_prompt("What is the capital of France?")
    # Ids by transformers 5.23 (apply_chat_template on the same GGUF).
    assert prompt.tolist() == [
        *[1, 9690, 198, 2683, 359, 253, 5356, 5646, 11173, 3365, 3511, 308, 34519],
        *[28, 7018, 411, 407, 19712, 8182, 2, 198, 1, 4093, 198, 1780, 314, 260],
        *[3575, 282, 4649, 47, 2, 198, 1, 520, 9531, 198],
    ]


@pytest.mark.slow
def test_smollm2_saved_as_a_folder_is_the_same_tokenizer(smollm2, tmp_path):
    save_chat_tokenizer(smollm2, tmp_path)
    again = load_chat_tokenizer(tmp_path)
    record = ["Hi <|im_end|>  12", [{"role": "assistant", "content": "a\n\n 1"}]]
    mine, theirs = (
        chat.encode_responses(record[0], [record[1]], max_tokens=99)
        for chat in (smollm2, again)
    )
    np.testing.assert_array_equal(mine.prompt, theirs.prompt)
    np.testing.assert_array_equal(mine.responses[0], theirs.responses[0])
    assert again.template_hash == smollm2.template_hash
    assert again.stop_ids == smollm2.stop_ids


def test_training_twice_gives_the_same_tokenizer():
    texts = [f"word{n % 37} and word{n % 11}, {n}" for n in range(2000)]
    first, second = (train_chat_tokenizer(texts, 400) for _ in range(2))
    assert first.tokenizer.to_str() == second.tokenizer.to_str()
    assert first.vocab_size <= 400
    assert first.template_hash == second.template_hash


def test_a_trained_tokenizer_is_lossless_on_text_it_never_saw():
    chat = train_chat_tokenizer(TEXTS, 300)
    for text in ("naïve 🙂 中文\r\n\t 007", "", " ", "<|im_start|>", "\x00"):
        assert chat.decode(chat.plain.encode(text).ids) == text


def test_digits_are_tokens_of_their_own():
    chat = train_chat_tokenizer(["1999 1999 1999"] * 50, 300)
    assert len(chat.plain.encode("1999").ids) == 4


def test_a_vocabulary_without_room_for_every_byte_is_refused():
    with pytest.raises(
        InputError, match="vocab_size: found 258, expected at least 259"
    ):
        train_chat_tokenizer(TEXTS, 258)


def test_what_is_saved_comes_back_with_variables_stops_and_bos(tmp_path):
    save_chat_tokenizer(train_chat_tokenizer(TEXTS, 300), tmp_path / "a")
    first = load_chat_tokenizer(tmp_path / "a", variables={"enable_thinking": False})
    save_chat_tokenizer(first, tmp_path / "b")
    again = load_chat_tokenizer(tmp_path / "b")
    assert again.template_hash == first.template_hash
    assert again.template.variables == {"enable_thinking": False}
    assert again.stop_ids == first.stop_ids == (2,)
    assert again.tokenizer.to_str() == first.tokenizer.to_str()


def llama_like(folder):
    """A folder whose tokenizer puts <s> first, as Llama 3's does."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({c: i for i, c in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    texts = ["<s>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>", "<end>"]
    tokenizer.add_special_tokens([AddedToken(t, normalized=False) for t in texts])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 256)]
    )
    folder.mkdir(exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {"bos_token": {"content": "<s>"}, "eos_token": "<end>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    shutil.copy(HERE / "templates" / "llama3.jinja", folder / "chat_template.jinja")
    (folder / "generation_config.json").write_text('{"eos_token_id": [257, 260]}')
    return folder


def test_a_folder_gives_bos_stops_and_template_from_its_several_files(tmp_path):
    chat = load_chat_tokenizer(llama_like(tmp_path))
    assert chat.bos == 256
    assert chat.stop_ids == (257, 260)
    assert chat.template.special_tokens == {"bos_token": "<s>", "eos_token": "<end>"}
    assert "start_header_id" in chat.template.source


def test_there_is_one_bos_whether_the_template_writes_it_or_not(tmp_path):
    folder = llama_like(tmp_path)
    writing = load_chat_tokenizer(folder)
    silent = load_chat_tokenizer(
        folder,
        template=writing.template.source.replace("bos_token + content", "content"),
    )
    for chat in (writing, silent):
        prompt = chat.encode_prompt("<s> hello")
        assert prompt[0] == 256 and (prompt == 256).sum() == 1
    assert writing.template.source != silent.template.source


def test_a_template_in_the_configuration_may_be_a_list_of_named_ones(tmp_path):
    folder = llama_like(tmp_path)
    (folder / "chat_template.jinja").unlink()
    named = [
        {"name": "rag", "template": "no"},
        {"name": "default", "template": "{{ messages[0].content }}"},
    ]
    config = {"bos_token": "<s>", "eos_token": "<end>", "chat_template": named}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    assert load_chat_tokenizer(folder).template.source == "{{ messages[0].content }}"


def test_a_model_without_template_is_refused_and_one_can_be_given(tmp_path):
    folder = llama_like(tmp_path)
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(InputError, match="ships no chat template"):
        load_chat_tokenizer(folder)
    (folder / "tokenizer_config.json").write_text('{"chat_template": [1, {"name": 2}]}')
    with pytest.raises(InputError, match="ships no chat template"):
        load_chat_tokenizer(folder)
    given = load_chat_tokenizer(folder, template="{{ messages[0].content }}")
    assert given.encode_prompt("a").tolist()[0] == 256


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("tokenizer.json", '{"model": {"type"', "tokenizer.json: not a tokenizer"),
        ("tokenizer.json", "", "tokenizer.json: not a tokenizer"),
        ("tokenizer_config.json", "{", "tokenizer_config.json: not valid JSON"),
        ("tokenizer_config.json", "[]", "expected an object"),
        ("tokenizer_config.json", '{"eos_token": "<no>"}', "'<no>' is not in the"),
        (
            "tokenizer_config.json",
            '{"chat_template_variables": 3}',
            "template_variables",
        ),
        ("tokenizer_config.json", '{"chat_template_now": "noon"}', "chat_template_now"),
        ("chat_template.jinja", "{% if %}", "not a valid Jinja template"),
        ("chat_template.jinja", "\xff", "not UTF-8"),
        ("generation_config.json", '{"eos_token_id": "x"}', "eos_token_id"),
    ],
)
def test_a_damaged_folder_names_the_file(tmp_path, name, content, complaint):
    folder = llama_like(tmp_path)
    (folder / name).write_bytes(content.encode("latin-1"))
    with pytest.raises(InputError, match=re.escape(complaint)):
        load_chat_tokenizer(folder)


def test_a_missing_tokenizer_is_named(tmp_path):
    with pytest.raises(InputError, match=r"tokenizer\.json: no such file"):
        load_chat_tokenizer(tmp_path)
    with pytest.raises(InputError, match=r"gone\.gguf: no such file"):
        load_chat_tokenizer(tmp_path / "gone.gguf")


def test_a_tokenizer_that_puts_a_prefix_before_text_is_refused(tmp_path):
    folder = llama_like(tmp_path)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    with pytest.raises(InputError, match="puts a prefix before every text"):
        load_chat_tokenizer(folder)


def gguf_bytes(**changes):
    """A small GGUF header: byte-level BPE with ChatML."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    facts = {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "smollm",
        "tokenizer.ggml.tokens": ["<|im_start|>", "<|im_end|>", "<t>", *alphabet, "ab"],
        "tokenizer.ggml.token_type": [3, 3, 4, *[1] * 257],
        "tokenizer.ggml.merges": ["a b"],
        "tokenizer.ggml.eos_token_id": 1,
        "tokenizer.ggml.bos_token_id": 0,
        "tokenizer.chat_template": (HERE / "templates" / "smollm2.jinja").read_text(),
        **changes,
    }
    entries = [(key, value) for key, value in facts.items() if value is not None]
    out = b"GGUF" + struct.pack("<IQQ", 3, 0, len(entries))
    for key, value in entries:
        out += packed(key) + encoded(value)
    return out


def packed(text):
    return struct.pack("<Q", len(text.encode())) + text.encode()


def encoded(value):
    if isinstance(value, str):
        return struct.pack("<I", 8) + packed(value)
    if isinstance(value, bool):
        return struct.pack("<I?", 7, value)
    if isinstance(value, int):
        return struct.pack("<II", 4, value)
    if isinstance(value[0], str):
        return struct.pack("<IIQ", 9, 8, len(value)) + b"".join(map(packed, value))
    return struct.pack(f"<IIQ{len(value)}i", 9, 5, len(value), *value)


def test_a_gguf_gives_its_merges_control_tokens_and_words(tmp_path):
    path = tmp_path / "m.gguf"
    path.write_bytes(gguf_bytes())
    chat = load_chat_tokenizer(path)
    assert chat.plain.encode("ab").tokens == ["ab"]
    assert chat.stop_ids == (1,)
    assert chat.bos is None
    special = {token.text: token.special for token in chat.control.tokens}
    assert special == {"<|im_start|>": True, "<|im_end|>": True, "<t>": False}


def test_a_gguf_that_asks_for_bos_gets_one(tmp_path):
    path = tmp_path / "m.gguf"
    path.write_bytes(gguf_bytes(**{"tokenizer.ggml.add_bos_token": True}))
    chat = load_chat_tokenizer(path, template="{{ messages[0].content }}")
    assert chat.encode_prompt("a").tolist()[0] == 0
    save_chat_tokenizer(chat, tmp_path / "saved")
    assert load_chat_tokenizer(tmp_path / "saved").bos == 0


@pytest.mark.parametrize(
    ("pre", "text", "tokens"),
    [
        ("smollm", " 123", ["Ġ", "1", "2", "3"]),
        ("gpt-2", " 123", ["Ġ123"]),
        ("llama-bpe", " 1234", ["Ġ", "123", "4"]),
        ("qwen2", " 12", ["Ġ", "1", "2"]),
    ],
)
def test_text_is_split_as_the_gguf_says(tmp_path, pre, text, tokens):
    path = tmp_path / "m.gguf"
    path.write_bytes(gguf_bytes(**{"tokenizer.ggml.pre": pre}))
    chat = load_chat_tokenizer(path)
    splits = chat.plain.pre_tokenizer.pre_tokenize_str(text)
    assert [split for split, _ in splits] == tokens


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"tokenizer.ggml.model": "llama"}, "found 'llama', expected 'gpt2'"),
        ({"tokenizer.ggml.pre": "tekken"}, "tokenizer.ggml.pre: found 'tekken'"),
        ({"tokenizer.chat_template": None}, "ships no chat template"),
        ({"tokenizer.ggml.tokens": None}, "tokenizer.ggml.tokens"),
        ({"tokenizer.ggml.merges": ["a z b"]}, "tokenizer.ggml.merges"),
        ({"tokenizer.ggml.merges": ["a missing"]}, "tokenizer.ggml.merges"),
        ({"tokenizer.ggml.eos_token_id": 9999}, "tokenizer.ggml.eos_token_id"),
    ],
)
def test_a_gguf_that_cannot_be_used_says_why(tmp_path, changes, complaint):
    path = tmp_path / "m.gguf"
    path.write_bytes(gguf_bytes(**changes))
    with pytest.raises(InputError, match=re.escape(complaint)):
        load_chat_tokenizer(path)


def test_a_gguf_cut_anywhere_in_its_header_is_an_input_error(tmp_path):
    whole, path = gguf_bytes(), tmp_path / "m.gguf"
    for length in [*range(0, 300, 7), *range(300, len(whole), 211)]:
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"m\.gguf"):
            read_gguf_metadata(path)


def test_a_garbled_gguf_is_an_input_error_or_read(tmp_path):
    whole, path = gguf_bytes(), tmp_path / "m.gguf"
    rng = np.random.default_rng(0)
    for _ in range(200):
        garbled = bytearray(whole)
        for place in rng.integers(4, 200, size=3):
            garbled[place] = rng.integers(256)
        path.write_bytes(bytes(garbled))
        try:
            load_chat_tokenizer(path)
        except InputError as error:
            assert "m.gguf" in str(error) or "template" in str(error)
