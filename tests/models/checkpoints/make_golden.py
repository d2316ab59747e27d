"""Writes golden.npz with what transformers computes on the checkpoints of the recipe.

Run in an environment with torch and transformers 5, from the root of the project:
    .venv-peers/bin/python tests/models/checkpoints/make_golden.py
"""

import json
import tempfile
from pathlib import Path

import numpy as np


def run(case):
    # Imported here: the project's own environment, which collects this file's
    # doctests, has neither of them.
    import recipe
    import torch
    import transformers

    make_config, make_model = {
        "llama": (transformers.LlamaConfig, transformers.LlamaForCausalLM),
        "mistral": (transformers.MistralConfig, transformers.MistralForCausalLM),
        "gemma": (transformers.GemmaConfig, transformers.GemmaForCausalLM),
        "qwen2": (transformers.Qwen2Config, transformers.Qwen2ForCausalLM),
        "qwen3": (transformers.Qwen3Config, transformers.Qwen3ForCausalLM),
    }[case.split("_")[0]]
    settings = {**recipe.COMMON, **recipe.CASES[case]}
    # transformers 5 keeps the rotary base in rope_parameters.
    base = settings.pop("rope_theta")
    kind = settings.pop("rope_scaling", {"rope_type": "default"})
    settings["rope_parameters"] = {**kind, "rope_theta": base}
    model = make_model(make_config(**settings, attn_implementation="eager")).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.tensor(recipe.tensor(name, parameter.shape)))
        tokens = torch.tensor(recipe.tokens())
        mask = (
            torch.arange(tokens.shape[1])[None] < torch.tensor(recipe.LENGTHS)[:, None]
        )
        output = model(tokens, attention_mask=mask.long(), output_hidden_states=True)
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        config = json.loads((Path(folder) / "config.json").read_text())
    states = [state.numpy() for state in output.hidden_states]
    return {
        "config": np.array(json.dumps(config, sort_keys=True)),
        "taps": np.stack(states[1:-1]),
        "hidden": states[-1],
        "logits": output.logits.numpy(),
    }


def main():
    import recipe
    import torch
    import transformers

    golden = {
        f"{case}.{name}": value
        for case in recipe.CASES
        for name, value in run(case).items()
    }
    golden["versions"] = np.array(
        f"torch {torch.__version__}, transformers {transformers.__version__}"
    )
    np.savez_compressed(Path(__file__).with_name("golden.npz"), **golden)


if __name__ == "__main__":
    main()
