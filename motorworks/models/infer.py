"""A torch model behind the inference socket of `policy.infer`: numpy in, numpy out."""

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor

from motorworks.geometry.array import Array
from motorworks.models.driving_model import DrivingModel
from motorworks.models.reasoning import Reasoner


class TorchInfer:
    """Runs a DrivingModel in inference mode, on the device the model is on. `threads` sets torch's count for this process;
    `thinking` (models.reasoning) says whether a plan is thought about first, `adaptive` lets the model choose when."""

    def __init__(self, model: DrivingModel, *, threads: int | None = None, thinking: str = "off", adaptive: bool = False) -> None:
        if threads is not None:
            torch.set_num_threads(threads)
        self.model = model.eval()
        self.reasoner = Reasoner(model, mode=thinking, adaptive=adaptive)
        self.num_frames = model.config.num_frames
        self.frame_gap_steps = model.config.frame_gap_steps
        self.num_views = model.config.num_views

    @torch.inference_mode()
    def see(self, images: UInt8[Array, "batch 64 128 3"], cameras: Float[Array, "batch 16"] | None = None) -> Float[Array, "batch latent channel"]:
        """Latents of each image; a model that is not calibrated does not look at the cameras."""
        return _numpy(self.model.see(self._tensor(images), None if cameras is None else self._tensor(cameras)))

    @torch.inference_mode()
    def plan(
        self,
        latents: Float[Array, "batch picture latent channel"],
        latents_valid: Bool[Array, "batch picture"],
        ego: Float[Array, "batch ego"],
        instruction_ids: Int64[Array, "batch 8"],
    ) -> tuple[Float[Array, "batch proposal 64 2"], Float[Array, "batch proposal"]]:
        """Normalised controls of every proposal, and their logits."""
        controls, logits = self.reasoner.plan(*map(self._tensor, (latents, latents_valid, ego, instruction_ids)))
        return _numpy(controls), _numpy(logits)

    @torch.inference_mode()
    def think(
        self,
        latents: Float[Array, "batch picture latent channel"],
        latents_valid: Bool[Array, "batch picture"],
        ego: Float[Array, "batch ego"],
        instruction_ids: Int64[Array, "batch 8"],
        thought_ids: Int64[Array, "batch 16"],
    ) -> Float[Array, "batch 16 vocab"]:
        """Logits of the word that follows each position."""
        return _numpy(self.model.think(*map(self._tensor, (latents, latents_valid, ego, instruction_ids, thought_ids))))

    @torch.inference_mode()
    def foresee(
        self,
        latents: Float[Array, "batch picture latent channel"],
        latents_valid: Bool[Array, "batch picture"],
        ego: Float[Array, "batch ego"],
        instruction_ids: Int64[Array, "batch 8"],
    ) -> Float[Array, "batch latent channel"]:
        """Latents expected 0.5 s ahead if the best plan is driven."""
        return _numpy(self.model.foresee(*map(self._tensor, (latents, latents_valid, ego, instruction_ids))))

    def _tensor(self, array: Array) -> Tensor:
        value = torch.from_numpy(np.ascontiguousarray(array))
        return (value.float() if value.is_floating_point() else value).to(next(self.model.parameters()).device)


def _numpy(value: Tensor) -> Array:
    return value.float().cpu().numpy()
