"""The vehicle's track, and where its cameras sit, of what a bag says.

ROS frames are ours (REP 103: x forward, y left, z up; radians, metres; left turns positive); an optical frame is x right, y down, z forward.
The rig is base_footprint or base_link where the transforms know it, else the odometry's child frame: assumed to be the rear axle on the ground,
as Autoware has it. A bag whose base_link lies elsewhere gives motion of that point.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float, Int64

from motorworks.clips.motion import Track, east_north, solve
from motorworks.clips.readers.rig_log import FORWARD_FROM_OPTICAL, camera_from, pose_matrix, track_of_poses
from motorworks.clips.readers.ros_log import BagLog
from motorworks.datatypes.rig import Camera
from motorworks.geometry.array import Array

_RIGS = ("base_footprint", "base_link")
_APART_MPS, _APART_FRAC = 0.5, 0.2  # a twist further than this from the speed of its poses, in the median, is none of the rig's
_TRIED_HZ = 10
Laid = Mapping[str, tuple[Int64[Array, " sample"], Float[Array, "sample value"]]]  # times in µs and finite numbers, by role


class Frames:
    """The tree of transforms; each is taken to be fixed, by the first that was told."""

    def __init__(self, log: BagLog) -> None:
        self._parents = log.frames
        odometry = log.numbers.get("odometry")
        self.child = "" if odometry is None else odometry.child
        known = {*log.frames, *(parent for parent, _ in log.frames.values())}
        self.rig = next((name for name in _RIGS if name in known), self.child or _RIGS[1])

    def find(self, to: str, source: str) -> Float[Array, "4 4"] | None:
        """to_from_source; None where no chain joins them."""
        chains = self._chain(to), self._chain(source)
        shared = next((frame for frame in chains[1] if frame in chains[0]), None)
        return None if shared is None else np.linalg.inv(chains[0][shared]) @ chains[1][shared]

    def _chain(self, frame: str) -> dict[str, Float[Array, "4 4"]]:
        """ancestor_from_frame by ancestor, itself first."""
        chain = {frame: np.eye(4)}
        pose = chain[frame]
        while frame in self._parents and self._parents[frame][0] not in chain:
            frame, step = self._parents[frame]
            pose = step @ pose
            chain[frame] = pose
        return chain


def track_of(laid: Laid, frames: Frames, notes: list[str]) -> Track | None:
    """From odometry, else from twist with imu, else from fixes; None where nothing suffices, and a note says what lacks."""
    if len(laid.get("odometry", ((),))[0]) > 1:
        return _of_odometry(*laid["odometry"], frames, notes)
    sources = {role: (time_us, values) for role, (time_us, values) in laid.items() if len(time_us) > 1}
    if "twist" in sources:
        time_us, said = sources["twist"]
        rate, of = said[:, 2] if (said[:, 2] != 0).any() else None, "twist"
        if "imu" in sources:
            rate, of = np.interp(time_us, sources["imu"][0], sources["imu"][1][:, 2]), "imu"
        if rate is not None:
            notes.append(f"motion from speed of twist and yaw rate of {of}")
            inside = _within(time_us, sources["imu"][0]) if of == "imu" else np.ones(len(time_us), bool)
            return Track(time_us=time_us[inside], speed_mps=said[inside, 0], yaw_rate_radps=rate[inside])
    if "fix" in sources:
        time_us, said = sources["fix"]
        position, speed = east_north(*said.T), None
        if "twist" in sources:
            inside = _within(time_us, sources["twist"][0])
            time_us, position = time_us[inside], position[inside]
            speed = np.interp(time_us, sources["twist"][0], sources["twist"][1][:, 0])
        notes.append(f"motion from positions of fix{'' if speed is None else ' and speed of twist'}; where the antenna sits is not known")
        return Track(time_us=time_us, position_m=position, speed_mps=speed)
    lacks = "twist says no yaw rate and there is no imu or fix" if "twist" in sources else "there is no odometry, twist or fix"
    notes.append(f"{lacks}: pictures only")
    return None


def _of_odometry(time_us: Int64[Array, " sample"], said: Float[Array, "sample 10"], frames: Frames, notes: list[str]) -> Track:
    child_from_rig = frames.find(frames.child or frames.rig, frames.rig)
    if child_from_rig is None:
        notes.append(f"no transform joins {frames.child}, whose pose the odometry tells, with {frames.rig}: taken as the rear axle on the ground")
        child_from_rig = np.eye(4)
    elif frames.rig not in _RIGS:
        notes.append(f"{frames.rig} is taken as the rear axle on the ground")
    track = track_of_poses(time_us, np.stack([pose_matrix(row[3:7], row[:3]) for row in said]) @ child_from_rig)
    forward, place = child_from_rig[:3, 0], child_from_rig[:3, 3]
    speed = forward[0] * (said[:, 7] - said[:, 9] * place[1]) + forward[1] * (said[:, 8] + said[:, 9] * place[0])
    if np.isnan(speed).any():
        return track
    step = max(1, round(len(time_us) / max(1e-6, (time_us[-1] - time_us[0]) / 1e6) / _TRIED_HZ))
    few = replace(track, time_us=track.time_us[::step], poses_world=track.poses_world[::step])
    own = solve(few).speed_mps
    if np.median(np.abs(own - speed[::step])) <= max(_APART_MPS, _APART_FRAC * float(np.median(np.abs(own)))):
        return replace(track, speed_mps=speed)
    if not np.ptp(track.poses_world, axis=0).any() and (said[:, 9] != 0).any():
        notes.append("the odometry's poses never change: motion from its twist")
        return Track(time_us=time_us, speed_mps=speed, yaw_rate_radps=said[:, 9])
    notes.append("the odometry's twist is not the speed of its poses: speed from the poses")
    return track


def camera_of(name: str, log: BagLog, frames: Frames, notes: list[str]) -> Camera | None:
    """Calibration and mounting; None where either is not told, and a note says which."""
    info, frame = log.infos.get(name), log.shots[name].frame
    if info is None or not info.values:
        notes.append(f"{name} has no calibration ({'no camera_info beside its topic' if info is None else f'none on {info.topic}'})")
        return None
    size_px, matrix_px, bends = info.values[0]
    rig_from_camera = frames.find(frames.rig, frame) if frame else None
    if info.frame != frame or rig_from_camera is None:
        why = f"its camera_info speaks of {info.frame!r}" if info.frame != frame else f"no transform joins it with {frames.rig}"
        notes.append(f"{name} has no calibration (its pictures are of frame {frame!r}, {why})")
        return None
    if rig_from_camera[2, 2] > 0.7:  # it would look at the sky
        rig_from_camera = rig_from_camera @ FORWARD_FROM_OPTICAL
        notes.append(f"{frame} is no optical frame (z points up): {name} is taken to look along its x")
    if bends:
        notes.append(f"{name}: its lens distortion is left out")
    return camera_from(name, size_px, matrix_px, rig_from_camera)


def _within(time_us: Int64[Array, " sample"], other_us: Int64[Array, " other"]) -> Bool[Array, " sample"]:
    return (time_us >= other_us[0]) & (time_us <= other_us[-1])
