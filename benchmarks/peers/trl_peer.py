"""TRL's RewardTrainer, answering the benchmarks: one JSON request a line.

Run by .venv-peers/bin/python. A step is what the trainer's own loop does for one, in
its order: ``training_step``, clipping, optimizer, schedule, ``zero_grad``. Collating,
logging and saving are left out, and so is gradient checkpointing, which is TRL's
default and computes every layer twice.
"""

import time
from importlib.metadata import version
from typing import Any

import torch
import transformers
from datasets import Dataset
from serving import Answer, serve
from trl import RewardConfig, RewardTrainer

CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}
Pair = dict[str, list[int]]  # chosen_ids and rejected_ids


class Server:
    """Holds the trainer between requests."""

    def __init__(self) -> None:
        """Nothing is loaded."""
        self.trainer: Any = None
        self.start: dict[str, torch.Tensor] = {}
        self.clock = time.perf_counter

    def threads(self, count: int) -> Answer:
        """Sets the number of threads; answers with the versions."""
        torch.set_num_threads(count)
        names = ("trl", "torch", "transformers", "accelerate")
        return {"versions": {name: version(name) for name in names}}

    def load(
        self,
        folder: str,
        out: str,
        pairs: list[Pair],
        learning_rate: float,
        clip_norm: float,
        checkpointing: bool,
        clock: str,
    ) -> Answer:
        """A trainer of the sequence classifier in a folder, in float32.

        Args:
          folder: The model, its head included.
          out: A folder that the trainer may write to.
          pairs: What a step learns from, all of one batch.
          learning_rate: Of every step.
          clip_norm: Longest gradient.
          checkpointing: Whether layers are computed again in the backward pass.
          clock: What seconds are: wall or processor.
        """
        settings = RewardConfig(
            output_dir=out,
            per_device_train_batch_size=len(pairs),
            max_steps=1,
            learning_rate=learning_rate,
            lr_scheduler_type="constant",
            max_grad_norm=clip_norm,
            gradient_checkpointing=checkpointing,
            bf16=False,
            use_cpu=True,
            report_to="none",
            save_strategy="no",
            disable_tqdm=True,
        )
        model = transformers.AutoModelForSequenceClassification.from_pretrained(
            folder, dtype=torch.float32, attn_implementation="sdpa"
        )
        self.trainer = RewardTrainer(
            model,
            settings,
            train_dataset=Dataset.from_list(pairs),
            processing_class=transformers.AutoTokenizer.from_pretrained(folder),
        )
        self.trainer.create_optimizer_and_scheduler(settings.max_steps)
        if checkpointing:  # as ``train`` does before its loop
            model.gradient_checkpointing_enable()
        self.trainer.current_gradient_accumulation_steps = 1
        self.start = {n: p.clone() for n, p in model.state_dict().items()}
        self.clock = CLOCKS[clock]
        count = sum(parameter.numel() for parameter in model.parameters())
        return {"optimizer": settings.optim, "parameters": count}

    def steps(self, batches: list[list[Pair]]) -> Answer:
        """Steps from the weights of the folder, a batch each.

        Answers with seconds a step, and with loss and gradient norm of each.
        """
        trainer = self.trainer
        self._rewind()
        ready = [trainer.data_collator(batch) for batch in batches]
        found = []
        start = self.clock()
        for inputs in ready:
            loss = trainer.training_step(trainer.model, inputs)
            norm = trainer._clip_grad_norm(trainer.model)
            trainer.optimizer.step()
            trainer.lr_scheduler.step()
            trainer.model.zero_grad()
            found.append((loss, norm))
        seconds = (self.clock() - start) / len(batches)
        return {
            "seconds": seconds,
            "result": [[float(loss), float(norm)] for loss, norm in found],
        }

    def _rewind(self) -> None:
        """Weights and moments as before the first step, in the memory they have."""
        self.trainer.model.load_state_dict(self.start)
        for state in self.trainer.optimizer.state.values():
            for value in state.values():
                value.zero_()


def main() -> None:
    """Answers with what is loaded on request."""
    transformers.utils.logging.disable_progress_bar()
    server = Server()
    serve({"threads": server.threads, "load": server.load, "steps": server.steps})


if __name__ == "__main__":
    main()
