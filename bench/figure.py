"""One measured number and what it stands beside."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Figure:
    """`against` names the reference with its own number; `ratio` is the value over that number, in the same unit."""

    name: str  # subject.what_unit
    value: float
    unit: str
    against: str
    ratio: float

    def __post_init__(self) -> None:
        subject, dot, what = self.name.partition(".")
        if not (subject and dot and what):
            raise ValueError(f"figure name {self.name!r} must be subject.what, such as sim.camera_fps_per_core")
        if not (self.unit and self.against):
            raise ValueError(f"{self.name}: unit and against must say something")
        if not (math.isfinite(self.value) and math.isfinite(self.ratio)):
            raise ValueError(f"{self.name}: value {self.value} and ratio {self.ratio} must be finite; leave out a figure that was not measured")

    @property
    def subject(self) -> str:
        """The file of bench/ that measures it."""
        return self.name.partition(".")[0]
