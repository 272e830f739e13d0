"""Samples: what a training step draws from. Struct of arrays, so a batch is a few numpy gathers."""

from dataclasses import dataclass, fields, replace

import numpy as np
from jaxtyping import Bool, Float, Int64, UInt8

from motorworks.bodies.body import BODIES, Body
from motorworks.datatypes.clip import Clip, Motion
from motorworks.datatypes.observation import NUM_PAST_POSES
from motorworks.datatypes.thought import Thought
from motorworks.datatypes.trajectory import NUM_STEPS, Trajectory
from motorworks.geometry.array import Array
from motorworks.geometry.se2 import compose, inverse
from motorworks.tokens.action import ActionCodec
from motorworks.tokens.camera import NUM_CAMERA, CameraCodec
from motorworks.tokens.ego import EgoCodec
from motorworks.tokens.image import ImageCodec
from motorworks.tokens.scene import NUM_ROAD
from motorworks.tokens.text import DEFAULT_INSTRUCTION, PAD_ID, TextCodec

FRAME_GAP_STEPS = 4
FORESIGHT_STEPS = 5
NUM_LATER = 3  # frames known beyond the next: 1.0, 1.5 and 2.0 s ahead
MIN_VALID_STEPS = 10  # a sample with less than 1 s of future teaches little about driving
FRAME_INDICES = ("frame_index", "next_frame_index", "later_frame_index")


@dataclass(frozen=True, kw_only=True)
class Samples:
    """`frames` is shared; every other array has one row per sample. Index -1 means there is no such frame."""

    frames: UInt8[Array, "picture 64 128 3"]
    frame_index: Int64[Array, "num frame view"]  # frames 0.4 s apart, the last now; of them views, the first looks ahead
    next_frame_index: Int64[Array, " num"]  # 0.5 s ahead
    later_frame_index: Int64[Array, "num 3"]  # 1.0, 1.5, 2.0 s ahead
    ego: Float[Array, "num ego"]  # tokens.ego
    ego_valid: Bool[Array, " num"]  # false: no telemetry, `ego` holds the body only
    instruction_ids: Int64[Array, "num 8"]
    thought_ids: Int64[Array, "num 16"]  # a row of padding: no thought known
    controls: Float[Array, "num 64 2"]  # normalised for the sample's body
    controls_valid: Bool[Array, "num 64"]
    speed_mps: Float[Array, " num"]
    curvature_scale_per_m: Float[Array, " num"]  # of the body: what normalised curvature 1 means
    distance_scale_m: Float[Array, " num"]  # of the body: a pose error that matters
    weight: Float[Array, " num"]  # how often to draw it, relative to the others
    step: Int64[Array, " num"]  # of its clip or tape
    road: Float[Array, "num road"]  # what a privileged eye sees of the road (tokens.scene); a row of NaN: nobody knows
    cameras: Float[Array, "num view 16"]  # tokens.camera; a row of zeros: nobody knows

    def __post_init__(self) -> None:
        num = len(self.frame_index)
        for item in fields(self):
            value = getattr(self, item.name)
            if item.name != "frames" and len(value) != num:
                raise ValueError(f"{item.name} has {len(value)} rows, frame_index has {num}")
        if self.frame_index.ndim != 3 or self.cameras.shape[1:] != (self.frame_index.shape[2], NUM_CAMERA):
            shapes = f"frame_index {self.frame_index.shape}, cameras {self.cameras.shape}"
            raise ValueError(f"frame_index must be [num, frame, view] and cameras [num, view, {NUM_CAMERA}], got {shapes}")
        if self.frames.dtype != np.uint8:
            raise ValueError(f"frames must be uint8, got {self.frames.dtype}")
        highest = max(int(getattr(self, name).max(initial=-1)) for name in FRAME_INDICES)
        if highest >= len(self.frames):
            raise ValueError(f"a sample points at frame {highest}, there are {len(self.frames)}")

    def __len__(self) -> int:
        return len(self.frame_index)

    def select(self, index: Int64[Array, " some"] | Bool[Array, " num"]) -> "Samples":
        """Some of the samples, over the same frames."""
        return Samples(frames=self.frames, **{item.name: getattr(self, item.name)[index] for item in fields(self) if item.name != "frames"})

    def seen_as(self, *, num_frames: int, num_views: int) -> "Samples":
        """The newest frames and first views of each; ValueError where a model wants more than was kept."""
        frames, views = self.frame_index.shape[1:]
        if frames < num_frames or views < num_views:
            raise ValueError(
                f"the model looks at {num_frames} frames of {num_views} cameras, the samples hold {frames} of {views}: "
                "set num_frames and num_views where they are made (CurateConfig, samples_from_clip)"
            )
        if (frames, views) == (num_frames, num_views):
            return self
        return replace(self, frame_index=self.frame_index[:, frames - num_frames :, :num_views], cameras=self.cameras[:, :num_views])

    def reweighted(self, factor: float) -> "Samples":
        """The same, drawn `factor` times as often beside others."""
        return replace(self, weight=(self.weight * factor).astype(np.float32))

    @property
    def has_thought(self) -> Bool[Array, " num"]:
        """Whether decision and cause are labelled."""
        return (self.thought_ids != PAD_ID).any(axis=1)


def samples_from_clip(
    clip: Clip,
    *,
    image_codec: ImageCodec | None = None,
    text_codec: TextCodec | None = None,
    stride: int = 2,
    weight: float | Float[Array, " time"] = 1.0,
    imitate: bool = True,
    num_frames: int = 2,
    num_views: int = 1,
) -> Samples:
    """Every `stride`-th step of a clip. Without motion, or where it is not to be imitated, the controls are invalid and only the
    world loss learns from it. `weight` is one number or one per step of the clip. Of side cameras the first ones with a calibration
    are taken, those that are missing have no picture."""
    image_codec, text_codec = image_codec or ImageCodec(), text_codec or TextCodec()
    body, num = _body(clip.body), len(clip.timestamp_us)
    steps = np.arange(0, num, stride)
    controls, controls_valid = np.zeros((num, NUM_STEPS, 2), np.float32), np.zeros((num, NUM_STEPS), bool)
    if clip.motion is not None:
        controls, controls_valid = _future_controls(clip.motion, body)
        steps = steps[controls_valid[steps].sum(axis=1) >= MIN_VALID_STEPS]
        controls_valid &= imitate
    frames, cameras = _pictures(clip, image_codec, num_views)
    index = np.full((len(steps), num_frames, num_views), -1, np.int64)
    ahead = np.full((len(steps), 1 + NUM_LATER), -1, np.int64)
    if clip.frames is not None:
        before = steps[:, None] - FRAME_GAP_STEPS * np.arange(num_frames)[::-1]
        for view in range(len(frames) // num):
            index[:, :, view] = np.where(before >= 0, view * num + before, -1)
        ahead = steps[:, None] + FORESIGHT_STEPS * np.arange(1, 2 + NUM_LATER)
        ahead = np.where(ahead < num, ahead, -1)
    instructions = clip.instructions or (DEFAULT_INSTRUCTION,) * num
    thoughts: tuple[Thought | None, ...] = clip.thoughts or (None,) * num
    action = ActionCodec(body=body)
    return Samples(
        frames=frames,
        frame_index=index,
        next_frame_index=ahead[:, 0].astype(np.int64),
        later_frame_index=ahead[:, 1:].astype(np.int64),
        ego=_ego(clip, steps),
        ego_valid=np.full(len(steps), clip.motion is not None),
        instruction_ids=text_codec.encode_instruction(tuple(instructions[step] for step in steps)),
        thought_ids=text_codec.encode_thought(tuple(thoughts[step] for step in steps)),
        controls=controls[steps],
        controls_valid=controls_valid[steps],
        speed_mps=np.zeros(len(steps), np.float32) if clip.motion is None else clip.motion.speed_mps[steps].astype(np.float32),
        curvature_scale_per_m=np.full(len(steps), action.curvature_scale_per_m, np.float32),
        distance_scale_m=np.full(len(steps), action.distance_scale_m, np.float32),
        weight=np.broadcast_to(np.asarray(weight, np.float32), (num,))[steps].copy(),
        step=steps,
        road=np.full((len(steps), NUM_ROAD), np.nan, np.float32),
        cameras=np.repeat(cameras[None], len(steps), axis=0),
    )


def samples_from_arrays(
    *,
    images: UInt8[Array, "frame 64 128 3"],
    frame_index: Int64[Array, "num frame"] | Int64[Array, "num frame view"],
    next_frame_index: Int64[Array, " num"] | None = None,
    later_frame_index: Int64[Array, "num 3"] | None = None,
    ego: Float[Array, "num ego"],
    instructions: tuple[str, ...],
    trajectory: Trajectory,
    speed_mps: Float[Array, " num"],
    body: Body,
    thoughts: tuple[Thought | None, ...] | None = None,
    weight: Float[Array, " num"] | None = None,
    step: Int64[Array, " num"] | None = None,
    road: Float[Array, "num road"] | None = None,
    cameras: Float[Array, "num view 16"] | None = None,
) -> Samples:
    """On-policy data: what the student saw, and what a teacher would have done there. Images are already encoded."""
    num, action, text = len(frame_index), ActionCodec(body=body), TextCodec()
    frame_index = np.asarray(frame_index, np.int64)
    frame_index = frame_index if frame_index.ndim == 3 else frame_index[:, :, None]
    return Samples(
        frames=images,
        frame_index=frame_index,
        next_frame_index=np.full(num, -1, np.int64) if next_frame_index is None else np.asarray(next_frame_index, np.int64),
        later_frame_index=np.full((num, NUM_LATER), -1, np.int64) if later_frame_index is None else np.asarray(later_frame_index, np.int64),
        ego=np.asarray(ego, np.float32),
        ego_valid=np.ones(num, bool),
        instruction_ids=text.encode_instruction(instructions),
        thought_ids=text.encode_thought(thoughts if thoughts is not None else (None,) * num),
        controls=action.normalise(trajectory),
        controls_valid=np.ones((num, NUM_STEPS), bool),
        speed_mps=np.asarray(speed_mps, np.float32),
        curvature_scale_per_m=np.full(num, action.curvature_scale_per_m, np.float32),
        distance_scale_m=np.full(num, action.distance_scale_m, np.float32),
        weight=np.ones(num, np.float32) if weight is None else np.asarray(weight, np.float32),
        step=np.zeros(num, np.int64) if step is None else np.asarray(step, np.int64),
        road=np.full((num, NUM_ROAD), np.nan, np.float32) if road is None else np.asarray(road, np.float32),
        cameras=np.zeros((num, frame_index.shape[2], NUM_CAMERA), np.float32) if cameras is None else np.asarray(cameras, np.float32),
    )


def concat(parts: list[Samples]) -> Samples:
    """All samples after one another; frame indices are shifted, missing frames stay missing."""
    if not parts:
        raise ValueError("no samples to concatenate: every clip was empty or too short")
    offsets = np.cumsum([0, *(len(part.frames) for part in parts[:-1])])
    joined = {item.name: np.concatenate([getattr(part, item.name) for part in parts]) for item in fields(Samples)}
    for name in FRAME_INDICES:
        indices = [getattr(part, name) for part in parts]
        joined[name] = np.concatenate([np.where(index >= 0, index + offset, -1) for index, offset in zip(indices, offsets, strict=True)])
    return Samples(**joined)


def mirror(samples: Samples) -> Samples:
    """Left and right swapped in images, motion and words. Only for worlds without a side of the road (the donkey's)."""
    text = TextCodec()
    return replace(
        samples,
        frames=samples.frames[:, :, ::-1].copy(),
        ego=EgoCodec().mirror(samples.ego),
        instruction_ids=text.mirror(samples.instruction_ids),
        thought_ids=text.mirror(samples.thought_ids),
        controls=samples.controls * np.array([1, -1], np.float32),
        cameras=CameraCodec().mirror(samples.cameras),
    )


def _pictures(clip: Clip, codec: ImageCodec, num_views: int) -> tuple[UInt8[Array, "picture 64 128 3"], Float[Array, "view 16"]]:
    """Of one camera after another, the one that looks ahead first, and their calibration."""
    calibration = {camera.name: camera for camera in clip.cameras}
    sides = [name for name in clip.side_frames if name in calibration][: num_views - 1]
    cameras = np.zeros((num_views, NUM_CAMERA), np.float32)
    if clip.frames is None:
        return np.zeros((0, codec.height_px, codec.width_px, 3), np.uint8), cameras
    known = CameraCodec(image=codec).encode([calibration.get(name) for name in (clip.front_camera, *sides)])
    cameras[: len(known)] = known
    frames = [codec.encode(pictures) for pictures in (clip.frames, *(clip.side_frames[name] for name in sides))]
    return frames[0] if len(frames) == 1 else np.concatenate(frames), cameras


def _body(name: str) -> Body:
    if name not in BODIES:
        raise ValueError(f"clip body {name!r} is not one of {tuple(BODIES)}; add it to bodies.body.BODIES")
    return BODIES[name]


def _future_controls(motion: Motion, body: Body) -> tuple[Float[Array, "time 64 2"], Bool[Array, "time 64"]]:
    """Controls driven over each step and the 63 after it; the last step of a clip has no future and is never valid."""
    num = len(motion.speed_mps)
    # row t of a motion is held from t to t + 1, so the last row belongs to no step of the clip
    driven = Trajectory(accel_mps2=motion.accel_mps2[:-1].astype(np.float64), curvature_per_m=motion.curvature_per_m[:-1].astype(np.float64))
    rows = ActionCodec(body=body).normalise(driven)
    ahead = np.arange(num)[:, None] + np.arange(NUM_STEPS)
    valid = ahead < num - 1
    controls = rows[np.minimum(ahead, num - 2)] * valid[..., None]
    return controls.astype(np.float32), valid


def _ego(clip: Clip, steps: Int64[Array, " some"]) -> Float[Array, "some ego"]:
    codec, motion = EgoCodec(), clip.motion
    if motion is None:
        return codec.missing(len(steps), clip.body)
    back = steps[:, None] - 1 - np.arange(NUM_PAST_POSES)
    past_world = motion.poses_world[np.maximum(back, 0)]
    past_rig = compose(inverse(motion.poses_world[steps])[:, None], past_world)
    # the curvature of row t is what the driver does next: an eye on it would read the answer off the question
    driven = np.where(steps > 0, motion.curvature_per_m[np.maximum(steps - 1, 0)], 0.0)
    ego = codec.encode(motion.speed_mps[steps], motion.speed_mps[steps] * driven, past_rig, clip.body)
    early = steps < NUM_PAST_POSES  # the past before the clip is unknown, and says so
    ego[early] = codec.without_history(ego[early])
    return ego
