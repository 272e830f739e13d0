"""What comes between the scene and the picture: low sun, rain, dirt on the glass, the sensor's noise, a camera that drops out."""

import numpy as np

from motorworks.geometry.array import Array
from motorworks.geometry.kernel import kernel
from motorworks.sim import camera_faces as at
from motorworks.sim import camera_palette as tint
from motorworks.sim.camera_faces import Canvas
from motorworks.sim.look import BLACK, FROZEN


@kernel
def mix(a: int, b: int) -> int:
    """A well-stirred 64-bit number from two: splitmix64's finaliser, https://prng.di.unimi.it/splitmix64.c."""
    z = np.uint64(a) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(b) * np.uint64(0xD1B54A32D192ED03) + np.uint64(0x632BE59BD9B4E019)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@kernel
def share_of(word: int, part: int) -> float:
    """One of four numbers 0 .. 1 out of a word."""
    return ((word >> np.uint64(16 * part)) & np.uint64(0xFFFF)) / 65536.0


@kernel
def is_out(lights: Array, camera: int, clock: int) -> bool:
    """Whether this camera has dropped out and shows no picture; a frozen one shows its first."""
    return (int(lights[tint.DROPOUT]) >> camera) & 1 == 1 and not (int(lights[tint.DROPOUT_KIND]) == FROZEN and clock == 0)


@kernel
def drop_out(frame: Array, lights: Array, camera: int, clock: int, static: Array) -> None:
    """Black, the picture that was there, or snow."""
    kind, word = int(lights[tint.DROPOUT_KIND]), mix(int(lights[tint.NOISE_SEED]) + 7 * camera, clock)
    if kind == FROZEN:
        return
    for v in range(frame.shape[0]):
        offset = int(mix(word, v) & np.uint64(0xFFFF))
        for u in range(frame.shape[1]):
            value = 0 if kind == BLACK else min(max(110 + 2 * int(static[offset + (u & 4095)]), 0), 255)
            frame[v, u, 0], frame[v, u, 1], frame[v, u, 2] = value, value, value


@kernel
def _bloom(canvas: Canvas, glare: float) -> None:
    """A low sun within or near the picture: a white core, a wide bloom, a veil over everything."""
    view, frame = canvas.eye, canvas.frame
    ahead = view[at.SUN_AHEAD]
    if ahead < 0.2:
        return
    height, width = frame.shape[0], frame.shape[1]
    u0 = view[at.CENTRE_U] + view[at.FOCAL] * view[at.SUN_RIGHT] / ahead
    v0 = view[at.CENTRE_V] + view[at.FOCAL] * view[at.SUN_DOWN] / ahead
    if not (-0.5 * width < u0 < 1.5 * width and -height < v0 < 2.0 * height):
        return
    inside = 0 <= u0 < width and 0 <= v0 < height
    if inside and canvas.inverse_depth[int(v0), int(u0)] > 0:
        glare = 0.35 * glare  # something stands before it
    reach, core = 0.45 * width, 0.028 * width
    veil = 46.0 * glare * max(0.0, ahead) ** 4
    for v in range(canvas.rows[0], canvas.rows[1]):
        dv = v + 0.5 - v0
        streak = 60.0 * glare / (1.0 + 0.5 * dv * dv)
        for u in range(width):
            du = u + 0.5 - u0
            d = (du * du + dv * dv) / (reach * reach)
            near = core * core / (du * du + dv * dv + 0.3 * core * core)
            bloom = veil + 255.0 * glare * min(near, 3.0)
            if d < 1.0:
                bloom += glare * (120.0 * (1.0 - d) ** 3 + streak * (1.0 - d))
            frame[v, u, 0] = int(min(frame[v, u, 0] + bloom, 255.0))
            frame[v, u, 1] = int(min(frame[v, u, 1] + bloom * 0.93, 255.0))
            frame[v, u, 2] = int(min(frame[v, u, 2] + bloom * 0.78, 255.0))


@kernel
def _blob(canvas: Canvas, u0: float, v0: float, across: float, down: float, alpha: float, red: float, green: float, blue: float) -> None:
    """A soft spot out of focus."""
    frame = canvas.frame
    for v in range(max(int(v0 - down), canvas.rows[0]), min(int(v0 + down) + 1, canvas.rows[1])):
        for u in range(max(int(u0 - across), 0), min(int(u0 + across) + 1, frame.shape[1])):
            x, y = (u + 0.5 - u0) / across, (v + 0.5 - v0) / down
            d = x * x + y * y
            if d < 1.0:
                share = alpha * min(1.0, 1.8 * (1.0 - d))
                frame[v, u, 0] = int(frame[v, u, 0] * (1.0 - share) + red * share)
                frame[v, u, 1] = int(frame[v, u, 1] * (1.0 - share) + green * share)
                frame[v, u, 2] = int(frame[v, u, 2] * (1.0 - share) + blue * share)


@kernel
def _soil(canvas: Canvas, dirt: float, seed: int, camera: int, light: float) -> None:
    width, height = canvas.frame.shape[1], canvas.frame.shape[0]
    for i in range(int(3 + 26 * dirt)):
        word = mix(seed + 977 * camera, i)
        size = (0.008 + 0.075 * share_of(word, 2) ** 2) * width * (0.35 + 0.95 * dirt)
        alpha = min(0.95, (0.35 + 0.6 * share_of(word, 3)) * (0.45 + 0.7 * dirt))
        tone = (70.0 + 50.0 * share_of(word, 3)) * light
        _blob(
            canvas,
            share_of(word, 0) * width,
            share_of(word, 1) * height,
            size,
            size * (0.7 + 0.5 * share_of(word, 3)),
            alpha,
            tone,
            0.88 * tone,
            0.7 * tone,
        )


@kernel
def _rain(canvas: Canvas, rain: float, word: int) -> None:
    """Streaks of falling drops, new every step, and drops on the glass that stay for two seconds."""
    frame, view = canvas.frame, canvas.eye
    width, height = frame.shape[1], frame.shape[0]
    clock = int(view[at.CLOCK])
    for i in range(int(220 * rain)):
        w = mix(word + np.uint64(clock * 7919), i)
        u, v, long = share_of(w, 0) * (width + 20) - 10, share_of(w, 1) * height, int((0.03 + 0.07 * share_of(w, 2)) * height)
        share = 0.16 + 0.24 * share_of(w, 3)
        for k in range(long):
            row, column = int(v) + k, int(u + 0.16 * k)
            if canvas.rows[0] <= row < canvas.rows[1] and 0 <= column < width:
                frame[row, column, 0] = int(frame[row, column, 0] * (1.0 - share) + min(view[at.HAZE_R] * 1.12 + 12.0, 255.0) * share)
                frame[row, column, 1] = int(frame[row, column, 1] * (1.0 - share) + min(view[at.HAZE_G] * 1.12 + 12.0, 255.0) * share)
                frame[row, column, 2] = int(frame[row, column, 2] * (1.0 - share) + min(view[at.HAZE_B] * 1.12 + 12.0, 255.0) * share)
    for i in range(int(16 * rain)):
        w = mix(word + np.uint64(clock // 20 + 31 * i), 555)
        size = (0.006 + 0.012 * share_of(w, 2)) * width
        bright = 0.9 + 0.2 * share_of(w, 3)
        _blob(
            canvas, share_of(w, 0) * width, share_of(w, 1) * height, size, 1.2 * size, 0.5,
            min(view[at.HAZE_R] * bright, 255.0), min(view[at.HAZE_G] * bright, 255.0), min(view[at.HAZE_B] * bright, 255.0),
        )  # fmt: skip


@kernel
def _add_noise(canvas: Canvas, flat: Array, noise: float, static: Array, word: int) -> None:
    scale = np.int32(noise * 256.0 / 24.0)
    width = canvas.frame.shape[1] * 3
    for v in range(canvas.rows[0], canvas.rows[1]):
        offset = int(mix(word, v) & np.uint64(0xFFFF))
        row, grains = flat[v * width : (v + 1) * width], static[offset : offset + width]
        for i in range(len(row)):
            row[i] = min(max(np.int32(row[i]) + ((np.int32(grains[i]) * scale) >> np.int32(8)), np.int32(0)), np.int32(255))


@kernel
def soil_picture(canvas: Canvas, flat: Array, lights: Array, camera: int, static: Array) -> None:
    """Everything above that this look has, in the order in which light meets it; `flat` [byte] is the frame as one line."""
    clock = int(canvas.eye[at.CLOCK])
    if lights[tint.GLARE] > 0:
        _bloom(canvas, lights[tint.GLARE])
    if lights[tint.RAIN] > 0:
        _rain(canvas, lights[tint.RAIN], mix(int(lights[tint.NOISE_SEED]), camera))
    if lights[tint.DIRT] > 0:
        _soil(canvas, lights[tint.DIRT], int(lights[tint.DIRT_SEED]), camera, min(1.0, lights[tint.AMBIENT] + 0.5 * lights[tint.SUN] + 0.1))
    if lights[tint.NOISE] > 0:
        _add_noise(canvas, flat, lights[tint.NOISE], static, mix(int(lights[tint.NOISE_SEED]) + 7 * camera, clock))
