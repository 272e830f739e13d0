"""LeRobot v3 datasets, ours (`export_lerobot`) and those of others: many episodes a file, videos shared by time. A recording is a dataset.

Layout as lerobot 0.4.4 (Apache-2.0) writes it: row i of an episode is the frame at from_timestamp + timestamp[i] of each shared mp4. Tried on sets
that lerobot itself wrote, with videos (AV1) and with pictures in the table; published ones, L2D among them, could not be opened here. Clips come
encoded: a dataset's pictures would not fit in memory.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import av
import numpy as np
from jaxtyping import Float

from motorworks.bodies.body import BODIES
from motorworks.clips.clock import thinned
from motorworks.clips.export_lerobot import IMAGES
from motorworks.clips.readers.arrow_table import NEEDS_PYARROW
from motorworks.clips.readers.lerobot_columns import Chosen, choose, in_step, instructions_of, matrix_of, track_of_rows
from motorworks.clips.readers.lerobot_own import is_own, own_clip
from motorworks.clips.readers.pictures import ImageBytes, Pictures, VideoFrames
from motorworks.clips.readers.rig_log import CameraLog, RigLog, clips_of
from motorworks.clips.readers.settings import Settings, with_settings
from motorworks.clips.record import encoded
from motorworks.clips.recording import ClipReader, Quarantined, ReadResult, join
from motorworks.datatypes.clip import Clip
from motorworks.geometry.array import Array

_NO_VIEW = ("observation.images.map",)  # L2D: a street map that was drawn
_CONVERTER = "convert it with LeRobot's own convert_dataset_v21_to_v30 (python -m lerobot.datasets.v30.convert_dataset_v21_to_v30 --repo-id=NAME)"
_SPDX = {"apache-2.0": "Apache-2.0", "mit": "MIT"}  # the Hub writes licences in small letters


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """What its head says; `cameras` are features with pictures, the one that looks ahead first."""

    path: Path
    name: str
    settings: Settings
    fps: float
    features: Mapping[str, Mapping[str, Any]]
    data_path: str
    video_path: str
    body: str
    licence: str
    tasks: Mapping[int, str]
    cameras: tuple[str, ...]
    chosen: Chosen
    _rows: dict[Path, Any] = field(default_factory=dict, repr=False)  # the data file that was read last

    def rows(self, file: Path, episode: int) -> Any:
        """The episode's rows of a data file, without pictures."""
        import pyarrow.compute
        import pyarrow.parquet

        if file not in self._rows:
            self._rows.clear()
            names = pyarrow.parquet.read_schema(file).names
            self._rows[file] = pyarrow.parquet.read_table(file, columns=[name for name in names if name not in self.cameras])
        table = self._rows[file]
        rows = table.filter(pyarrow.compute.equal(table["episode_index"], episode))
        if not len(rows):
            raise ValueError("the data file holds no row of it")
        return rows


class LerobotReader(ClipReader):
    """Reads one dataset."""

    name = "lerobot"
    understands = "LeRobot v3 dataset: a folder with meta/info.json, meta/episodes/, data/ and videos/"

    def recognises(self, path: Path) -> bool:
        """A folder with a dataset's head; also of a version that is not read."""
        return (path / "meta/info.json").is_file() and any((path / name).exists() for name in ("data", "meta/episodes", "meta/tasks.parquet"))

    def read(self, path: Path) -> ReadResult:
        """Every episode as clips."""
        return with_settings(path, lambda settings: _read(path, settings))


def _read(path: Path, settings: Settings) -> ReadResult:
    try:
        import pyarrow.parquet
    except ModuleNotFoundError:
        return ReadResult(quarantine=[Quarantined(path=path, reason=NEEDS_PYARROW)])
    info = path / "meta/info.json"
    try:
        dataset, results = _open(path, settings, json.loads(info.read_text()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return ReadResult(quarantine=[Quarantined(path=info, reason=f"no head of a dataset that can be used: {_said(error)}")])
    tables = sorted((path / "meta/episodes").glob("*/*.parquet"))
    if not tables:
        return ReadResult(quarantine=[Quarantined(path=path / "meta/episodes", reason="no table of episodes in it: they cannot be told apart")])
    for table in tables:
        try:
            names = [name for name in pyarrow.parquet.read_schema(table).names if not name.startswith("stats/")]
            episodes = pyarrow.parquet.read_table(table, columns=names).to_pylist()
        except (OSError, ValueError) as error:
            results.append(ReadResult(quarantine=[Quarantined(path=table, reason=f"the table cannot be read ({error}); its episodes are left out")]))
            continue
        results += [_episode(dataset, table, episode) for episode in episodes]
    result = join(results)
    return replace(result, notes=list(dict.fromkeys(result.notes)))


def _open(path: Path, settings: Settings, info: dict[str, Any]) -> tuple[Dataset, list[ReadResult]]:
    version = str(info.get("codebase_version"))
    if not version.startswith("v3"):
        raise ValueError(f"codebase_version is {version!r}, only v3 is read" + (f"; {_CONVERTER}" if version.startswith("v2") else ""))
    fps, features = float(info["fps"]), info["features"]
    if not 0 < fps < 1e4:
        raise ValueError(f"fps is {fps}")
    views = [key for key, one in features.items() if one["dtype"] in ("video", "image") and key not in _NO_VIEW]
    views = [key for key in views if not (features[key].get("info") or {}).get("video.is_depth_map")]
    if not views:
        raise ValueError("features has none of dtype video or image: there are no pictures")
    front = settings.front_camera
    if front and front not in map(_short, views):
        raise ValueError(f"front_camera in ingest.toml is {front!r}, none of {', '.join(map(_short, views))}")
    views.sort(key=lambda key: (_short(key) != (front or "front"), "front" not in key, key))
    tasks = path / "meta/tasks.parquet"
    try:
        words, results = _tasks(tasks), list[ReadResult]()
    except (OSError, ValueError, KeyError) as error:
        reason = f"the table cannot be read ({_said(error)}): clips have no instruction"
        words, results = {}, [ReadResult(quarantine=[Quarantined(path=tasks, reason=reason)])]
    robot = str(info.get("robot_type"))
    chosen, problem = choose(features, settings)
    if problem is not None:
        results.append(ReadResult(quarantine=[Quarantined(path=settings.path or path, reason=f"{problem}; {path.name} is taken without motion")]))
    dataset = Dataset(
        path=path,
        name=path.resolve().name,
        settings=settings,
        fps=fps,
        features=features,
        data_path=info["data_path"],
        video_path=info["video_path"],
        body=robot if robot in BODIES else settings.body,
        licence=settings.licence if settings.licence != Settings().licence else _licence(path / "README.md"),
        tasks=words,
        cameras=tuple(views),
        chosen=chosen,
    )
    return dataset, results


def _episode(dataset: Dataset, table: Path, episode: Mapping[str, Any]) -> ReadResult:
    number = episode.get("episode_index")
    try:
        file = dataset.path / dataset.data_path.format(chunk_index=episode["data/chunk_index"], file_index=episode["data/file_index"])
    except (KeyError, ValueError, IndexError, TypeError) as error:
        return ReadResult(quarantine=[Quarantined(path=table, reason=f"episode {number} cannot be found: {_said(error)}")])
    try:
        rows = dataset.rows(file, number)
        result = ReadResult(clips=[_own(dataset, episode, rows)]) if is_own(episode) else _foreign(dataset, file, episode, rows)
    except (OSError, ValueError, KeyError, TypeError, NotImplementedError, av.FFmpegError) as error:
        return ReadResult(quarantine=[Quarantined(path=file, reason=f"episode {number}: {_said(error)}")])
    return replace(result, quarantine=[replace(entry, reason=f"episode {number}: {entry.reason}") for entry in result.quarantine])


def _own(dataset: Dataset, episode: Mapping[str, Any], rows: Any) -> Clip:
    keys = [key for key in dataset.features if key in dataset.cameras]  # in the order they were written in
    videos = {key: _video(dataset, episode, key) for key in keys}
    sizes = {key: (dataset.features[key]["shape"][0], dataset.features[key]["shape"][1]) for key in keys}
    return own_clip(episode, rows, body=dataset.body, tasks=dataset.tasks, videos=videos, sizes=sizes)


def _foreign(dataset: Dataset, file: Path, episode: Mapping[str, Any], rows: Any) -> ReadResult:
    number, time_s = episode["episode_index"], matrix_of(rows["timestamp"])[:, 0]
    good = in_step(time_s, dataset.fps)
    problems = []
    if not good.all():
        reason = f"timestamp of {int((~good).sum())} of {len(good)} rows does not go on by 1/{dataset.fps:g} s, the first is row "
        problems.append(Quarantined(path=file, reason=f"{reason}{int(np.argmin(good))}; left out"))
    if good.sum() < 2:
        return ReadResult(quarantine=problems)
    track, said = track_of_rows(rows.filter(good), time_s[good], dataset.chosen, dataset.settings)
    problems += [Quarantined(path=file, reason=reason) for reason in said]
    own_us = np.rint(np.where(good, time_s, 0.0) * 1e6).astype(np.int64)
    kept = np.flatnonzero(good)[thinned(own_us[good])]
    log = RigLog(
        recording_id=f"lerobot-{dataset.name}-{episode.get('session_id') or number}",  # L2D: its episodes of one drive overlap
        source="lerobot",
        body=dataset.body,
        licence=dataset.licence,
        track=track,
        cameras=[
            CameraLog(name=_short(key), time_us=own_us[kept], pictures=_pictures(dataset, file, episode, key, time_s, kept))
            for key in dataset.cameras
        ],
        tags=(f"set:{dataset.name}", f"episode:{number}"),
        instructions=instructions_of(dataset.tasks, rows, own_us, good),
        max_gap_s=dataset.settings.max_gap_s,
    )
    result = clips_of(log, file)
    return ReadResult(
        clips=[encoded(clip, _short(dataset.cameras[0])) for clip in result.clips],
        quarantine=[*problems, *result.quarantine],
        notes=[f"{dataset.name}: {note}" for note in dataset.chosen.notes],
    )


def _pictures(dataset: Dataset, file: Path, episode: Mapping[str, Any], key: str, time_s: Float[Array, " row"], kept: Array) -> Pictures:
    if dataset.features[key]["dtype"] == "image":
        import pyarrow.parquet

        column = pyarrow.parquet.read_table(file, columns=[key], filters=[("episode_index", "==", episode["episode_index"])])[key]
        return ImageBytes(path=file, images=[image["bytes"] or b"" for image in column.take(kept).to_pylist()])
    span_us = np.rint((float(episode[f"videos/{key}/from_timestamp"]) + time_s[kept]) * 1e6).astype(np.int64)
    return VideoFrames(path=_video(dataset, episode, key), at=span_us, within_us=round(0.5e6 / dataset.fps))


def _video(dataset: Dataset, episode: Mapping[str, Any], key: str) -> Path:
    """The shared mp4 that holds a camera's frames of an episode."""
    place = {name: episode[f"videos/{key}/{name}"] for name in ("chunk_index", "file_index")}
    return dataset.path / dataset.video_path.format(video_key=key, **place)


def _tasks(path: Path) -> dict[int, str]:
    """Words by number: the words are the table's index, which pandas stores as a column under this or that name."""
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(path)
    names = [name for name in table.column_names if name != "task_index"]
    name = "task" if "task" in names or not names else names[0]
    return {int(number): str(words).strip() for number, words in zip(table["task_index"].to_pylist(), table[name].to_pylist(), strict=True)}


def _licence(card: Path) -> str:
    """Of the Hub's card, which lies beside the data: `license: apache-2.0` in its head."""
    text = card.read_text(errors="replace") if card.is_file() else ""
    found = re.search(r"^license:\s*([\w.+-]+)\s*$", text.split("\n---", 1)[0], re.MULTILINE) if text.startswith("---") else None
    return Settings().licence if found is None else _SPDX.get(found[1], found[1].upper() if found[1].startswith("cc") else found[1])


def _short(key: str) -> str:
    return key.removeprefix(IMAGES).removeprefix("observation.")


def _said(error: Exception) -> str:
    return f"no {error}" if isinstance(error, KeyError) else str(error)
