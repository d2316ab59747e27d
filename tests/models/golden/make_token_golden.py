"""Writes smollm2_tokens.json: token ids of SmolLM2's tokenizer, by two other programs.

Run by .venv-peers/bin/python, which has the peer; the argument is the GGUF file.
"""

import itertools
import json
import sys
from pathlib import Path

HERE = Path(__file__).parent
TEXTS = [
    "",
    " ",
    "Hello world",
    "The capital of France is Paris.",
    "  two  spaces  ",
    "I'm sure we'll say it ISN'T, they'd've",
    "a\nb\r\nc\n\n\nd\te\t\tf",
    "def f(x):\n    return x**2  # square\n\n\n",
    "café naïve Zürich",
    "中文和日本語 한국어 עברית العربية",
    "\U0001f642\U0001f469\u200d\U0001f467 \u00a0no-break\u2028line",
    "1234567890",
    "3.14e-10 and v2.0, 50% of $1,000",
    "In 1999  there were  12",
    "x  1\n\n 2\t\t3",
    "٣٤٥ ½ Ⅷ ²",
    "<|im_end|> <|im_start|>user <|endoftext|> </s> [INST]",
    "<|im_end",
    "don't 'quote' \"double\" `tick` ~!@#$%^&*()_+",
    "https://example.org/a?b=c&d=1#e",
    "antidisestablishmentarianism Pneumonoultramicroscopicsilicovolcanoconiosis",
    "\x00\x01\x7f control",
]
# As llama.cpp splits text for `smollm` (src/llama-vocab.cpp): first by numbers.
NUMBER = r"\p{N}"
WORDS = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


def byte_letters():
    """GPT-2's printable letter for each byte."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {
        byte: chr(256 + place) for place, byte in enumerate(others)
    }


def pieces(text):
    import regex

    for part in regex.split(f"({NUMBER})", text):
        yield from regex.findall(WORDS, part)


def merged(word, ranks):
    """Byte pair encoding by its definition: the best-ranked pair first."""
    while len(word) > 1:
        pairs = list(itertools.pairwise(word))
        best = min(pairs, key=lambda pair: ranks.get(pair, len(ranks)))
        if best not in ranks:
            return word
        place = pairs.index(best)
        word = [*word[:place], "".join(best), *word[place + 2 :]]
    return word


def main(path):
    import transformers
    from gguf import GGUFReader
    from transformers import AutoTokenizer

    fields = GGUFReader(path).fields
    vocabulary = {
        text: i for i, text in enumerate(fields["tokenizer.ggml.tokens"].contents())
    }
    merges = fields["tokenizer.ggml.merges"].contents()
    ranks = {tuple(merge.split(" ")): rank for rank, merge in enumerate(merges)}
    letters = byte_letters()
    peer = AutoTokenizer.from_pretrained(str(path.parent), gguf_file=path.name)
    rows = []
    for text in TEXTS:
        words = [[letters[b] for b in piece.encode()] for piece in pieces(text)]
        tokens = [token for word in words for token in merged(word, ranks)]
        by_definition = [vocabulary[token] for token in tokens if token in vocabulary]
        by_peer = peer.encode(text, add_special_tokens=False, split_special_tokens=True)
        rows.append({"text": text, "definition": by_definition, "peer": by_peer})
    golden = {"transformers": transformers.__version__, "rows": rows}
    target = HERE / "smollm2_tokens.json"
    target.write_text(json.dumps(golden, ensure_ascii=False, indent=0) + "\n")
    differ = [row["text"] for row in rows if row["definition"] != row["peer"]]
    print(f"{len(rows)} texts in {target}; the peer differs on {differ}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
