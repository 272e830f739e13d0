"""Ego motion from what a vehicle says about itself: poses, or speed and how it turns, or positions alone."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int64

from motorworks.bodies.body import Body
from motorworks.clips.clock import TICK_US
from motorworks.datatypes.clip import Motion
from motorworks.datatypes.trajectory import DT_S
from motorworks.geometry.array import Array
from motorworks.geometry.se2 import wrap_angle

SUFFICIENT = "speed with yaw, heading, yaw_rate or steering; or lat with lon"
_CREEP_M = 0.05  # per step: below this, turn over distance is noise
_COURSE_MPS = 0.5  # below this a course over ground is noise, and the last one is held
MAX_TRACK_GAP_S = 2.5  # a satellite receiver speaks once a second
WGS84_M, WGS84_E2 = 6378137.0, 6.69437999014e-3


@dataclass(frozen=True, kw_only=True)
class Track:
    """What a vehicle said, on one increasing clock; what it did not say is None. Yaw is from east, counter-clockwise; left curvature is positive."""

    time_us: Int64[Array, " sample"]
    poses_world: Float[Array, "sample 3"] | None = None
    speed_mps: Float[Array, " sample"] | None = None
    yaw_rad: Float[Array, " sample"] | None = None
    course_rad: Float[Array, " sample"] | None = None  # yaw as a satellite receiver knows it: noise while the car stands
    yaw_rate_radps: Float[Array, " sample"] | None = None
    curvature_per_m: Float[Array, " sample"] | None = None
    position_m: Float[Array, "sample 2"] | None = None  # east, north

    @property
    def used(self) -> tuple[str, ...]:
        """The fields that `solve` uses: the first set that suffices; none if no set does."""
        turns = ("yaw_rad", "course_rad", "yaw_rate_radps", "curvature_per_m")
        sets = (
            ("poses_world", "speed_mps"),
            ("poses_world",),
            *(("speed_mps", turn) for turn in turns),
            ("position_m", "speed_mps"),
            ("position_m",),
        )
        return next((names for names in sets if all(getattr(self, name) is not None for name in names)), ())

    def covers(self, clock_us: Int64[Array, " frame"]) -> Bool[Array, " frame"]:
        """Times that lie within the track and not in a gap of it."""
        if len(self.time_us) < 2:
            return np.zeros(len(clock_us), bool)
        later = np.clip(np.searchsorted(self.time_us, clock_us), 1, len(self.time_us) - 1)
        inside = (clock_us >= self.time_us[0]) & (clock_us <= self.time_us[-1])
        return inside & (self.time_us[later] - self.time_us[later - 1] <= MAX_TRACK_GAP_S * 1e6)


@dataclass(frozen=True, kw_only=True)
class Path:
    """Poses and speed on one increasing clock, at least at 10 Hz where the track had none denser. Yaw does not wrap."""

    time_us: Int64[Array, " sample"]
    poses_world: Float[Array, "sample 3"]
    speed_mps: Float[Array, " sample"]

    def motion(self, tick_us: Int64[Array, " tick"], *, kind: str, body: Body) -> Motion:
        """The motion at ticks within the path."""
        columns = [np.interp(tick_us, self.time_us, column) for column in self.poses_world.T]
        return motion_at_ticks(np.stack(columns, axis=-1), np.interp(tick_us, self.time_us, self.speed_mps), kind=kind, body=body)


def motion_at_ticks(poses: Float[Array, "tick 3"], speed_mps: Float[Array, " tick"], *, kind: str, body: Body) -> Motion:
    """Poses (yaw unwrapped) and speed at the ticks; the controls that lead from each to the next. The last row's are those before it."""
    distance, turn = (speed_mps[1:] + speed_mps[:-1]) / 2 * DT_S, np.diff(poses[:, 2])
    moving = np.abs(distance) > _CREEP_M
    limit = body.max_curvature_per_m
    curvature = np.clip(np.where(moving, turn / np.where(moving, distance, 1.0), 0.0), -limit, limit)
    accel = np.diff(speed_mps) / DT_S
    return Motion(
        kind=kind,
        poses_world=np.concatenate([poses[:, :2], wrap_angle(poses[:, 2:])], axis=-1),
        speed_mps=speed_mps.astype(np.float32),
        accel_mps2=np.append(accel, accel[-1]).astype(np.float32),
        curvature_per_m=np.append(curvature, curvature[-1]).astype(np.float32),
    )


def solve(track: Track) -> Path:
    """The path of a track whose `used` fields are finite; raises ValueError where they do not suffice."""
    used = track.used
    if not used or len(track.time_us) < 2:
        raise ValueError(f"needs two samples of {SUFFICIENT}")
    if track.poses_world is not None:
        return _along_poses(track)
    time_us = np.arange(track.time_us[0], track.time_us[-1] + 1, TICK_US, dtype=np.int64)
    speed = None if track.speed_mps is None else np.interp(time_us, track.time_us, track.speed_mps)
    if used[0] == "position_m":
        position, velocity = _smooth(track.time_us, track.position_m, time_us)
        ground_mps = np.hypot(*velocity.T)
        yaw = _hold(np.arctan2(velocity[:, 1], velocity[:, 0]), ground_mps > _COURSE_MPS)
        if speed is None:
            return Path(time_us=time_us, poses_world=np.column_stack([position, yaw]), speed_mps=ground_mps)
    elif used[1] == "yaw_rad":
        yaw = np.interp(time_us, track.time_us, np.unwrap(track.yaw_rad))
    elif used[1] == "course_rad":
        course = _hold(track.course_rad, np.abs(track.speed_mps) > _COURSE_MPS)
        yaw = _smooth(track.time_us, course[:, None], time_us)[0][:, 0]
    else:
        own_s = np.diff(track.time_us) / 1e6
        rate = track.yaw_rate_radps if used[1] == "yaw_rate_radps" else track.speed_mps * track.curvature_per_m
        turned = np.concatenate([[0.0], np.cumsum((rate[1:] + rate[:-1]) / 2 * own_s)])
        yaw = np.interp(time_us, track.time_us, turned)
    return Path(time_us=time_us, poses_world=_roll_out(speed, yaw), speed_mps=speed)


def east_north(lat_deg: Float[Array, " sample"], lon_deg: Float[Array, " sample"]) -> Float[Array, "sample 2"]:
    """Metres east and north of the first finite fix, on the plane that touches the ellipsoid there (1 m off at 10 km)."""
    first = int(np.argmax(np.isfinite(lat_deg) & np.isfinite(lon_deg)))
    lat = np.deg2rad(lat_deg[first])
    bend = 1 - WGS84_E2 * np.sin(lat) ** 2
    across_m, along_m = WGS84_M / np.sqrt(bend), WGS84_M * (1 - WGS84_E2) / bend**1.5
    east = wrap_angle(np.deg2rad(lon_deg - lon_deg[first])) * across_m * np.cos(lat)
    return np.stack([east, np.deg2rad(lat_deg - lat_deg[first]) * along_m], axis=-1)


def yaw_from_heading(heading_deg: Float[Array, " sample"]) -> Float[Array, " sample"]:
    """Clockwise from north in degrees to counter-clockwise from east in radians."""
    return wrap_angle(np.pi / 2 - np.deg2rad(heading_deg))


def _along_poses(track: Track) -> Path:
    poses = np.column_stack([track.poses_world[:, :2], np.unwrap(track.poses_world[:, 2])])
    speed = track.speed_mps
    if speed is None:
        _, velocity = _smooth(track.time_us, poses[:, :2], track.time_us)
        speed = velocity[:, 0] * np.cos(poses[:, 2]) + velocity[:, 1] * np.sin(poses[:, 2])
    return Path(time_us=track.time_us, poses_world=poses, speed_mps=speed)


def _roll_out(speed: Float[Array, " sample"], yaw: Float[Array, " sample"]) -> Float[Array, "sample 3"]:
    """Midpoint rule at 10 Hz, from the origin on."""
    distance, yaw_mid = (speed[1:] + speed[:-1]) / 2 * DT_S, (yaw[1:] + yaw[:-1]) / 2
    steps = np.stack([distance * np.cos(yaw_mid), distance * np.sin(yaw_mid)], axis=-1)
    return np.column_stack([np.concatenate([np.zeros((1, 2)), np.cumsum(steps, axis=0)]), yaw])


def _hold(angle: Float[Array, " sample"], good: Array) -> Float[Array, " sample"]:
    """Unwrapped; where not good, the last good one (before the first: the first)."""
    if not good.any():
        return np.zeros(len(angle))
    index = np.maximum.accumulate(np.where(good, np.arange(len(angle)), -1))
    return np.unwrap(angle[np.where(index < 0, int(np.argmax(good)), index)])


def _smooth(
    time_us: Int64[Array, " sample"], values: Float[Array, "sample dim"], at_us: Int64[Array, " tick"]
) -> tuple[Float[Array, "tick dim"], Float[Array, "tick dim"]]:
    """Value and rate of a parabola fitted around each tick, weighted by a bell of 0.5 s or, if that is longer, of one step."""
    width_us = max(500_000.0, float(np.median(np.diff(time_us))))
    here, num = np.searchsorted(time_us, at_us), min(4, len(time_us))  # so many at least, also within a gap
    starts = np.clip(np.minimum(np.searchsorted(time_us, at_us - 3 * width_us), here - 2), 0, len(time_us) - num)
    stops = np.clip(np.maximum(np.searchsorted(time_us, at_us + 3 * width_us), here + 2), num, len(time_us))
    value, rate = np.empty((len(at_us), values.shape[1])), np.empty((len(at_us), values.shape[1]))
    for row, (tick, start, stop) in enumerate(zip(at_us, starts, stops, strict=True)):
        part_s = (time_us[start:stop] - tick) / 1e6
        weight = np.maximum(np.exp(-0.25 * (part_s * 1e6 / width_us) ** 2), 1e-9)[:, None]  # the root of the bell
        terms = np.stack([np.ones_like(part_s), part_s, part_s**2], axis=-1)[:, : min(3, stop - start)]
        solution = np.linalg.lstsq(terms * weight, values[start:stop] * weight, rcond=None)[0]
        value[row], rate[row] = solution[0], solution[1]
    return value, rate
