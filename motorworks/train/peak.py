"""The physical limit that MFU is a share of: the best dense matrix product this machine does now."""

import time

import torch

CPU_SIZE, GPU_SIZE = 1024, 8192  # a GPU is over with the small one before it has begun; the large one takes an H100 some 1.5 ms


def measure_gemm_flops(*, threads: int, size: int = 0, repeats: int = 12, device: str = "cpu", dtype: torch.dtype = torch.float32) -> float:
    """FLOP/s of the fastest of `repeats` square products of `size` (0: the device's own), after one to warm up. Draws from a generator of its
    own, so that what is trained afterwards has the same bits."""
    torch.set_num_threads(threads)
    size = size or (CPU_SIZE if device == "cpu" else GPU_SIZE)
    a, b = torch.randn(2, size, size, device=device, dtype=dtype, generator=torch.Generator(device).manual_seed(0))
    best_s = float("inf")
    for repeat in range(repeats + 1):
        if device != "cpu":
            torch.cuda.synchronize()
        start = time.perf_counter()
        a @ b
        if device != "cpu":
            torch.cuda.synchronize()
        if repeat:
            best_s = min(best_s, time.perf_counter() - start)
    return 2 * size**3 / best_s
