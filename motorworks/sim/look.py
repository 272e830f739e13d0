"""What light, weather and lens make of a scene: one `Look` per environment, drawn from a seed or forced by a scenario."""

from typing import NamedTuple

import numpy as np

from motorworks.geometry.array import Array

BLACK, FROZEN, SNOW = range(3)  # what a camera that drops out shows: nothing, its last picture, noise
NIGHT_SUN_RAD = -0.3
CLEAR_M = (500.0, 2000.0)  # everyday visibility


class Look(NamedTuple):
    """Scalars for one environment, or arrays [env] for a world. All float64."""

    sun_azimuth_rad: Array  # world frame, the direction towards the sun
    sun_elevation_rad: Array
    daylight: Array  # 0 .. 1.2, how bright the day is
    cloud: Array  # 0 blue sky .. 1 overcast; no cast shadows in the end
    fog_m: Array  # visibility: at this distance 5 % of the contrast is left
    rain: Array  # 0 .. 1
    wet: Array  # 0 .. 1, how much the road mirrors
    night: Array  # 0 day, 1 night: headlights and lamps burn above 0.5
    glare: Array  # 0 .. 1, bloom around a low sun
    dirt: Array  # 0 .. 1 of the lens
    dirt_seed: Array
    exposure: Array  # 0.6 .. 1.4
    red_cast: Array  # 0.85 .. 1.15, as are green and blue
    green_cast: Array
    blue_cast: Array
    noise: Array  # standard deviation of the sensor's noise, 0 .. 40 grey levels
    noise_seed: Array
    dropout: Array  # bit i: camera i of the rig is out
    dropout_kind: Array  # BLACK, FROZEN or SNOW


CLEAR = Look(*(np.float64(v) for v in (0.9, 0.8, 1.0, 0.2, 1000.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0)))
_RANGES = {
    "sun_azimuth_rad": (-10.0, 10.0),
    "sun_elevation_rad": (-np.pi / 2, np.pi / 2),
    "daylight": (0.0, 1.2),
    "cloud": (0.0, 1.0),
    "fog_m": (5.0, 1e5),
    "rain": (0.0, 1.0),
    "wet": (0.0, 1.0),
    "night": (0.0, 1.0),
    "glare": (0.0, 1.0),
    "dirt": (0.0, 1.0),
    "dirt_seed": (0.0, 2.0**31),
    "exposure": (0.6, 1.4),
    "red_cast": (0.85, 1.15),
    "green_cast": (0.85, 1.15),
    "blue_cast": (0.85, 1.15),
    "noise": (0.0, 40.0),
    "noise_seed": (0.0, 2.0**31),
    "dropout": (0.0, 255.0),
    "dropout_kind": (0.0, 2.0),
}


def _check(name: str, value: Array | float) -> None:
    low, high = _RANGES[name]
    if not (np.all(np.isfinite(value)) and np.all(value >= low) and np.all(value <= high)):
        raise ValueError(f"look: {name} must be within {low:g} .. {high:g}, got {value}")


def check_look(look: Look) -> Look:
    """The same look; ValueError naming the field, its value and its range where one is wrong."""
    for name, value in look._asdict().items():
        _check(name, value)
    return look


def empty_looks(num_envs: int) -> Look:
    """A clear day for each environment, to be written in place."""
    return Look(*(np.full(num_envs, value) for value in CLEAR))


def _maybe(rng: np.random.Generator, frac: float, low: float, high: float) -> float:
    """A value within the range in `frac` of all draws, else 0. Always two draws, so that one choice does not move the others."""
    happens, value = rng.random() < frac, rng.uniform(low, high)
    return float(value) if happens else 0.0


def draw_look(
    rng: np.random.Generator,
    *,
    fog_m: float | None = None,
    night: float | None = None,
    low_sun: bool | None = None,
    rain: float | None = None,
    dirt: float | None = None,
    dropout: int | None = None,
) -> Look:
    """An everyday look, with conditions forced where given. ValueError for values out of range.

    Everyday: day, sun 15 to 65 degrees up, no fog below 500 m, a shower in 8 % and a damp road in 12 % of draws, a speck of dirt,
    a little noise. `low_sun` puts the sun 4 to 9 degrees above the horizon; the caller sets `sun_azimuth_rad` to aim it.
    """
    forced = {"fog_m": fog_m, "night": night, "rain": rain, "dirt": dirt, "dropout": dropout}
    for name, value in forced.items():
        if value is not None:
            _check(name, value)
    showers, damp = _maybe(rng, 0.08, 0.15, 0.5), _maybe(rng, 0.12, 0.2, 0.7)
    wet_from_rain = showers if rain is None else rain
    elevation, low = float(np.deg2rad(rng.uniform(15, 65))), float(np.deg2rad(rng.uniform(4, 9)))
    cloud = float(rng.beta(0.8, 1.0))
    if wet_from_rain > 0:
        cloud = max(cloud, 0.8)
    dark = 0.0 if night is None else float(night)
    visibility = float(np.exp(rng.uniform(*np.log(CLEAR_M))))
    daylight, exposure = float(rng.uniform(0.85, 1.12)), float(rng.uniform(0.9, 1.12))
    warm, tint = float(rng.uniform(-0.05, 0.05)), float(rng.uniform(-0.03, 0.03))
    speck, noise = _maybe(rng, 0.12, 0.02, 0.08), float(rng.uniform(0.0, 3.0))
    azimuth, dirt_seed, noise_seed = rng.uniform(-np.pi, np.pi), rng.integers(2**31), rng.integers(2**31)
    dropout_kind = int(rng.integers(3))
    if low_sun:
        elevation, cloud, warm = low, min(cloud, 0.2), 0.07
    look = Look(
        sun_azimuth_rad=np.float64(azimuth),
        sun_elevation_rad=np.float64(elevation + (NIGHT_SUN_RAD - elevation) * dark),
        daylight=np.float64(daylight),
        cloud=np.float64(cloud),
        fog_m=np.float64(visibility * (1.0 - 0.7 * wet_from_rain) if fog_m is None else fog_m),
        rain=np.float64(wet_from_rain),
        wet=np.float64(max(damp, min(1.0, 2.0 * wet_from_rain))),
        night=np.float64(dark),
        glare=np.float64(1.0 if low_sun else 0.0),
        dirt=np.float64(speck if dirt is None else dirt),
        dirt_seed=np.float64(dirt_seed),
        exposure=np.float64(exposure),
        red_cast=np.float64(1.0 + warm),
        green_cast=np.float64(1.0 + tint),
        blue_cast=np.float64(1.0 - warm),
        noise=np.float64(noise + 5.0 * dark),
        noise_seed=np.float64(noise_seed),
        dropout=np.float64(0 if dropout is None else dropout),
        dropout_kind=np.float64(dropout_kind),
    )
    return check_look(look)
