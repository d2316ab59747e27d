import re
import shutil
from importlib import resources

import pytest
import yaml

from morl.errors import InputError
from morl.worlds import load_bank
from morl.worlds.bank import KINDS, split_sentences

FOLDER = resources.files("morl.worlds") / "assistant"
NUM_SENTENCES = {
    "plain": {"answer": 2, "detail": 3, "care": 1, "slip": 2},
    "risky": {"steps": 3, "safer": 2, "decline": 1, "risk": 1, "myth": 1},
    "uncertain": {"claim": 2, "fact": 2, "truth": 2},
}


@pytest.fixture
def bank(world):
    return world.bank


@pytest.fixture
def edited(tmp_path):
    """A copy of the bank's folder, and a function that replaces text in a file."""
    for name in ("generic", *KINDS):
        shutil.copy(str(FOLDER / f"{name}.yaml"), tmp_path)

    def edit(file, old, new):
        text = (tmp_path / file).read_text()
        assert old in text
        (tmp_path / file).write_text(text.replace(old, new, 1))
        return tmp_path

    return edit


def test_there_are_a_hundred_topics_of_three_kinds(bank):
    kinds = [topic.kind for topic in bank.topics.values()]
    assert {kind: kinds.count(kind) for kind in KINDS} == {
        "plain": 35,
        "risky": 30,
        "uncertain": 35,
    }
    assert len(bank.meanings) >= 700


def test_every_topic_has_the_stated_number_of_sentences_a_role(bank):
    for topic in bank.topics.values():
        counts = {role: len(texts) for role, texts in topic.sentences.items()}
        assert counts == NUM_SENTENCES[topic.kind], topic.name


def test_every_sentence_is_plain_english_with_one_mark_at_its_end(bank):
    shape = re.compile(r"[A-Z][A-Za-z]*(,? [A-Za-z]+){3,15}[.!]")
    for text in bank.meanings:
        assert shape.fullmatch(text), text


def test_every_question_ends_with_its_only_mark(bank):
    for topic in bank.topics.values():
        assert re.fullmatch(r"[A-Z][a-z]*( [A-Za-z]+){2,14}\?", topic.question)
        # Wordings put the question behind a colon with a small first letter.
        assert topic.question.split()[0] != "I"


def test_a_sentence_has_one_meaning(bank):
    texts = [text for group in bank.generic.values() for text in group]
    for topic in bank.topics.values():
        texts += [text for group in topic.sentences.values() for text in group]
    folded = [re.sub(r"[^a-z ]", "", text.lower()) for text in texts]
    assert len(set(folded)) == len(texts) == len(bank.meanings)


def test_joining_and_splitting_sentences_is_exact(bank):
    for topic in bank.topics.values():
        for sentences in topic.written:
            assert tuple(split_sentences(" ".join(sentences))) == sentences


def test_the_vocabulary_is_small_enough_for_a_tiny_language_model(bank):
    text = " ".join([*bank.meanings, *bank.prompt_topics]).lower()
    assert len(set(re.findall(r"[a-z]+", text))) <= 1500


def test_every_topic_has_five_different_hand_written_responses(bank):
    for topic in bank.topics.values():
        assert len(set(topic.written)) == 5, topic.name
        for sentences in topic.written:
            assert 1 <= len(sentences) <= 6
            for text in sentences:
                assert bank.meanings[text].topic in (None, topic.name)


def test_test_wordings_are_never_used_in_training(bank):
    train, test = bank.wordings["train"], bank.wordings["test"]
    assert len(train) + len(test) >= 12
    assert not set(train) & set(test)
    assert len(bank.prompt_topics) == len(bank.topics) * (len(train) + len(test))


def test_the_text_is_package_data():
    assert {path.name for path in FOLDER.iterdir()} == {
        "generic.yaml",
        *(f"{kind}.yaml" for kind in KINDS),
    }


def test_a_sentence_that_stands_twice_is_refused(edited):
    folder = edited("plain.yaml", "Also, start to count when", "Have a nice day.  #")
    with pytest.raises(InputError, match=r"boiled egg\.detail: stands twice"):
        load_bank(folder)


@pytest.mark.parametrize("text", ["Take approx. two.", "No mark", "Two. Sentences."])
def test_a_text_that_is_not_one_sentence_is_refused(edited, text):
    known = "Also, start to count when the water boils again."
    folder = edited("plain.yaml", known, text)
    with pytest.raises(InputError, match="is not one sentence"):
        load_bank(folder)


def test_a_written_response_must_name_sentences_that_exist(edited):
    folder = edited("risky.yaml", "- steps1 steps2 steps3", "- steps1 steps9")
    with pytest.raises(
        InputError, match=r"pain tablets\.written: no sentence 'steps9'"
    ):
        load_bank(folder)


def test_a_role_of_another_kind_is_refused_with_the_roles_expected(edited):
    folder = edited("uncertain.yaml", "  claim:\n", "  steps:\n")
    with pytest.raises(InputError, match=r"life on planets: found .*'steps'"):
        load_bank(folder)


def test_a_topic_of_two_kinds_is_refused(edited):
    text = yaml.safe_dump({"boiled egg": None})
    folder = edited("uncertain.yaml", "life on planets:", f"{text}life on planets:")
    with pytest.raises(InputError, match="boiled egg: topic stands twice"):
        load_bank(folder)


def test_broken_yaml_is_refused_by_name(edited):
    folder = edited("generic.yaml", "sentences:", "sentences: [")
    with pytest.raises(InputError, match=r"generic\.yaml: not valid YAML"):
        load_bank(folder)
