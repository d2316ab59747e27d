"""Templates against `transformers`, and what a template may not do."""

import json
from datetime import datetime
from pathlib import Path

import pytest

from morl.errors import InputError
from morl.feedback import Message
from morl.models import ChatTemplate, check_template
from morl.models.templates import unused_characters

HERE = Path(__file__).parent
GOLDEN = json.loads((HERE / "golden" / "chat_templates.json").read_text())


def source(name):
    return (HERE / "templates" / f"{name}.jinja").read_bytes().decode()


def user(text):
    return {"role": "user", "content": text}


@pytest.mark.parametrize("name", sorted(GOLDEN["special"]))
def test_conversations_are_rendered_as_transformers_renders_them(name):
    cases = [case for case in GOLDEN["cases"] if case["template"] == name]
    assert len(cases) >= 80
    for case in cases:
        template = ChatTemplate(
            source(name), GOLDEN["special"][name], case["variables"]
        )
        rendered = template.render(
            GOLDEN["conversations"][case["conversation"]],
            add_generation_prompt=case["opens"],
            tools=GOLDEN["tools"] if case["tools"] else [],
        )
        assert rendered.text == case["rendered"], case
        if "generated" in case:
            marked = "".join(rendered.text[a:b] for a, b in rendered.generated)
            assert marked == case["generated"], case


def test_golden_conversations_cover_system_tool_and_many_turns():
    roles = {m["role"] for turns in GOLDEN["conversations"] for m in turns}
    assert roles == {"system", "user", "assistant", "tool"}
    assert max(len(turns) for turns in GOLDEN["conversations"]) >= 7
    assert any(case["generated"] for case in GOLDEN["cases"] if "generated" in case)


def test_feedback_messages_render_as_their_dicts_do():
    call = {"type": "function", "function": {"name": "f", "arguments": {"a": 1}}}
    messages = [
        Message("user", "go"),
        Message("assistant", "", tool_calls=(call,)),
        Message("tool", "done", name="f", tool_call_id="c"),
    ]
    dicts = [
        user("go"),
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": "done", "name": "f", "tool_call_id": "c"},
    ]
    everything = ChatTemplate("{% for m in messages %}{{ m | tojson }}{% endfor %}")
    assert everything.render(messages) == everything.render(dicts)
    assert '"tool_call_id": "c"' in everything.render(messages).text


def test_strftime_now_sees_the_time_that_was_fixed():
    template = ChatTemplate("{{ strftime_now('%d %b %Y') }}", now=datetime(2025, 1, 2))
    assert template.render([user("x")]).text == "02 Jan 2025"


def test_a_template_that_writes_the_date_writes_the_same_on_every_day():
    dated = ChatTemplate("{{ strftime_now('%Y-%m-%d') }}")
    assert dated.render([user("x")]).text == "2024-07-26"


def test_loops_can_break_and_continue_and_templates_can_refuse():
    template = ChatTemplate(source("features"), GOLDEN["special"]["features"])
    comment = {"role": "comment", "content": "unseen"}
    stop = {"role": "stop", "content": ""}
    told = template.render([comment, user("seen"), stop, user("never")]).text
    assert "unseen" not in told and "never" not in told and "seen" in told
    with pytest.raises(InputError, match="unknown role robot"):
        template.render([{"role": "robot", "content": "x"}])


@pytest.mark.parametrize(
    "attack",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ messages.__class__.__init__.__globals__ }}",
        "{{ raise_exception.__globals__['json'] }}",
        "{{ strftime_now.__globals__ }}",
        "{{ cycler.__init__.__globals__.os.system('true') }}",
        "{{ messages[0].update({'content': 'changed'}) }}",
        "{{ messages.append(1) }}",
        "{{ ''.format_map.__self__ }}",
        "{{ '{0.__class__.__init__}'.format(messages) }}",
        "{% include '/etc/passwd' %}",
    ],
)
def test_a_template_reaches_neither_python_nor_its_input(attack):
    messages = [user("same")]
    try:
        text = ChatTemplate(attack).render(messages).text
    except InputError:
        text = ""
    assert "<" not in text and "root:" not in text and "function" not in text
    assert messages == [user("same")]


def test_a_template_that_is_not_jinja_is_refused_with_its_reason():
    with pytest.raises(InputError, match="chat template: not a valid Jinja"):
        ChatTemplate("{% for m in messages %}")


@pytest.mark.parametrize(
    "source",
    ["{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}", "{{ " + "9" * 5000 + " }}"],
    ids=["nested too deep", "too long a number"],
)
def test_a_template_that_python_cannot_compile_is_refused_too(source):
    with pytest.raises(InputError, match="chat template: not a valid Jinja"):
        ChatTemplate(source)


@pytest.mark.parametrize(
    "broken",
    [
        "{{ messages[9].content }}",
        "{{ 1 + 'a' }}",
        "{{ nothing() }}",
        "{{ 1 / 0 }}",
        "{{ 10 ** 400 * 1.0 }}",
        "{{ messages | xmlattr }}",
        "{% macro again() %}{{ again() }}{% endmacro %}{{ again() }}",
    ],
)
def test_a_template_that_fails_is_an_input_error_and_no_traceback(broken):
    with pytest.raises(InputError, match="cannot render this conversation"):
        ChatTemplate(broken).render([user("x")])


def test_messages_that_are_not_json_or_have_no_role_are_refused():
    template = ChatTemplate("{{ messages[0].content }}")
    with pytest.raises(InputError, match="must be JSON"):
        template.render([{"role": "user", "content": object()}])
    with pytest.raises(InputError, match="expected a message with a role"):
        template.render([{"content": "x"}])


def test_the_hash_knows_the_source_the_tokens_the_variables_and_the_date():
    base = ChatTemplate("{{ messages }}", {"bos_token": "<s>"})
    others = [
        ChatTemplate("{{ messages }} ", {"bos_token": "<s>"}),
        ChatTemplate("{{ messages }}", {"bos_token": "<t>"}),
        ChatTemplate("{{ messages }}", {"bos_token": "<s>"}, {"thinking": True}),
        ChatTemplate("{{ messages }}", {"bos_token": "<s>"}, now=datetime(2024, 1, 1)),
    ]
    hashes = {base.template_hash, *(other.template_hash for other in others)}
    assert len(hashes) == 5
    again = ChatTemplate("{{ messages }}", {"bos_token": "<s>"})
    assert again.template_hash == base.template_hash


def test_a_head_of_another_template_is_refused_unless_told():
    check_template("a" * 64, "a" * 64)
    with pytest.raises(InputError, match="trained under bbbbbbbbbbbb"):
        check_template("a" * 64, "b" * 64)
    check_template("a" * 64, "b" * 64, allow_other=True)


def test_text_with_private_use_characters_survives_generation_marks():
    template = ChatTemplate(source("features"), GOLDEN["special"]["features"])
    text = "".join(map(chr, range(0xE000, 0xE040))) + "\\ue041"
    rendered = template.render([user("q"), {"role": "assistant", "content": text}])
    ((start, end),) = rendered.generated
    assert rendered.text[start:end] == text + "<|im_end|>\n"
    assert text in rendered.text


def test_running_out_of_private_use_characters_is_an_error():
    with pytest.raises(InputError, match="nearly all private-use"):
        unused_characters("".join(map(chr, range(0xE000, 0xF900))), 1)
