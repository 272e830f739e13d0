"""The bodies of a batch of environments: where they are, how fast, and what one step of controls does to them on a road with some grip."""

import numpy as np
from jaxtyping import Bool, Float

from motorworks.bodies.body import Body, check_commands, respond
from motorworks.bodies.dynamics import BodyState, empty_state, place_body, respond_dynamic
from motorworks.geometry.array import Array

GRAVITY_MPS2 = 9.81


class Chassis:
    """`num` bodies of one kind. Kinematic bodies keep within the friction circle of a slippery road; dynamic ones slide."""

    def __init__(self, body: Body, num: int) -> None:
        self.body = body
        self.pose, self.speed, self.accel, self.curvature = np.zeros((num, 3)), np.zeros(num), np.zeros(num), np.zeros(num)
        self.grip = np.ones(num)
        self._state = empty_state(num) if body.dynamics == "dynamic" else None

    def place(self, env: int, pose: Float[Array, " 3"], speed: float, curvature: float, grip: float) -> None:
        """Put one body somewhere, rolling."""
        self.pose[env], self.speed[env], self.accel[env], self.curvature[env], self.grip[env] = pose, speed, 0.0, curvature, grip
        if self._state is not None:
            place_body(env, pose[0], pose[1], pose[2], speed, curvature, self._state)

    def step(self, live: Bool[Array, " env"], accel: Float[Array, " env"], curvature: Float[Array, " env"], dt_s: float) -> None:
        """Move the live bodies. Raises ValueError naming the live environments whose command is not finite; clips what the body cannot do."""
        check_commands(accel, curvature, live)
        accel, curvature = np.where(live, accel, 0.0), np.where(live, curvature, 0.0)
        if self._state is not None:
            after = respond_dynamic(self.body, self._state, accel, curvature, self.grip, dt_s)
            for column, value in zip(self._state, after, strict=True):
                column[live] = value[live]
            self._read(self._state, live, dt_s)
            return
        accel, curvature = self._held(accel, curvature)
        pose, speed, kappa, felt = respond(self.body, self.pose, self.speed, self.curvature, accel, curvature, dt_s)
        self.pose[live], self.speed[live], self.curvature[live], self.accel[live] = pose[live], speed[live], kappa[live], felt[live]

    def _held(self, accel: Array, curvature: Array) -> tuple[Array, Array]:
        """Commands within the friction circle, where the road holds less than it does when dry."""
        most = np.where(self.grip < 1.0, self.grip * GRAVITY_MPS2, np.inf)
        accel = np.clip(accel, -0.95 * most, 0.95 * most)
        with np.errstate(invalid="ignore"):
            sideways = np.where(np.isfinite(most), np.sqrt(np.maximum(most**2 - accel**2, 0.0)), np.inf)
        bend = sideways / np.maximum(self.speed**2, 0.1)
        return accel, np.clip(curvature, -bend, bend)

    def _read(self, state: BodyState, live: Array, dt_s: float) -> None:
        before = self.speed.copy()
        self.pose[live], self.speed[live] = state.pose[live], state.speed[live]
        self.accel[live] = (self.speed[live] - before[live]) / dt_s
        self.curvature[live] = state.yaw_rate[live] / np.maximum(np.abs(self.speed[live]), 0.5)
