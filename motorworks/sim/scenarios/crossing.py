"""Scenarios at crossings and junctions."""

import numpy as np
from jaxtyping import Float

from motorworks.datatypes.agent import BUS, CAR, CHILD, PEDESTRIAN, VAN
from motorworks.datatypes.scene import GREEN, RED
from motorworks.geometry.array import Array
from motorworks.sim.agents import AT_STEP, EGO_WITHIN_M, EGO_WITHIN_S, START, STATIC
from motorworks.sim.lanes import ALL_STOP, LIGHT, STOP, WALK, YIELD
from motorworks.sim.route import CONNECTOR, ENTRY, FIRST_EXIT, LANE, SLOW, TO_LEFT, WORD, WORD_AT, Route, is_ring, lane_points
from motorworks.sim.rules import BLIND_TO_OTHERS, BLIND_TO_RULES, KEEPS_LANE, light_at
from motorworks.sim.scenarios.places import beside_route, find_junction, find_stretch, lane_and_s, right_edge_m
from motorworks.sim.staging import ImpossibleScenario, Stage

ARRIVES_FRAC = 0.85  # of the speed that bends allow, by a driver whom nobody holds up
TO_LINE_M, PULLS_AWAY_MPS2 = 3.5, 1.5  # who waits at a line: its centre before the lane's end, and then


def _step_out(stage: Stage, at_m: float, kind: int, notice_s: float, speed_mps: float) -> None:
    """Someone at the right edge of the road who walks straight across when the ego is near."""
    pose = beside_route(stage.route, at_m, -(right_edge_m(stage, at_m) + 0.2))
    pose[2] += np.pi / 2
    cue = {"cue": EGO_WITHIN_S, "cue_value": notice_s, "act": START, "act_value": speed_mps, "act_steps": 1}
    stage.crowd.add_loose(kind, pose, mode=STATIC, **cue)


def jaywalker_behind_van(stage: Stage) -> None:
    """A pedestrian steps out from behind a van parked at the kerb."""
    at = find_stretch(stage, 40.0, 100.0, 25.0)
    stage.parks = False
    stage.crowd.add_loose(VAN, beside_route(stage.route, at + 5.0, -(right_edge_m(stage, at + 5.0) - 0.55)))
    _step_out(stage, at + 10.0, PEDESTRIAN, stage.value("notice_s", 3.8, 2.6), stage.value("walk_mps", 1.2, 2.0))


def bus_stop(stage: Stage) -> None:
    """A bus stands at its stop, half in the lane; somebody crosses in front of it."""
    at = find_stretch(stage, 40.0, 100.0, 38.0)
    stage.parks = False
    stage.crowd.add_loose(BUS, beside_route(stage.route, at + 10.0, -(right_edge_m(stage, at + 10.0) - 0.7)))
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


def _rivals(stage: Stage, connector: int) -> list[int]:
    """Connectors of the road that cross `connector`."""
    lanes = stage.town.network.lanes
    return [int(rival) for rival in lanes.rivals[connector, : lanes.num_rivals[connector]] if lanes.kind[rival] != WALK]


def _facing(stage: Stage, connector: int, turn: int) -> int:
    """The connector by which oncoming traffic goes on, 0, or turns left, 1, across `connector`; -1 if none, or its road is short."""
    lanes = stage.town.network.lanes
    ours = lane_points(lanes, connector)[0, 2]
    turning = [rival for rival in _rivals(stage, connector) if lanes.turn[rival] == turn and lanes.length[lanes.source[rival]] > 15.0]
    return next((rival for rival in turning if np.cos(ours - lane_points(lanes, rival)[0, 2]) < -0.7), -1)


def _arrival_times_s(route: Route) -> Float[Array, " metre"]:
    """When a driver whom nobody holds up comes to each metre of a route."""
    return np.cumsum(1.0 / (ARRIVES_FRAC * route.points[:, SLOW]))


def _arrives_s(route: Route) -> float:
    """When that driver comes to the first line."""
    return float(_arrival_times_s(route)[int(route.points[0, ENTRY])])


def _runs_red(stage: Stage, route: Route, turn: int) -> int:
    """A connector across the first one of a route, with this turn, that is red while the route's is green and an unhindered ego arrives; else -1."""
    network, entry, connector = stage.town.network, float(route.points[0, ENTRY]), int(route.points[0, CONNECTOR])
    lanes = network.lanes
    if connector < 0 or not 50.0 < entry < 130.0 or lanes.control[connector] != LIGHT or lanes.turn[connector] > 0:
        return -1
    arrives = round(10 * _arrives_s(route))

    def lights(of: int) -> set[int]:
        return {light_at(network.signals[None], int(lanes.signal[of]), arrives + late) for late in range(-50, 30, 10)}

    if lights(connector) != {GREEN}:
        return -1
    return next((r for r in _rivals(stage, connector) if lanes.turn[r] == turn and lights(r) == {RED}), -1)


def _starts_at(eagerness: float, notice_m: float = 0.0) -> dict[str, float]:
    """Stands until the ego is so near."""
    return {"cue": EGO_WITHIN_M, "cue_value": notice_m, "act": START, "act_value": eagerness, "act_steps": 1}


def _where_they_meet(stage: Stage, rival: int) -> tuple[int, float]:
    """Where a rival crosses the first connector of the route: metres along the route, and along the rival."""
    lanes, route = stage.town.network.lanes, stage.route
    entry, ours, theirs = int(route.points[0, ENTRY]), int(route.points[0, CONNECTOR]), lane_points(lanes, rival)[:, :2]
    apart = np.hypot(*(lane_points(lanes, ours)[:, None, :2] - theirs).transpose(2, 0, 1))
    met = int(apart.min(axis=0).argmin())
    return entry + int(np.hypot(*(route.points[entry : entry + 40, :2] - theirs[met]).T).argmin()), met * float(lanes.step[rival])


def _find_runner(stage: Stage) -> int:
    """The connector of who will run a red light: straight across where the town has such a place, else turning left."""
    try:
        stage.find_route(lambda route: _runs_red(stage, route, 0) >= 0, "a green light and a road straight across")
        return _runs_red(stage, stage.route, 0)
    except ImpossibleScenario:
        stage.find_route(lambda route: _runs_red(stage, route, 1) >= 0, "a green light to arrive at, and a crossing road")
        return _runs_red(stage, stage.route, 1)


def red_light_runner(stage: Stage) -> None:
    """A car on the crossing road drives off at its red light as the ego arrives at a green one."""
    rival = _find_runner(stage)
    lanes, route = stage.town.network.lanes, stage.route
    source, entry = int(lanes.source[rival]), int(route.points[0, ENTRY])
    stage.crowd.kept_clear = {source, *(int(lane) for lane in np.unique(route.points[:entry, LANE]))}
    slot = stage.crowd.add(
        CAR, source, float(lanes.length[source]) - TO_LINE_M, mode=STATIC, blind=BLIND_TO_RULES | BLIND_TO_OTHERS | KEEPS_LANE, **_starts_at(0.9)
    )
    meets_m, along_m = _where_they_meet(stage, rival)
    times_s, left_m = _arrival_times_s(route), stage.value("left_m", 24.0, 14.0)  # for the ego to where they meet, once the other is there
    starts_s = times_s[int(meets_m - left_m)] - np.sqrt(2.0 * (TO_LINE_M + along_m) / PULLS_AWAY_MPS2)
    at = max(int(np.searchsorted(times_s, starts_s)), 4)
    stage.agents.cue_value[slot] = np.hypot(*(stage.agents.pose[slot, :2] - route.points[at, :2]))
    stage.agents.next_lane[slot] = rival


def unprotected_left(stage: Stage) -> None:
    """A left turn across a stream of oncoming traffic."""
    lanes = stage.town.network.lanes

    def wanted(route: Route) -> bool:
        entry, connector = float(route.points[0, ENTRY]), int(route.points[0, CONNECTOR])
        left = connector >= 0 and 25.0 < entry < 120.0 and lanes.turn[connector] == 1 and lanes.control[connector] in (LIGHT, YIELD, STOP)
        across = _facing(stage, connector, 0) if left else -1
        return across >= 0 and lanes.signal[across] == lanes.signal[connector]

    stage.find_route(wanted, "a left turn across oncoming traffic")
    rival, gap = _facing(stage, int(stage.route.points[0, CONNECTOR]), 0), stage.value("gap_m", 35.0, 18.0)
    num, source = round(stage.value("num_oncoming", 2, 5)), int(lanes.source[rival])
    speed, last = 0.6 * float(lanes.limit[source]), float(lanes.length[source]) - 12.0
    # the first of them a little before the ego, or as far on as the whole stream has room
    s = max(min(last, last + 22.0 - speed * _arrives_s(stage.route)), min(4.0 + gap * (num - 1), last))
    for _ in range(num):
        if s < 4.0:
            break
        slot = stage.crowd.add(CAR, source, s)
        stage.agents.speed[slot], stage.agents.next_lane[slot] = speed, rival
        s -= gap
    stage.time_s = 30.0


def oncoming_turns_left(stage: Stage) -> None:
    """An oncoming car turns left right in front of the ego, which has the right of way."""
    lanes = stage.town.network.lanes

    def wanted(route: Route) -> bool:
        entry, connector = float(route.points[0, ENTRY]), int(route.points[0, CONNECTOR])
        return connector >= 0 and 40.0 < entry < 120.0 and lanes.turn[connector] == 0 and _facing(stage, connector, 1) >= 0

    stage.find_route(wanted, "an oncoming left turn")
    rival = _facing(stage, int(stage.route.points[0, CONNECTOR]), 1)
    source = int(lanes.source[rival])
    cue = _starts_at(0.8, stage.value("notice_m", 52.0, 36.0))
    blind = BLIND_TO_RULES | BLIND_TO_OTHERS | KEEPS_LANE
    slot = stage.crowd.add(CAR, source, float(lanes.length[source]) - TO_LINE_M, mode=STATIC, blind=blind, **cue)
    stage.agents.next_lane[slot] = rival


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
