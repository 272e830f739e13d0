"""Every number of a training run. Light to import: a recipe holds these, and a cached run must not wait for torch."""

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Jitter:
    """What is hidden or changed at random: the past, the camera, the light."""

    ego_history_dropout_frac: float = 0.5
    image_dropout_frac: float = 0.02
    brightness_frac: float = 0.2
    contrast_frac: float = 0.2

    def __post_init__(self) -> None:
        for name in ("ego_history_dropout_frac", "image_dropout_frac", "brightness_frac", "contrast_frac"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} {getattr(self, name)} must be in 0..1")


@dataclass(frozen=True, kw_only=True)
class LossWeights:
    """How much each loss counts; 0 leaves it, and what only it needs, out of the computation."""

    action: float = 1.0
    reasoned: float = 0.3
    language: float = 0.2
    world: float = 0.2
    latent: float = 0.0  # the plan after thoughts without words (ModelConfig.latent_thoughts)
    gate: float = 0.0  # whether thinking pays (ModelConfig.thought_gate)
    road: float = 0.0  # reading the road as a privileged eye sees it; only simulated samples know

    def __post_init__(self) -> None:
        if min(vars(self).values()) < 0 or sum(vars(self).values()) == 0:
            raise ValueError(f"loss weights must not be negative, and one must be positive: {self}")


@dataclass(frozen=True, kw_only=True)
class FitConfig:
    """One training run. Counted in steps, not seconds, so that it can be repeated; batch size and steps bound its cost."""

    steps: int
    batch_size: int = 64
    lr: float = 1e-3
    weight_decay: float = 0.05
    warmup_frac: float = 0.05
    final_lr_frac: float = 0.05
    grad_clip: float = 1.0
    seed: int = 0
    precision: str = "fp32"
    muon: bool = True  # for the matrices inside blocks (train.optim); false: AdamW for all
    think_every: int = 1  # steps from one with the thought to the next: it nearly doubles the sequence, and words are soon learnt
    losses: LossWeights = field(default_factory=LossWeights)
    jitter: Jitter = field(default_factory=Jitter)
    record_every: int = 10

    def __post_init__(self) -> None:
        if self.precision not in ("fp32", "bf16"):
            raise ValueError(f"precision {self.precision!r} is not fp32 or bf16")
        if min(self.steps, self.batch_size, self.record_every, self.think_every) < 1:
            raise ValueError(f"steps, batch_size, record_every and think_every must be at least 1: {self}")
        if self.lr <= 0 or self.weight_decay < 0 or self.grad_clip <= 0 or not 0 <= self.warmup_frac < 1 or not 0 <= self.final_lr_frac <= 1:
            raise ValueError(f"lr, weight_decay, grad_clip, warmup_frac or final_lr_frac out of range: {self}")


@dataclass(frozen=True, kw_only=True)
class PolishConfig:
    """Steps of full-batch gradient ascent on the expected reward."""

    steps: int = 200
    lr: float = 1e-3
    kl_weight: float = 0.2

    def __post_init__(self) -> None:
        if self.steps < 1 or self.lr <= 0 or self.kl_weight < 0:
            raise ValueError(f"steps and lr must be positive, kl_weight not negative: {self}")
