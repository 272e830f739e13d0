"""A signed bundle with small payloads, an observation, and policies that misbehave on demand."""

import datetime
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from motorworks.datatypes.observation import Observation
from motorworks.datatypes.trajectory import NUM_STEPS, Plan, Trajectory
from motorworks.drive.bundle import VehicleIdentity
from motorworks.drive.clock import SimClock
from motorworks.export.bundle import ModelCard, ReleaseConfig, build_bundle
from motorworks.export.keys import Keys, ensure_keys

NOW = datetime.datetime(2026, 11, 24, tzinfo=datetime.UTC)


@dataclass(frozen=True, kw_only=True)
class Release:
    """A signed bundle, its keys, and the vehicle it is for."""

    path: Path
    keys: Keys
    vehicle: VehicleIdentity
    now: datetime.datetime


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return ensure_keys(tmp_path_factory.mktemp("signing") / "keys", NOW)


@pytest.fixture
def make_release(tmp_path: Path, keys: Keys) -> Callable[..., Release]:
    def make(release: int = 1, *, body: str = "car", signed_by: Keys | None = None, name: str | None = None) -> Release:
        graphs = {}
        for graph in ("vision", "plan"):
            graphs[graph] = tmp_path / f"{graph}.source"
            graphs[graph].write_bytes(f"weights of {graph} in release {release}".encode())
        out = tmp_path / (name or f"release{release}-{body}")
        used = signed_by or keys
        build_bundle(out, graphs, ModelCard(model="m", precision="int8", num_params=1), ReleaseConfig(release=release, body=body), used, NOW)
        return Release(path=out, keys=used, vehicle=VehicleIdentity(body="car"), now=NOW + datetime.timedelta(days=1))

    return make


@pytest.fixture
def release(make_release: Callable[..., Release], tmp_path: Path) -> Release:
    made = make_release()
    shutil.copytree(made.path, tmp_path / "pristine")
    return made


def observe(speed_mps: float = 8.0, *, first: bool = False) -> Observation:
    """What a vehicle senses, camera off."""
    return Observation(
        frames=np.full((1, 4, 8, 3), 7, np.uint8),
        speed_mps=np.array([speed_mps]),
        yaw_rate_radps=np.zeros(1),
        past_poses_rig=np.zeros((1, 16, 3)),
        instructions=("follow the road",),
        first=np.array([first]),
    )


class ScriptedPolicy:
    """Answers plan after plan: each asks for its own number as acceleration/100, after a scripted latency."""

    name, privileged, uses_camera = "scripted", False, True

    def __init__(self, clock: SimClock, latencies_s: list[float] | None = None, faults: dict[int, str] | None = None) -> None:
        self.clock, self.latencies_s, self.faults, self.num = clock, latencies_s or [], faults or {}, 0

    def act(self, observation: Observation) -> Plan:
        index, self.num = self.num, self.num + 1
        self.clock.advance(self.latencies_s[index] if index < len(self.latencies_s) else 0.01)
        fault = self.faults.get(index)
        if fault == "raise":
            raise FloatingPointError("scripted")
        accel = np.full((1, NUM_STEPS), index / 100) + np.arange(NUM_STEPS) / 10_000  # step k of plan i asks for i/100 + k/10000
        if fault == "nan":
            accel[0, 3] = np.nan
        if fault == "limits":
            accel[0, 3] = 9.0
        return Plan(trajectory=Trajectory(accel_mps2=accel, curvature_per_m=np.full((1, NUM_STEPS), 0.02)))


@pytest.fixture(name="observe")
def observe_fixture() -> Callable[..., Observation]:
    return observe


@pytest.fixture
def scripted() -> type[ScriptedPolicy]:
    return ScriptedPolicy
