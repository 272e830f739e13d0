"""Words for manoeuvres against hand-made motion; the older words are judged in test_closed_loop."""

import numpy as np
import pytest

from motorworks.datatypes.thought import DECISIONS, Thought
from motorworks.datatypes.trajectory import Trajectory
from motorworks.metrics.agreement import agrees

S_CURVE = np.concatenate([np.full(15, 0.02), np.full(15, -0.02), np.zeros(34)])


@pytest.mark.parametrize(
    ("decision", "accel", "curvature", "speed", "expected"),
    [
        ("pass on the left", 0.0, S_CURVE, 6.0, True),
        ("pass on the left", 0.0, -S_CURVE, 6.0, False),
        ("pass on the right", 0.0, -S_CURVE, 6.0, True),
        ("change lane left", 0.0, S_CURVE, 10.0, True),
        ("change lane right", 0.0, 0.0 * S_CURVE, 10.0, False),
        ("pull over", -1.0, -S_CURVE, 8.0, True),
        ("pull over", 0.5, 0.0 * S_CURVE, 8.0, False),
        ("brake hard", -5.0, 0.0 * S_CURVE, 8.0, True),
        ("brake hard", -1.0, 0.0 * S_CURVE, 8.0, False),
        ("brake hard", -5.0, 0.0 * S_CURVE, 1.0, True),
    ],
)
def test_manoeuvres(decision: str, accel: float, curvature: np.ndarray, speed: float, expected: bool) -> None:
    plan = Trajectory(accel_mps2=np.full(64, accel), curvature_per_m=curvature)
    assert agrees(Thought(decision=decision, cause="the driver chose so"), plan, speed) is expected


def test_every_decision_has_a_rule() -> None:
    plan = Trajectory(accel_mps2=np.zeros(64), curvature_per_m=np.zeros(64))
    assert {agrees(Thought(decision=decision, cause="the driver chose so"), plan, 5.0) for decision in DECISIONS} == {True, False}
