"""The long tail: named generators that stage something on a route. Their list is the start of our operational design domain (docs/odd.md)."""

from collections.abc import Callable

from motorworks.datatypes.scenario import TRAFFIC
from motorworks.sim.scenarios import crossing, drivers, obstacles, seeing
from motorworks.sim.staging import Stage


def plain_traffic(stage: Stage) -> None:
    """Ordinary traffic, people and weather; nothing staged."""


GENERATORS: tuple[Callable[[Stage], None], ...] = (
    drivers.cut_in,
    drivers.hard_brake_ahead,
    drivers.stop_and_go,
    drivers.slow_truck,
    drivers.tailgater,
    drivers.pulling_out,
    drivers.wrong_way_driver,
    drivers.oncoming_drift,
    drivers.cyclist_overtake,
    drivers.emergency_vehicle_behind,
    drivers.late_merge,
    crossing.jaywalker_behind_van,
    crossing.bus_stop,
    crossing.school_zone,
    crossing.crowded_crosswalk,
    crossing.red_light_runner,
    crossing.unprotected_left,
    crossing.oncoming_turns_left,
    crossing.roundabout_entry,
    crossing.blocked_junction,
    obstacles.stalled_car,
    obstacles.construction_zone,
    obstacles.debris,
    obstacles.slippery_road,
    seeing.fog,
    seeing.night,
    seeing.low_sun,
    seeing.heavy_rain,
    seeing.dirty_lens,
    seeing.camera_dropout,
    seeing.gps_route_error,
)
SCENARIOS: dict[str, Callable[[Stage], None]] = {TRAFFIC: plain_traffic} | {generator.__name__: generator for generator in GENERATORS}
