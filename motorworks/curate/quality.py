"""How good a clip is, in numbers, and what is wrong with it, in words. What `filters` drops step by step is judged here clip by clip."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from motorworks.clips.clock import TICK_US
from motorworks.curate.embed import block_means, brightness
from motorworks.curate.filters import REASONS, FilterConfig, judge
from motorworks.datatypes.clip import Clip
from motorworks.geometry.array import Array

_ROWS, _COLUMNS = 36, 64


@dataclass(frozen=True, kw_only=True)
class QualityConfig:
    """Thresholds; a clip beyond one is set aside with the reason, never deleted."""

    steps: FilterConfig = field(default_factory=FilterConfig)
    min_sharpness: float = 2.5  # rms of the Laplacian over 64 px, of 255: a blurred or fogged lens
    max_blown_frac: float = 0.35  # of the picture at 250 or more
    occluded_frac: float = 0.25  # of the picture that never changes while the car moves
    occluded_level: float = 0.6  # change of a block over the clip, of 255, that counts as none
    repeated_frac: float = 0.2  # of pictures equal to the one before while the car moves: dropped frames
    max_clock_jitter_s: float = 0.03
    min_flow_correlation: float = -0.2  # of what pictures and speed say about motion; where the speed varies enough to tell


@dataclass(frozen=True, kw_only=True)
class Quality:
    """Numbers of a clip (None: not to be told), and the verdicts; no verdict is a good clip."""

    sharpness: float | None
    brightness: float | None
    blown_frac: float | None
    still_frac: float | None  # of the picture's blocks
    repeated_frac: float | None
    flow_correlation: float | None
    bad_frac: float  # of the steps: parked, frozen, dark, left over
    clock_jitter_s: float
    reasons: tuple[str, ...]

    @property
    def faults(self) -> tuple[str, ...]:
        """The reasons that hold for the whole clip; what `filters` finds it drops step by step."""
        return tuple(reason for reason in self.reasons if reason.partition(":")[0] not in REASONS)


def assess(clip: Clip, config: QualityConfig = QualityConfig()) -> Quality:
    """Judges a clip with its pictures decoded."""
    jitter_s = float(np.abs(np.diff(clip.timestamp_us) - TICK_US).max()) / 1e6
    kept, dropped = judge(clip, config.steps)
    bad_frac = sum(stop - start for start, stop, _ in dropped) / len(clip.timestamp_us)
    reasons = []
    if jitter_s > config.max_clock_jitter_s:
        reasons.append(f"clock: steps are up to {jitter_s:.3f} s off 10 Hz")
    if not kept:
        longest = max(dropped, key=lambda span: span[1] - span[0])[2]
        reasons.append(f"{longest}: nothing of it is left")
    if clip.frames is None:
        nothing = dict.fromkeys(("sharpness", "brightness", "blown_frac", "still_frac", "repeated_frac", "flow_correlation"))
        return Quality(**nothing, bad_frac=bad_frac, clock_jitter_s=jitter_s, reasons=tuple(reasons))
    numbers = _look(clip, config)
    checks = (
        (numbers["sharpness"] < config.min_sharpness, f"blurred: sharpness {numbers['sharpness']:.1f}, below {config.min_sharpness}"),
        (numbers["blown_frac"] > config.max_blown_frac, f"blown out: {numbers['blown_frac']:.0%} of the picture is white"),
        (_over(numbers["still_frac"], config.occluded_frac), f"lens covered: {numbers['still_frac'] or 0:.0%} of the picture never changes"),
        (_over(numbers["repeated_frac"], config.repeated_frac), f"dropped frames: {numbers['repeated_frac'] or 0:.0%} of the pictures repeat"),
        (
            numbers["flow_correlation"] is not None and numbers["flow_correlation"] < config.min_flow_correlation,
            f"telemetry against video: they agree to {numbers['flow_correlation'] or 0:.2f}, at least {config.min_flow_correlation} is wanted",
        ),
    )
    if not any(reason.startswith(("parked", "frozen", "dark")) for reason in reasons):
        reasons += [words for wrong, words in checks if wrong]
    return Quality(**numbers, bad_frac=bad_frac, clock_jitter_s=jitter_s, reasons=tuple(reasons))


def _look(clip: Clip, config: QualityConfig) -> dict[str, float | None]:
    assert clip.frames is not None
    every = max(1, min(clip.frames.shape[1] // _ROWS, clip.frames.shape[2] // _COLUMNS) // 2)  # two pixels a block are enough
    grey = brightness(clip.frames[:, ::every, ::every])
    small = block_means(grey, min(_ROWS, grey.shape[1]), min(_COLUMNS, grey.shape[2]))
    moved = None if clip.motion is None else np.abs(clip.motion.speed_mps[1:]) > 0.05 * max(1.0, float(np.abs(clip.motion.speed_mps).max()))
    change = np.abs(np.diff(small, axis=0))
    still = repeated = None
    if moved is None or moved.sum() > 20:
        used = change if moved is None else change[moved]
        still = float((block_means(used.max(axis=0)[None], 6, 8) < config.occluded_level).mean())
        repeated = float((used.mean(axis=(1, 2)) < 0.05).mean())
    return {
        "sharpness": float(np.sqrt((_laplacian(small[::8]) ** 2).mean())),
        "brightness": float(small.mean()),
        "blown_frac": float((small[::8] >= 250).mean()),
        "still_frac": still,
        "repeated_frac": repeated,
        "flow_correlation": _flow_agrees(change, clip),
    }


def _flow_agrees(change: Float[Array, "step row column"], clip: Clip) -> float | None:
    """Correlation of how much the picture changes with how fast the car goes or turns; None where that hardly varies."""
    if clip.motion is None or clip.motion.kind == "commanded":
        return None
    speed = np.abs(np.asarray(clip.motion.speed_mps[1:], np.float64))
    if speed.std() < 0.35 * max(speed.mean(), 0.1):
        return None
    seen = np.median(change.reshape(len(change), -1), axis=1)
    width = 5
    seen, told = (np.convolve(values, np.full(width, 1 / width), mode="valid") for values in (seen, speed))
    return float(np.corrcoef(seen, told)[0, 1]) if seen.std() > 1e-6 else 0.0


def _laplacian(pictures: Float[Array, "frame row column"]) -> Array:
    inside = pictures[:, 1:-1, 1:-1]
    return 4 * inside - pictures[:, :-2, 1:-1] - pictures[:, 2:, 1:-1] - pictures[:, 1:-1, :-2] - pictures[:, 1:-1, 2:]


def _over(value: float | None, limit: float) -> bool:
    return value is not None and value > limit
