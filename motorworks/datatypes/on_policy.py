"""On-policy data: what a student saw while it drove, and what a labeller would have done in the same states."""

from dataclasses import dataclass

from jaxtyping import Bool, Float, UInt8

from motorworks.datatypes.thought import Thought
from motorworks.datatypes.trajectory import Trajectory
from motorworks.geometry.array import Array


@dataclass(frozen=True, kw_only=True)
class OnPolicy:
    """Time first, then the environments; `first` marks the start of an episode, before which there is no past."""

    images: UInt8[Array, "time batch height width 3"]  # as the model sees them
    speed_mps: Float[Array, "time batch"]
    yaw_rate_radps: Float[Array, "time batch"]
    past_poses_rig: Float[Array, "time batch 16 3"]
    instructions: tuple[tuple[str, ...], ...]
    first: Bool[Array, "time batch"]
    labels: Trajectory  # [time batch step]
    thoughts: tuple[tuple[Thought | None, ...], ...]
    proposal_scores: Float[Array, "time batch proposal"] | None  # of the student's proposals in the same state
    num_ended: int
    completed_frac: float  # of the ended episodes
