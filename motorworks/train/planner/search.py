"""The fastest way to cut a member over so many GPUs, among all that fit."""

from collections.abc import Iterator
from dataclasses import dataclass

from motorworks.models.config import ModelConfig
from motorworks.models.parallel_plan import indivisible
from motorworks.train.planner import shapes
from motorworks.train.planner.assumptions import Assumptions
from motorworks.train.planner.gpus import Gpu
from motorworks.train.planner.memory import Memory, sharded_step
from motorworks.train.planner.sharding import Sharding
from motorworks.train.planner.step_time import StepTime, step_time

MAX_ACCUMULATE = 16
ASSUMED = (  # all that a choice depends on
    "kernel_efficiency",
    "hbm_efficiency",
    "link_efficiency",
    "traffic",
    "hop_us",
    "overlap",
    "straggler",
    "batch_tokens",
    "reserve_gb",
)


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A way to cut, what it takes and how long."""

    sharding: Sharding
    memory: Memory
    time: StepTime

    @property
    def samples_per_s(self) -> float:
        """Of all GPUs."""
        return self.sharding.samples_per_step / self.time.total_s


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The fastest first, then the fastest of every other way to split ranks; and how many were looked at."""

    best: Candidate
    others: tuple[Candidate, ...]
    num_tried: int
    num_fitting: int


def choose(config: ModelConfig, gpu: Gpu, num_gpus: int, assumed: Assumptions) -> Choice:
    """Tries every tensor-parallel group within a node, FSDP group, micro-batch, recompute and resharding; raises where nothing fits."""
    if num_gpus < 1 or (num_gpus > gpu.gpus_per_node and num_gpus % gpu.gpus_per_node):
        raise ValueError(f"{num_gpus} GPUs do not fill nodes of {gpu.gpus_per_node}: take a multiple of {gpu.gpus_per_node}")
    room, fitting, tried, least = (gpu.memory_gb - assumed.reserve_gb) * 1e9, [], 0, float("inf")
    for sharding in shardings(config, gpu, num_gpus, assumed):
        tried += 1
        taken = sharded_step(config, sharding)
        least = min(least, taken.total)
        if taken.total <= room:
            fitting.append(Candidate(sharding=sharding, memory=taken, time=step_time(config, sharding, gpu, assumed)))
    if not fitting:
        fix = f"the smallest step takes {least / 1e9:.0f} GB of {room / 1e9:.0f} GB: take more GPUs, or ones with more memory"
        if not tried:
            fix = f"a step of batch_tokens {assumed.batch_tokens:,.0f} has less than a sample for each group of GPUs: take fewer GPUs, or raise it"
        raise ValueError(f"this member does not fit {num_gpus} GPUs of {gpu.name}: {fix}")
    fitting.sort(key=lambda one: -one.samples_per_s)
    firsts: dict[tuple[int, int, int], Candidate] = {}
    for one in fitting:
        firsts.setdefault((one.sharding.replicate, one.sharding.shard, one.sharding.tp), one)
    best, *others = firsts.values()
    return Choice(best=best, others=tuple(others), num_tried=tried, num_fitting=len(fitting))


def shardings(config: ModelConfig, gpu: Gpu, num_gpus: int, assumed: Assumptions) -> Iterator[Sharding]:
    """All that are tried: FSDP groups fill nodes or lie within one, and a step keeps to `batch_tokens`."""
    samples = int(assumed.batch_tokens / shapes.num_tokens(config))
    for tp in (1, 2, 4, 8, 16):
        if tp > gpu.gpus_per_node or num_gpus % tp or indivisible(config, tp):
            continue
        groups = num_gpus // tp
        for shard in (size for size in range(1, groups + 1) if groups % size == 0):
            if shard * tp > gpu.gpus_per_node and (shard * tp) % gpu.gpus_per_node:
                continue
            most = samples // groups
            for micro in sorted(
                {size for size in (*(2**power for power in range(11)), *(most // part for part in range(1, 9))) if 1 <= size <= most}
            ):
                for checkpoint in (True, False):
                    for reshard in (True, False) if shard > 1 else (False,):
                        yield Sharding(
                            replicate=groups // shard,
                            shard=shard,
                            tp=tp,
                            micro_batch=micro,
                            accumulate=min(most // micro, MAX_ACCUMULATE),
                            checkpoint=checkpoint,
                            reshard=reshard,
                        )
