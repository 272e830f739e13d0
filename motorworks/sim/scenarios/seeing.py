"""Scenarios of light, weather, lens and route guidance."""

from motorworks.sim.staging import Stage


def fog(stage: Stage) -> None:
    """Fog: the road is seen for a few car lengths."""
    stage.look["fog_m"] = stage.value("visibility_m", 110.0, 35.0, least=20.0, most=1000.0)
    stage.tags.add("low visibility")


def night(stage: Stage) -> None:
    """Night, with headlights and street lamps."""
    stage.look["night"] = stage.value("night", 0.8, 1.0)
    stage.tags.add("dark")


def low_sun(stage: Stage) -> None:
    """The sun stands low, right ahead on the route."""
    stage.look["low_sun"] = True
    stage.tags.add("glare")


def heavy_rain(stage: Stage) -> None:
    """Heavy rain: drops, spray, a mirror of a road, longer braking."""
    stage.look["rain"] = stage.value("rain", 0.5, 1.0)
    stage.grip = 0.7
    stage.tags.add("low grip")
    stage.tags.add("low visibility")


def dirty_lens(stage: Stage) -> None:
    """Mud on the front camera."""
    stage.look["dirt"] = stage.value("dirt", 0.35, 0.9)
    stage.tags.add("impaired camera")


def camera_dropout(stage: Stage) -> None:
    """The front camera stops delivering for the whole drive."""
    stage.look["dropout"] = 1
    stage.tags.add("impaired camera")


def gps_route_error(stage: Stage) -> None:
    """The route hint comes late: only when the manoeuvre begins."""
    stage.late_hints = True
    stage.tags.add("late route hint")
