from morl.feedback import Labels, Message, Pair, Record, Summary, describe, plain_record


def test_each_source_and_objective_has_a_row_of_counts():
    two = {"helpful": Labels(pairs=(Pair(0, 1),)), "honest": Labels(scores=(1.0, 1.0))}
    records = [
        plain_record("b", ["one two three", ""], two, source="s"),
        plain_record(
            "b", ["one two three four five"], {"honest": Labels()}, source="s"
        ),
        plain_record("a", ["one"], source="r"),
    ]
    assert describe(records) == [
        Summary("r", "", 1, 0, 0, 1, 1.0),
        Summary("s", "helpful", 1, 1, 0, 1, 1.5),
        Summary("s", "honest", 2, 0, 2, 1, 3.0),
    ]


def test_only_the_words_of_the_assistant_count():
    turns = (
        Message("assistant", "one two"),
        Message("user", "three four five"),
        Message("assistant", "six"),
    )
    record = Record((Message("user", "?"),), (turns,))
    assert describe([record])[0].median_words == 3.0


def test_prompts_without_responses_have_no_words():
    assert describe([plain_record("a", [])])[0].median_words == 0.0


def test_nothing_gives_no_rows():
    assert describe([]) == []
