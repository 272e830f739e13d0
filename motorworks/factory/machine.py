"""Where a stage ran and what it cost: facts for the record, never part of an identity."""

import contextlib
import ctypes
import gc
import os
import platform
import resource
import sys
import time
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("numpy", "torch", "onnxruntime", "numba", "transformers")


@cache
def describe_machine() -> dict[str, Any]:
    """Processor, cores, memory, system and the versions that matter."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "processor": _processor(),
        "num_cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_mb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e6),
        "system": platform.platform(),
        "python": platform.python_version(),
        "packages": versions,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def keep_freed_memory() -> None:
    """Tells glibc to use freed memory again instead of giving it back. A training step asks for the same large tensors as the one before;
    pages fresh from the system cost it 3 to 12 % of its time (docs/log.md). Elsewhere nothing happens."""
    trim_threshold, mmap_threshold = -1, -3  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD of malloc.h
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(trim_threshold, 512 << 20)
        libc.mallopt(mmap_threshold, 32 << 20)  # the most that glibc takes


@dataclass(frozen=True, kw_only=True)
class Clock:
    """The start of a stage, to be read at its end."""

    wall_s: float
    cpu_s: float

    @staticmethod
    def start() -> "Clock":
        """Begin to count; the high-water mark of memory is set back where the system allows it (Linux)."""
        gc.collect()
        with contextlib.suppress(OSError):  # then peak_rss_mb is that of the whole process so far
            Path("/proc/self/clear_refs").write_text("5")
        return Clock(wall_s=time.perf_counter(), cpu_s=_cpu_s())

    def timings(self) -> dict[str, float]:
        """Wall time; processor time, ended child processes included; wait_s, what is left of the wall time; peak memory.

        Thin: a second busy thread hides waiting, and memory is that of this process without its workers.
        """
        wall_s, cpu_s = time.perf_counter() - self.wall_s, _cpu_s() - self.cpu_s
        return {
            "wall_s": round(wall_s, 3),
            "cpu_s": round(cpu_s, 3),
            "wait_s": round(max(0.0, wall_s - cpu_s), 3),
            "peak_rss_mb": round(_peak_rss_mb(), 1),
        }


def _cpu_s() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _peak_rss_mb() -> float:
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return float(line.split()[1]) * 1024 / 1e6
    except OSError:
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6
