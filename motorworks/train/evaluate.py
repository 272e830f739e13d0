"""A model's answers on samples, without a gradient."""

import numpy as np
import torch
from jaxtyping import Float

from motorworks.geometry.array import Array
from motorworks.models.driving_model import DrivingModel, best_proposal
from motorworks.train.batch import NO_JITTER, gather, look
from motorworks.train.samples import Samples


@torch.inference_mode()
def best_controls(model: DrivingModel, samples: Samples, *, threads: int | None = None, batch_size: int = 256) -> Float[Array, "num 64 2"]:
    """Normalised controls of the fast plan's likeliest proposal, per sample."""
    if threads is not None:
        torch.set_num_threads(threads)
    model.eval()
    rows, generator = [], np.random.default_rng(0)
    for start in range(0, len(samples), batch_size):
        batch = gather(samples, np.arange(start, min(start + batch_size, len(samples))), NO_JITTER, generator, world=False)
        inputs, _ = look(model, batch, thought=False)
        controls, logits = model.plan_from_latents(inputs.latents, inputs.images_valid, inputs.ego, inputs.instruction_ids)
        rows.append(best_proposal(controls, logits).numpy())
    return np.concatenate(rows)
