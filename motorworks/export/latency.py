"""The latency, memory and size of a bundle in the real vehicle runtime: a fresh process without torch."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec

from motorworks.drive.bundle import VehicleIdentity
from motorworks.drive.latency import Latency


def measure_latency(
    bundle: Path, trusted_root: Path, vehicle: VehicleIdentity, *, num_plans: int = 500, pace_s: float = 0.01, threads: int = 2, think_every: int = 0
) -> Latency:
    """Runs `motorworks.drive.latency` as a child and reads its answer. The pace is part of the answer: 0.01 s is faster than the road's 0.1 s."""
    command = [
        sys.executable,
        "-m",
        "motorworks.drive.latency",
        str(bundle),
        str(trusted_root),
        "--body",
        vehicle.body,
        "--hardware-id",
        vehicle.hardware_id,
        "--num-plans",
        str(num_plans),
        "--pace-s",
        str(pace_s),
        "--threads",
        str(threads),
        "--think-every",
        str(think_every),
    ]
    # the child must find this very package, installed or not
    package_root = str(Path(__file__).resolve().parents[2])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (package_root, os.environ.get("PYTHONPATH"))))}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise RuntimeError(f"{bundle}: the latency run ended with code {done.returncode}: {last}")
    return msgspec.json.decode(done.stdout, type=Latency)
