"""A failure: something a drive did wrong or was surprised by, worth a clip and a scenario."""

from dataclasses import dataclass

from motorworks.datatypes.scenario import Scenario

KINDS = ("collision", "off_road", "near_miss", "fallback", "surprise", "disagreement", "timeout")


@dataclass(frozen=True, kw_only=True)
class Failure:
    """What, where, when and how bad; the name is stable, so a turn can say what it mined."""

    kind: str
    scenario: Scenario
    step: int  # 10 Hz index into the drive
    severity: float  # comparable within a kind only
    detail: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"failure kind {self.kind!r} is not one of {KINDS}")

    @property
    def name(self) -> str:
        return f"{self.kind}-{self.scenario.name}-{self.step:04d}"
