"""Members between and beyond the named ones, from one number: the width. What small runs find out holds for larger ones only along one line."""

from dataclasses import dataclass

from motorworks.models.config import ModelConfig, family

HEAD_DIM = 32
LR_TIMES_WIDTH = 0.135
BATCH_SIZE = 32


@dataclass(frozen=True, kw_only=True)
class Member:
    """A shape and how it is trained."""

    config: ModelConfig
    lr: float
    batch_size: int


def scaled(width: int) -> Member:
    """The member of a width, a multiple of 8 from 16 up: depth grows with it, the eye is as wide as the decoder.

    The rate falls as one over the width: the rule of muP for Adam (Yang et al. 2022, arXiv 2203.03466), and what `bench/lr_transfer.py` found here,
    where Muon moves the matrices inside blocks (docs/scaling.md). Beyond the widths tried there it is a rule, not a measurement. The batch is one
    size for all: the best one follows the loss, not the model (McCandlish et al. 2018, arXiv 1812.06162; Kaplan et al. 2020, arXiv 2001.08361,
    section 5.1).
    """
    if width < 16 or width % 8:
        raise ValueError(f"width {width} must be a multiple of 8, 16 or more")
    depth = max(2, round(width / 64))
    heads = max(heads for heads in range(1, width // 16 + 1) if width % (2 * heads) == 0 and (width // heads >= HEAD_DIM or heads == 1))
    config = ModelConfig(
        dim=width,
        depth=depth,
        heads=heads,
        kv_heads=heads,
        mlp_dim=16 * max(1, round(width * 8 / 3 / 16)),
        vision_dim=width,
        vision_depth=3 * depth // 4,
        vision_heads=heads,
    )
    return trained(config)


def member(name: str) -> Member:
    """One of `models.config.FAMILY`, whose shapes are a table, with rate and batch by the same rule; for the large ones it is a first guess."""
    return trained(family(name))


def trained(config: ModelConfig) -> Member:
    """A shape with the rate of its width."""
    return Member(config=config, lr=LR_TIMES_WIDTH / config.dim, batch_size=BATCH_SIZE)
