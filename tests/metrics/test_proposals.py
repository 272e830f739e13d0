"""Scores of proposed plans rank what a driver would rank, whatever the batch they come in."""

import dataclasses

import numpy as np
import pytest

from motorworks.datatypes.agent import CAR, CONE, PEDESTRIAN
from motorworks.datatypes.scene import RED, RED_LIGHT, Scene
from motorworks.datatypes.trajectory import Trajectory
from motorworks.metrics import thresholds
from motorworks.metrics.proposals import follow_path, reachable_m, score_proposals


def road(
    batch: int = 1, *, speed_mps: float = 8.0, agents: list[list[float]] | None = None, curvature_per_m: float = 0.0, **changes: object
) -> Scene:
    along = np.arange(40) * 2.0
    yaw = along * curvature_per_m
    path = np.stack([along, np.zeros(40)], -1) if curvature_per_m == 0 else np.stack([np.sin(yaw), 1 - np.cos(yaw)], -1) / curvature_per_m
    listed = np.array([[*agent, 0.0, 0.0][:8] for agent in agents or [[500.0, 0.0, 0.0, 0.0, 4.6, 1.85]]])  # kind car unless given
    fields: dict = {
        "path_rig_m": np.tile(path, (batch, 1, 1)),
        "path_curvature_per_m": np.full((batch, 40), curvature_per_m),
        "lateral_offset_m": np.zeros(batch),
        "heading_error_rad": np.zeros(batch),
        "speed_mps": np.full(batch, speed_mps),
        "curvature_per_m": np.zeros(batch),
        "speed_limit_mps": np.full(batch, 10.0),
        "remaining_m": np.full(batch, 300.0),
        "junction_gap_m": np.full(batch, np.inf),
        "junction_blocked": np.zeros(batch, bool),
        "turn": np.zeros(batch, np.int64),
        "light": np.zeros(batch, np.int64),
        "stop_gap_m": np.full(batch, np.inf),
        "stop_cause": np.zeros(batch, np.int64),
        "siren_gap_m": np.full(batch, np.inf),
        "left_room_m": np.full(batch, 5.25),
        "left_own_m": np.full(batch, 1.75),
        "right_room_m": np.full(batch, 1.75),
        "lead_gap_m": np.full(batch, np.inf),
        "lead_speed_mps": np.zeros(batch),
        "agents_rig": np.tile(listed, (batch, 1, 1)),
        "agents_valid": np.ones((batch, len(listed)), bool),
    }
    return Scene(**{**fields, **changes})


def plans(*pairs: tuple[float, float], batch: int = 1) -> Trajectory:
    accel, curvature = (np.tile(np.array(values)[None, :, None], (batch, 1, 64)) for values in zip(*pairs, strict=True))
    return Trajectory(accel_mps2=accel, curvature_per_m=curvature)


def best(scene: Scene, *pairs: tuple[float, float]) -> int:
    return int(score_proposals(scene, plans(*pairs))[0].argmax())


def test_free_road_prefers_going_on_in_the_lane() -> None:
    assert best(road(), (-3.0, 0.0), (0.3, 0.0), (0.3, 0.03), (2.0, 0.0)) == 1


def test_a_standing_car_ahead_prefers_braking_and_later_hits_beat_earlier_ones() -> None:
    scene = road(agents=[[30.0, 0.0, 0.0, 0.0, 4.6, 1.85]], lead_gap_m=np.array([24.0]))
    scores = score_proposals(scene, plans((1.0, 0.0), (0.0, 0.0), (-2.0, 0.0)))[0]
    assert scores[2] > 0.7 > 0.3 > scores[1] > scores[0]


def test_an_agent_that_runs_into_us_from_behind_is_not_our_fault() -> None:
    scores = score_proposals(road(agents=[[-12.0, 0.0, 0.0, 14.0, 4.6, 1.85]]), plans((0.0, 0.0)))
    assert scores[0, 0] > 0.8


def test_a_blocked_junction_prefers_stopping_before_the_line() -> None:
    blocked = road(junction_blocked=np.array([True]), junction_gap_m=np.array([14.0]))
    assert best(blocked, (0.0, 0.0), (-2.8, 0.0)) == 1 and best(road(), (0.0, 0.0), (-2.8, 0.0)) == 0


def test_a_line_it_must_stop_at_is_a_late_hit_when_passed() -> None:
    red = road(stop_gap_m=np.array([14.0]), stop_cause=np.array([RED_LIGHT]), light=np.array([RED]))
    scores = score_proposals(red, plans((1.0, 0.0), (0.0, 0.0), (-2.8, 0.0)))[0]
    assert scores[0] < scores[1] < thresholds.LATE_HIT_FACTOR < 0.6 < scores[2]  # sooner is worse, and both are bad
    assert reachable_m(red) == pytest.approx(14.0)
    # standing at the line, the bumper a little over it: staying is right, creeping on is not; with the line behind us we may go
    for gap, stays in ((0.0, True), (-0.2, True), (-0.8, False)):
        at_line = road(speed_mps=0.0, stop_gap_m=np.array([gap]), stop_cause=np.array([RED_LIGHT]))
        assert best(at_line, (0.0, 0.0), (1.0, 0.0)) == (0 if stays else 1)


def test_people_get_room_and_things_cost_less() -> None:
    def score(kind: int, y_m: float, x_m: float = 25.0) -> float:
        return float(score_proposals(road(agents=[[x_m, y_m, 0.0, 0.0, 0.6, 0.6, kind]]), plans((0.0, 0.0)))[0, 0])

    beside = 0.925 + 0.3 + 0.3  # 0.3 m between the rims
    assert score(CAR, beside) == score(CONE, beside) > 0.9 and score(PEDESTRIAN, beside) < 0.3
    assert score(PEDESTRIAN, beside + 0.4) > 0.9
    assert 0 < score(CAR, 0.0) < score(CONE, 0.0) < 0.5
    assert score(CONE, 0.0, 12.0) < score(CONE, 0.0, 25.0)


def test_a_bend_prefers_following_it() -> None:
    assert best(road(curvature_per_m=0.04), (0.0, 0.0), (0.0, 0.04), (0.0, -0.04)) == 1


def test_back_into_the_lane_beats_staying_out_of_it() -> None:
    left_of_it = road(path_rig_m=np.stack([np.arange(40) * 2.0, np.full(40, -2.2)], -1)[None])
    back = Trajectory(
        accel_mps2=np.zeros((1, 2, 64)), curvature_per_m=np.stack([np.zeros(64), np.r_[np.full(12, -0.012), np.full(12, 0.012), np.zeros(40)]])[None]
    )
    scores = score_proposals(left_of_it, back)[0]
    assert scores[1] > scores[0]


def test_scores_are_in_range_and_a_batch_is_its_items() -> None:
    rng = np.random.default_rng(0)
    agents = np.concatenate(
        [
            rng.uniform(-30, 30, (8, 5, 2)),
            rng.uniform(-3, 3, (8, 5, 1)),
            rng.uniform(0, 9, (8, 5, 1)),
            np.tile([4.6, 1.85], (8, 5, 1)),
            rng.integers(0, 11, (8, 5, 1)),
            np.zeros((8, 5, 1)),
        ],
        -1,
    )
    scene = dataclasses.replace(
        road(8),
        agents_rig=agents,
        agents_valid=rng.random((8, 5)) < 0.8,
        speed_mps=rng.uniform(0, 12, 8),
        stop_gap_m=rng.choice([5.0, 30.0, np.inf], 8),
    )
    proposals = Trajectory(accel_mps2=rng.normal(0, 1, (8, 6, 64)), curvature_per_m=rng.normal(0, 0.02, (8, 6, 64)))
    together = score_proposals(scene, proposals)
    assert together.shape == (8, 6) and np.all((together >= 0) & (together <= 1))
    for item in range(8):
        one = Scene(**{field.name: getattr(scene, field.name)[item : item + 1] for field in dataclasses.fields(Scene)})
        assert score_proposals(one, proposals[item : item + 1]) == pytest.approx(together[item : item + 1], abs=1e-5)


def test_projection_on_the_path() -> None:
    poses = np.array([[[[7.3, 0.4, 0.0], [0.5, -1.0, 0.0], [90.0, 0.0, 0.0]]]], np.float32)
    along, left = follow_path(road(), poses)
    assert along.ravel() == pytest.approx([7.3, 0.5, 90.0], abs=1e-4) and left.ravel() == pytest.approx([0.4, -1.0, 0.0], abs=1e-4)


def test_reachable_metres_by_hand() -> None:
    assert reachable_m(road(speed_mps=10.0)) == pytest.approx(40.0)
    assert reachable_m(road(speed_mps=0.0)) == pytest.approx(0.5 * 1.5 * 16)
    assert reachable_m(road(lead_gap_m=np.array([10.0]), lead_speed_mps=np.array([2.0]))) == pytest.approx(10 + 8 - 4)
    assert reachable_m(road(junction_blocked=np.array([True]), junction_gap_m=np.array([9.0]))) == pytest.approx(9.0)


def test_a_proposal_that_is_not_a_number_is_refused() -> None:
    broken = plans((0.0, 0.0), (np.nan, 0.0), batch=2)
    with pytest.raises(ValueError, match="proposals: accel_mps2 is not finite in item 0"):
        score_proposals(road(2), broken)
