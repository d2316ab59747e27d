"""Writes reward_golden.npz: what transformers scores with the recipe's reward models.

Run in an environment with torch and transformers 5, from the root of the project:
    .venv-peers/bin/python tests/models/checkpoints/make_reward_golden.py
"""

import json
import tempfile
from pathlib import Path

import numpy as np


def run(case, num_labels):
    # Imported here: the project's own environment, which collects this file's
    # doctests, has neither of them.
    import recipe
    import torch
    import transformers

    settings = {**recipe.COMMON, **recipe.CASES[case]}
    base = settings.pop("rope_theta")
    settings["rope_parameters"] = {"rope_type": "default", "rope_theta": base}
    config = transformers.AutoConfig.for_model(
        case,
        **settings,
        num_labels=num_labels,
        pad_token_id=recipe.PAD,
        attn_implementation="eager",
    )
    model = transformers.AutoModelForSequenceClassification.from_config(config).eval()
    scores = {}
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.tensor(recipe.tensor(name, parameter.shape)))
        for side in ("right", "left"):
            rows, real = map(torch.tensor, recipe.padded(side))
            scores[side] = model(rows, attention_mask=real.long()).logits.numpy()
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        written = json.loads((Path(folder) / "config.json").read_text())
    return {"config": np.array(json.dumps(written, sort_keys=True)), **scores}


def main():
    import recipe
    import torch
    import transformers

    golden = {
        f"{case}.{num_labels}.{name}": value
        for case in recipe.REWARD_CASES
        for num_labels in (1, 3)
        for name, value in run(case, num_labels).items()
    }
    golden["versions"] = np.array(
        f"torch {torch.__version__}, transformers {transformers.__version__}"
    )
    path = Path(__file__).with_name("reward_golden.npz")
    np.savez_compressed(path, **golden)


if __name__ == "__main__":
    main()
