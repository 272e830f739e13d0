"""On-policy data: what a student saw while it drove, and what a labeller would have done in the same states."""

from dataclasses import dataclass

from jaxtyping import Float, Int64, UInt8

from motorworks.datatypes.thought import Thought
from motorworks.datatypes.trajectory import Trajectory
from motorworks.geometry.array import Array


@dataclass(frozen=True, kw_only=True)
class OnPolicy:
    """Time first, then the environments; rows are `stride_steps` steps of 0.1 s apart, `age_steps` counts from the start of the episode."""

    stride_steps: int
    images: UInt8[Array, "time batch height width 3"]  # as the model sees them
    speed_mps: Float[Array, "time batch"]
    yaw_rate_radps: Float[Array, "time batch"]
    past_poses_rig: Float[Array, "time batch 16 3"]
    instructions: tuple[tuple[str, ...], ...]
    age_steps: Int64[Array, "time batch"]
    labels: Trajectory  # [time batch step]
    thoughts: tuple[tuple[Thought | None, ...], ...]
    proposal_scores: Float[Array, "time batch proposal"] | None  # of the student's proposals in the same state
    road: Float[Array, "time batch road"] | None  # what a privileged eye sees of the road ahead (tokens.scene)
    num_ended: int
    completed_frac: float  # of the ended episodes
