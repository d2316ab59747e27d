"""kill -9 at random moments of `morl fit`, then the same command again: same bits?

    python benchmarks/kill_and_resume.py --kills 20

A tiny model is fine-tuned on made-up feedback, once in peace and once killed again and
again until it ends. Both must end with the same checkpoint, bit for bit, and the same
metrics. Prints one JSON line; exits with 1 where they differ.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from flax import nnx

from morl.feedback import Labels, Pair, plain_record, write_jsonl
from morl.models.chat import train_chat_tokenizer
from morl.models.config import TransformerConfig
from morl.models.language_model import LanguageModel, save_language_model
from morl.models.transformer import Transformer
from morl.training.checkpoints import MANIFEST, read_manifest

NUM_STEPS = 40
WORDS = ["some", "words", "to", "learn", "a", "vocabulary", "from"]
CONFIG = f"""
model: model
sources: [{{reader: jsonl, path: feedback.jsonl}}]
objectives: [helpful, harmless]
text: {{max_tokens: 64, response_tokens: 24, boundaries: [96]}}
training: {{mode: lora, batch_size: 4, validation: 0.2, average_decay: 0.9,
           adapters: {{rank: 4, dropout: 0.1}}}}
weighting: upgrad
loop: {{num_steps: {NUM_STEPS}, log_every: 1, evaluate_every: 20}}
checkpoint: {{every: 4, keep: 2}}
"""
COMMAND = [sys.executable, "-c", "from morl.cli.main import main; main()"]


def make_folder(folder):
    """Configuration, model and feedback, drawn from fixed seeds."""
    folder.mkdir(parents=True)
    chat = train_chat_tokenizer(["some words to learn a vocabulary from"], 300)
    config = TransformerConfig(chat.vocab_size, 16, 2, 2, 1, 8, 32, max_positions=512)
    model = Transformer(config, rngs=nnx.Rngs(0))
    save_language_model(LanguageModel("tiny", model, chat, ""), folder / "model")
    draw = random.Random(0)
    say = lambda: " ".join(draw.choices(WORDS, k=4))
    label = lambda number: ("helpful", "harmless")[number % 2]
    records = [
        plain_record(
            f"{number} {say()}",
            [say(), say()],
            {label(number): Labels(pairs=(Pair(0, 1),))},
            source="made up",
        )
        for number in range(160)
    ]
    write_jsonl(folder / "feedback.jsonl", records)
    (folder / "config.yaml").write_text(CONFIG)


def begin(folder):
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    with (folder / "shown").open("w") as shown:
        return subprocess.Popen(
            [*COMMAND, "fit", "config.yaml", "--out", "out", "--cache", "cache"],
            cwd=folder,
            stdout=shown,
            stderr=subprocess.STDOUT,
            env=environment,
        )


def finish(folder):
    code = begin(folder).wait()
    if code:
        raise SystemExit((folder / "shown").read_text())


def killed(folder, seconds):
    """Runs the command and kills it after so many seconds; whether it still ran."""
    process = begin(folder)
    try:
        code = process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
        return True
    if code:
        raise SystemExit((folder / "shown").read_text())
    return False


def result(folder):
    """Digests of the last checkpoint's arrays, and the metrics without their clocks."""
    place = folder / "out" / "checkpoints" / str(NUM_STEPS)
    arrays = folder / "out" / "model" / "model.safetensors"
    metrics = [
        {k: v for k, v in json.loads(line).items() if k not in CLOCKS}
        for line in (folder / "out" / "metrics.jsonl").read_text().splitlines()
    ]
    manifest = read_manifest(place)
    assert (place / MANIFEST).exists()
    return {
        "model": arrays.read_bytes(),
        "heads": json.loads((folder / "out/heads/heads.json").read_text())["sha256"],
        "state": checkpoint_arrays(place),
        "metrics": metrics,
        "step": manifest["step"],
    }


CLOCKS = ("tokens_per_second", "compilations", "flops_utilisation")


def checkpoint_arrays(place):
    from orbax.checkpoint import v1 as ocp

    stored = ocp.metadata(str(place / "arrays")).metadata
    wanted = {n: np.empty(each.shape, each.dtype) for n, each in stored.items()}
    arrays = ocp.load(str(place / "arrays"), wanted)
    return {name: np.asarray(array).tobytes() for name, array in arrays.items()}


def last_step(folder):
    places = (folder / "out" / "checkpoints").glob(f"*/{MANIFEST}")
    return max((int(path.parent.name) for path in places), default=0)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        whole, hit = Path(root) / "whole", Path(root) / "hit"
        for folder in (whole, hit):
            make_folder(folder)
        since = time.perf_counter()
        finish(whole)
        seconds = time.perf_counter() - since
        draw = random.Random(options.seed)
        kills, steps = 0, []
        while kills < options.kills:
            # Anywhere in the run, its start and its end included.
            if killed(hit, draw.uniform(0, 1.1 * seconds)):
                kills += 1
                steps.append(last_step(hit))
            else:
                # It ended: what it left is whole, and it begins anew.
                assert result(hit) == result(whole)
                steps.append("end")
                for name in ("out", "cache"):
                    subprocess.run(["rm", "-rf", str(hit / name)], check=True)
        finish(hit)
        first, second = result(whole), result(hit)
        differ = sorted(key for key in first if first[key] != second[key])
    print(
        json.dumps(
            {
                "benchmark": "kill_and_resume",
                "kills": kills,
                "last_good_step_after_each": steps,
                "seconds_of_a_run": round(seconds, 1),
                "differ": differ,
            }
        )
    )
    sys.exit(bool(differ))


if __name__ == "__main__":
    main()
