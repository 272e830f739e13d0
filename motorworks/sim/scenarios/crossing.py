"""Scenarios at crossings and junctions."""

import numpy as np

from motorworks.datatypes.agent import BUS, CAR, CHILD, PEDESTRIAN, VAN
from motorworks.sim.agents import AT_STEP, EGO_WITHIN_M, EGO_WITHIN_S, START, STATIC
from motorworks.sim.lanes import ALL_STOP, LIGHT, STOP, WALK, YIELD
from motorworks.sim.route import CONNECTOR, ENTRY, FIRST_EXIT, TO_LEFT, WORD, WORD_AT, Route, is_ring, lane_points
from motorworks.sim.rules import BLIND_TO_OTHERS, BLIND_TO_RULES, KEEPS_LANE
from motorworks.sim.scenarios.places import beside_route, find_junction, find_stretch, lane_and_s
from motorworks.sim.staging import Stage


def _step_out(stage: Stage, at_m: float, kind: int, notice_s: float, speed_mps: float) -> None:
    """Someone at the right edge of the road who walks straight across when the ego is near."""
    lane, _ = lane_and_s(stage.route, at_m)
    edge = float(stage.town.network.lanes.right_room[lane]) + 0.2
    pose = beside_route(stage.route, at_m, -edge)
    pose[2] += np.pi / 2
    cue = {"cue": EGO_WITHIN_S, "cue_value": notice_s, "act": START, "act_value": speed_mps, "act_steps": 1}
    stage.crowd.add_loose(kind, pose, mode=STATIC, **cue)


def jaywalker_behind_van(stage: Stage) -> None:
    """A pedestrian steps out from behind a van parked at the kerb."""
    at = find_stretch(stage, 40.0, 100.0, 25.0)
    stage.parks = False
    lane, _ = lane_and_s(stage.route, at + 5.0)
    edge = float(stage.town.network.lanes.right_room[lane])
    stage.crowd.add_loose(VAN, beside_route(stage.route, at + 5.0, -(edge - 0.55)))
    _step_out(stage, at + 10.0, PEDESTRIAN, stage.value("notice_s", 3.8, 2.6), stage.value("walk_mps", 1.2, 2.0))


def bus_stop(stage: Stage) -> None:
    """A bus stands at its stop, half in the lane; somebody crosses in front of it."""
    at = find_stretch(stage, 40.0, 100.0, 38.0)
    stage.parks = False
    lane, _ = lane_and_s(stage.route, at + 10.0)
    edge = float(stage.town.network.lanes.right_room[lane])
    stage.crowd.add_loose(BUS, beside_route(stage.route, at + 10.0, -(edge - 0.7)))
    _step_out(stage, at + 18.5, PEDESTRIAN, stage.value("notice_s", 4.2, 3.0), stage.value("walk_mps", 1.1, 1.6))
    stage.time_s = 20.0


def school_zone(stage: Stage) -> None:
    """Children on both sides of the road; one runs across."""
    at = find_stretch(stage, 40.0, 100.0, 25.0)
    stage.parks = False
    num = round(stage.value("num_children", 4, 10))
    lanes = stage.town.network.lanes
    lane, _ = lane_and_s(stage.route, at)
    for _ in range(num):
        side = 1.0 if stage.rng.random() < 0.5 else -1.0
        off = (float(lanes.left_room[lane]) if side > 0 else -float(lanes.right_room[lane])) + side * float(stage.rng.uniform(1.0, 2.2))
        pose = beside_route(stage.route, at + float(stage.rng.uniform(0.0, 25.0)), off)
        pose[2] += float(stage.rng.uniform(-3.1, 3.1))
        stage.crowd.add_loose(CHILD, pose)
    _step_out(stage, at + 14.0, CHILD, stage.value("notice_s", 4.2, 2.8), stage.value("run_mps", 1.5, 2.8))
    stage.num_agents = min(stage.num_agents, 12)


def crowded_crosswalk(stage: Stage) -> None:
    """Many people at the crossings of the next junction."""
    entry, _ = find_junction(stage, "a junction with crossings", low_m=35.0, high_m=140.0)
    lanes = stage.town.network.lanes
    row = stage.route.points[int(entry)]
    crossings = np.flatnonzero((lanes.kind == WALK) & (lanes.source >= 0))
    near = [int(c) for c in crossings if np.hypot(*(lane_points(lanes, int(c))[0, :2] - row[:2])) < 35.0]
    if not near:
        stage.tags.add("no crossing near")
        return
    for number in range(round(stage.value("num_people", 5, 14))):
        lane = int(lanes.source[near[number % len(near)]])
        s = float(lanes.length[lane] * stage.rng.uniform(0.2, 0.95))
        slot = stage.crowd.add(PEDESTRIAN, lane, s, offset_m=float(stage.rng.uniform(-0.6, 0.6)))
        stage.agents.next_lane[slot] = near[number % len(near)]
    stage.num_agents = min(stage.num_agents, 14)
    stage.time_s = 30.0


def _rival_source(stage: Stage, connector: int, *, ring: bool = False) -> tuple[int, int]:
    """A connector of the road that crosses `connector`, and the lane before it; the longest approach. (-1, -1) if none."""
    lanes = stage.town.network.lanes
    best, found = 0.0, (-1, -1)
    for k in range(int(lanes.num_rivals[connector])):
        rival = int(lanes.rivals[connector, k])
        source = int(lanes.source[rival])
        if lanes.kind[rival] != WALK and lanes.length[source] > best and is_ring(lanes, source) == ring:
            best, found = float(lanes.length[source]), (rival, source)
    return found


def red_light_runner(stage: Stage) -> None:
    """A car on the crossing road ignores its red light as the ego arrives."""
    entry, connector = find_junction(stage, "a traffic light that other roads cross", controls=(LIGHT,), turns=(0, 1), low_m=40.0, high_m=130.0)
    rival, source = _rival_source(stage, connector)
    if rival < 0:
        stage.find_route(lambda route: False, "a crossing road")
    lanes = stage.town.network.lanes
    arrives_s = entry / max(stage.route.start_speed_mps, 5.0) + stage.value("late_s", 2.0, 0.3)
    speed = 0.9 * float(lanes.limit[source])
    s = max(float(lanes.length[source]) - 2.0 - speed * arrives_s, 3.0)
    blind = BLIND_TO_RULES | BLIND_TO_OTHERS | KEEPS_LANE
    slot = stage.crowd.add(CAR, source, s, eagerness=0.9, blind=blind)
    stage.agents.speed[slot], stage.agents.next_lane[slot] = speed, rival


def unprotected_left(stage: Stage) -> None:
    """A left turn across a stream of oncoming traffic."""
    _, connector = find_junction(stage, "a left turn", controls=(LIGHT, YIELD, STOP), turns=(1,), low_m=25.0, high_m=120.0)
    rival, source = _rival_source(stage, connector)
    lanes, gap = stage.town.network.lanes, stage.value("gap_m", 35.0, 18.0)
    s = float(lanes.length[source]) - 12.0 if rival >= 0 else 0.0
    for _ in range(round(stage.value("num_oncoming", 2, 5))):
        if s < 4.0:
            break
        slot = stage.crowd.add(CAR, source, s)
        stage.agents.speed[slot], stage.agents.next_lane[slot] = 0.6 * lanes.limit[source], rival
        s -= gap
    stage.time_s = 30.0


def oncoming_turns_left(stage: Stage) -> None:
    """An oncoming car turns left right in front of the ego, which has the right of way."""
    lanes = stage.town.network.lanes

    def turning(connector: int) -> int:
        rivals = [int(r) for r in lanes.rivals[connector, : lanes.num_rivals[connector]] if lanes.kind[r] != WALK and lanes.turn[r] == 1]
        return next((r for r in rivals if lanes.length[lanes.source[r]] > 15.0 and _faces(stage, connector, r)), -1)

    def wanted(route: Route) -> bool:
        entry, connector = float(route.points[0, ENTRY]), int(route.points[0, CONNECTOR])
        return connector >= 0 and 40.0 < entry < 120.0 and lanes.turn[connector] == 0 and turning(connector) >= 0

    stage.find_route(wanted, "an oncoming left turn")
    connector = int(stage.route.points[0, CONNECTOR])
    rival = turning(connector)
    source = int(lanes.source[rival])
    cue = {"cue": EGO_WITHIN_M, "cue_value": stage.value("notice_m", 52.0, 36.0), "act": START, "act_value": 0.8, "act_steps": 1}
    blind = BLIND_TO_RULES | BLIND_TO_OTHERS | KEEPS_LANE
    slot = stage.crowd.add(CAR, source, float(lanes.length[source]) - 3.5, mode=STATIC, blind=blind, **cue)
    stage.agents.next_lane[slot] = rival


def _faces(stage: Stage, connector: int, rival: int) -> bool:
    lanes = stage.town.network.lanes
    ours, theirs = lane_points(lanes, connector)[0, 2], lane_points(lanes, rival)[0, 2]
    return bool(np.cos(ours - theirs) < -0.7)


def roundabout_entry(stage: Stage) -> None:
    """A roundabout with cars going round."""
    lanes = stage.town.network.lanes
    stage.find_route(lambda r: FIRST_EXIT <= r.points[0, WORD] < TO_LEFT and 25.0 < r.points[0, WORD_AT] < 120.0, "a roundabout")
    entry = stage.route.points[int(stage.route.points[0, WORD_AT]), :2]
    rings = [lane for lane in range(len(lanes.first)) if is_ring(lanes, lane) and np.hypot(*(lane_points(lanes, lane)[0, :2] - entry)) < 45.0]
    for number in range(round(stage.value("num_circulating", 1, 4))):
        if number < len(rings):
            lane = rings[number]
            slot = stage.crowd.add(CAR, lane, float(lanes.length[lane]) * 0.5)
            stage.agents.speed[slot] = 4.0
    stage.time_s = 20.0


def blocked_junction(stage: Stage) -> None:
    """Traffic stands behind the junction: do not enter it until there is room."""
    _, connector = find_junction(stage, "a junction", controls=(LIGHT, STOP, YIELD, ALL_STOP), low_m=35.0, high_m=130.0)
    lanes = stage.town.network.lanes
    leaving = int(lanes.next[connector, 0])
    stands = round(stage.value("stands_s", 12.0, 30.0) * 10)
    cue = {"cue": AT_STEP, "cue_value": stands, "act": START, "act_value": 0.8, "act_steps": 1}
    for number in range(3):
        s = 3.2 + 6.8 * number
        if s < lanes.length[leaving] - 8.0:
            stage.crowd.add(CAR, leaving, s, mode=STATIC, **cue)
    stage.time_s = 40.0
