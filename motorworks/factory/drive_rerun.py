"""A drive as a recording for rerun (rerun.io): turn, zoom and step through it. No viewer is started; open the file with `rerun FILE.rrd`.

Everything lies in the town's world frame; what moves with the ego lies below `world/ego`, in the rig frame. The timeline is `drive`, in seconds.
"""

import importlib
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from motorworks.bodies.body import CAR, integrate
from motorworks.datatypes.agent import AGENT_KINDS
from motorworks.datatypes.rig import FRONT
from motorworks.datatypes.rollout import Rollout
from motorworks.datatypes.trajectory import DT_S
from motorworks.drive.log import StepLog
from motorworks.drive.vehicle import OK
from motorworks.factory.errors import BadUsage
from motorworks.factory.progress import Progress
from motorworks.factory.report.top_down import DRIVEN, EGO, KIND_COLOURS, PLAN
from motorworks.geometry.array import Array
from motorworks.sim.ground import build_town
from motorworks.sim.lanes import DRIVE, Lanes

TIMELINE, STEPS = "drive", "step"
CAR_HEIGHT_M = 1.5
HEIGHTS_M = (1.5, 2.2, 3.2, 3.1, 2.4, 1.7, 1.75, 1.2, 0.7, 1.0, 0.3)  # by kind; a rollout knows length and width only
PLAN_ABOVE_M, LANES_ABOVE_M = 0.1, 0.02
JPEG_QUALITY = 85
_LANE, _LINE_RADIUS_M = (120, 124, 132), 0.06


def load_rerun() -> Any:
    """The SDK, loaded only when asked for; BadUsage says how to install it."""
    try:
        rerun = importlib.import_module("rerun")
    except ImportError as error:
        raise BadUsage(f"--rrd needs rerun, which cannot be loaded here ({error}): pip install 'motorworks[viz]'") from error
    if not hasattr(rerun, "RecordingStream"):
        raise BadUsage("--rrd needs rerun-sdk; another package called rerun is installed: pip uninstall rerun, then pip install 'motorworks[viz]'")
    return rerun


def write_recording(path: Path, rollout: Rollout, steps: Sequence[StepLog], progress: Progress) -> None:
    """A row a step and the end state, at 10 Hz. A rollout without frames or plans has no picture or plan in it."""
    rerun = load_rerun()
    temporary = path.with_name(f".{path.name}.tmp")
    progress.started(f"recording {path.name}", 1, 1)
    try:
        rerun.set_strict_mode(True)  # else what the SDK does not understand is left out with a warning
        recording = rerun.RecordingStream("motorworks")
        recording.save(temporary)
        recording.send_recording_name(f"{rollout.scenario.name} {rollout.policy}")
        _log_still(rerun, recording, rollout)
        num = len(rollout.speed_mps)
        for index in range(num):
            recording.set_time(TIMELINE, duration=index * DT_S)
            recording.set_time(STEPS, sequence=index)
            _log_moment(rerun, recording, rollout, index)
            if index < len(steps):
                _log_said(rerun, recording, steps[index], steps[index - 1] if index else None)
            progress.advance(index + 1, num, "steps", "")
        recording.disconnect()  # flushes, then closes the file
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _log_still(rerun: Any, recording: Any, rollout: Rollout) -> None:
    """What holds for the whole drive: axes, the ego's box, its camera, the lanes, the way driven."""
    camera = FRONT.cameras[0]
    recording.log("world", rerun.ViewCoordinates.RIGHT_HAND_Z_UP, static=True)
    half = (CAR.length_m / 2, CAR.width_m / 2, CAR_HEIGHT_M / 2)
    recording.log(
        "world/ego/body", rerun.Boxes3D(centers=[(CAR.centre_ahead_m, 0.0, half[2])], half_sizes=[half], colors=[EGO], labels=["ego"]), static=True
    )
    recording.log("world/ego/camera", rerun.Transform3D(translation=camera.position_rig_m, mat3x3=camera.rig_from_camera), static=True)
    pinhole = rerun.Pinhole(
        focal_length=camera.focal_px, principal_point=camera.centre_px, width=camera.width_px, height=camera.height_px,
        camera_xyz=rerun.ViewCoordinates.RDF, image_plane_distance=2.0,
    )  # fmt: skip
    recording.log("world/ego/camera", pinhole, static=True)
    lanes = lane_lines(build_town(rollout.scenario.town_seed).network.lanes)
    recording.log("world/lanes", rerun.LineStrips3D(lanes, colors=[_LANE], radii=[_LINE_RADIUS_M]), static=True)
    recording.log("world/driven", rerun.LineStrips3D([_at_height(rollout.ego_world, PLAN_ABOVE_M)], colors=[DRIVEN], radii=[0.15]), static=True)


def _log_moment(rerun: Any, recording: Any, rollout: Rollout, index: int) -> None:
    """Where everyone is, what the camera sees, what is planned, how fast."""
    x, y, yaw = (float(value) for value in rollout.ego_world[index])
    recording.log("world/ego", rerun.Transform3D(translation=(x, y, 0.0), rotation=rerun.RotationAxisAngle(axis=(0, 0, 1), radians=yaw)))
    recording.log("world/agents", _agent_boxes(rerun, rollout, index))
    recording.log("motion/speed_mps", rerun.Scalars(float(rollout.speed_mps[index])))
    recording.log("motion/speed_limit_mps", rerun.Scalars(float(rollout.speed_limit_mps[index])))
    recording.log("motion/accel_mps2", rerun.Scalars(float(rollout.accel_mps2[index])))
    if rollout.frames is not None:
        recording.log("world/ego/camera", rerun.EncodedImage(contents=_as_jpeg(rollout.frames[index]), media_type="image/jpeg"))
    if rollout.plans is not None and index < len(rollout.speed_mps) - 1:  # the end state has no plan
        poses, _ = integrate(rollout.plans[index], np.asarray(float(rollout.speed_mps[index])))
        points = _at_height(np.concatenate([np.zeros((1, 3)), poses]), PLAN_ABOVE_M)
        recording.log("world/ego/plan", rerun.LineStrips3D([points], colors=[PLAN], radii=[0.25]))


def _agent_boxes(rerun: Any, rollout: Rollout, index: int) -> Any:
    """One box for each agent that is there; colour and label by kind."""
    valid = rollout.agents_valid[index]
    here, kinds = rollout.agents_world[index][valid].astype(np.float64), rollout.agents_kind[valid]
    heights = np.array(HEIGHTS_M)[kinds]
    half_yaw = here[:, 2] / 2
    zero = np.zeros_like(half_yaw)
    return rerun.Boxes3D(
        centers=np.column_stack([here[:, :2], heights / 2]),
        half_sizes=np.column_stack([here[:, 4:6], heights]) / 2,
        quaternions=np.column_stack([zero, zero, np.sin(half_yaw), np.cos(half_yaw)]),
        colors=np.array(KIND_COLOURS, np.uint8)[kinds],
        labels=[AGENT_KINDS[kind] for kind in kinds],
    )


def _log_said(rerun: Any, recording: Any, log: StepLog, before: StepLog | None) -> None:
    """Instruction, thought and health, where they change."""
    if before is None or log.instruction != before.instruction:
        recording.log("says/instruction", rerun.TextLog(log.instruction, level="INFO"))
    if log.thought and (before is None or log.thought != before.thought):
        recording.log("says/thought", rerun.TextLog(log.thought, level="INFO"))
    if log.health != OK and (before is None or (log.health, log.reason) != (before.health, before.reason)):
        recording.log("says/health", rerun.TextLog(f"{log.health}: {log.reason}", level="WARN"))


def lane_lines(lanes: Lanes) -> list[Float[Array, "point 3"]]:
    """Centre lines of what is driven on, in the world."""
    driven = np.flatnonzero(lanes.kind == DRIVE)
    return [_at_height(lanes.points[lanes.first[lane] : lanes.first[lane] + lanes.num_points[lane]], LANES_ABOVE_M) for lane in driven]


def _at_height(points: Float[Array, "point column"], height_m: float) -> Float[Array, "point 3"]:
    return np.column_stack([points[:, :2], np.full(len(points), height_m)])


def _as_jpeg(frame: UInt8[Array, "height width 3"]) -> bytes:
    packed = io.BytesIO()
    Image.fromarray(frame).save(packed, format="JPEG", quality=JPEG_QUALITY)
    return packed.getvalue()
