"""The model as three small graphs with tensor-only arguments: what a vehicle bundle holds. The world head stays behind."""

from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor, nn

from motorworks.models.driving_model import DrivingModel


class VisionGraph(nn.Module):
    """images [b,64,128,3] uint8 -> latents [b,l,c]."""

    def __init__(self, model: DrivingModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: UInt8[Tensor, "b 64 128 3"]) -> Float[Tensor, "b l c"]:
        return self.model.see(images)


class PlanGraph(nn.Module):
    """latents [b,2,l,c], latents_valid [b,2] bool, ego [b,e], instruction_ids [b,8] int64 -> controls [b,k,64,2], logits [b,k]."""

    def __init__(self, model: DrivingModel) -> None:
        super().__init__()
        self.model = model

    def forward(
        self,
        latents: Float[Tensor, "b p l c"],
        latents_valid: Bool[Tensor, "b p"],
        ego: Float[Tensor, "b ego"],
        instruction_ids: Int64[Tensor, "b 8"],
    ) -> tuple[Float[Tensor, "b k 64 2"], Float[Tensor, "b k"]]:
        return self.model.plan_from_latents(latents, latents_valid, ego, instruction_ids)


class ThinkGraph(nn.Module):
    """The plan's inputs and thought_ids [b,16] int64 -> logits [b,16,vocab]."""

    def __init__(self, model: DrivingModel) -> None:
        super().__init__()
        self.model = model

    def forward(
        self,
        latents: Float[Tensor, "b p l c"],
        latents_valid: Bool[Tensor, "b p"],
        ego: Float[Tensor, "b ego"],
        instruction_ids: Int64[Tensor, "b 8"],
        thought_ids: Int64[Tensor, "b 16"],
    ) -> Float[Tensor, "b 16 vocab"]:
        return self.model.think(latents, latents_valid, ego, instruction_ids, thought_ids)
