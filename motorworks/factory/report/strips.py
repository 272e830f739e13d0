"""Film strips: some frames of a drive, the plan painted on the road, perhaps the same from above, time, speed and chain of thought below."""

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt8
from PIL import Image, ImageDraw, ImageFont

from motorworks.bodies.body import integrate
from motorworks.datatypes.thought import Thought
from motorworks.datatypes.trajectory import DT_S, Trajectory
from motorworks.geometry.array import Array

_SHOWN_S = 3.0  # of the plan: further ahead it is a pixel wide
_BAND_HALF_M = 0.55
_NEAREST_M = 0.5  # in front of the lens; nearer ground cannot be projected
_PLAN, _PANEL, _INK, _SOFT = (64, 156, 255), (20, 24, 32), (235, 238, 244), (150, 160, 176)


@dataclass(frozen=True, kw_only=True)
class GroundCamera:
    """A pinhole camera above flat ground, looking forward; what is needed to paint on the road."""

    focal_px: float
    centre_px: tuple[float, float]  # column and row of the optical axis
    height_m: float
    ahead_m: float  # of the rear axle
    width_px: int
    height_px: int
    pitch_rad: float = 0.0  # positive looks down

    def project(self, points_rig_m: Float[Array, "point 2"]) -> tuple[Float[Array, "point 2"], Bool[Array, " point"]]:
        """Pixels of points on the ground, and whether they are in front of the lens."""
        forward, left = points_rig_m[:, 0] - self.ahead_m, points_rig_m[:, 1]
        cos, sin = np.cos(self.pitch_rad), np.sin(self.pitch_rad)
        depth = forward * cos + self.height_m * sin
        down = self.height_m * cos - forward * sin
        ahead = depth > _NEAREST_M
        depth = np.where(ahead, depth, 1.0)
        u = self.centre_px[0] - self.focal_px * left / depth
        v = self.centre_px[1] + self.focal_px * down / depth
        return np.stack([u, v], axis=-1), ahead


def draw_strip(
    frames: UInt8[Array, "time height width 3"],
    plans: Trajectory,
    speeds_mps: Float[Array, " time"],
    thoughts: Sequence[Thought | None] | None,
    camera: GroundCamera,
    *,
    steps: Sequence[int],
    captions: Sequence[str] | None = None,
    frame_width_px: int = 320,
    inset: Callable[[int], Image.Image] | None = None,
    can_reverse: bool = False,
) -> Image.Image:
    """The chosen steps side by side. `plans` are `[time step]`, one per frame; a caption per chosen step takes the place of the time.

    `inset(step)` draws a picture that lies below the frame of that step, brought to the frame's width: see `report/top_down.py`.
    """
    if len(plans.accel_mps2) < len(frames):  # the end state has no plan
        frames = frames[: len(plans.accel_mps2)]
    chosen = [min(max(int(step), 0), len(frames) - 1) for step in steps]
    if not chosen:
        raise ValueError("a film strip needs at least one step")
    height_px = round(frame_width_px * frames.shape[1] / frames.shape[2])
    insets = [_as_wide(inset(step), frame_width_px) for step in chosen] if inset else []
    gap_px, panel_px = 6, 84
    panel_top = height_px + max((below.height for below in insets), default=0)
    strip = Image.new("RGB", (len(chosen) * (frame_width_px + gap_px) - gap_px, panel_top + panel_px), _PANEL)
    for place, step in enumerate(chosen):
        left = place * (frame_width_px + gap_px)
        frame = draw_plan(frames[step], plans[step], float(speeds_mps[step]), camera, width_px=frame_width_px, can_reverse=can_reverse)
        strip.paste(frame, (left, 0))
        if insets:
            strip.paste(insets[place], (left, height_px))
        title = captions[place] if captions else f"{step * DT_S:.1f} s"
        thought = thoughts[step] if thoughts and step < len(thoughts) else None
        _write_panel(
            strip, (left, panel_top), frame_width_px, f"{title}   {3.6 * float(speeds_mps[step]):.0f} km/h", "" if thought is None else str(thought)
        )
    return strip


def draw_plan(
    frame: UInt8[Array, "height width 3"], plan: Trajectory, speed_mps: float, camera: GroundCamera, *, width_px: int, can_reverse: bool = False
) -> Image.Image:
    """One frame with its plan as a band that fades with distance."""
    height_px = round(width_px * frame.shape[0] / frame.shape[1])
    image = Image.fromarray(np.ascontiguousarray(frame)).resize((width_px, height_px), Image.Resampling.BICUBIC).convert("RGBA")
    poses, _ = integrate(plan, np.asarray(speed_mps), can_reverse=can_reverse)
    poses = np.concatenate([np.zeros((1, 3)), poses[: round(_SHOWN_S / DT_S)]])
    poses = _dense(poses)
    side = np.stack([-np.sin(poses[:, 2]), np.cos(poses[:, 2])], axis=-1) * _BAND_HALF_M
    left, left_ok = camera.project(poses[:, :2] + side)
    right, right_ok = camera.project(poses[:, :2] - side)
    scale = np.array([width_px / camera.width_px, height_px / camera.height_px])
    left, right, shown = left * scale, right * scale, left_ok & right_ok
    band = Image.new("RGBA", image.size, (0, 0, 0, 0))
    pen = ImageDraw.Draw(band)
    for index in range(len(poses) - 1):
        if shown[index] and shown[index + 1]:
            alpha = int(160 - 110 * index / len(poses))
            corners = [tuple(left[index]), tuple(left[index + 1]), tuple(right[index + 1]), tuple(right[index])]
            pen.polygon(corners, fill=(*_PLAN, alpha))
    return Image.alpha_composite(image, band).convert("RGB")


def pick_steps(num_steps: int, *, around: int | None = None, num: int = 4, every_s: float = 1.0) -> list[int]:
    """Steps worth showing: evenly over a drive, or the last seconds up to a moment."""
    if around is None:
        return [round(value) for value in np.linspace(0.06, 0.94, num) * (num_steps - 1)]
    back = [around - round(every_s / DT_S) * index for index in range(num)]
    return sorted({max(step, 0) for step in back})


def _dense(poses: Float[Array, "pose 3"]) -> Float[Array, "dense 3"]:
    """Poses every 0.3 m: a band of few long quads would bend visibly."""
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(poses[:, :2], axis=0), axis=1))])
    if along[-1] < 0.3:
        return poses[:1]
    at = np.arange(0.0, along[-1], 0.3)
    return np.stack([np.interp(at, along, np.unwrap(poses[:, 2]) if axis == 2 else poses[:, axis]) for axis in range(3)], axis=-1)


def _as_wide(image: Image.Image, width_px: int) -> Image.Image:
    return image if image.width == width_px else image.resize((width_px, round(image.height * width_px / image.width)), Image.Resampling.BICUBIC)


def _write_panel(strip: Image.Image, corner: tuple[int, int], width_px: int, first: str, second: str) -> None:
    pen = ImageDraw.Draw(strip)
    x, y = corner[0] + 10, corner[1] + 8
    pen.text((x, y), first, fill=_INK, font=ImageFont.load_default(17))
    for number, line in enumerate(textwrap.wrap(second, max(width_px // 9, 12))[:2]):
        pen.text((x, y + 25 + 20 * number), line, fill=_SOFT, font=ImageFont.load_default(16))
