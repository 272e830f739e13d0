"""Broken recordings of every kind: each maker writes one into a folder and returns where the fault must be named, and in which words."""

import json
import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from motorworks.clips.frames import encode_mp4
from motorworks.clips.store import PACKS, write_clips
from motorworks.datatypes.clip import Clip, Motion

WriteTub = Callable[..., Path]
Expected = list[tuple[str, str]]  # path below the folder, words of the reason


def frames(seed: int, num: int = 60) -> np.ndarray:
    """Noise that moves, different for every seed."""
    texture = np.random.default_rng(seed).integers(0, 255, (64, 300, 3), np.uint8)
    return np.stack([texture[:, 2 * step : 2 * step + 96] for step in range(num)])


def video(path: Path, seed: int, num: int = 60) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_mp4(frames(seed, num)))
    return path


def clip(seed: int, num: int = 60) -> Clip:
    values = np.zeros(num, np.float32)
    motion = Motion(kind="measured", poses_world=np.zeros((num, 3)), speed_mps=values + seed, accel_mps2=values, curvature_per_m=values)
    return Clip(
        recording_id=f"stored-{seed}",
        source="town",
        body="car",
        licence="CC0-1.0",
        timestamp_us=np.arange(num, dtype=np.int64) * 100_000,
        frames=frames(seed, num),
        motion=motion,
    )


def videos(folder: Path) -> Expected:
    good = video(folder / "good.mp4", 1)
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "noise.mp4").write_bytes(bytes(range(256)) * 40)
    (folder / "torn.mp4").write_bytes(good.read_bytes()[: good.stat().st_size // 2])
    video(folder / "short.mp4", 2, 12)
    (folder / "words.avi").write_text("this is no video")
    with av.open(str(folder / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        sound.sample_rate, sound.pts, sound.time_base = 8000, 0, Fraction(1, 8000)
        container.mux(stream.encode(sound))
        container.mux(stream.encode(None))
    return [
        ("empty.mp4", "0 bytes"),
        ("noise.mp4", "undecodable"),
        ("torn.mp4", "undecodable"),
        ("short.mp4", "no piece of 3 s"),
        ("words.avi", "undecodable"),
        ("sound.mp4", "no video stream"),
    ]


def telemetry(folder: Path) -> Expected:
    """Each beside a video of its own, which is taken without motion."""
    rows = [f"{step / 10:.1f},{5 + step / 100:.2f},0.0" for step in range(70)]
    texts = {
        "no_time": ("\n".join(["speed,yaw", *(row.partition(",")[2] for row in rows)]), "no column of times"),
        "no_turn": ("\n".join(["t,speed", *(row.rpartition(",")[0] for row in rows)]), "needs speed with yaw"),
        "header_only": ("t,speed,yaw\n", "a header and no rows"),
        "nothing": ("", "empty"),
        "not_numbers": ("\n".join(["t,speed,yaw", *(f"{number},fast,left" for number in range(70))]), "fewer than two usable rows"),
    }
    expected = []
    for number, (name, (text, reason)) in enumerate(texts.items()):
        (video(folder / name / "drive.mp4", 10 + number).with_suffix(".csv")).write_text(text)
        expected.append((f"{name}/drive.csv", reason))
    for number, (name, text, reason) in enumerate(
        (("torn", "<gpx><trk><trkseg><trkpt lat='1'", "not well-formed"), ("bare", "<gpx></gpx>", "no track point"))
    ):
        (video(folder / name / "drive.mp4", 20 + number).with_suffix(".gpx")).write_text(text)
        expected.append((f"{name}/drive.gpx", reason))
    late = video(folder / "late" / "drive.mp4", 30)
    late.with_suffix(".csv").write_text("\n".join(["t,speed,yaw", *(f"{1000 + step / 10},5,0" for step in range(70))]))
    return [*expected, ("late/drive.mp4", "telemetry covers 0 frames")]


def settings(folder: Path) -> Expected:
    texts = {
        "syntax": ("licence = ", "not readable as TOML"),
        "unknown": ('license = "MIT"', "unknown entry 'license'"),
        "body": ('body = "boat"', "body is 'boat', not one of"),
        "number": ('time_offset_s = "soon"', "time_offset_s is 'soon'"),
        "sign": ('[columns]\nspeed = {column = "v", sign = 2}', "sign is 2"),
        "table": ('columns = "v"', "write [columns] on a line"),
    }
    for number, (name, (text, _)) in enumerate(texts.items()):
        video(folder / name / "drive.mp4", 40 + number)
        (folder / name / "ingest.toml").write_text(text)
    column = video(folder / "column" / "drive.mp4", 50)
    (folder / "column" / "ingest.toml").write_text('[columns]\nspeed = "tempo"')
    column.with_suffix(".csv").write_text("t,v,yaw\n0,1,0\n1,1,0\n")
    unit = video(folder / "unit" / "drive.mp4", 51)
    (folder / "unit" / "ingest.toml").write_text('[columns]\nspeed = {column = "v", unit = "furlongs"}')
    unit.with_suffix(".csv").write_text("t,v,yaw\n0,1,0\n1,1,0\n")
    own = [(f"{name}/ingest.toml", reason) for name, (_, reason) in texts.items()]
    return [*own, ("column/drive.csv", "there is no column 'tempo'"), ("unit/drive.csv", "unit 'furlongs' is none of")]


def tubs(folder: Path, write_tub: WriteTub) -> Expected:
    def back(index: int, record: dict[str, Any]) -> None:
        record["_timestamp_ms"] -= 10_000 * (index >= 100)

    def nan(index: int, record: dict[str, Any]) -> None:
        record["user/throttle"] = float("nan") if index == 100 else 0.5

    edits: dict[str, Any] = {"torn": None, "truncated": None, "back": back, "nan": nan, "no_catalog": None, "no_images": None}
    for number, (name, edit) in enumerate(edits.items()):
        write_tub(folder / name, 200, created_at=1.7e9 + 1000 * number, edit=edit)
    picture, catalog = folder / "torn/images/100_cam_image_array_.jpg", folder / "truncated/catalog_1.catalog"
    picture.write_bytes(picture.read_bytes()[:-60])
    catalog.write_text(catalog.read_text()[:-40])
    (folder / "no_catalog/catalog_1.catalog").unlink()
    shutil.rmtree(folder / "no_images/images")
    return [
        ("torn/images/100_cam_image_array_.jpg", "picture unreadable"),
        ("truncated/catalog_1.catalog", "not a whole record"),
        ("back", "goes back by 9.950 s"),
        ("nan/catalog_1.catalog", "user/throttle is nan"),
        ("no_catalog/catalog_1.catalog", "No such file"),
        ("no_catalog", "3 s"),  # what its other catalog holds is too short
        ("no_images/images", "the folder of pictures is missing"),
    ]


def segments(folder: Path) -> Expected:
    def write(name: str) -> dict[str, np.ndarray]:
        (folder / name / "global_pose").mkdir(parents=True)
        times = 1000.0 + np.arange(100) * 0.05
        position = np.stack([6378137.0 + 0 * times, 10 * (times - 1000), 0 * times], -1)
        velocity = np.broadcast_to([0.0, 10.0, 0.0], position.shape)
        return {
            "frame_times": times,
            "frame_positions": position,
            "frame_orientations": np.broadcast_to([0.5, 0.5, 0.5, 0.5], (100, 4)).copy(),
            "frame_velocities": velocity.copy(),
        }

    def save(name: str, arrays: dict[str, np.ndarray]) -> None:
        for file, array in arrays.items():
            with (folder / name / "global_pose" / file).open("wb") as out:
                np.save(out, array)

    missing, torn, lengths, infinite = (write(name) for name in ("missing", "torn_pose", "lengths", "infinite"))
    del missing["frame_velocities"]
    lengths["frame_times"] = lengths["frame_times"][:-1]
    infinite["frame_positions"][50] = np.inf
    for name, arrays in (("missing", missing), ("torn_pose", torn), ("lengths", lengths), ("infinite", infinite)):
        save(name, arrays)
    path = folder / "torn_pose/global_pose/frame_positions"
    path.write_bytes(path.read_bytes()[:100])
    return [
        ("missing/global_pose/frame_velocities", "missing"),
        ("torn_pose/global_pose/frame_positions", "unreadable as .npy"),
        ("lengths/global_pose", "differ in length"),
        ("infinite/global_pose/frame_positions", "not finite"),
        ("infinite", "no gap-free piece of 3 s"),  # is left on either side
    ]


def stores(folder: Path) -> Expected:
    for number, name in enumerate(("flipped", "cut", "overwritten")):
        write_clips(folder / name, [clip(60 + number)])
    packs = {name: next((folder / name / PACKS).iterdir()) for name in ("flipped", "cut", "overwritten")}
    data = bytearray(packs["flipped"].read_bytes())
    data[len(data) // 2] ^= 4
    packs["flipped"].write_bytes(data)
    packs["cut"].write_bytes(packs["cut"].read_bytes()[:-30])
    packs["overwritten"].write_bytes(json.dumps({"this": "is no pack"}).encode())
    words = {"flipped": "sha256 differs", "cut": "not what was written", "overwritten": "not what was written"}
    return [(f"{name}/{PACKS}/{packs[name].name}", words[name]) for name in words]
