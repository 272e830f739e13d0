"""Clips as a LeRobot v3 dataset, so that they open in its tools: many episodes a file, videos joined without encoding them again.

Layout as lerobot 0.4.4 (Apache-2.0) reads it: meta/{info.json, stats.json, tasks.parquet, episodes/}, data/ and videos/. What LeRobot has
no place for (source, licence, recording, clock, kinds, thoughts) stands in further columns of the episodes, so that nothing
is lost.
"""

import contextlib
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from motorworks.clips.frames import FRAME_HZ, decode_mp4
from motorworks.clips.place import whole_folder
from motorworks.clips.record import encode_videos, pack_runs
from motorworks.datatypes.clip import Clip
from motorworks.geometry.array import Array
from motorworks.tokens.text import DEFAULT_INSTRUCTION

STATE, ACTION, IMAGES = "observation.state", "action", "observation.images."
STATE_NAMES, ACTION_NAMES = ("x_m", "y_m", "yaw_rad", "speed_mps"), ("accel_mps2", "curvature_per_m")
_DATA_MB, _VIDEO_MB, _CHUNK_FILES = 100, 200, 1000
_LOOKED_AT = 4  # frames of a clip whose pixels count for the statistics


def write_lerobot(clips: Iterable[Clip], folder: Path, *, video_mb: float = _VIDEO_MB) -> int:
    """Writes clips, an episode each, and returns how many. All need motion and the same cameras at the same size; ValueError names the
    clip that differs. The folder must not exist; it appears when all is written."""
    pandas = _pandas()
    with whole_folder(folder) as temporary, contextlib.closing(_Writer(root=temporary, video_mb=video_mb)) as writer:
        for clip in clips:
            writer.add(clip)
        if not writer.episodes:
            raise ValueError("no clip was given")
        writer.finish(pandas)
    return len(writer.episodes)


@dataclass(frozen=True, kw_only=True)
class _Stats:
    """Of one feature, gathered bit by bit."""

    rows: list[Array] = field(default_factory=list)

    def summary(self, shape: Sequence[int]) -> dict[str, list[Any]]:
        values = np.concatenate(self.rows).astype(np.float64)
        parts: dict[str, Array] = {"min": values.min(axis=0), "max": values.max(axis=0), "mean": values.mean(axis=0), "std": values.std(axis=0)}
        parts |= {f"q{percent:02d}": np.quantile(values, percent / 100, axis=0) for percent in (1, 10, 50, 90, 99)}
        return {name: value.reshape(shape).tolist() for name, value in parts.items()} | {"count": [len(values)]}


class _Writer:
    def __init__(self, *, root: Path, video_mb: float):
        self.root, self.video_bytes = root, video_mb * 1e6
        self.episodes: list[dict[str, Any]] = []
        self.tasks: dict[str, int] = {}
        self.rows: dict[str, list[Any]] = {}
        self.num_frames, self.num_data_files = 0, 0
        self.videos: dict[str, _Joined] = {}
        self.stats: dict[str, _Stats] = {}
        self.sizes: dict[str, tuple[int, int]] = {}
        self.body = ""

    def add(self, clip: Clip) -> None:
        """One episode."""
        if clip.motion is None:
            raise ValueError(f"clip of {clip.recording_id}: no ego motion, so LeRobot would have no state and no action; leave it out")
        videos = encode_videos(clip)
        if not videos:
            raise ValueError(f"clip of {clip.recording_id}: no pictures; leave it out")
        sizes = {name: (height, width) for name, (_, height, width) in videos.items()}
        if not self.episodes:
            self.sizes, self.body = sizes, clip.body
            self.videos = {name: _Joined(self.root / "videos" / f"{IMAGES}{name}", self.video_bytes) for name in sizes}
        if (sizes, clip.body) != (self.sizes, self.body):
            raise ValueError(
                f"clip of {clip.recording_id}: body {clip.body} with cameras {sizes}, those before {self.body} with {self.sizes}: "
                "a LeRobot dataset holds one of each; write one dataset for each"
            )
        number, num = len(self.episodes), len(clip.timestamp_us)
        episode = self._frames(clip, number)
        for name, (video, height, width) in videos.items():
            episode |= {f"videos/{IMAGES}{name}/{key}": value for key, value in self.videos[name].add(video, num).items()}
            looks = decode_mp4(video, height_px=height, width_px=width)[:: max(1, num // _LOOKED_AT)]
            self.stats.setdefault(f"{IMAGES}{name}", _Stats()).rows.append(looks[:, ::8, ::8].reshape(-1, 3) / 255)
        self.episodes.append(episode | {"data/chunk_index": 0, "data/file_index": self.num_data_files} | _ours(clip))
        self.num_frames += num
        if len(self.rows["index"]) * 60 > _DATA_MB * 1e6:  # about 60 bytes a row
            self._flush()

    def _frames(self, clip: Clip, number: int) -> dict[str, Any]:
        motion, num = clip.motion, len(clip.timestamp_us)
        assert motion is not None
        tasks = clip.instructions or (DEFAULT_INSTRUCTION,) * num
        state = np.column_stack([motion.poses_world, motion.speed_mps]).astype(np.float32)
        action = np.column_stack([motion.accel_mps2, motion.curvature_per_m]).astype(np.float32)
        columns = {
            STATE: list(state),
            ACTION: list(action),
            "timestamp": list(np.arange(num, dtype=np.float32) / np.float32(FRAME_HZ)),
            "frame_index": list(range(num)),
            "episode_index": [number] * num,
            "index": list(range(self.num_frames, self.num_frames + num)),
            "task_index": [self.tasks.setdefault(task, len(self.tasks)) for task in tasks],
        }
        for name, values in columns.items():
            self.rows.setdefault(name, []).extend(values)
            rows = np.asarray(values, np.float64).reshape(num, -1)
            self.stats.setdefault(name, _Stats()).rows.append(rows)
        return {
            "episode_index": number,
            "tasks": list(dict.fromkeys(tasks)),
            "length": num,
            "dataset_from_index": self.num_frames,
            "dataset_to_index": self.num_frames + num,
            "meta/episodes/chunk_index": 0,
            "meta/episodes/file_index": 0,
        }

    def _flush(self) -> None:
        import pyarrow
        import pyarrow.parquet

        if not self.rows.get("index"):
            return
        kinds = {STATE: pyarrow.list_(pyarrow.float32(), 4), ACTION: pyarrow.list_(pyarrow.float32(), 2), "timestamp": pyarrow.float32()}
        table = pyarrow.table({name: pyarrow.array(values, kinds.get(name, pyarrow.int64())) for name, values in self.rows.items()})
        path = self.root / "data/chunk-000" / f"file-{self.num_data_files:03d}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pyarrow.parquet.write_table(table, path)
        self.num_data_files += 1
        self.rows = {}

    def finish(self, pandas: Any) -> None:
        """Everything under meta/."""
        self._flush()
        self.close()
        meta = self.root / "meta"
        (meta / "episodes/chunk-000").mkdir(parents=True)
        pandas.DataFrame(self.episodes).to_parquet(meta / "episodes/chunk-000/file-000.parquet")
        pandas.DataFrame({"task_index": list(self.tasks.values())}, index=list(self.tasks)).to_parquet(meta / "tasks.parquet")
        features = self._features()
        stats = {name: self.stats[name].summary((3, 1, 1) if name.startswith(IMAGES) else feature["shape"]) for name, feature in features.items()}
        (meta / "stats.json").write_text(json.dumps(stats, indent=1))
        info = {
            "codebase_version": "v3.0",
            "robot_type": self.body,
            "total_episodes": len(self.episodes),
            "total_frames": self.num_frames,
            "total_tasks": len(self.tasks),
            "chunks_size": _CHUNK_FILES,
            "data_files_size_in_mb": _DATA_MB,
            "video_files_size_in_mb": _VIDEO_MB,
            "fps": FRAME_HZ,
            "splits": {"train": f"0:{len(self.episodes)}"},
            "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
            "video_path": "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4",
            "features": features,
        }
        (meta / "info.json").write_text(json.dumps(info, indent=1))

    def close(self) -> None:
        """Finishes the videos."""
        for video in self.videos.values():
            video.close()

    def _features(self) -> dict[str, dict[str, Any]]:
        features: dict[str, dict[str, Any]] = {}
        for name, (height, width) in self.sizes.items():
            facts = {"height": height, "width": width, "codec": "h264", "pix_fmt": "yuv420p", "is_depth_map": False, "fps": FRAME_HZ, "channels": 3}
            info = {f"video.{key}": value for key, value in facts.items()} | {"has_audio": False}
            features[f"{IMAGES}{name}"] = {"dtype": "video", "shape": [height, width, 3], "names": ["height", "width", "channels"], "info": info}
        features[STATE] = {"dtype": "float32", "shape": [4], "names": list(STATE_NAMES)}
        features[ACTION] = {"dtype": "float32", "shape": [2], "names": list(ACTION_NAMES)}
        features["timestamp"] = {"dtype": "float32", "shape": [1], "names": None}
        return features | {name: {"dtype": "int64", "shape": [1], "names": None} for name in ("frame_index", "episode_index", "index", "task_index")}


class _Joined:
    """One camera's videos, packet after packet in one MP4, a new one when it is full or when a stream has other headers."""

    def __init__(self, folder: Path, max_bytes: float):
        self.folder, self.max_bytes = folder, max_bytes
        self.file, self.num_frames, self.nbytes = -1, 0, 0
        self._out: Any = None
        self._headers: bytes | None = None

    def add(self, video: bytes, num: int) -> Mapping[str, Any]:
        """Where it lies: file, and from when to when."""
        with av.open(io.BytesIO(video), format="mp4") as source:
            stream = source.streams.video[0]
            if self._out is None or self.nbytes > self.max_bytes or stream.codec_context.extradata != self._headers:
                self._open(stream)
            start_s = self.num_frames / FRAME_HZ
            for index, packet in enumerate(packet for packet in source.demux(stream) if packet.size):
                packet.stream = self._stream
                packet.time_base = Fraction(1, FRAME_HZ)
                packet.pts = packet.dts = self.num_frames + index  # no B-frames
                packet.duration = 1
                self._out.mux(packet)
        self.num_frames += num
        self.nbytes += len(video)
        times = {"from_timestamp": start_s, "to_timestamp": self.num_frames / FRAME_HZ}
        return {"chunk_index": self.file // _CHUNK_FILES, "file_index": self.file % _CHUNK_FILES} | times

    def close(self) -> None:
        """Finishes the file that is open."""
        if self._out is not None:
            self._out.close()
            self._out = None

    def _open(self, stream: Any) -> None:
        self.close()
        self.file, self.num_frames, self.nbytes = self.file + 1, 0, 0
        path = self.folder / f"chunk-{self.file // _CHUNK_FILES:03d}" / f"file-{self.file % _CHUNK_FILES:03d}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        self._out = av.open(str(path), "w", format="mp4")
        self._stream = self._out.add_stream_from_template(stream)
        self._stream.time_base = Fraction(1, FRAME_HZ)
        self._headers = stream.codec_context.extradata


def _ours(clip: Clip) -> dict[str, Any]:
    """What LeRobot has no place for; `motorworks` says that the set is ours."""
    assert clip.motion is not None
    thoughts = [thought and [thought.decision, thought.cause] for thought in clip.thoughts or ()]
    return {
        "motorworks/recording_id": clip.recording_id,
        "motorworks/source": clip.source,
        "motorworks/licence": clip.licence,
        "motorworks/start_us": int(clip.timestamp_us[0]),
        "motorworks/motion_kind": clip.motion.kind,
        "motorworks/instruction_kind": clip.instruction_kind or "",
        "motorworks/has_instructions": clip.instructions is not None,
        "motorworks/thoughts": json.dumps(pack_runs(thoughts)) if clip.thoughts else "",
        "motorworks/tags": json.dumps(clip.tags),
        "motorworks/cameras": json.dumps([asdict(camera) for camera in clip.cameras]),
    }


def _pandas() -> Any:
    try:
        import pandas
        import pyarrow  # noqa: F401  # pandas writes parquet with it
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("LeRobot datasets need pyarrow and pandas: pip install 'motorworks[data]'", name=error.name) from error
    return pandas
