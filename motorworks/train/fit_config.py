"""Every number of a training run. Light to import: a recipe holds these, and a cached run must not wait for torch."""

from dataclasses import dataclass, field, replace


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
class FaultPolicy:
    """What happens when a step's loss or gradient is not finite, or jumps. `skips` 0 stops at the first; else a bad batch is left out and
    counted, and `skips` of them in a row send the run back to its last snapshot, and past the batches that were bad."""

    skips: int = 0
    spike_factor: float | None = None  # times the median of the last steps that counts as a jump; None: only what is not finite is bad
    rollbacks: int = 3  # more are not a coincidence
    check_every: int = 100  # steps between two comparisons of the weights of replicas

    def __post_init__(self) -> None:
        if min(self.skips, self.rollbacks) < 0 or self.check_every < 1 or (self.spike_factor is not None and self.spike_factor <= 1):
            raise ValueError(f"skips and rollbacks must not be negative, check_every at least 1, spike_factor above 1 or None: {self}")


@dataclass(frozen=True, kw_only=True)
class ParallelPlan:
    """How many ranks hold copies, shards, columns and stages of one model, and parts of its sequence; their product is the number of
    processes. `shard` 0: all that are left."""

    replicate: int = 1
    shard: int = 0
    tensor: int = 1
    pipe: int = 1  # stages of the decoder's blocks
    context: int = 1  # parts of the decoder's sequence
    reshard: bool = True  # a block's weights are let go after its forward pass and gathered again; false: kept, for memory

    def __post_init__(self) -> None:
        if min(self.replicate, self.tensor, self.pipe, self.context) < 1 or self.shard < 0:
            raise ValueError(f"replicate, tensor, pipe and context must be at least 1, shard at least 0: {self}")
        if self.pipe > 1 and self.context > 1:
            raise ValueError(f"a sequence is cut in a pipeline or over ranks, not both: leave pipe or context 1: {self}")

    @property
    def num_alike(self) -> int:
        """Ranks that see the same samples."""
        return self.pipe * self.context * self.tensor

    def filling(self, num_ranks: int) -> "ParallelPlan":
        """With `shard` worked out for so many ranks."""
        shard = self.shard or num_ranks // (self.replicate * self.num_alike)
        if self.replicate * shard * self.num_alike != num_ranks:
            raise ValueError(
                f"{self} does not fill {num_ranks} ranks: replicate x shard x tensor x pipe x context must be {num_ranks}, or leave shard 0"
            )
        return replace(self, shard=shard)


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
    compile: bool = False  # torch.compile of eye and decoder; pays for its minute in long runs (docs/training.md)
    recompute: bool = False  # activations inside blocks are computed again in the backward pass instead of being kept
    accumulate: int = 1  # micro-batches of a step, on each rank: memory of one, one more forward pass, the losses still of the whole batch
    float8: bool = False  # products inside blocks in 8-bit floats, with precision bf16; refused where the hardware has none
    faults: FaultPolicy = field(default_factory=FaultPolicy)

    def __post_init__(self) -> None:
        if self.precision not in ("fp32", "bf16"):
            raise ValueError(f"precision {self.precision!r} is not fp32 or bf16")
        if min(self.steps, self.batch_size, self.record_every, self.think_every, self.accumulate) < 1:
            raise ValueError(f"steps, batch_size, record_every, think_every and accumulate must be at least 1: {self}")
        if self.float8 and self.precision != "bf16":
            raise ValueError("float8 rounds the products of a bf16 run: set precision to bf16 too")
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
