"""Parity: the same inputs through two Infers, the checkpoint and what is shipped; where the answers differ, in metres too."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int64, UInt8

from motorworks.bodies.body import Body, integrate
from motorworks.geometry.array import Array
from motorworks.policy.infer import Infer
from motorworks.tokens.action import ActionCodec
from motorworks.tokens.ego import EgoCodec
from motorworks.tokens.image import HEIGHT_PX, WIDTH_PX
from motorworks.tokens.text import INSTRUCTIONS, TextCodec


@dataclass(frozen=True, kw_only=True)
class ParityInputs:
    """What both are asked. Take held-out samples where there are some: noise says little about int8."""

    images: UInt8[Array, "item frame 64 128 3"]
    latents_valid: Bool[Array, "item frame"]
    ego: Float[Array, "item ego"]
    instruction_ids: Int64[Array, "item 8"]
    speed_mps: Float[Array, " item"]
    thought_ids: Int64[Array, "item 16"] | None = None


@dataclass(frozen=True, kw_only=True)
class Parity:
    """Differences over `num` items; controls and poses are of the driven (best) proposal of each side."""

    num: int
    max_output_error: float  # largest of latents, controls and logits, over their size; each graph on the same inputs
    accel_error_mps2: float  # mean over the first second
    curvature_error_per_m: float
    pose_error_1s_m: float  # mean
    pose_error_3s_m: float
    max_pose_error_1s_m: float
    same_proposal_frac: float


def random_inputs(num: int, *, num_frames: int = 2, seed: int = 0) -> ParityInputs:
    """Noise images, some frames missing, all instructions: enough for fp32 parity, not for a verdict on int8."""
    rng = np.random.default_rng(seed)
    valid = rng.random((num, num_frames)) > 0.2
    speed, poses = rng.uniform(0, 12, num), np.zeros((num, 16, 3))
    poses[..., 0] = -speed[:, None] * np.arange(1, 17) * 0.1
    text = TextCodec()
    return ParityInputs(
        images=rng.integers(0, 256, (num, num_frames, HEIGHT_PX, WIDTH_PX, 3), dtype=np.uint8),
        latents_valid=valid,
        ego=EgoCodec().encode(speed, rng.normal(0, 0.1, num), poses),
        speed_mps=speed,
        instruction_ids=text.encode_instruction(tuple(INSTRUCTIONS[i % len(INSTRUCTIONS)] for i in range(num))),
        thought_ids=np.stack([text.encode_thought((None,))[0]] * num),
    )


def compare(reference: Infer, candidate: Infer, inputs: ParityInputs, body: Body) -> Parity:
    """Each graph on the reference's inputs (so errors do not add up in `max_output_error`), then both chains from image to plan."""
    num, frames = inputs.images.shape[:2]
    flat = inputs.images.reshape(num * frames, *inputs.images.shape[2:])
    seen, seen_by_candidate = reference.see(flat), candidate.see(flat)
    latents = seen.reshape(num, frames, *seen.shape[1:])
    rest = (inputs.latents_valid, inputs.ego, inputs.instruction_ids)
    controls, logits = reference.plan(latents, *rest)
    graph_controls, graph_logits = candidate.plan(latents, *rest)
    errors = [_largest(seen, seen_by_candidate), _largest(controls, graph_controls), _largest(logits, graph_logits)]
    if inputs.thought_ids is not None:
        errors.append(_largest(reference.think(latents, *rest, inputs.thought_ids), candidate.think(latents, *rest, inputs.thought_ids)))
    chain_controls, chain_logits = candidate.plan(seen_by_candidate.reshape(latents.shape), *rest)

    codec, items = ActionCodec(body=body), np.arange(num)
    driven = codec.denormalise(controls[items, logits.argmax(1)])
    shipped = codec.denormalise(chain_controls[items, chain_logits.argmax(1)])
    pose, _ = integrate(driven, inputs.speed_mps, can_reverse=body.can_reverse)
    shipped_pose, _ = integrate(shipped, inputs.speed_mps, can_reverse=body.can_reverse)
    apart_m = np.hypot(*np.moveaxis(pose[..., :2] - shipped_pose[..., :2], -1, 0))
    return Parity(
        num=num,
        max_output_error=float(np.max(errors)),
        accel_error_mps2=float(np.abs(driven.accel_mps2 - shipped.accel_mps2)[:, :10].mean()),
        curvature_error_per_m=float(np.abs(driven.curvature_per_m - shipped.curvature_per_m)[:, :10].mean()),
        pose_error_1s_m=float(apart_m[:, 9].mean()),
        pose_error_3s_m=float(apart_m[:, 29].mean()),
        max_pose_error_1s_m=float(apart_m[:, 9].max()),
        same_proposal_frac=float((logits.argmax(1) == chain_logits.argmax(1)).mean()),
    )


def _largest(one: Array, other: Array) -> float:
    """Largest difference, over the largest answer where that is above one: float32 counts digits, not decimals. Infinite where either is
    not finite, so that a gate cannot be passed by NaN."""
    one = np.asarray(one, np.float64)
    difference = np.abs(one - np.asarray(other, np.float64)).max() / max(1.0, float(np.abs(one).max()))
    return float(difference) if np.isfinite(difference) else float("inf")
