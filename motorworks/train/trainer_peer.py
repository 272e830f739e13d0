"""Hugging Face's Trainer on the same model, batches, losses and precision: what a member trains at without this engine."""

import tempfile
from collections.abc import Callable
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from motorworks.models.driving_model import DrivingModel
    from motorworks.train.fit_config import FitConfig
    from motorworks.train.samples import Samples


def train_by_trainer(model: "DrivingModel", samples: "Samples", config: "FitConfig", on_step: Callable[[int], None], *, device: str = "cpu") -> None:
    """Calls `on_step` with the number of steps done; AdamW, no evaluation, nothing saved, no worker processes, as few reports as it allows.
    With `config.compile` as Trainer's own `torch_compile` does it. It takes the first GPU of the machine, and would copy the model to others:
    show it one."""
    import numpy as np
    import torch
    from torch.utils.data import Dataset
    from transformers import Trainer, TrainerCallback, TrainingArguments

    from motorworks.train.batch import Batch, gather, look
    from motorworks.train.learner import weighted_losses

    losses = weighted_losses(config.losses, model.config)

    class Rows(Dataset):  # type: ignore[type-arg]
        def __len__(self) -> int:
            return config.steps * config.batch_size

        def __getitem__(self, place: int) -> int:
            return place % len(samples)

    class Wrapped(torch.nn.Module):
        """The loss in front, as Trainer wants it."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, **parts: Any) -> dict[str, Any]:
            batch = Batch(**parts)
            inputs, ahead = look(self.model, batch, thought=True)
            output = self.model(inputs)
            batch = replace(batch, next_latents=ahead[:, 0], later_latents=ahead[:, 1:])
            return {"loss": sum(weight * loss(output, batch)[0] for weight, loss in losses)}

    generator = np.random.default_rng(config.seed)

    def collate(rows: list[int]) -> dict[str, Any]:
        batch = gather(samples, np.array(rows), config.jitter, generator, world=config.losses.world > 0)
        return {one.name: getattr(batch, one.name) for one in fields(batch) if getattr(batch, one.name) is not None}

    class AfterStep(TrainerCallback):
        def on_step_end(self, _: Any, state: Any, *__: Any, **___: Any) -> None:
            on_step(state.global_step)

    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(output_dir=folder, use_cpu=device == "cpu", **_arguments(config))
        Trainer(model=Wrapped(), args=arguments, train_dataset=Rows(), data_collator=collate, callbacks=[AfterStep()]).train()


def _arguments(config: "FitConfig") -> dict[str, Any]:
    return {
        "per_device_train_batch_size": config.batch_size,
        "max_steps": config.steps,
        "learning_rate": config.lr,
        "bf16": config.precision == "bf16",
        "torch_compile": config.compile,
        "report_to": [],
        "logging_strategy": "no",
        "save_strategy": "no",
        "disable_tqdm": True,
        "remove_unused_columns": False,
        "max_grad_norm": config.grad_clip,
    }
