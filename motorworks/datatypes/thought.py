"""A thought: one decision and its cause, from the observed past only. The whole chain of thought is these two words' worth."""

from dataclasses import dataclass

DECISIONS = (
    "keep going",
    "speed up",
    "slow down",
    "stop",
    "wait",
    "turn left",
    "turn right",
    "follow the bend left",
    "follow the bend right",
    "reverse",
    "pass on the left",
    "pass on the right",
    "change lane left",
    "change lane right",
    "pull over",
    "brake hard",
)
CAUSES = (
    "the road is clear",
    "a vehicle ahead is slower",
    "a vehicle ahead has stopped",
    "the junction is occupied",
    "the route turns left",
    "the route turns right",
    "the road bends left",
    "the road bends right",
    "the limit is higher",
    "a bend is near",
    "a junction is near",
    "the driver chose so",
    "the light is red",
    "the light is yellow",
    "there is a stop sign",
    "others go first",
    "people are crossing",
    "someone is near the road",
    "a child is near the road",
    "a cyclist is ahead",
    "the lane is blocked",
    "someone is in the way",
    "a siren is behind",
    "the route changes lane",
    "the limit is lower",
)


@dataclass(frozen=True, kw_only=True)
class Thought:
    """What the driver decides and why; both from closed lists, so agreement with the motion can be checked."""

    decision: str
    cause: str

    def __post_init__(self) -> None:
        if self.decision not in DECISIONS:
            raise ValueError(f"decision {self.decision!r} is not one of {DECISIONS}")
        if self.cause not in CAUSES:
            raise ValueError(f"cause {self.cause!r} is not one of {CAUSES}")

    def __str__(self) -> str:
        return f"{self.decision} because {self.cause}"
