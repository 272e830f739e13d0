"""The processes of one step talk to each other; what torch has to know of `launch`."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch.distributed.rendezvous import rendezvous

from motorworks.factory.launch import num_ranks


@contextmanager
def process_group(device: str) -> Iterator[None]:
    """The processes can talk inside: over gloo what lies on the CPU, over NCCL what lies on GPUs, of which each takes its own. A launcher that
    has seen to all that, as Ray Train does, keeps what it made."""
    if num_ranks() == 1 or dist.is_initialized():
        yield
        return
    on_gpu = torch.device(device).type == "cuda"
    if on_gpu:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK") or 0))
    # torchrun may give the processes that it starts again the store of those before, whose addresses would be taken for theirs (torch 2.13)
    store, rank, size = next(rendezvous("env://"))
    store = dist.PrefixStore(f"attempt {os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)}", store)
    dist.init_process_group("cpu:gloo,cuda:nccl" if on_gpu else "gloo", store=store, rank=rank, world_size=size)
    try:
        yield
    finally:
        dist.destroy_process_group()


def allocated_frac(device: str, threads: int) -> float:
    """Of this machine's GPUs, or of the cores that this process may use, the share that its ranks hold."""
    ranks_here = int(os.environ.get("LOCAL_WORLD_SIZE") or 1)
    if torch.device(device).type == "cuda":
        return ranks_here / torch.cuda.device_count()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(1.0, ranks_here * threads / cores)
