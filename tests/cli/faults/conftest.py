import random
import shutil

import pytest

from morl.feedback import Labels, Pair, plain_record, write_jsonl

NUM_RECORDS = 160
WORDS = ["some", "words", "to", "learn", "a", "vocabulary", "from"]
# Many small batches, folds and samples: a stage lasts long enough to be hit in it.
CONFIG = """
model: model
sources: [{reader: jsonl, path: feedback.jsonl}]
objectives: [helpful, harmless]
heads: {folds: 8, batch_tokens: 64}
candidates: {num_prompts: 12, num_samples: 2, max_new_tokens: 8, batch_prompts: 1}
front: {divisions: 2, betas: [0.5], noise_draws: 2, resamples: 20}
"""


def records(count):
    """Preferences over made-up answers, of the two objectives in turn."""
    rng = random.Random(0)
    say = lambda: " ".join(rng.choices(WORDS, k=4))
    return [
        plain_record(
            f"{number} {say()}",
            [say(), say()],
            {("helpful", "harmless")[number % 2]: Labels(pairs=(Pair(0, 1),))},
            source="made up",
        )
        for number in range(count)
    ]


@pytest.fixture(scope="session")
def make_run_folder(fitted):
    """Makes a folder with configuration, model and feedback for a run."""

    def make(folder):
        folder.mkdir()
        shutil.copytree(fitted.model, folder / "model")
        write_jsonl(folder / "feedback.jsonl", records(NUM_RECORDS))
        (folder / "config.yaml").write_text(CONFIG)
        return folder

    return make
