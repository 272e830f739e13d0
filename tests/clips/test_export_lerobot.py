"""What is written is LeRobot's layout, with the videos' own bytes; a Python with lerobot, where there is one, opens it."""

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from motorworks.clips.export_lerobot import write_lerobot
from motorworks.clips.frames import decode_mp4, encode_mp4
from motorworks.datatypes.clip import Clip

pytest.importorskip("pyarrow")
pytest.importorskip("pandas")
MakeClip = Callable[..., Clip]
PEER = "MOTORWORKS_LEROBOT_PYTHON"
SCRIPT = """
import sys; sys.path.insert(0, "bench")
from pathlib import Path
from lerobot_peer import load
dataset = load(Path(sys.argv[1]), "torchcodec")
item = dataset[45]
print(len(dataset), dataset.num_episodes, item["observation.images.front"].shape[0], item["task"], round(item["observation.state"][0, 3].item(), 3))
"""


@pytest.fixture
def clips(make_clip: MakeClip) -> list[Clip]:
    """Three episodes with a picture of a level of its own each, already encoded."""
    made = [make_clip(40 + seed, seed, recording_id=f"r{seed}", height=96, width=128) for seed in range(3)]
    return [replace(clip, frames=None, encoded={"front": encode_mp4(np.full_like(clip.frames, 50 * seed))}) for seed, clip in enumerate(made)]


def test_episodes_share_files_and_keep_their_bytes(clips: list[Clip], tmp_path: Path) -> None:
    import pandas

    assert write_lerobot(clips, tmp_path / "set") == 3
    info = json.loads((tmp_path / "set/meta/info.json").read_text())
    assert (info["codebase_version"], info["total_frames"], info["fps"], info["robot_type"]) == ("v3.0", 123, 10, "car")
    episodes = pandas.read_parquet(tmp_path / "set/meta/episodes/chunk-000/file-000.parquet")
    assert episodes["dataset_from_index"].tolist() == [0, 40, 81] and episodes["length"].tolist() == [40, 41, 42]
    assert episodes["videos/observation.images.front/from_timestamp"].tolist() == [0.0, 4.0, 8.1]
    rows = pandas.read_parquet(tmp_path / "set/data/chunk-000/file-000.parquet")
    np.testing.assert_allclose(np.stack(rows["observation.state"][40:81])[:, 3], clips[1].motion.speed_mps, atol=1e-6)
    (video,) = (tmp_path / "set/videos/observation.images.front").rglob("*.mp4")  # one file for all
    joined = decode_mp4(video.read_bytes(), height_px=96, width_px=128)
    own = [decode_mp4(clip.encoded["front"], height_px=96, width_px=128) for clip in clips]
    np.testing.assert_array_equal(joined, np.concatenate(own))


def test_what_cannot_be_an_episode_is_refused_and_nothing_is_left(clips: list[Clip], make_clip: MakeClip, tmp_path: Path) -> None:
    for other, words in (
        (replace(clips[0], motion=None), "no ego motion"),
        (replace(clips[0], encoded={}), "no pictures"),
        (replace(clips[0], encoded={"rear": clips[0].encoded["front"]}), "holds one of each"),
        (make_clip(40, height=64, width=96), "holds one of each"),
    ):
        with pytest.raises(ValueError, match=words):
            write_lerobot([clips[1], other], tmp_path / "set")
    with pytest.raises(ValueError, match="no clip"):
        write_lerobot([], tmp_path / "set")
    assert not list(tmp_path.iterdir())
    (tmp_path / "set").mkdir()
    with pytest.raises(FileExistsError, match="give a new folder"):
        write_lerobot(clips, tmp_path / "set")


def test_lerobot_itself_opens_it(clips: list[Clip], tmp_path: Path) -> None:
    python = os.environ.get(PEER)
    if not python:
        pytest.skip(f"no Python with lerobot: set {PEER}")
    write_lerobot(clips, tmp_path / "set")
    said = subprocess.run([python, "-c", SCRIPT, str(tmp_path / "set")], check=True, capture_output=True, text=True).stdout.split()
    assert said[:3] == ["123", "3", "8"] and float(said[-1]) == pytest.approx(float(clips[1].motion.speed_mps[5]), abs=2e-3)
