"""How policies and metrics are shown: order, colour, words, and which way is better."""

from collections.abc import Iterable

POLICY_ORDER = (
    "stand_still",
    "constant_velocity",
    "pretrain",
    "sft",
    "rl_before_polish",
    "rl",
    "distil_before_polish",
    "distil",
    "student",
    "released_int8",
    "teacher",
    "expert",
)
_TONES = {"stand_still": "probe", "constant_velocity": "probe", "expert": "expert", "teacher": "expert", "released_int8": "accent"}
RELEASED, EXPERT, PROBES = "released_int8", "expert", ("stand_still", "constant_velocity")

# metric: (words, +1 larger is better or -1 smaller is)
METRICS = {
    "route_completion_frac": ("route completed, share", 1),
    "driving_score": ("driving score (CARLA), of 100", 1),
    "epdms_style": ("EPDMS-style score", 1),
    "success_frac": ("clean arrivals, share", 1),
    "collisions_per_km": ("collisions per km", -1),
    "time_to_collision_s": ("least time to collision, s (never rewarded)", 1),
    "alpasim_scene_score": ("AlpaSim scene score", 1),
    "at_fault_collision_frac": ("at-fault collisions, share", -1),
    "collision_frac": ("collisions, share", -1),
    "off_road_frac": ("left the road, share", -1),
    "timeout_frac": ("ran out of time, share", -1),
    "wrong_way_frac": ("against traffic, share of metres", -1),
    "mean_speed_mps": ("mean speed, m/s", 1),
    "speed_limit_score": ("keeps the limit", 1),
    "lateral_offset_m": ("offset from lane centre, m", -1),
    "comfort_frac": ("comfortable steps, share", 1),
    "jerk_rms_mps3": ("jerk RMS, m/s³", -1),
    "lat_accel_max_mps2": ("largest lateral acceleration, m/s²", -1),
    "thought_agrees_frac": ("words agree with motion, share", 1),
    "nuplan_style": ("nuPlan-style score", 1),
    "at_fault_collisions_per_100km": ("at-fault collisions per 100 km", -1),
    "red_lights_per_km": ("red lights run per km", -1),
    "stop_signs_per_km": ("stop signs run per km", -1),
    "gave_no_way_per_km": ("gave no way, per km", -1),
    "blocks_siren_per_km": ("blocked a siren, per km", -1),
    "driven_km": ("driven, km", 1),
    "nuplan_ttc": ("· time to collision (nuPlan)", 1),
    "nuplan_progress": ("· progress (nuPlan)", 1),
    "nuplan_direction": ("· driving direction (nuPlan)", 1),
    "nuplan_speed": ("· keeps the limit (nuPlan)", 1),
    "nuplan_comfort": ("· comfort (nuPlan)", 1),
    "epdms_tlc": ("· traffic lights", 1),
    "epdms_nc": ("· no at-fault collision", 1),
    "epdms_dac": ("· drivable area", 1),
    "epdms_ddc": ("· driving direction", 1),
    "epdms_ep": ("· progress", 1),
    "epdms_ttc": ("· time to collision", 1),
    "epdms_lk": ("· lane keeping", 1),
    "epdms_hc": ("· comfort", 1),
    "epdms_ec": ("· plan to plan comfort", 1),
}
PLOTTED = ("route_completion_frac", "driving_score", "epdms_style", "collisions_per_km", "success_frac", "time_to_collision_s")
IN_SHORT = ("route_completion_frac", "driving_score", "epdms_style", "collisions_per_km", "success_frac", "off_road_frac")
OPEN_LOOP = {
    "action_error_frac": "action error, share of the body's limits",
    "accel_error_mps2": "acceleration error, m/s²",
    "curvature_error_per_m": "curvature error, 1/m",
    "ade_1s_m": "displacement over 1 s, m",
    "ade_2s_m": "displacement over 2 s, m",
    "ade_3s_m": "displacement over 3 s, m",
}


def in_order(policies: Iterable[str]) -> list[str]:
    """Probes first, then models in the order they are made, then those that see everything."""
    return sorted(dict.fromkeys(policies), key=lambda name: (_rank(name), name))


def _rank(name: str) -> float:
    return POLICY_ORDER.index(name) if name in POLICY_ORDER else POLICY_ORDER.index("released_int8") - 0.5


def driver_words(policy: str) -> str:
    """What a driver is called where many stand side by side."""
    return {RELEASED: "released", "constant_velocity": "const. velocity"}.get(policy, policy.replace("_", " "))


def tone_of(policy: str) -> str:
    """The colour variable of a policy."""
    return _TONES.get(policy, "s1")


def metric_words(metric: str) -> str:
    """What a metric is called on the page."""
    return METRICS.get(metric, (OPEN_LOOP.get(metric, metric.replace("_", " ")), 1))[0]
