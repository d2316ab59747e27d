import sys
from io import StringIO
from types import SimpleNamespace

import jax
import pytest
from flax import nnx

from morl.cli.main import main
from morl.models import Transformer
from morl.models.chat import train_chat_tokenizer
from morl.models.config import TransformerConfig
from morl.models.head_files import HeadSet, save_heads
from morl.models.heads import Reading, init_linear_head
from morl.models.language_model import (
    LanguageModel,
    load_language_model,
    save_language_model,
)
from morl.models.truncation import Truncation

OBJECTIVES = ("helpful", "harmless")


@pytest.fixture
def command(capsys):
    """Runs a command line: argv in; exit code, output and errors out."""

    def run(*argv):
        code = 0
        try:
            main([str(part) for part in argv])
        except SystemExit as stopped:
            code = stopped.code
        said = capsys.readouterr()
        return SimpleNamespace(code=code, out=said.out, err=said.err)

    return run


@pytest.fixture
def refused(command):
    """Runs what must fail: exit code 2, nothing on stdout, one line on stderr."""

    def run(*argv):
        ran = command(*argv)
        lines = ran.err.strip().splitlines()
        assert (ran.code, ran.out, len(lines)) == (2, "", 1), ran
        return lines[0]

    return run


@pytest.fixture
def piped(monkeypatch):
    """Puts text on standard input."""
    return lambda text: monkeypatch.setattr(sys, "stdin", StringIO(text))


@pytest.fixture(scope="session")
def fitted(tmp_path_factory):
    """A tiny language model with two heads that read it, as folders."""
    root = tmp_path_factory.mktemp("fitted")
    chat = train_chat_tokenizer(["some words to learn a vocabulary from"], 300)
    config = TransformerConfig(
        vocab_size=chat.vocab_size,
        width=16,
        num_layers=2,
        num_heads=2,
        num_kv_heads=1,
        head_dim=8,
        ffn_width=32,
        max_positions=512,
    )
    model = Transformer(config, rngs=nnx.Rngs(0))
    save_language_model(LanguageModel("tiny", model, chat, ""), root / "model")
    saved = load_language_model(root / "model")
    heads = HeadSet(
        OBJECTIVES,
        Reading(1, "last"),
        init_linear_head(jax.random.key(1), config.width, len(OBJECTIVES)),
        saved.fingerprint,
        saved.chat.template_hash,
        Truncation(96, 24),
    )
    save_heads(root / "heads", heads)
    return SimpleNamespace(root=root, model=root / "model", heads=root / "heads")
