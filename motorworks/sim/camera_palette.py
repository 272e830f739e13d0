"""Colours of a town under a look: ground by distance, sky by elevation, tints of things, the light on them."""

from typing import NamedTuple

import numpy as np

from motorworks.geometry.array import Array
from motorworks.sim.camera_tables import ELEVATION_STEP_RAD, GRAINS, NUM_AZIMUTHS, NUM_ELEVATIONS, NUM_LEVELS, level_m
from motorworks.sim.look import Look

NUM_MATERIALS = 11
FOG_STEPS, FOG_STEP_M = 512, 0.5  # of the fog table
# tints: what faces are made of; those from FIRST_GLOWING shine by themselves
OWN, OWN_DARK, GLASS, TYRE, TRIM, PLATE, CHROME, TAIL, BLINK_OFF, WHITE_PAINT, RED_PAINT, YELLOW_PAINT, BLACK, ORANGE_PAINT, BLUE_PAINT = range(15)
SKIN, HAIR, SHOE, TROUSERS, LEAF, CONIFER, TRUNK, METAL, PANE, DOOR, TILES, SLATE, FLAT_ROOF, CARGO, FRAME, WOOD, LAMP_OFF, STONE = range(15, 33)
SIGN_BLUE, SIGNAL_CASE, RED_OFF, YELLOW_OFF, GREEN_OFF = range(33, 38)
FIRST_GLOWING = 38
HEADLIGHT, BRAKE_LIGHT, BLINKER, BLUE_FLASH, RED_LAMP, YELLOW_LAMP, GREEN_LAMP, WARM_LAMP, LIT_PANE, TAIL_LIGHT = range(38, 48)
NUM_TINTS = 48
_TINTS = {
    GLASS: (38, 46, 56), TYRE: (20, 20, 22), TRIM: (34, 34, 36), PLATE: (214, 214, 204), CHROME: (232, 232, 222), TAIL: (132, 18, 18),
    BLINK_OFF: (176, 108, 30), WHITE_PAINT: (236, 236, 234), RED_PAINT: (206, 30, 34), YELLOW_PAINT: (250, 206, 30), BLACK: (18, 18, 20),
    ORANGE_PAINT: (248, 100, 20), BLUE_PAINT: (26, 66, 150), SKIN: (214, 164, 134), HAIR: (62, 44, 32), SHOE: (34, 30, 30),
    TROUSERS: (46, 52, 78), LEAF: (84, 122, 50), CONIFER: (46, 88, 52), TRUNK: (88, 68, 50), METAL: (120, 124, 128), PANE: (58, 70, 86),
    DOOR: (98, 62, 44), TILES: (158, 82, 60), SLATE: (92, 94, 104), FLAT_ROOF: (128, 126, 124), CARGO: (226, 226, 222), FRAME: (224, 220, 210),
    WOOD: (140, 106, 70), LAMP_OFF: (200, 200, 190), STONE: (134, 130, 124), SIGN_BLUE: (24, 88, 176), SIGNAL_CASE: (24, 26, 26),
    RED_OFF: (74, 20, 18), YELLOW_OFF: (78, 60, 16), GREEN_OFF: (14, 62, 40), HEADLIGHT: (255, 250, 226), BRAKE_LIGHT: (255, 36, 24),
    BLINKER: (255, 166, 20), BLUE_FLASH: (50, 110, 255), RED_LAMP: (255, 44, 30), YELLOW_LAMP: (255, 202, 30), GREEN_LAMP: (40, 245, 140),
    WARM_LAMP: (255, 226, 160), LIT_PANE: (246, 202, 116), TAIL_LIGHT: (190, 16, 14),
}  # fmt: skip
PAINTS = np.array(
    [
        [188, 30, 30],
        [232, 232, 228],
        [40, 42, 46],
        [132, 136, 142],
        [34, 66, 142],
        [200, 202, 206],
        [72, 96, 72],
        [216, 166, 52],
        [116, 26, 42],
        [92, 146, 188],
        [168, 92, 40],
        [76, 80, 90],
        # facades
        [226, 216, 196],
        [206, 176, 136],
        [178, 112, 88],
        [214, 206, 202],
        [198, 190, 160],
        [160, 168, 172],
        [222, 196, 150],
        [168, 134, 112],
    ],
    np.float64,
)
NUM_CAR_PAINTS, NUM_FACADES = 12, 8
# entries of `lights`
(
    AMBIENT, SUN, SUN_X, SUN_Y, SUN_Z, SHADOW, NIGHT, HEADLIGHTS, GLARE, WET, RAIN, DIRT, DIRT_SEED, NOISE, NOISE_SEED, DROPOUT, DROPOUT_KIND,
    HAZE_R, HAZE_G, HAZE_B, DARKNESS,
) = range(21)  # fmt: skip
NUM_LIGHTS = 24


class Palettes(NamedTuple):
    """Arrays by environment. Packed colours keep three channels in 16 bits each, so that they add at once."""

    ground: Array  # [env, level, material * GRAINS + grain] uint64, packed; by day, or as headlights show it at night
    sky: Array  # [env, elevation, cloud grain] uint64, packed
    skyline: Array  # [env, azimuth] uint8: elevation steps of far trees
    trees: Array  # [env] uint64: packed colour of far trees
    tints: Array  # [env, tint, 3]
    paints: Array  # [env, paint, 3] of vehicles and clothes
    fog: Array  # [env, FOG_STEPS]: what is left of a colour at that depth
    lights: Array  # [env, NUM_LIGHTS]


def empty_palettes(num_envs: int) -> Palettes:
    """Room for them."""
    return Palettes(
        ground=np.zeros((num_envs, NUM_LEVELS, NUM_MATERIALS * GRAINS), np.uint64),
        sky=np.zeros((num_envs, NUM_ELEVATIONS, GRAINS), np.uint64),
        skyline=np.zeros((num_envs, NUM_AZIMUTHS), np.uint8),
        trees=np.zeros(num_envs, np.uint64),
        tints=np.zeros((num_envs, NUM_TINTS, 3)),
        paints=np.zeros((num_envs, len(PAINTS), 3)),
        fog=np.ones((num_envs, FOG_STEPS)),
        lights=np.zeros((num_envs, NUM_LIGHTS)),
    )


def _pack(rgb: Array) -> Array:
    return (np.clip(rgb, 0, 255).astype(np.uint64) << np.array([0, 16, 32], np.uint64)).sum(axis=-1, dtype=np.uint64)


def _materials(rng: np.random.Generator) -> tuple[Array, Array]:
    """Colour and strength of grain of each ground material."""
    tone, grey = rng.uniform(-12, 12), rng.uniform(78, 108)
    slab = rng.uniform(146, 170)
    colours = np.array(
        [
            [74 + rng.uniform(-15, 32), 112 + rng.uniform(-18, 14), 52 + rng.uniform(-14, 10)],  # grass
            [grey, grey, grey + 4],
            [228, 228, 224],
            [222, 180, 50],
            [140 + tone, 128 + tone, 104 + tone],  # verge
            [grey - 5, grey - 5, grey - 2],  # junction
            [slab, slab - 3, slab - 8],  # pavement
            [196, 194, 188],  # kerb
            [grey + 12, grey + 10, grey + 10],  # parking
            [98, 124, 66],  # island
            [150, 74, 62],  # red asphalt
        ]
    )
    return colours, np.array([26.0, 9.0, 10.0, 10.0, 20.0, 9.0, 11.0, 8.0, 10.0, 20.0, 9.0])


def _lights(look: Look, haze_rgb: Array) -> Array:
    night, clear = float(look.night), 1.0 - float(look.cloud)
    up = max(float(np.sin(look.sun_elevation_rad)), 0.0)
    day = float(look.daylight) * float(look.exposure)
    lights = np.zeros(NUM_LIGHTS)
    sun = 0.62 * clear * (1.0 - night)
    lights[SUN] = sun * day
    # an overcast sky lights everything evenly; a low sun leaves shade darker
    lights[AMBIENT] = day * ((0.86 - 0.40 * clear * (0.6 + 0.4 * up)) * (1.0 - night) + 0.11 * night)
    level = np.cos(look.sun_elevation_rad)
    lights[SUN_X], lights[SUN_Y] = level * np.cos(look.sun_azimuth_rad), level * np.sin(look.sun_azimuth_rad)
    lights[SUN_Z] = np.sin(look.sun_elevation_rad)
    lights[SHADOW] = 0.5 * clear * (1.0 - night) * min(1.0, float(look.fog_m) / 200.0)
    lights[NIGHT], lights[HEADLIGHTS] = night, 1.0 if night > 0.5 or look.fog_m < 150.0 or look.rain > 0.3 else 0.0
    for at, value in (
        (GLARE, look.glare),
        (WET, look.wet),
        (RAIN, look.rain),
        (DIRT, look.dirt),
        (DIRT_SEED, look.dirt_seed),
        (NOISE, look.noise),
        (NOISE_SEED, look.noise_seed),
        (DROPOUT, look.dropout),
        (DROPOUT_KIND, look.dropout_kind),
    ):
        lights[at] = value
    lights[HAZE_R : HAZE_B + 1] = haze_rgb
    lights[DARKNESS] = min(night, 0.87)
    return lights


def _sky(haze_rgb: Array, overhead: Array, look: Look, cast: Array) -> Array:
    """Colour by elevation and cloud grain."""
    elevation = (np.arange(NUM_ELEVATIONS) + 0.5) * ELEVATION_STEP_RAD
    up = 1.0 - np.exp(-elevation / 0.32)[:, None]
    blue = haze_rgb + (overhead - haze_rgb) * up
    white = np.array([236.0, 238.0, 240.0]) - 70.0 * float(look.cloud) ** 2
    white = (white * (0.5 + 0.5 * min(float(look.daylight), 1.0)) * (1.0 - 0.93 * float(look.night))) * float(look.exposure) * cast
    grain = (np.arange(GRAINS) + 0.5) / GRAINS
    cover = np.clip((grain - (0.95 - 0.8 * float(look.cloud))) * 3.2, 0.0, 0.9)[None, :, None]
    cover = cover * np.minimum(1.0, elevation / 0.1)[:, None, None] * min(1.0, float(look.fog_m) / 400.0)
    shaded = white * (0.88 + 0.12 * grain)[:, None]
    return blue[:, None] * (1.0 - cover) + shaded[None] * cover


def set_palette(palettes: Palettes, env: int, light_seed: int, look: Look) -> None:
    """Work out the colours of one environment, in place; about a millisecond. `look` is of scalars."""
    rng = np.random.default_rng((light_seed, 0x11))
    colours, grains = _materials(rng)
    night, wet, fog_m = float(look.night), float(look.wet), float(look.fog_m)
    cast = np.array([look.red_cast, look.green_cast, look.blue_cast])
    bright = float(look.daylight) * float(look.exposure)
    grey = min(1.0, 60.0 / fog_m) * 0.6 + 0.5 * float(look.cloud) * float(look.rain)
    haze_rgb = np.array([198.0, 209.0, 220.0]) + rng.uniform(-12, 12)
    warmth = max(0.0, 0.25 - abs(float(look.sun_elevation_rad))) * (1.0 - night)
    haze_rgb = haze_rgb + warmth * np.array([180.0, 40.0, -160.0])
    haze_rgb = (haze_rgb * (1.0 - grey) + haze_rgb.mean() * grey) * (0.45 + 0.55 * bright) * (1.0 - 0.93 * night) * cast
    overhead = np.array([70.0, 128.0, 206.0]) * rng.uniform(0.85, 1.1) * (1.0 - float(look.cloud)) + haze_rgb * 0.84 * float(look.cloud)
    overhead = overhead * bright * (1.0 - 0.96 * night) * cast
    lights = _lights(look, haze_rgb)
    palettes.lights[env] = lights
    up = max(float(lights[SUN_Z]), 0.0)
    light = (lights[AMBIENT] + lights[SUN] * (0.35 + 0.65 * up)) * 1.12 if night < 0.5 else 0.72 * bright
    soaked = np.array([0.85, 0.62, 0.8, 0.8, 0.7, 0.62, 0.7, 0.75, 0.62, 0.85, 0.65])
    lit = colours * (1.0 - wet * (1.0 - soaked))[:, None] * light * cast
    grain = grains[:, None] * (2.0 * (np.arange(GRAINS) + 0.5) / GRAINS - 1.0) * light
    distance = level_m()
    left = np.exp(-3.0 * distance / fog_m)[:, None, None, None]
    ground = lit[:, None] + grain[..., None]
    ground = np.broadcast_to(ground, (NUM_LEVELS, *ground.shape))
    if wet > 0:
        # Schlick's mirror at a grazing angle, 1.5 m above the road; grass does not mirror
        mirror = (0.04 + 0.96 * (1.0 - 1.5 / np.hypot(1.5, distance)) ** 4)[:, None, None, None] * wet * 0.55
        mirror = mirror * np.array([0, 1, 0.6, 0.6, 0.2, 1, 0.8, 0.6, 1, 0, 1.0])[None, :, None, None]
        ground = ground * (1.0 - mirror) + 0.9 * (0.6 * overhead + 0.4 * haze_rgb) * mirror
    ground = ground * left + haze_rgb * (1.0 - left)
    palettes.ground[env] = _pack(ground).reshape(NUM_LEVELS, -1)
    palettes.sky[env] = _pack(_sky(haze_rgb, overhead, look, cast))
    azimuth = np.linspace(0, 2 * np.pi, NUM_AZIMUTHS, endpoint=False)
    skyline = sum(rng.uniform(0, 2.6) / k**0.5 * np.sin(k * azimuth + rng.uniform(0, 6.28)) for k in (2, 3, 5, 9, 17, 31, 57, 90, 140))
    seen = float(np.exp(-3.0 * 320.0 / fog_m))
    palettes.skyline[env] = np.maximum(skyline + 7.0, 1.0) if seen > 0.02 else 0
    palettes.trees[env] = _pack(haze_rgb * (1.0 - 0.62 * seen - 0.1) + (0.62 * seen + 0.1) * 0.62 * lit[0])
    tints = np.zeros((NUM_TINTS, 3))
    for tint, rgb in _TINTS.items():
        tints[tint] = rgb
    palettes.tints[env] = tints * cast
    palettes.paints[env] = PAINTS * cast
    palettes.fog[env] = np.exp(-3.0 * FOG_STEP_M * np.arange(FOG_STEPS) / fog_m)


def palette_of(light_seed: int, look: Look) -> Palettes:
    """Of one environment."""
    palettes = empty_palettes(1)
    set_palette(palettes, 0, light_seed, look)
    return palettes
