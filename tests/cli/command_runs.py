"""`morl fit` as a user starts it, in processes of its own, on a tiny model."""

import json
import os
import random
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import yaml
from flax import nnx
from safetensors.numpy import load_file

from morl.feedback import Labels, Pair, plain_record, write_jsonl
from morl.models.chat import train_chat_tokenizer
from morl.models.config import TransformerConfig
from morl.models.head_files import load_heads
from morl.models.language_model import (
    LanguageModel,
    load_language_model,
    save_language_model,
)
from morl.models.transformer import Transformer
from morl.training.checkpoints import MANIFEST

TIMEOUT = 300
ROOT = Path(__file__).parents[2]
PROGRAM = "from morl.cli.main import main; main()"
# A file of more bytes than a file of a checkpoint has, and less than the metrics.
LIMITED = "import resource as r; r.setrlimit(r.RLIMIT_FSIZE, (6000, 6000));"
FIT = ("fit", "config.yaml", "--cache", "cache")
WORDS = ["some", "words", "to", "learn", "a", "vocabulary", "from"]
CONFIG = {
    "model": "model",
    "sources": [{"reader": "jsonl", "path": "feedback.jsonl"}],
    "objectives": ["helpful", "harmless"],
    "text": {"max_tokens": 64, "response_tokens": 24, "boundaries": [96]},
    "training": {"mode": "frozen", "batch_size": 8, "validation": 0.3},
    "optimizer": {"learning_rate": 0.01},
    "loop": {"num_steps": 6, "log_every": 1, "evaluate_every": 3},
    "checkpoint": {"every": 2},
}


def make_folder(folder, **changes):
    """Configuration, model and feedback, drawn from fixed seeds."""
    folder.mkdir(parents=True)
    chat = train_chat_tokenizer(["some words to learn a vocabulary from"], 300)
    config = TransformerConfig(chat.vocab_size, 16, 1, 2, 1, 8, 32, max_positions=512)
    model = Transformer(config, rngs=nnx.Rngs(0))
    save_language_model(LanguageModel("tiny", model, chat, ""), folder / "model")
    draw = random.Random(0)
    say = lambda: " ".join(draw.choices(WORDS, k=4))
    records = [
        plain_record(
            f"{number} {say()}",
            [say(), say()],
            {("helpful", "harmless")[number % 2]: Labels(pairs=(Pair(0, 1),))},
            source="made up",
        )
        for number in range(48)
    ]
    write_jsonl(folder / "feedback.jsonl", records)
    (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG | changes))
    return folder


def environment(folder, devices):
    """Where programs of earlier processes are found: compiling is most of the time."""
    programs = folder.parent / "programs"
    return {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        "JAX_NUM_CPU_DEVICES": str(devices),
        "JAX_COMPILATION_CACHE_DIR": str(programs),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "PYTHONPATH": str(ROOT),
    }


def start(folder, *argv, devices, process=None, before=""):
    """The command, under way; what it says goes to files beside the configuration.

    Statements that run before it in its process are Python.
    """
    name = process or 0
    with (
        (folder / f"said{name}").open("w") as said,
        (folder / f"shown{name}").open("w") as shown,
    ):
        return subprocess.Popen(
            [sys.executable, "-c", before + PROGRAM, *FIT, *argv],
            cwd=folder,
            env=environment(folder, devices),
            stdout=said,
            stderr=shown,
        )


def finished(folder, processes, *, codes=None):
    """Waits until they end; returns what each complained of."""
    found = [process.wait(timeout=TIMEOUT) for process in processes]
    places = range(len(processes))
    shown = [(folder / f"shown{number}").read_text() for number in places]
    assert found == list(codes or [0] * len(processes)), shown
    return shown


def run(folder, *argv, devices, code=0, before=""):
    """Runs the command as one process; returns what it complained of."""
    process = start(folder, *argv, devices=devices, before=before)
    return finished(folder, [process], codes=[code])[0]


def wait_for_step(out, processes, step):
    """Waits for a good checkpoint, at this step or behind it."""
    while not any(found >= step for found in steps(out)):
        assert all(process.poll() is None for process in processes)
        time.sleep(0.001)


def start_two(folder, *argv, devices, own=((), ()), before=("", "")):
    """The command as two processes, each with so many devices and its own flags."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    flags = ("--distributed.kind", "address", "--distributed.processes", "2")
    where = ("--distributed.coordinator", f"127.0.0.1:{port}")
    return [
        start(
            folder,
            *(*argv, *flags, *where, "--distributed.process", str(number)),
            *own[number],
            devices=devices,
            process=number,
            before=before[number],
        )
        for number in range(2)
    ]


def model_arrays(out):
    """The model of a run, or that which it began with."""
    return load_file(out / "model" / "model.safetensors")


def heads_gap(*outs):
    """The largest difference between the heads of two runs."""
    found = []
    for out in outs:
        own = out / "model"
        backbone = load_language_model(own if own.exists() else out.parent / "model")
        found.append(load_heads(out / "heads", backbone).head)
    gaps = jax.tree.map(lambda a, b: float(np.abs(a - b).max()), *found)
    return max(jax.tree.leaves(gaps))


def steps(folder):
    """Steps of the good checkpoints."""
    places = (folder / "checkpoints").glob(f"*/{MANIFEST}")
    return sorted(int(path.parent.name) for path in places)


def lines(folder):
    """Metrics, a dictionary a line."""
    text = (folder / "metrics.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def gap(first, second):
    """The largest difference between two sets of arrays of the same names."""
    assert first.keys() == second.keys()
    return max(float(np.abs(first[name] - second[name]).max()) for name in first)
