"""The expert drives well enough to teach, and says what it does."""

from dataclasses import replace

import numpy as np
import pytest

from motorworks.datatypes.observation import Observation
from motorworks.policy.expert import Expert, explain
from motorworks.sim.rollout import roll_out
from motorworks.sim.seeds import town_scenarios
from motorworks.sim.town import Town


def test_completes_train_towns_cleanly() -> None:
    rollouts = roll_out(Town(16, renders=False), Expert(), [*town_scenarios(0, 12), *town_scenarios(100, 4, num_agents=20)])
    completion = [min(r.progress_m[-1] / (r.route_length_m - 3.0), 1.0) for r in rollouts]
    assert np.mean(completion) >= 0.97
    assert not any(r.collision_at_fault for r in rollouts)
    assert all(r.on_road.all() and not r.wrong_way.any() for r in rollouts)
    assert 4.5 < np.mean([r.speed_mps.mean() for r in rollouts]) < 9.0
    assert max(np.abs(r.lateral_offset_m).max() for r in rollouts) < 0.8
    # traffic is met, not just driven beside
    assert any((np.hypot(*(r.agents_world[:, :, :2] - r.ego_world[:, None, :2]).transpose(2, 0, 1)) < 12.0).any() for r in rollouts)


def test_words_agree_with_the_motion_that_follows() -> None:
    rollouts = roll_out(Town(8, renders=False), Expert(), town_scenarios(30, 8))
    seen, wrong = {}, 0
    for rollout in rollouts:
        assert rollout.thoughts is not None
        for t, thought in enumerate(rollout.thoughts[:-10]):
            assert thought is not None
            seen[thought.decision] = seen.get(thought.decision, 0) + 1
            change = rollout.speed_mps[t + 10] - rollout.speed_mps[t]
            turn = rollout.ego_world[t + 10, 2] - rollout.ego_world[t, 2]
            wrong += thought.decision == "speed up" and change < -0.3
            wrong += thought.decision in ("slow down", "stop") and change > 0.5
            wrong += thought.decision == "wait" and rollout.speed_mps[t] > 0.5
            wrong += thought.decision == "turn left" and turn < -0.1
            wrong += thought.decision == "turn right" and turn > 0.1
    assert {"keep going", "slow down", "turn left", "turn right", "speed up"} <= set(seen)
    assert wrong / sum(seen.values()) < 0.01


def _scene():  # type: ignore[no-untyped-def]
    observation = Town(1, renders=False).reset(town_scenarios(0, 1))
    return observation, observation.scene


def test_causes_come_from_the_scene() -> None:
    _, scene = _scene()
    clear = replace(scene, lead_gap_m=np.array([np.inf]), junction_gap_m=np.array([np.inf]), speed_mps=np.array([8.0]))
    clear = replace(clear, path_curvature_per_m=np.zeros((1, 40)))
    stopped = replace(clear, lead_gap_m=np.array([14.0]), lead_speed_mps=np.array([0.0]))
    assert explain(stopped)[0].cause == "a vehicle ahead has stopped" and explain(stopped)[0].decision in ("stop", "slow down")
    occupied = replace(clear, junction_gap_m=np.array([15.0]), junction_blocked=np.array([True]))
    assert explain(occupied)[0].cause == "the junction is occupied"
    waiting = replace(occupied, speed_mps=np.array([0.0]), junction_gap_m=np.array([1.0]))
    assert str(explain(waiting)[0]) == "wait because the junction is occupied"


def test_expert_needs_a_scene() -> None:
    observation: Observation
    observation, _ = _scene()
    with pytest.raises(ValueError, match="scene is missing"):
        Expert().act(replace(observation, scene=None))
