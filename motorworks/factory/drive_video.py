"""A drive as a video: what the camera saw with the plan painted on the road, the same from above, and below what the vehicle knew and thought."""

import os
import textwrap
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from motorworks.clips.frames import FRAME_HZ
from motorworks.datatypes.agent import AGENT_KINDS
from motorworks.datatypes.rig import FRONT
from motorworks.datatypes.rollout import Rollout
from motorworks.datatypes.trajectory import DT_S
from motorworks.drive.log import StepLog
from motorworks.drive.vehicle import FALLBACK, LATE, OK
from motorworks.factory.progress import Progress
from motorworks.factory.report.strips import draw_plan
from motorworks.factory.report.top_down import KIND_COLOURS, draw_top_down
from motorworks.factory.town_camera import town_camera
from motorworks.sim.ground import build_town

SCALE = 3
CAMERA_PX, PICTURE_PX, PANEL_PX = SCALE * FRONT.cameras[0].width_px, SCALE * FRONT.cameras[0].height_px, 128
WIDTH_PX = CAMERA_PX + PICTURE_PX  # beside the camera's picture a square one from above; H.264 wants even sizes
END_FRAMES = 20  # the end stays on screen for two seconds, to be read
_PANEL, _INK, _SOFT, _ROUTE, _TRACK = (20, 24, 32), (235, 238, 244), (150, 160, 176), (64, 156, 255), (44, 51, 64)
_HEALTH = {OK: (46, 160, 103), LATE: (214, 150, 40), FALLBACK: (208, 62, 52)}


def write_video(path: Path, rollout: Rollout, steps: Sequence[StepLog], progress: Progress) -> None:
    """H.264 at 10 Hz: a frame a step, then the end state for a while. Drawn and encoded one by one, so memory stays small."""
    if rollout.frames is None or rollout.plans is None:
        raise ValueError(f"{rollout.scenario.name}: a video needs frames and plans; roll out with keep_frames and keep_plans")
    temporary = path.with_name(f".{path.name}.tmp")
    total = len(steps) + 1 + END_FRAMES
    progress.started(f"video {path.name}", 1, 1)
    try:
        with av.open(str(temporary), "w", format="mp4", options={"movflags": "faststart"}) as container:
            options = {"crf": "17", "preset": "fast", "g": str(2 * FRAME_HZ), "threads": "2"}
            stream = container.add_stream("libx264", rate=Fraction(FRAME_HZ, 1), options=options)
            stream.width, stream.height, stream.pix_fmt = WIDTH_PX, PICTURE_PX + PANEL_PX, "yuv420p"
            for index, image in enumerate(draw_frames(rollout, steps)):
                frame = av.VideoFrame.from_ndarray(np.asarray(image), format="rgb24")
                frame.pts, frame.time_base = index, Fraction(1, FRAME_HZ)
                container.mux(stream.encode(frame))
                progress.advance(index + 1, total, "frames", "")
            container.mux(stream.encode(None))
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def draw_frames(rollout: Rollout, steps: Sequence[StepLog]) -> Iterator[Image.Image]:
    """One picture a step, then the end."""
    assert rollout.frames is not None and rollout.plans is not None
    camera, town = town_camera(), build_town(rollout.scenario.town_seed)
    square = (PICTURE_PX, PICTURE_PX)
    for index, log in enumerate(steps):
        picture = draw_plan(rollout.frames[index], rollout.plans[index], float(rollout.speed_mps[index]), camera, width_px=CAMERA_PX)
        yield _with_panel(picture, draw_top_down(town, rollout, index, size_px=square), rollout, index, log)
    picture = Image.fromarray(rollout.frames[-1]).resize((CAMERA_PX, PICTURE_PX), Image.Resampling.BICUBIC)
    _write_outcome(picture, rollout)
    last = _with_panel(picture, draw_top_down(town, rollout, len(steps), size_px=square), rollout, len(steps), steps[-1])
    for _ in range(1 + END_FRAMES):
        yield last


def _with_panel(picture: Image.Image, above: Image.Image, rollout: Rollout, index: int, log: StepLog) -> Image.Image:
    """Speed and limit, route hint and thought, what the colours mean, health and time; the route driven as a bar above them."""
    image = Image.new("RGB", (WIDTH_PX, PICTURE_PX + PANEL_PX), _PANEL)
    image.paste(picture, (0, 0))
    image.paste(above, (CAMERA_PX, 0))
    pen, top = ImageDraw.Draw(image), PICTURE_PX
    share = float(np.clip(rollout.progress_m[index] / rollout.route_length_m, 0.0, 1.0))
    pen.rectangle((0, top, WIDTH_PX, top + 5), fill=_TRACK)
    pen.rectangle((0, top, share * WIDTH_PX, top + 5), fill=_ROUTE)
    speed_kmh, limit_kmh = 3.6 * float(rollout.speed_mps[index]), 3.6 * float(rollout.speed_limit_mps[index])
    pen.text((84, top + 76), f"{speed_kmh:.0f}", fill=_INK, font=ImageFont.load_default(54), anchor="rs")
    pen.text((92, top + 76), "km/h", fill=_SOFT, font=ImageFont.load_default(17), anchor="ls")
    pen.text((24, top + 108), f"limit {limit_kmh:.0f}", fill=_SOFT, font=ImageFont.load_default(16), anchor="ls")
    pen.text((170, top + 44), log.instruction, fill=_INK, font=ImageFont.load_default(24), anchor="ls")
    said = log.reason or log.thought or "no whole thought yet"
    for number, line in enumerate(textwrap.wrap(said, 66)[:2]):
        pen.text((170, top + 76 + 24 * number), line, fill=_SOFT, font=ImageFont.load_default(18), anchor="ls")
    _write_kinds(pen, (CAMERA_PX + 24, top + 18), rollout)
    pen.rounded_rectangle((WIDTH_PX - 150, top + 24, WIDTH_PX - 24, top + 52), 14, fill=_HEALTH[log.health])
    pen.text((WIDTH_PX - 87, top + 38), log.health, fill=(255, 255, 255), font=ImageFont.load_default(17), anchor="mm")
    took = "" if log.latency_s is None else f"plan {1000 * log.latency_s:.1f} ms"
    pen.text((WIDTH_PX - 24, top + 80), took, fill=_SOFT, font=ImageFont.load_default(16), anchor="rs")
    pen.text((WIDTH_PX - 24, top + 108), f"{index * DT_S:.1f} s", fill=_SOFT, font=ImageFont.load_default(16), anchor="rs")
    return image


def _write_kinds(pen: ImageDraw.ImageDraw, corner: tuple[int, int], rollout: Rollout) -> None:
    """What the boxes from above are, of the kinds in this drive."""
    kinds = sorted({int(kind) for kind in rollout.agents_kind[rollout.agents_valid.any(axis=0)]})
    for number, kind in enumerate(kinds):
        x, y = corner[0] + 118 * (number // 6), corner[1] + 16 * (number % 6)
        pen.rectangle((x, y + 2, x + 10, y + 12), fill=KIND_COLOURS[kind])
        pen.text((x + 18, y + 12), AGENT_KINDS[kind], fill=_SOFT, font=ImageFont.load_default(14), anchor="ls")


def _write_outcome(picture: Image.Image, rollout: Rollout) -> None:
    """Says over the last picture how the drive ended."""
    text = f"{rollout.outcome.replace('_', ' ')} · {float(rollout.progress_m.max()):.0f} of {rollout.route_length_m:.0f} m"
    pen = ImageDraw.Draw(picture)
    pen.rounded_rectangle((CAMERA_PX / 2 - 210, 36, CAMERA_PX / 2 + 210, 92), 14, fill=_PANEL)
    pen.text((CAMERA_PX / 2, 64), text, fill=_INK, font=ImageFont.load_default(26), anchor="mm")
