"""A model's answers on samples, without a gradient."""

import numpy as np
import torch
from jaxtyping import Float, Int64

from motorworks.datatypes.clip import Clip
from motorworks.geometry.array import Array
from motorworks.models.driving_model import DrivingModel, best_proposal
from motorworks.train.batch import NO_JITTER, gather, look
from motorworks.train.losses import ActionLoss, latent_error
from motorworks.train.samples import FORESIGHT_STEPS, Samples, samples_from_clip


@torch.inference_mode()
def best_controls(model: DrivingModel, samples: Samples, *, threads: int | None = None, batch_size: int = 256) -> Float[Array, "num 64 2"]:
    """Normalised controls of the fast plan's likeliest proposal, per sample."""
    if threads is not None:
        torch.set_num_threads(threads)
    model.eval()
    samples = samples.seen_as(num_frames=model.config.num_frames, num_views=model.config.num_views)
    rows, generator = [], np.random.default_rng(0)
    for start in range(0, len(samples), batch_size):
        batch = gather(samples, np.arange(start, min(start + batch_size, len(samples))), NO_JITTER, generator, world=False)
        inputs, _ = look(model, batch, thought=False)
        controls, logits = model.plan_from_latents(inputs.latents, inputs.images_valid, inputs.ego, inputs.instruction_ids)
        rows.append(best_proposal(controls, logits).numpy())
    return np.concatenate(rows)


@torch.inference_mode()
def action_loss(
    model: DrivingModel, samples: Samples, ends: Int64[Array, " recording"], *, threads: int | None = None, batch_size: int = 256
) -> Float[Array, " recording"]:
    """The fast plan's `ActionLoss`, nothing hidden or changed: the mean of every recording, whose samples end at `ends` and all have motion."""
    if threads is not None:
        torch.set_num_threads(threads)
    model.eval()
    samples = samples.seen_as(num_frames=model.config.num_frames, num_views=model.config.num_views)
    loss, generator = ActionLoss(), np.random.default_rng(0)
    means, device = [], next(model.parameters()).device
    for start, end in zip([0, *ends[:-1]], ends, strict=True):
        total = 0.0
        for first in range(start, end, batch_size):
            rows = np.arange(first, min(first + batch_size, end))
            batch = gather(samples, rows, NO_JITTER, generator, world=False).to(device)
            total += len(rows) * float(loss(model(look(model, batch, thought=False)[0]), batch)[0])
        means.append(total / (end - start))
    return np.array(means)


@torch.inference_mode()
def surprise(model: DrivingModel, clip: Clip, *, threads: int | None = None, batch_size: int = 256) -> Float[Array, " time"]:
    """How far what came was from what the world head expected 0.5 s before, per step of the clip; NaN where nothing was expected yet.

    Smooth L1 between latents, as in training, given the controls that were really driven.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    model.eval()
    samples = samples_from_clip(clip, stride=1, num_frames=model.config.num_frames, num_views=model.config.num_views)
    out = np.full(len(clip.timestamp_us), np.nan)
    generator = np.random.default_rng(0)
    for start in range(0, len(samples), batch_size):
        rows = np.arange(start, min(start + batch_size, len(samples)))
        batch = gather(samples, rows, NO_JITTER, generator)
        inputs, ahead = look(model, batch, thought=False)
        error = latent_error(model(inputs).next_latents, ahead[:, 0]).numpy()
        known = (samples.next_frame_index[rows] >= 0) & (samples.frame_index[rows, -1, 0] >= 0)
        out[samples.step[rows][known] + FORESIGHT_STEPS] = error[known]
    return out
