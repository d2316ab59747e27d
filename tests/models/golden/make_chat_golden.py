"""Writes chat_templates.json: conversations as `transformers` renders them.

Run by .venv-peers/bin/python, which has the peer.
"""

import json
import random
from pathlib import Path

HERE = Path(__file__).parent
TEMPLATES = HERE.parent / "templates"
SPECIAL = {
    "smollm2": {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>"},
    "qwen2_5": {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"},
    "qwen3": {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"},
    "llama3": {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>"},
    "features": {"bos_token": "<|endoftext|>", "eos_token": "<|im_end|>"},
}
VARIABLES = {"qwen3": [{}, {"enable_thinking": False}, {"enable_thinking": True}]}
WITH_TOOLS = ("qwen2_5", "qwen3", "features")

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Weather in a city: <b>°C</b> & 'wind' \"now\"",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


def turn(role, content, **more):
    return {"role": role, "content": content, **more}


CALL = {
    "type": "function",
    "id": "c1",
    "function": {"name": "weather", "arguments": {"city": "Zürich <&> 'x'", "n": [1]}},
}
TOOL_TALK = [
    turn("user", "Weather in Zürich & Bern?"),
    turn("assistant", "", tool_calls=[CALL]),
    turn("tool", '{"t": 3.5}', tool_call_id="c1", name="weather"),
    turn("tool", "snow <br/>", tool_call_id="c2"),
    turn("assistant", "3.5 °C, and snow."),
]
CONVERSATIONS = [
    [turn("user", "What is the capital of France?")],
    [turn("user", "Hi"), turn("assistant", "Hello!")],
    [turn("system", "Be brief."), turn("user", "Hi"), turn("assistant", "Hello!")],
    [turn("system", "Be brief."), turn("user", "Why?")],
    [turn("user", ""), turn("assistant", "")],
    [turn("user", "  padded \n"), turn("assistant", "\n\n padded too \t")],
    [
        turn("user", "a\r\nb\u2028c\u00a0d\ufeffe"),
        turn("assistant", "{{ no }} {% x %}"),
    ],
    [
        turn("user", "café \U0001f642\U0001f469\u200d\U0001f467 \u202eאב 中文 \uff41"),
        turn("assistant", "ñ"),
    ],
    [turn("user", "<b> & \"q\" 'q' \\n \\u00e9"), turn("assistant", "</s> <s> [INST]")],
    [turn("user", "one"), turn("assistant", "two"), turn("user", "three")],
    [turn("user", "q"), turn("assistant", "<think>\nhm\n</think>\n\nyes")],
    [
        turn("user", "q"),
        turn("assistant", "<think>\nhm\n</think>\n\nyes"),
        turn("user", "and?"),
        turn("assistant", "no </think> no"),
        turn("user", "so?"),
    ],
    TOOL_TALK,
    TOOL_TALK[:3],
    [turn("system", "Use tools."), *TOOL_TALK, turn("user", "Thanks")],
    [
        turn("user", "Both?"),
        turn("assistant", "Let me see.", tool_calls=[CALL, CALL]),
        turn("tool", "rain"),
        turn("assistant", "Rain."),
    ],
]
ODD = ["", " ", "\n", "\t", "a", "Z", "9", "<", ">", "|", "&", "é", "🙂", "</think>"]


def random_conversations(count):
    rng = random.Random(0)
    for _ in range(count):
        turns = [turn("system", text(rng))] if rng.random() < 0.5 else []
        for _ in range(rng.randint(1, 4)):
            turns += [turn("user", text(rng)), turn("assistant", text(rng))]
        yield turns if rng.random() < 0.5 else turns[:-1]


def text(rng):
    return "".join(rng.choice(ODD) for _ in range(rng.randint(0, 12)))


def tokenizer_for(special):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    model = models.BPE(vocab={c: i for i, c in enumerate(alphabet)}, merges=[])
    bare = Tokenizer(model)
    bare.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bare.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=bare, **special)


def cases(conversations):
    for name, special in SPECIAL.items():
        source = (TEMPLATES / f"{name}.jinja").read_bytes().decode()
        tokenizer = tokenizer_for(special)
        for number, messages in enumerate(conversations):
            for variables in VARIABLES.get(name, [{}]):
                tools = [WEATHER] if name in WITH_TOOLS and number % 3 == 0 else None
                for opens in (False, True):
                    rendered = tokenizer.apply_chat_template(
                        messages,
                        tools=tools,
                        chat_template=source,
                        add_generation_prompt=opens,
                        tokenize=False,
                        **variables,
                    )
                    case = {
                        "template": name,
                        "conversation": number,
                        "tools": tools is not None,
                        "variables": variables,
                        "opens": opens,
                        "rendered": rendered,
                    }
                    if name == "features":
                        case["generated"] = generated(
                            tokenizer, source, messages, tools, opens
                        )
                    yield case


def generated(tokenizer, source, messages, tools, opens):
    """Text of the assistant's tokens by the peer's mask: one token here is one byte."""
    found = tokenizer.apply_chat_template(
        messages,
        tools=tools,
        chat_template=source,
        add_generation_prompt=opens,
        return_dict=True,
        return_assistant_tokens_mask=True,
    )
    pairs = zip(found["input_ids"], found["assistant_masks"], strict=True)
    return tokenizer.decode([token for token, own in pairs if own])


def main():
    import jinja2
    import transformers

    conversations = [*CONVERSATIONS, *random_conversations(24)]
    golden = {
        "transformers": transformers.__version__,
        "jinja2": jinja2.__version__,
        "special": SPECIAL,
        "tools": [WEATHER],
        "conversations": conversations,
        "cases": list(cases(conversations)),
    }
    path = HERE / "chat_templates.json"
    path.write_text(json.dumps(golden, ensure_ascii=False, indent=0) + "\n")
    print(f"{len(golden['cases'])} cases, {path.stat().st_size} bytes in {path}")


if __name__ == "__main__":
    main()
