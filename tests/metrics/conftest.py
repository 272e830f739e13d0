"""Drives that can be worked out by hand: ten seconds east at 10 m/s, with whoever the test puts on the road."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from motorworks.datatypes.rollout import Rollout
from motorworks.datatypes.scenario import Scenario
from motorworks.metrics.closed_loop import score_rollout


def _straight(
    num: int = 101, speed_mps: float | np.ndarray = 10.0, agents: np.ndarray | None = None, kinds: Sequence[int] = (), **changes: object
) -> Rollout:
    speeds = np.full(num, speed_mps, np.float64)
    metres = np.concatenate([[0.0], np.cumsum(speeds[:-1] * 0.1)])
    agents = np.zeros((num, 0, 6)) if agents is None else agents
    never = np.zeros(num, bool)
    fields: dict = {
        "scenario": Scenario(town_seed=1_000_000, route_seed=0),
        "policy": "test",
        "outcome": "completed",
        "collision_at_fault": False,
        "route_length_m": float(metres[-1]),
        "ego_world": np.stack([metres, np.zeros(num), np.zeros(num)], axis=-1),
        "speed_mps": speeds,
        "accel_mps2": np.zeros(num),
        "curvature_per_m": np.zeros(num),
        "progress_m": metres,
        "lateral_offset_m": np.zeros(num),
        "on_road": np.ones(num, bool),
        "speed_limit_mps": np.full(num, 12.0),
        "agents_world": agents,
        "agents_valid": np.ones(agents.shape[:2], bool),
        "agents_kind": np.array(kinds or [0] * agents.shape[1], np.uint8),
    }
    fields |= dict.fromkeys(("wrong_way", "in_junction", "red_light", "stop_sign", "gave_no_way", "blocks_siren"), never)
    return Rollout(**{**fields, **changes})


def _tracks(*agents: Sequence[float], num: int = 101) -> np.ndarray:
    back_s = (num - 1 - np.arange(num)) * 0.1
    made = []
    for x, y, yaw, speed, length, width in ((*agent, 4.6, 1.85)[:6] if len(agent) == 4 else agent for agent in agents):
        columns = (
            x - speed * np.cos(yaw) * back_s,
            y - speed * np.sin(yaw) * back_s,
            *(np.full(num, value) for value in (yaw, speed, length, width)),
        )
        made.append(np.stack(columns, axis=-1))
    return np.stack(made, axis=1)


@pytest.fixture(scope="session")
def straight() -> Callable[..., Rollout]:
    """`straight(num, speed_mps, agents, kinds, **changes)`: 100 m by default, completed; `changes` are fields of Rollout."""
    return _straight


@pytest.fixture(scope="session")
def tracks() -> Callable[..., np.ndarray]:
    """`tracks([x, y, yaw, speed], ..., num=101)`: agents that keep their velocity and are there at the last step; cars if no size is given."""
    return _tracks


@pytest.fixture(scope="session")
def scored() -> Callable[[Rollout], dict[str, float]]:
    """The valid scores of a rollout by name."""
    return lambda rollout: {score.metric: score.value for score in score_rollout(rollout) if score.valid}
