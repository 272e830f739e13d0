"""How a model is cut over ranks, as a value."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Sharding:
    """`replicate` copies (HSDP) of weights cut over `shard` ranks (FSDP2), each block again over `tp` neighbours; samples go by group of `tp`."""

    replicate: int = 1
    shard: int = 1
    tp: int = 1
    micro_batch: int = 8  # samples of a tensor-parallel group at once
    accumulate: int = 1  # micro-batches a step
    checkpoint: bool = True  # recompute blocks backward instead of keeping what is inside them
    reshard: bool = True  # gather a block's weights again backward instead of keeping them

    def __post_init__(self) -> None:
        for name in ("replicate", "shard", "tp", "micro_batch", "accumulate"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)} must be at least 1")

    @property
    def num_ranks(self) -> int:
        """One a GPU."""
        return self.replicate * self.shard * self.tp

    @property
    def samples_per_step(self) -> int:
        """Of all ranks together."""
        return self.replicate * self.shard * self.micro_batch * self.accumulate

    def __str__(self) -> str:
        parts = [f"TP {self.tp} × FSDP {self.shard} × HSDP {self.replicate}", f"micro-batch {self.micro_batch} × {self.accumulate}"]
        parts += [
            "activation checkpoints" if self.checkpoint else "no recompute",
            "weights gathered twice" if self.reshard else "weights kept gathered",
        ]
        return ", ".join(parts)
