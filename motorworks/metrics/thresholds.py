"""Every threshold of every metric, with the published place it comes from. Change one: bump METRICS_VERSION."""

METRICS_VERSION = "2"  # stamped on every table of scores

# A metric named here decides nothing while training: it is how we notice a policy that learnt its reward instead of driving.
NEVER_REWARDED = frozenset({"time_to_collision_s"})

# NAVSIM v2 EPDMS, `pdm_scorer.py` and `pdm_comfort_metrics.py` (the bounds are nuPlan's, measured on human drivers).
MAX_ABS_JERK_MPS3 = 8.37
MAX_ABS_LON_JERK_MPS3 = 4.13
MAX_ABS_LAT_ACCEL_MPS2 = 4.89
MAX_LON_ACCEL_MPS2 = 2.40
MIN_LON_ACCEL_MPS2 = -4.05
MAX_ABS_YAW_RATE_RADPS = 0.95
MAX_ABS_YAW_ACCEL_RADPS2 = 1.93
SMOOTHING_WINDOW_STEPS = 15  # nuPlan fits a parabola through 1.5 s before it differentiates; raw 10 Hz differences are noise
PIECE_S = 4.0  # a NAVSIM scene; long rollouts are judged piece by piece
ONCOMING_WINDOW_S = 1.0
ONCOMING_HALF_M = 2.0  # driven against traffic in any 1 s: below is fine, from here half a point
ONCOMING_ZERO_M = 6.0
LANE_KEEP_MAX_M = 0.5
LANE_KEEP_S = 2.0
TTC_PROBES_S = (0.0, 0.3, 0.6, 0.9)
TTC_STANDING_MPS = 0.005
NC_OBJECT = 0.5  # an at-fault hit with a thing; with an agent it is 0
MIN_REFERENCE_PROGRESS_M = 5.0
PLAN_RMS_ACCEL_MPS2 = 0.7
PLAN_RMS_JERK_MPS3 = 0.5
PLAN_RMS_YAW_RATE_RADPS = 0.1
PLAN_RMS_YAW_ACCEL_RADPS2 = 0.1
EPDMS_WEIGHTS = {"ep": 5.0, "ttc": 5.0, "lk": 2.0, "hc": 2.0, "ec": 2.0}

# At fault: the rule that NAVSIM and nuPlan share (`no_ego_at_fault_collisions`).
STOPPED_MPS = 0.05  # slower than this an ego or an agent stands
BEHIND_RAD = 2.618  # 150 degrees off the ego's heading, seen from its rear axle: the agent came from behind

# nuPlan closed loop, `nuplan_metrics_aggeregation.md`.
OVERSPEED_SCALE_MPS = 2.23
NUPLAN_PIECE_S = 15.0  # a nuPlan scenario; its yes-or-no terms are judged piece by piece
NUPLAN_LEAST_TTC_S = 0.95
NUPLAN_LEAST_PROGRESS_FRAC = 0.2
NUPLAN_OBJECT_FACTOR = 0.5
NUPLAN_WEIGHTS = {"ttc": 5.0, "progress": 5.0, "direction": 5.0, "speed": 4.0, "comfort": 2.0}

# CARLA Leaderboard 2, `statistics_manager.py`, per event. In CARLA a cyclist is a vehicle and only who walks is a pedestrian.
# Bench2Drive leaves the minimum-speed penalty out, and so do we.
CARLA_PENALTIES = {
    "pedestrian": 0.5,
    "vehicle": 0.6,
    "static": 0.65,
    "red_light": 0.7,
    "stop_sign": 0.8,
    "emergency_vehicle": 0.7,
    "scenario_timeout": 0.7,
}

# AlpaSim, `scene_score.py`.
ALPASIM_FULL_PROGRESS_FRAC = 0.8

# Ours.
TTC_HORIZON_S = 5.0  # beyond it constant velocity says nothing
LANE_HALF_WIDTH_M = 1.75  # half of the town's 3.5 m lane
PROPOSAL_HORIZON_S = 4.0  # what PDM simulates
PROPOSAL_REACHABLE_ACCEL_MPS2 = 1.5  # brisk and comfortable
FOLLOWING_GAP_M = 4.0  # left to a standing vehicle ahead
# Most that a proposal can keep which hits an agent, or passes a line it must stop at, at the horizon; sooner keeps less. PDM gives 0 and
# so cannot rank two bad proposals. A thing (cone, debris) costs less, as NAVSIM's 0.5 for it says.
LATE_HIT_FACTOR = 0.3
LATE_OBJECT_HIT_FACTOR = 0.5
VULNERABLE_MARGIN_M = 0.5  # kept all round from who is not in a car
LINE_PASSED_M = 0.5  # with the bumper farther over it a line is behind us: stopping now would block the junction
STOP_LINE_SLACK_M = 0.1  # a bumper this far over the line still stands at it
NUM_RESAMPLES = 2000
CONFIDENCE_FRAC = 0.95
