"""A town where it is wanted: on the CPU, or the same town on a GPU."""

from motorworks.datatypes.rig import FRONT, Rig
from motorworks.sim.town import Town


def make_town(num_envs: int, *, device: str = "cpu", threads: int = 1, rig: Rig = FRONT) -> Town:
    """With the cameras on. `threads` are the CPU's; RuntimeError for "cuda" where numba finds no GPU, ValueError for another device.

    On a GPU kernels compile once, for minutes, and pictures come back at every step: policies and recordings are on the CPU.
    """
    if device == "cpu":
        return Town(num_envs, threads=threads, rig=rig)
    if device.partition(":")[0] != "cuda":
        raise ValueError(f"device {device!r} is not cpu or cuda: the town runs nowhere else")
    from motorworks.sim.town_cuda import CudaTown

    return CudaTown(num_envs, threads=threads, rig=rig)
