"""Scenarios made by things and by the road itself."""

import numpy as np

from motorworks.datatypes.agent import BARRIER, CAR, CONE, DEBRIS
from motorworks.sim.agents import BRAKING, LEFT_BLINK, RIGHT_BLINK, STATIC
from motorworks.sim.scenarios.places import beside_route, find_stretch, lane_and_s, place_oncoming, right_edge_m
from motorworks.sim.staging import Stage


def stalled_car(stage: Stage) -> None:
    """A broken-down car stands in the lane; the way past it is through the oncoming lane."""
    at = find_stretch(stage, 45.0, 110.0, 40.0)
    lane, s = lane_and_s(stage.route, at + 15.0)
    lamps = BRAKING | LEFT_BLINK | RIGHT_BLINK
    stage.crowd.add(CAR, lane, s, offset_m=stage.value("offset_m", -0.9, -0.2), mode=STATIC, lamps=lamps)
    place_oncoming(stage, at + 38.0, round(stage.value("num_oncoming", 0, 4)), stage.value("gap_m", 40.0, 20.0))
    stage.time_s = 60.0


def construction_zone(stage: Stage) -> None:
    """Cones and barriers close the right part of the lane for some metres."""
    at = find_stretch(stage, 45.0, 110.0, 45.0)
    edge = right_edge_m(stage, at + 15.0)
    closed = stage.value("closed_m", 0.9, 2.0) + edge - 1.75
    long = stage.value("length_m", 12.0, 24.0)
    for k, along in enumerate(np.linspace(0.0, long + 8.0, 8)):
        taper = min(along / 8.0, 1.0, (long + 8.0 - along) / 4.0 + 0.2)
        pose = beside_route(stage.route, at + 6.0 + float(along), -(edge - closed * taper))
        stage.crowd.add_loose(CONE, pose, length=0.4, width=0.4, height=0.75)
        if k in (3, 5):
            board = beside_route(stage.route, at + 6.0 + float(along), -(edge - 0.5 * closed * taper))
            board[2] += np.pi / 2
            stage.crowd.add_loose(BARRIER, board, length=max(0.8 * closed, 0.8), width=0.3, height=1.0)
    stage.num_agents = min(stage.num_agents, 16)
    stage.time_s = 40.0


def debris(stage: Stage) -> None:
    """Something that fell off a truck lies in the lane."""
    at = find_stretch(stage, 40.0, 110.0, 30.0)
    size = stage.value("size_m", 0.4, 1.1)
    pose = beside_route(stage.route, at + 12.0, float(stage.rng.uniform(-0.9, 0.9)))
    pose[2] += float(stage.rng.uniform(-3.1, 3.1))
    stage.crowd.add_loose(DEBRIS, pose, length=size, width=0.7 * size, height=0.3 + 0.3 * size)
    stage.time_s = 40.0


def slippery_road(stage: Stage) -> None:
    """Wet leaves or snow: the tyres hold a third to two thirds of what they hold on dry asphalt."""
    stage.grip = stage.value("grip", 0.65, 0.35, least=0.2, most=1.0)
    stage.look["rain"] = stage.value("rain", 0.2, 0.4)
    stage.tags.add("low grip")
    stage.time_s = 20.0
