"""Where a picture's patches look, for an eye that knows its camera.

A learned place in the picture is bound to one camera. A ray in the rig frame is not: position-aware features of PETR (Liu et al. 2022, arXiv
2203.05625), one point and one direction a patch as light fields have them (Sitzmann et al. 2021, arXiv 2106.02634).

Legend: B batch, N patches, D width.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from motorworks.models.config import ModelConfig


def patch_rays(cameras_B16: Float[Tensor, "b 16"], rows: int, columns: int, height_px: int, width_px: int) -> Float[Tensor, "b n 6"]:
    """Unit direction through the middle of each patch, row by row, and the camera's position (m), in the rig frame. Numbers as `tokens.camera`
    has them: a point of the camera's frame (x right, y down, z ahead) lands at `centre + focal * (x / z, y / z)`."""
    at_y = (torch.arange(rows, device=cameras_B16.device) + 0.5) * (height_px / rows)
    at_x = (torch.arange(columns, device=cameras_B16.device) + 0.5) * (width_px / columns)
    pixels_N2 = torch.stack([at_x.repeat(rows), at_y.repeat_interleave(columns)], dim=-1).to(cameras_B16.dtype)
    focal_B2, centre_B2, position_B3, rotation_B9 = cameras_B16.split([2, 2, 3, 9], dim=-1)
    beside = (pixels_N2 - centre_B2[:, None]) / focal_B2[:, None].clamp(min=1e-3)
    ahead = F.pad(beside, (0, 1), value=1.0)
    direction = F.normalize(ahead @ rotation_B9.unflatten(1, (3, 3)).mT, dim=-1)
    return torch.cat([direction, position_B3[:, None].expand_as(direction)], dim=-1)


class RayEmbedding(nn.Module):
    """What is added to the features of each patch; nothing where the camera is unknown."""

    def __init__(self, config: ModelConfig, rows: int, columns: int) -> None:
        super().__init__()
        self.rows, self.columns, self.height_px, self.width_px = rows, columns, config.height_px, config.width_px
        dim = config.vision_dim
        self.mlp = nn.Sequential(nn.Linear(6, dim), nn.GELU(approximate="tanh"), nn.Linear(dim, dim))

    def forward(self, cameras: Float[Tensor, "b 16"]) -> Float[Tensor, "b n d"]:
        rays = patch_rays(cameras, self.rows, self.columns, self.height_px, self.width_px)
        known = (cameras[:, 0] > 0).to(rays.dtype)
        return self.mlp(rays) * known[:, None, None]
