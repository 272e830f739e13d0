"""A batch: rows of Samples gathered, jittered and moved to the device; and the order in which rows are drawn."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor
from torch.utils.checkpoint import checkpoint, set_checkpoint_early_stop

from motorworks.geometry.array import Array
from motorworks.models.driving_model import DrivingModel, ModelInput
from motorworks.tokens.camera import NUM_CAMERA
from motorworks.tokens.ego import EgoCodec
from motorworks.train.fit_config import Jitter
from motorworks.train.samples import Samples

NO_JITTER = Jitter(ego_history_dropout_frac=0, image_dropout_frac=0, brightness_frac=0, contrast_frac=0)


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Tensors of one step. `images` holds only pictures that exist, today's first; `image_row`/`next_row` say whose they are (-1: none)."""

    images: UInt8[Tensor, "image 64 128 3"]
    image_row: Int64[Tensor, "b frame view"]
    next_row: Int64[Tensor, " b"]
    gain: Float[Tensor, " image"]
    offset: Float[Tensor, " image"]
    ego: Float[Tensor, "b ego"]
    instruction_ids: Int64[Tensor, "b 8"]
    thought_ids: Int64[Tensor, "b 16"]
    controls: Float[Tensor, "b 64 2"]
    controls_valid: Bool[Tensor, "b 64"]
    speed_mps: Float[Tensor, " b"]
    curvature_scale_per_m: Float[Tensor, " b"]
    distance_scale_m: Float[Tensor, " b"]
    road: Float[Tensor, "b road"]  # NaN where nobody knows
    cameras: Float[Tensor, "image 16"] | None = None  # tokens.camera
    later_row: Int64[Tensor, "b later"] | None = None  # further ahead, for a model with foresight_horizons above 1
    next_latents: Float[Tensor, "b l c"] | None = None  # targets: what `look` saw ahead
    later_latents: Float[Tensor, "b later l c"] | None = None

    def to(self, device: str | torch.device) -> "Batch":
        """On another device; from pinned memory the copy goes on beside what comes next."""
        return replace(self, **{name: value.to(device, non_blocking=True) for name, value in vars(self).items() if value is not None})


class DrawOrder:
    """Endless batches of rows; an epoch draws every row in proportion to its weight (equal weights: each exactly once)."""

    def __init__(self, weight: Float[Array, " num"], batch_size: int, seed: int) -> None:
        if len(weight) == 0 or not np.isfinite(weight).all() or weight.min() < 0 or weight.sum() <= 0:
            raise ValueError("weight needs finite entries, none negative, some positive: are there any samples?")
        self.batch_size = batch_size
        self._edges = np.cumsum(weight, dtype=np.float64) / np.sum(weight, dtype=np.float64)
        self._generator = np.random.default_rng(seed)
        self._carried, self._taken = np.zeros(0, np.int64), 0  # what was left before the last epochs were drawn, and what was taken since
        self._before = self._generator.bit_generator.state
        self._left = self._carried

    def __iter__(self) -> "DrawOrder":
        return self

    def __next__(self) -> Int64[Array, " b"]:
        if len(self._left) < self.batch_size:
            self._carried, self._taken, self._before = self._left, 0, self._generator.bit_generator.state
            self._fill()
        rows, self._left = self._left[: self.batch_size], self._left[self.batch_size :]
        self._taken += self.batch_size
        return rows

    def _fill(self) -> None:
        num = len(self._edges)
        while len(self._left) < self.batch_size:
            # systematic resampling: the least noise a weighted draw can have
            grid = (np.arange(num) + self._generator.uniform(0.01, 0.99)) / num
            self._left = np.concatenate([self._left, self._generator.permutation(np.minimum(np.searchsorted(self._edges, grid), num - 1))])

    def state_dict(self) -> dict[str, Any]:
        """Where the next batch begins, as plain JSON."""
        return {"before": self._before, "carried": self._carried.tolist(), "taken": self._taken}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on where `state_dict` was taken."""
        self._before, self._taken = state["before"], state["taken"]
        self._generator.bit_generator.state = self._before
        self._carried = self._left = np.array(state["carried"], np.int64)
        if self._taken:
            self._fill()
            self._left = self._left[self._taken :]


def gather(
    samples: Samples,
    index: Int64[Array, " b"],
    jitter: Jitter,
    generator: np.random.Generator,
    *,
    world: bool = True,
    num_later: int = 0,
    mine: slice = slice(None),
) -> Batch:
    """The rows as tensors on the CPU; with the frame ahead unless `world` is false, and `num_later` frames further ahead. With `mine`, only
    these of them: what is random was drawn for all, so that rows are the same whoever gathers them."""
    (frames, views), num = samples.frame_index.shape[1:], len(index)
    pictures = frames * views
    dropped = (generator.random((num, pictures)) < jitter.image_dropout_frac)[mine]
    lit = generator.uniform(-1, 1, (2, num)).astype(np.float32)[:, mine]
    forget = (generator.random(num) < jitter.ego_history_dropout_frac)[mine]
    index = index[mine]
    ahead = [samples.next_frame_index[index][:, None], samples.later_frame_index[index][:, :num_later]]
    wanted = np.concatenate([samples.frame_index[index].reshape(len(index), pictures), *ahead], axis=1)  # older, now, next, later
    wanted[:, :pictures][dropped] = -1
    if not world:
        wanted[:, pictures:] = -1
    # today's images first: they are the ones a gradient flows into
    columns = np.concatenate([np.roll(np.arange(pictures), views), np.arange(pictures, pictures + 1 + num_later)])
    order = wanted[:, columns].T.ravel()
    exists = order >= 0
    row = np.empty((len(columns), len(index)), np.int64)
    row[columns] = np.where(exists, np.cumsum(exists) - 1, -1).reshape(len(columns), len(index))
    light = np.tile(lit, (1, len(columns)))[:, exists]  # a sample's frames share their light
    view = np.where(columns < pictures, columns % views, 0)
    gain = 1 + jitter.contrast_frac * light[0]
    ego = samples.ego[index]
    ego[forget] = EgoCodec().without_history(ego[forget])
    return Batch(
        images=torch.from_numpy(samples.frames[order[exists]]),
        cameras=torch.from_numpy(samples.cameras[index].transpose(1, 0, 2)[view].reshape(-1, NUM_CAMERA)[exists]),
        image_row=torch.from_numpy(row[:pictures].T.copy().reshape(-1, frames, views)),  # laid out as it is: bits depend on it
        next_row=torch.from_numpy(row[pictures].copy()),
        later_row=torch.from_numpy(row[pictures + 1 :].T.copy()),
        gain=torch.from_numpy(gain),
        offset=torch.from_numpy(127.5 * (1 - gain) + 127.5 * jitter.brightness_frac * light[1]),
        ego=torch.from_numpy(ego),
        **{
            name: torch.from_numpy(getattr(samples, name)[index])
            for name in (
                "instruction_ids",
                "thought_ids",
                "controls",
                "controls_valid",
                "speed_mps",
                "curvature_scale_per_m",
                "distance_scale_m",
                "road",
            )
        },
    )


def look(
    model: DrivingModel, batch: Batch, *, thought: bool = True, even_if_blind: bool = False, parts: int = 1
) -> tuple[ModelInput, Float[Tensor, "b ahead l c"]]:
    """The model's input, and the latents of the frame ahead and those after it. Only today's images get a gradient: at run time the older
    ones are a memory too, and a target that could move would make the world loss collapse. `even_if_blind` calls the eye without an image too:
    other ranks may have one, and all must call it alike. Images are seen in `parts`, and standardised together."""
    num_now = int((batch.image_row[:, -1] >= 0).sum())
    lit = bool((batch.gain != 1).any()) or bool((batch.offset != 0).any())
    return look_at(model, batch, num_now=num_now, lit=lit, thought=thought, even_if_blind=even_if_blind, parts=parts)


def look_at(
    model: DrivingModel, batch: Batch, *, num_now: int, lit: bool, thought: bool, even_if_blind: bool, parts: int
) -> tuple[ModelInput, Float[Tensor, "b ahead l c"]]:
    """`look` where it is known how many images are of today and whether any is to be lit anew: fake tensors cannot be asked
    (train.planner.prove)."""
    cameras = batch.cameras
    if cameras is None:
        raise ValueError("a batch to look at needs cameras: zeros where they are unknown")
    images = batch.images.float()
    if lit:
        images.mul_(batch.gain[:, None, None, None]).add_(batch.offset[:, None, None, None]).clamp_(0, 255)  # in place: 18 times faster
    config = model.config
    if batch.image_row.shape[1:] != (config.num_frames, config.num_views):
        frames, views = batch.image_row.shape[1:]
        raise ValueError(f"the model looks at {config.num_frames} frames of {config.num_views} cameras, the batch holds {frames} of {views}")
    pool = [torch.zeros(1, config.latents_per_frame, config.vision_dim, device=batch.ego.device)]  # row -1 wraps to this one, appended last
    if num_now or even_if_blind:
        pool.insert(0, _see(model, images[:num_now], cameras[:num_now], parts if even_if_blind else min(parts, num_now)).float())
    if len(images) > num_now or even_if_blind:
        with torch.no_grad():
            older = parts if even_if_blind else min(parts, len(images) - num_now)
            pool.insert(-1, _see(model, images[num_now:], cameras[num_now:], older).float())
    latents = torch.cat(pool)
    inputs = ModelInput(
        latents=latents[batch.image_row.flatten(1)],
        images_valid=(batch.image_row >= 0).flatten(1),
        ego=batch.ego,
        instruction_ids=batch.instruction_ids,
        thought_ids=batch.thought_ids if thought else None,
        controls=batch.controls * batch.controls_valid[..., None],
        controls_valid=batch.controls_valid,
    )
    ahead = batch.next_row[:, None] if batch.later_row is None else torch.cat([batch.next_row[:, None], batch.later_row], dim=1)
    return inputs, latents[ahead].detach()


def _see(model: DrivingModel, images: Float[Tensor, "image h w 3"], cameras: Float[Tensor, "image 16"], parts: int) -> Float[Tensor, "image l c"]:
    if parts == 1:
        return model.see(images, cameras)
    seen = zip(images.tensor_split(parts), cameras.tensor_split(parts), strict=True)
    return model.vision.normalise(torch.cat([again(model.vision.features, *part) for part in seen]))


def again(call: Callable[..., Any], *values: Any) -> Any:
    """`call(*values)`, which keeps nothing and is made again, with the same random numbers, when its gradient is known."""
    if not torch.is_grad_enabled():
        return call(*values)
    with set_checkpoint_early_stop(False):  # FSDP's blocks want to end what they have begun
        return checkpoint(call, *values, use_reentrant=False)
