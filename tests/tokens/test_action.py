"""ActionCodec: inverse inside the body's limits, clipped outside."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from motorworks.bodies.body import BODIES, CAR, DONKEY
from motorworks.datatypes.trajectory import NUM_STEPS, Trajectory
from motorworks.tokens.action import ActionCodec

UNIT = arrays(np.float32, (2, NUM_STEPS, 2), elements=st.floats(0, 1, width=32))


@pytest.mark.parametrize("body", BODIES.values(), ids=lambda body: body.name)
@settings(deadline=None, max_examples=20)
@given(unit=UNIT)
def test_inverse_within_the_limits(body, unit):
    codec = ActionCodec(body=body)
    controls = codec.low + unit * (codec.high - codec.low)
    assert np.allclose(codec.normalise(codec.denormalise(controls)), controls, atol=1e-5)


@settings(deadline=None, max_examples=30)
@given(controls=arrays(np.float32, (3, NUM_STEPS, 2), elements=st.floats(-1e6, 1e6, width=32)))
def test_nothing_leaves_the_limits(controls):
    trajectory = ActionCodec(body=CAR).denormalise(controls)
    assert trajectory.accel_mps2.min() >= -CAR.max_decel_mps2 - 1e-5 and trajectory.accel_mps2.max() <= CAR.max_accel_mps2 + 1e-5
    assert np.abs(trajectory.curvature_per_m).max() <= CAR.max_curvature_per_m + 1e-6
    codec = ActionCodec(body=CAR)
    wild = codec.normalise(Trajectory(accel_mps2=controls[..., 0], curvature_per_m=controls[..., 1]))
    assert (wild >= codec.low).all() and (wild <= codec.high).all()


def test_same_wheel_angle_encodes_alike_on_every_body():
    for body in (CAR, DONKEY):
        full = Trajectory(accel_mps2=np.zeros((1, NUM_STEPS)), curvature_per_m=np.full((1, NUM_STEPS), body.max_curvature_per_m))
        assert np.allclose(ActionCodec(body=body).normalise(full)[..., 1], 2.0)
