"""torch and transformers, answering the benchmarks: one JSON request a line.

Run by .venv-peers/bin/python. The fastest sensible use of them on a CPU: inference
mode, scaled-dot-product attention, no vocabulary product for features, the dynamic
key-value cache for generation.
"""

import time
from typing import Any

import numpy as np
import torch
import transformers
from serving import Answer, serve


class Server:
    """Holds the loaded model between requests."""

    def __init__(self) -> None:
        """Nothing is loaded."""
        self.model: Any = None
        self.encoder: Any = None
        self.linears: tuple[torch.Tensor, list[torch.nn.Linear]] | None = None

    def threads(self, count: int) -> Answer:
        """Sets the number of threads; answers with the versions."""
        torch.set_num_threads(count)
        return {
            "versions": {
                "torch": torch.__version__,
                "transformers": transformers.__version__,
            }
        }

    def load(self, folder: str) -> Answer:
        """Loads a causal language model in float32."""
        self.model = transformers.AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, attn_implementation="sdpa"
        ).eval()
        # A stop token would end rows early: the two sides would differ in work.
        self.model.generation_config.eos_token_id = None
        self.model.generation_config.pad_token_id = 0
        self.encoder = self.model.model
        return {"loaded": folder}

    def compile(self) -> Answer:
        """Has torch.compile make the hidden states; takes minutes at the first run."""
        self.encoder = torch.compile(self.model.model)
        return {"compiled": True}

    def features(self, batches: list[dict[str, list]]) -> Answer:
        """Last and mean hidden state of each row's tokens from ``first`` to its end.

        Rows are padded on the right to the longest of their batch.
        """
        ready = [
            {name: torch.tensor(rows) for name, rows in batch.items()}
            for batch in batches
        ]
        start = time.perf_counter()
        with torch.inference_mode():
            pooled = [self._pooled(batch) for batch in ready]
            result = torch.cat(pooled).numpy()
        return {"seconds": time.perf_counter() - start, "result": result.tolist()}

    def _pooled(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """``[rows, 2, d]`` of one batch; without padding there is no mask to apply."""
        tokens, first, end = batch["tokens"], batch["first"], batch["end"]
        places = torch.arange(tokens.shape[1])[None]
        real = places < end[:, None]
        mask = None if bool(real.all()) else real.long()
        hidden = self.encoder(tokens, mask, use_cache=False).last_hidden_state
        last = hidden[torch.arange(len(tokens)), end - 1]
        own = (real & (places >= first[:, None])).to(hidden.dtype)
        mean = torch.einsum("bt,btd->bd", own, hidden) / own.sum(1, keepdim=True)
        return torch.stack([last, mean], dim=1)

    def generate(
        self, prompts: list[list[int]], new: int, copies: int, sampled: bool
    ) -> Answer:
        """Continuations of prompts of one length, ``copies`` of each."""
        tokens = torch.tensor(prompts)
        settings = {"temperature": 1.0, "top_k": 0, "top_p": 1.0} if sampled else {}
        start = time.perf_counter()
        with torch.inference_mode():
            rows = self.model.generate(
                tokens,
                attention_mask=torch.ones_like(tokens),
                max_new_tokens=new,
                do_sample=sampled,
                num_return_sequences=copies if sampled else 1,
                **settings,
            )
        seconds = time.perf_counter() - start
        result = rows[:, tokens.shape[1] :].repeat_interleave(
            1 if sampled else copies, dim=0
        )
        return {"seconds": seconds, "result": result.tolist()}

    def linears_ready(self, seed: int, responses: int, width: int, k: int) -> Answer:
        """Draws features and K linear heads from a seed, as the benchmark does."""
        rng = np.random.default_rng(seed)
        features = rng.standard_normal((responses, width), np.float32)
        weight = rng.standard_normal((width, k), np.float32)
        layers = []
        for column in weight.T:
            layer = torch.nn.Linear(width, 1)
            with torch.no_grad():
                layer.weight.copy_(torch.from_numpy(column.copy())[None])
                layer.bias.zero_()
            layers.append(layer)
        self.linears = torch.from_numpy(features), layers
        return {"ready": k}

    def linears_run(self, repeats: int) -> Answer:
        """Scores the features by one head after the other, ``repeats`` times."""
        assert self.linears is not None
        features, layers = self.linears
        start = time.perf_counter()
        with torch.inference_mode():
            for _ in range(repeats):
                rewards = torch.cat([layer(features) for layer in layers], dim=1)
        return {"seconds": time.perf_counter() - start, "result": rewards.tolist()}


def main() -> None:
    """Answers with what is loaded on request."""
    transformers.utils.logging.disable_progress_bar()
    server = Server()
    serve(
        {
            "threads": server.threads,
            "load": server.load,
            "compile": server.compile,
            "features": server.features,
            "generate": server.generate,
            "linears_ready": server.linears_ready,
            "linears_run": server.linears_run,
        }
    )


if __name__ == "__main__":
    main()
