"""Side cameras as a set: learned queries attend to the latents of all of them at one moment (pooling of the Set Transformer, Lee et al. 2019,
arXiv 1810.00825), so their order and number do not matter, and the decoder gets the same few tokens from any rig. What tells one from another
is where it looks, which the eye has put into its latents (models.rays).

Legend: B batch, N latents of all sides, S queries, C channels.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from motorworks.models.config import ModelConfig
from motorworks.models.vision import Block, sharpen


class SideReader(nn.Module):
    """Cross-attention of `side_latents` queries."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.queries_SC = nn.Parameter(torch.randn(config.side_latents, config.vision_dim) * 0.02)
        self.block = Block(config.vision_dim, config.vision_heads, config.vision_mlp_ratio, cross=True)
        sharpen(self.block)

    def forward(self, sides_BNC: Float[Tensor, "b n c"]) -> Float[Tensor, "b s c"]:
        return self.block(self.queries_SC.expand(len(sides_BNC), -1, -1), sides_BNC)
