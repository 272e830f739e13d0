"""What passengers feel: acceleration, jerk and yaw along a driven or planned motion, and the bounds humans keep."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Bool, Float

from motorworks.datatypes.trajectory import DT_S
from motorworks.geometry.array import Array
from motorworks.metrics import thresholds


@dataclass(frozen=True, kw_only=True)
class Felt:
    """The six signals the comfort bounds speak of, per step."""

    lon_accel_mps2: Float[Array, "*batch time"]
    lat_accel_mps2: Float[Array, "*batch time"]
    lon_jerk_mps3: Float[Array, "*batch time"]
    jerk_mps3: Float[Array, "*batch time"]  # magnitude of the jerk vector
    yaw_rate_radps: Float[Array, "*batch time"]
    yaw_accel_radps2: Float[Array, "*batch time"]


def felt(speed_mps: Float[Array, "*batch time"], accel_mps2: Float[Array, "*batch time"], curvature_per_m: Float[Array, "*batch time"]) -> Felt:
    """Signals smoothed and differentiated as nuPlan does (local parabolas)."""
    yaw_rate = speed_mps * curvature_per_m
    lat_accel = speed_mps * yaw_rate
    lon_jerk, lat_jerk = smooth(accel_mps2, derivative=1), smooth(lat_accel, derivative=1)
    return Felt(
        lon_accel_mps2=smooth(accel_mps2),
        lat_accel_mps2=smooth(lat_accel),
        lon_jerk_mps3=lon_jerk,
        jerk_mps3=np.hypot(lon_jerk, lat_jerk),
        yaw_rate_radps=smooth(yaw_rate),
        yaw_accel_radps2=smooth(yaw_rate, derivative=1),
    )


def comfortable(signals: Felt) -> Bool[Array, "*batch time"]:
    """True at steps inside all of NAVSIM's bounds."""
    ok = np.abs(signals.jerk_mps3) <= thresholds.MAX_ABS_JERK_MPS3
    ok &= np.abs(signals.lon_jerk_mps3) <= thresholds.MAX_ABS_LON_JERK_MPS3
    ok &= np.abs(signals.lat_accel_mps2) <= thresholds.MAX_ABS_LAT_ACCEL_MPS2
    ok &= (signals.lon_accel_mps2 <= thresholds.MAX_LON_ACCEL_MPS2) & (signals.lon_accel_mps2 >= thresholds.MIN_LON_ACCEL_MPS2)
    ok &= np.abs(signals.yaw_rate_radps) <= thresholds.MAX_ABS_YAW_RATE_RADPS
    return ok & (np.abs(signals.yaw_accel_radps2) <= thresholds.MAX_ABS_YAW_ACCEL_RADPS2)


def smooth(signal: Float[Array, "*batch time"], *, derivative: int = 0) -> Float[Array, "*batch time"]:
    """Savitzky-Golay: the value or slope of the parabola fitted around each step; at the ends, of the first and last window."""
    signal = np.asarray(signal, np.float64)
    num = signal.shape[-1]
    if num < 2:
        return signal if derivative == 0 else np.zeros_like(signal)
    window = min(thresholds.SMOOTHING_WINDOW_STEPS, num)
    fits, half = _window_fits(window, derivative), window // 2
    inside = np.lib.stride_tricks.sliding_window_view(signal, window, axis=-1) @ fits[half]
    head, tail = signal[..., :window] @ fits[:half].T, signal[..., num - window :] @ fits[half + 1 :].T
    return np.concatenate([head, inside, tail], axis=-1)


@cache
def _window_fits(window: int, derivative: int) -> Float[Array, "window window"]:
    """Row i: the fitted value or slope at step i of a window, as a linear function of its steps."""
    degree = min(3, window)
    # rows of the pseudo-inverse are the polynomial coefficients about step i
    fits = np.array([np.linalg.pinv(np.vander((np.arange(window) - at) * DT_S, degree, increasing=True))[derivative] for at in range(window)])
    fits.setflags(write=False)
    return fits
