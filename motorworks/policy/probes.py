"""Probes: policies that know nothing, present in every table so that a score means something."""

import numpy as np

from motorworks.datatypes.observation import Observation
from motorworks.datatypes.trajectory import NUM_STEPS, Plan, Trajectory

STOP_DECEL_MPS2 = 3.0


class StandStill:
    """Brakes to a stop and stays there."""

    name = "stand_still"
    privileged = False
    uses_camera = False

    def act(self, observation: Observation) -> Plan:
        """One plan per batch item."""
        accel = np.full((len(observation.speed_mps), NUM_STEPS), -STOP_DECEL_MPS2, np.float32)
        return Plan(trajectory=Trajectory(accel_mps2=accel, curvature_per_m=np.zeros_like(accel)))


class ConstantVelocity:
    """Straight on at the present speed."""

    name = "constant_velocity"
    privileged = False
    uses_camera = False

    def act(self, observation: Observation) -> Plan:
        """One plan per batch item."""
        zeros = np.zeros((len(observation.speed_mps), NUM_STEPS), np.float32)
        return Plan(trajectory=Trajectory(accel_mps2=zeros, curvature_per_m=zeros.copy()))
