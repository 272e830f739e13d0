"""Scenarios made by other drivers."""

from motorworks.datatypes.agent import CAR, CYCLIST, EMERGENCY, TRUCK
from motorworks.sim.agents import AT_STEP, BRAKE, EGO_WITHIN_M, EGO_WITHIN_S, SHIFT, START, STATIC
from motorworks.sim.lanes import LANE_WIDTH_M
from motorworks.sim.route import Route
from motorworks.sim.rules import KEEPS_LANE
from motorworks.sim.scenarios.places import find_stretch, lane_and_s, place_oncoming
from motorworks.sim.staging import Stage

MEETS_FROM_M = 72.0  # along the route: nearer it comes too suddenly, and few towns have a lane that is longer
LONG = 6000  # steps: to the end of any episode


def _lead(stage: Stage, gap_m: float, kind: int = CAR, **fields: float) -> int:
    """A vehicle in the ego's lane, centre `gap_m` ahead of the start."""
    find_stretch(stage, 2.0, 40.0, gap_m + 25.0, straight=False)
    lane, s = lane_and_s(stage.route, gap_m)
    slot = stage.crowd.add(kind, lane, s, **{"blind": KEEPS_LANE, **fields})
    stage.agents.speed[slot] = stage.route.start_speed_mps
    return slot


def cut_in(stage: Stage) -> None:
    """A car in the lane beside pulls in just ahead, a little slower than the ego."""
    gap = stage.value("gap_m", 14.0, 7.0)
    slower = stage.value("speed_frac", 0.85, 0.6)
    find_stretch(stage, 2.0, 8.0, 70.0, beside=True, straight=False)
    lanes = stage.town.network.lanes
    lane, s = lane_and_s(stage.route, 4.0)
    left = lanes.left[lane] >= 0
    beside = int(lanes.left[lane] if left else lanes.right[lane])
    s = (s + gap) * lanes.length[beside] / lanes.length[lane]
    to_side = -LANE_WIDTH_M if left else LANE_WIDTH_M
    cue = {"cue": AT_STEP, "cue_value": 15, "act": SHIFT, "act_value": to_side, "act_steps": LONG}
    slot = stage.crowd.add(CAR, beside, s, eagerness=slower, blind=KEEPS_LANE, **cue)
    stage.agents.speed[slot] = stage.route.start_speed_mps


def hard_brake_ahead(stage: Stage) -> None:
    """The car ahead brakes hard for no visible reason, stands, and drives on."""
    decel = stage.value("decel_mps2", 4.0, 8.0)
    cue = {"cue": AT_STEP, "cue_value": 40, "act": BRAKE, "act_value": decel, "act_steps": 50}
    _lead(stage, stage.value("gap_m", 26.0, 15.0), eagerness=0.95, **cue)


def stop_and_go(stage: Stage) -> None:
    """A queue that crawls, stops and crawls on."""
    crawl = stage.value("speed_frac", 0.35, 0.15)
    find_stretch(stage, 2.0, 40.0, 75.0, straight=False)
    for number in range(4):
        lane, s = lane_and_s(stage.route, 20.0 + 9.0 * number)
        cue = {"cue": AT_STEP, "cue_value": 60, "act": BRAKE, "act_value": 3.0, "act_steps": 60} if number == 3 else {}
        slot = stage.crowd.add(CAR, lane, s, eagerness=crawl, blind=KEEPS_LANE, **cue)
        stage.agents.speed[slot] = 1.0
    stage.time_s = 60.0


def slow_truck(stage: Stage) -> None:
    """A truck ahead that is much slower than the limit, and hides the road."""
    _lead(stage, stage.value("gap_m", 32.0, 20.0), TRUCK, eagerness=stage.value("speed_frac", 0.6, 0.35))
    stage.time_s = 40.0


def tailgater(stage: Stage) -> None:
    """A car follows much too close while another ahead slows down."""
    _lead(stage, 26.0, eagerness=0.6)
    lane, s = lane_and_s(stage.route, 0.0)
    back = stage.value("gap_m", 11.0, 8.0)
    if s - back < 3.0:
        stage.find_route(lambda route: lane_and_s(route, 0.0)[1] > back + 4.0, "room behind the start")
        lane, s = lane_and_s(stage.route, 0.0)
    slot = stage.crowd.add(CAR, lane, s - back, headway=0.4, eagerness=1.2, blind=KEEPS_LANE)
    stage.agents.speed[slot] = stage.route.start_speed_mps


def pulling_out(stage: Stage) -> None:
    """A car parked at the side pulls out in front of the ego without looking."""
    at = find_stretch(stage, 35.0, 90.0, 25.0)
    stage.parks = False
    lane, s = lane_and_s(stage.route, at + 8.0)
    cue = {"cue": EGO_WITHIN_S, "cue_value": stage.value("notice_s", 3.8, 2.4), "act": START, "act_value": 0.7, "act_steps": 1}
    edge = min(float(stage.town.network.lanes.right_room[lane]) - 1.0, 2.9)
    stage.crowd.add(CAR, lane, s, offset_m=-edge, mode=STATIC, **cue)


def _meeting(stage: Stage) -> tuple[int, float]:
    """The ego's first lane, empty up to a place so far ahead that whoever comes from there is met on it, and that place."""
    find_stretch(stage, 2.0, 10.0, MEETS_FROM_M, oncoming=True, straight=False)
    lane, s = lane_and_s(stage.route, MEETS_FROM_M)
    stage.crowd.kept_clear = {lane, int(stage.town.network.lanes.opposite[lane])}
    return lane, s


def wrong_way_driver(stage: Stage) -> None:
    """A car comes towards the ego in its own lane, and swerves back late."""
    lane, s = _meeting(stage)
    swerves = {"cue": EGO_WITHIN_M, "cue_value": stage.value("swerve_m", 32.0, 24.0), "act": SHIFT, "act_steps": LONG}
    slot = stage.crowd.add(CAR, lane, s, offset_m=stage.value("offset_m", 0.4, 0.0), backward=1, eagerness=0.55, blind=KEEPS_LANE, **swerves)
    stage.agents.speed[slot] = 4.0


def oncoming_drift(stage: Stage) -> None:
    """An oncoming driver drifts over the centre line for some seconds."""
    lane, s = _meeting(stage)
    lanes = stage.town.network.lanes
    other = int(lanes.opposite[lane])
    over = stage.value("over_m", 1.0, 1.3)
    cue = {"cue": EGO_WITHIN_M, "cue_value": 45.0, "act": SHIFT, "act_value": over, "act_steps": 80}
    slot = stage.crowd.add(CAR, other, float(lanes.length[other] * (1 - s / lanes.length[lane])), eagerness=0.8, blind=KEEPS_LANE, **cue)
    stage.agents.speed[slot] = 0.6 * lanes.limit[other]


def cyclist_overtake(stage: Stage) -> None:
    """A slow cyclist ahead, oncoming traffic beside."""
    at = find_stretch(stage, 22.0, 60.0, 45.0)
    lane, s = lane_and_s(stage.route, at)
    speed = stage.value("speed_mps", 4.5, 2.5)
    slot = stage.crowd.add(CYCLIST, lane, s, offset_m=-1.1, eagerness=speed / float(stage.town.network.lanes.limit[lane]))
    stage.agents.speed[slot] = speed
    place_oncoming(stage, at + 35.0, round(stage.value("num_oncoming", 1, 4)), 18.0)
    stage.time_s = 30.0


def emergency_vehicle_behind(stage: Stage) -> None:
    """An ambulance with siren comes up from behind and wants to pass."""
    back = stage.value("gap_m", 35.0, 20.0)
    lanes = stage.town.network.lanes

    def wide(route: Route) -> bool:
        """Room behind the start, and a road ahead on which one can be passed at all."""
        lane, s = lane_and_s(route, 0.0)
        ahead = {lane_and_s(route, at)[0] for at in range(0, 140, 10)}
        return s > back + 4.0 and lane_and_s(route, 50.0)[0] == lane and all(lanes.left_room[k] > 4.5 for k in ahead if lanes.source[k] < 0)

    if not wide(stage.route):
        stage.find_route(wide, "room to be passed in")
    lane, s = lane_and_s(stage.route, 0.0)
    slot = stage.crowd.add(EMERGENCY, lane, s - back, length=5.6, width=2.0, height=2.4, eagerness=1.35, blind=KEEPS_LANE | 1, headway=0.6)
    stage.agents.speed[slot] = stage.route.start_speed_mps + 2.0
    stage.num_agents = min(stage.num_agents, 8)
    stage.time_s = 20.0


def late_merge(stage: Stage) -> None:
    """The route changes lane where the next lane is full and slow."""
    from motorworks.sim.route import TO_LEFT, WORD, WORD_AT

    stage.find_route(lambda route: route.points[0, WORD] >= TO_LEFT and 25.0 < route.points[0, WORD_AT] < 90.0, "an early lane change")
    lanes = stage.town.network.lanes
    lane, s = lane_and_s(stage.route, 0.0)
    to_left = stage.route.points[0, WORD] == TO_LEFT
    beside = int(lanes.left[lane] if to_left else lanes.right[lane])
    gap, slow = stage.value("gap_m", 20.0, 13.0), stage.value("speed_frac", 0.8, 0.5)
    at = s * lanes.length[beside] / lanes.length[lane] - 5.0
    for _ in range(4):
        if 3.0 < at < lanes.length[beside] - 5.0:
            slot = stage.crowd.add(CAR, beside, float(at), eagerness=slow, blind=KEEPS_LANE)
            stage.agents.speed[slot] = stage.route.start_speed_mps
        at += gap
    stage.time_s = 20.0
