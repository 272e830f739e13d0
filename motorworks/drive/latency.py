"""How long one plan takes in the vehicle runtime, camera frame to trajectory, in a process of its own: `python -m motorworks.drive.latency`."""

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from motorworks.datatypes.observation import Observation
from motorworks.drive.bundle import VehicleIdentity, bundle_bytes, open_bundle
from motorworks.drive.runtime import bundle_policy
from motorworks.policy.policy import Policy
from motorworks.tokens.text import INSTRUCTIONS

NUM_WARM = 20


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Wall time of paced plans; n below 500 makes p99 little more than the maximum."""

    plan_p50_ms: float
    plan_p99_ms: float
    plan_max_ms: float
    num_plans: int
    num_over_deadline: int  # of 100 ms
    pace_s: float  # shorter than the vehicle's 0.1 s: caches stay warmer and the clock higher than on the road
    threads: int
    peak_rss_mb: float
    size_mb: float
    cold_s: float  # verify and load


def random_observation(rng: np.random.Generator, *, first: bool, height_px: int = 144, width_px: int = 256) -> Observation:
    """A frame of noise and plausible motion: timing does not depend on what is seen."""
    return Observation(
        frames=rng.integers(0, 256, (1, height_px, width_px, 3), dtype=np.uint8),
        speed_mps=rng.uniform(0, 12, 1),
        yaw_rate_radps=rng.normal(0, 0.1, 1),
        past_poses_rig=np.zeros((1, 16, 3)),
        instructions=(INSTRUCTIONS[int(rng.integers(len(INSTRUCTIONS)))],),
        first=np.array([first]),
    )


def time_plans(policy: Policy, *, num_plans: int, pace_s: float, seed: int = 0) -> list[float]:
    """Seconds of each `act` of one vehicle, started every `pace_s`; after warm-up."""
    rng, seconds_s = np.random.default_rng(seed), []
    observations = [random_observation(rng, first=False) for _ in range(16)]
    for index in range(NUM_WARM):
        policy.act(observations[index % 16])
    for index in range(num_plans):
        start_s = time.perf_counter()
        policy.act(observations[index % 16])
        took_s = time.perf_counter() - start_s
        seconds_s.append(took_s)
        if took_s < pace_s:
            time.sleep(pace_s - took_s)
    return seconds_s


def measure(path: Path, trusted_root: Path, vehicle: VehicleIdentity, *, num_plans: int, pace_s: float, threads: int, think_every: int) -> Latency:
    """Opens the bundle as a vehicle would, and times it in this process."""
    start_s = time.perf_counter()
    bundle = open_bundle(path, trusted_root, vehicle, None)
    policy = bundle_policy(bundle, threads=threads, think_every=think_every)
    cold_s = time.perf_counter() - start_s
    took_ms = np.array(time_plans(policy, num_plans=num_plans, pace_s=pace_s)) * 1000
    return Latency(
        plan_p50_ms=float(np.percentile(took_ms, 50)),
        plan_p99_ms=float(np.percentile(took_ms, 99)),
        plan_max_ms=float(took_ms.max()),
        num_plans=num_plans,
        num_over_deadline=int((took_ms > 100).sum()),
        pace_s=pace_s,
        threads=threads,
        size_mb=bundle_bytes(bundle) / 1e6,
        cold_s=cold_s,
        peak_rss_mb=_peak_rss_mb(),
    )


def _peak_rss_mb() -> float:
    # not getrusage: its maximum survives exec, so a child would report the memory of the process that started it
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024 / 1e6


def main() -> None:
    """Prints one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("trusted_root", type=Path)
    parser.add_argument("--body", default="car")
    parser.add_argument("--hardware-id", default="generic-cpu")
    parser.add_argument("--num-plans", type=int, default=500)
    parser.add_argument("--pace-s", type=float, default=0.01)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--think-every", type=int, default=0)
    given = parser.parse_args()
    vehicle = VehicleIdentity(body=given.body, hardware_id=given.hardware_id)
    latency = measure(
        given.bundle,
        given.trusted_root,
        vehicle,
        num_plans=given.num_plans,
        pace_s=given.pace_s,
        threads=given.threads,
        think_every=given.think_every,
    )
    print(msgspec.json.encode(latency).decode())


if __name__ == "__main__":
    main()
