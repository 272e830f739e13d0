"""The gate: who completes more decides, and no held-out town is opened for it."""

from motorworks.factory.stages.gate import GateConfig, better_of, completion_frac
from motorworks.policy.expert import Expert
from motorworks.policy.probes import StandStill

GATE = GateConfig(num_scenarios=2, threads=1)


def test_who_drives_better_is_chosen():
    chosen, found = better_of(GATE, (StandStill(), Expert()))
    assert chosen.name == "expert" and found["expert"] > 0.9 > 0.2 > found["stand_still"]
    assert completion_frac(GATE, Expert()) == found["expert"]  # the same drives every time
