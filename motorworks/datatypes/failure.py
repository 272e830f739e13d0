"""A failure: something a drive did wrong or was surprised by, worth a clip and a scenario."""

from dataclasses import dataclass

from motorworks.datatypes.agent import AGENT_KINDS, is_object, is_vulnerable
from motorworks.datatypes.scenario import Scenario

KINDS = (
    "collision",
    "off_road",
    "near_miss",
    "fallback",
    "surprise",
    "disagreement",
    "timeout",
    "red_light",
    "stop_sign",
    "gave_no_way",
    "wrong_way",
    "blocked_siren",
)
FAULTS = ("ego", "other", "nobody")
CAUSES = (  # what led to it, judged by rules over the last seconds (metrics/causes.py)
    "ego ran a red light",
    "ego ran a stop sign",
    "ego gave no way",
    "ego drove against traffic",
    "ego left its lane",
    "hit from behind",
    "someone stepped out from behind another",
    "someone crossed on foot",
    "oncoming in ego's lane",
    "cut-in",
    "the one ahead braked",
    "ego did not slow for the one ahead",
    "something stood in the way",
    "crossing traffic",
    "hit from the side",
    "too fast in a bend",
    "swerved around someone",
    "over the left edge",
    "over the right edge",
    "astray in a junction",
    "stuck behind something that stood",
    "waited at a light",
    "stood without a reason",
    "too slow",
    "did not brake",
    "braked too late",
    "rolled over the line",
    "passed something that stood",
    "kept too far left",
    "made no room",
    "not known",
)
_WORDS = {
    "off_road": "left the road",
    "near_miss": "nearly hit someone",
    "fallback": "fell back",
    "surprise": "was surprised",
    "disagreement": "driver and shadow disagreed",
    "timeout": "ran out of time",
    "red_light": "ran a red light",
    "stop_sign": "ran a stop sign",
    "gave_no_way": "gave no way",
    "wrong_way": "drove against traffic",
    "blocked_siren": "blocked an emergency vehicle",
}


@dataclass(frozen=True, kw_only=True)
class Failure:
    """What, where, when and how bad; the name is stable, so a turn can say what it mined. Fault and cause where they were judged."""

    kind: str
    scenario: Scenario
    step: int  # 10 Hz index into the drive
    severity: float  # comparable within a kind only
    detail: str = ""
    fault: str = ""  # one of FAULTS; empty: not judged
    cause: str = ""  # one of CAUSES; empty: not judged
    agent: int = -1  # slot of whom it was about
    agent_kind: str = ""  # one of AGENT_KINDS

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"failure kind {self.kind!r} is not one of {KINDS}")
        for name, allowed in (("fault", FAULTS), ("cause", CAUSES), ("agent_kind", AGENT_KINDS)):
            value = getattr(self, name)
            if value and value not in allowed:
                raise ValueError(f"failure {name} {value!r} is not one of {allowed}")

    @property
    def name(self) -> str:
        return f"{self.kind}-{self.scenario.name}-{self.step:04d}"

    @property
    def what(self) -> str:
        """In words: `hit a vehicle`, `hit a vulnerable road user`, `hit a thing`, `left the road`, ..."""
        if self.kind != "collision":
            return _WORDS[self.kind]
        if not self.agent_kind:
            return "hit someone"
        kind = AGENT_KINDS.index(self.agent_kind)
        return "hit a thing" if is_object(kind) else "hit a vulnerable road user" if is_vulnerable(kind) else "hit a vehicle"

    @property
    def text(self) -> str:
        """One line for people."""
        whom = f" ({self.agent_kind}, slot {self.agent})" if self.agent >= 0 and self.agent_kind else ""
        fault = f"; fault: {self.fault}" if self.fault else ""
        cause = f"; {self.cause}" if self.cause else ""
        detail = f"; {self.detail}" if self.detail else ""
        return f"{self.scenario.name} at {self.step / 10:.1f} s: {self.what}{whom}{fault}{cause}{detail}"
