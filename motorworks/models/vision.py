"""The eye: a convolutional stem, a pre-norm ViT and a learned resampler that turns one image into a few latents.

The stem stands where a ViT cuts patches: few-stride 3x3 convolutions see edges from far less data (Xiao et al. 2021, arXiv 2106.14881).

Legend: B batch, H image rows, W image columns, N patches, L latents, D width.
"""

import json
from inspect import signature
from itertools import pairwise

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AutoConfig, AutoModel

from motorworks.models.config import ModelConfig

_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Attention(nn.Module):
    """Multi-head attention of queries over a context; with no context, over themselves."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(dim, dim)
        self.key_value = nn.Linear(dim, 2 * dim)
        self.out = nn.Linear(dim, dim)

    def forward(self, x_BND: Float[Tensor, "b n d"], context_BMD: Float[Tensor, "b m d"] | None = None) -> Float[Tensor, "b n d"]:
        context_BMD = x_BND if context_BMD is None else context_BMD
        query = self.query(x_BND).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        key, value = self.key_value(context_BMD).unflatten(-1, (2, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        return self.out(F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2))


class Block(nn.Module):
    """Pre-norm attention and MLP; with `cross`, the queries look at a context instead of themselves."""

    def __init__(self, dim: int, heads: int, mlp_ratio: int, *, cross: bool = False) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(dim)
        self.norm_context = nn.LayerNorm(dim) if cross else None
        self.attention = Attention(dim, heads)
        self.norm_mlp = nn.LayerNorm(dim)
        self.mlp = nn.Sequential(nn.Linear(dim, mlp_ratio * dim), nn.ReLU(), nn.Linear(mlp_ratio * dim, dim))

    def forward(self, x_BND: Float[Tensor, "b n d"], context_BMD: Float[Tensor, "b m d"] | None = None) -> Float[Tensor, "b n d"]:
        if self.norm_context is not None:
            context_BMD = self.norm_context(context_BMD)
        x_BND = x_BND + self.attention(self.norm_attention(x_BND), context_BMD)
        return x_BND + self.mlp(self.norm_mlp(x_BND))


class Stem(nn.Module):
    """Image to a grid of features: 2x2 pixels become channels, then 3x3 convolutions of stride two, as many as the patch size needs.

    A first convolution over all pixels would cost half of the stem, and see no better (docs/log.md).
    """

    def __init__(self, widths: list[int]) -> None:
        super().__init__()
        self.unshuffle = nn.PixelUnshuffle(2)
        self.convs = nn.ModuleList(nn.Conv2d(before, after, 3, stride=2, padding=1) for before, after in pairwise(widths))
        self.norms = nn.ModuleList(nn.GroupNorm(1, width) for width in widths[1:])

    def forward(self, pixels_BCHW: Float[Tensor, "b c h w"]) -> Float[Tensor, "b n d"]:
        x = self.unshuffle(pixels_BCHW)
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = F.relu(norm(conv(x)))
        return x.flatten(2).transpose(1, 2)


class LatentNorm(nn.BatchNorm1d):
    """Standardises latents over images by the statistics of those that a gradient flows into; memories and targets by the running ones."""

    def forward(self, x_NC: Float[Tensor, "n c"]) -> Float[Tensor, "n c"]:
        if self.training and (x_NC.shape[0] < 2 or not torch.is_grad_enabled()):
            return F.batch_norm(x_NC, self.running_mean, self.running_var)
        return super().forward(x_NC)


class Tower(nn.Module):
    """A Hugging Face vision transformer: pictures enlarged to whole patches, its patch states out."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        theirs = json.loads(config.eye_json)
        self.model = AutoModel.from_config(AutoConfig.for_model(theirs.pop("model_type"), **theirs), attn_implementation="sdpa")
        self.num_patches = config.eye_patches[0] * config.eye_patches[1]
        self.size_px = tuple(self.model.config.patch_size * patches for patches in config.eye_patches)
        self.frozen = config.eye_frozen
        self.asks = {"interpolate_pos_encoding": True} if "interpolate_pos_encoding" in signature(self.model.forward).parameters else {}
        self.model.requires_grad_(not self.frozen)
        self.register_buffer("mean_C", torch.tensor(_IMAGENET_MEAN), persistent=False)
        self.register_buffer("std_C", torch.tensor(_IMAGENET_STD), persistent=False)

    def forward(self, images: UInt8[Tensor, "b h w 3"] | Float[Tensor, "b h w 3"]) -> Float[Tensor, "b n d"]:
        pixels = ((images.to(self.mean_C.dtype) / 255 - self.mean_C) / self.std_C).permute(0, 3, 1, 2)
        pixels = F.interpolate(pixels, self.size_px, mode="bilinear", align_corners=False)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            states = self.model(pixel_values=pixels, **self.asks).last_hidden_state
        return states[:, -self.num_patches :]  # class and register tokens come first


class Vision(nn.Module):
    """Image to latents."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        dim, heads, ratio = config.vision_dim, config.vision_heads, config.vision_mlp_ratio
        rows, columns = config.grid
        self.tower = Tower(config) if config.eye == "hf" else None
        if self.tower is None:
            self.stem = Stem(config.stem_widths)
        else:
            (rows, columns), width = config.eye_patches, self.tower.model.config.hidden_size
            self.read_tower = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, dim))
        self.position_ND = nn.Parameter(torch.randn(rows * columns, dim) * 0.3)  # as large as a patch: where is half of what
        self.blocks = nn.ModuleList(Block(dim, heads, ratio) for _ in range(config.vision_depth if self.tower is None else 0))
        self.queries_LD = nn.Parameter(torch.randn(config.latents_per_frame, dim) * 0.02)
        self.resampler = nn.ModuleList(Block(dim, heads, ratio, cross=True) for _ in range(config.resampler_depth))
        with torch.no_grad():  # sharp from the start: a query that averages the whole image tells no left from right
            for block in self.resampler:
                block.attention.query.weight *= 3
                block.attention.key_value.weight[:dim] *= 3
        # Standardised over images, not within one: what all images share carries nothing, and left in it soon drowns what
        # differs (the network learns to ignore its eye). Unit size also keeps the world loss from being won by shrinking.
        self.norm_out = LatentNorm(config.latents_per_frame * dim, affine=False, momentum=0.1)

    def forward(self, images: UInt8[Tensor, "b h w 3"] | Float[Tensor, "b h w 3"]) -> Float[Tensor, "b l d"]:
        """Latents of 64x128 RGB images with values 0..255."""
        if self.tower is None:
            pixels = (images.to(self.position_ND.dtype) / 127.5).sub_(1)
            x_BND = self.stem(pixels.permute(0, 3, 1, 2)) + self.position_ND
        else:
            x_BND = self.read_tower(self.tower(images)) + self.position_ND
        for block in self.blocks:
            x_BND = block(x_BND)
        latents_BLD = self.queries_LD.expand(x_BND.shape[0], -1, -1)
        for block in self.resampler:
            latents_BLD = block(latents_BLD, x_BND)
        return self.norm_out(latents_BLD.flatten(1)).unflatten(1, latents_BLD.shape[1:])
