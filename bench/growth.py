"""Metadata of ten thousand, a million and twenty million clips through the catalogue and the manifest: what one clip costs, and memory.

The rows are made up, column by column; tables, queries and manifest are written and read by the code that real clips use. Each size runs in a
process of its own. `python -m bench.growth NUM` prints one of them.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from bench.figure import Figure
from motorworks.clips.catalogue import Catalogue, clip_schema
from motorworks.clips.manifest import ENTRY, Manifest, write_entries
from motorworks.clips.order import Permutation

SIZES = (10_000, 1_000_000, 20_000_000)
_BATCH = 65_536
QUERIES = {
    "filter": "select count(*) from clips where mean_speed_mps > 20 and min_accel_mps2 < -4 and source = 'source 3'",
    "join": "select scenario, count(*) from clips join tag using (clip_id) where max_lateral_accel_mps2 > 3 group by scenario",
    "repeats": "select count(*) from (select arg_max(clip_id, sharpness) from tag group by cluster)",
    "balance": "select count(*) from (select row_number() over (partition by scenario order by hash(clip_id)) as place from tag) where place <= 500",
}


def measure() -> list[Figure]:
    """From a million to twenty million clips, per clip; the fixed cost of opening and planning is in the small size, so it is not compared."""
    found = {
        num: json.loads(subprocess.run([sys.executable, "-m", "bench.growth", str(num)], check=True, capture_output=True, text=True).stdout)
        for num in SIZES
    }
    middle, large = found[SIZES[1]], found[SIZES[2]]
    figures = []
    for name in middle["seconds"]:
        per_clip = [one["seconds"][name] / num * 1e6 for num, one in found.items()]
        against = f"{per_clip[1]:.3f} µs a clip of {SIZES[1]:,}; {per_clip[0]:.2f} of {SIZES[0]:,}; 20 million in {large['seconds'][name]:.1f} s"
        figures.append(Figure(name=f"growth.{name}_us_per_clip", value=per_clip[2], unit="µs", against=against, ratio=per_clip[2] / per_clip[1]))
    start = f"{middle['start_up_ms']:.1f} ms with {SIZES[1]:,} clips"
    figures.append(
        Figure(name="growth.start_up_ms", value=large["start_up_ms"], unit="ms", against=start, ratio=large["start_up_ms"] / middle["start_up_ms"])
    )
    memory = f"{middle['peak_mb']:,.0f} MB with {SIZES[1]:,} clips, {found[SIZES[0]]['peak_mb']:,.0f} with {SIZES[0]:,}"
    figures.append(Figure(name="growth.peak_mb", value=large["peak_mb"], unit="MB", against=memory, ratio=large["peak_mb"] / middle["peak_mb"]))
    return figures


def grow(num: int) -> dict[str, Any]:
    """Seconds of each step, start-up of a training run, and the most memory held."""
    import pyarrow

    seconds: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        catalogue = Catalogue(root)
        schema = clip_schema()
        clips = pyarrow.RecordBatchReader.from_batches(schema, (_clips(start, stop, schema) for start, stop in _parts(num)))
        seconds["take_in"] = _seconds(lambda: catalogue.insert(clips))
        tags = (_tags(start, stop) for start, stop in _parts(num))
        first = _tags(0, 1)
        seconds["tag"] = _seconds(lambda: catalogue.put("tag", pyarrow.RecordBatchReader.from_batches(first.schema, tags)))
        for name, sql in QUERIES.items():
            seconds[name] = _seconds(lambda sql=sql: catalogue.query(sql))
        path = root / "clips.manifest"
        seconds["manifest"] = _seconds(lambda: write_entries(path, ["pack"], (_entries(start, stop) for start, stop in _parts(num))))
        start_up_s = min(_seconds(lambda: _first_block(path)) for _ in range(5))
    return {"seconds": seconds, "start_up_ms": 1e3 * start_up_s, "peak_mb": _peak_mb()}


def _peak_mb() -> float:
    """Of this program alone: the figure of getrusage begins with what its parent held."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1e3


def _first_block(path: Path) -> None:
    manifest = Manifest(path)
    order = Permutation(len(manifest), key=(0, 0))
    manifest.entries[order(np.arange(16))]


def _parts(num: int) -> Iterator[tuple[int, int]]:
    return ((start, min(start + _BATCH, num)) for start in range(0, num, _BATCH))


def _ids(start: int, stop: int) -> Any:
    import pyarrow

    halves = np.random.default_rng((1, start)).integers(0, 2**63, (stop - start, 2), dtype=np.int64)
    return pyarrow.FixedSizeBinaryArray.from_buffers(pyarrow.binary(16), stop - start, [None, pyarrow.py_buffer(halves.tobytes())])


def _clips(start: int, stop: int, schema: Any) -> Any:
    import pyarrow

    rng, num = np.random.default_rng((0, start)), stop - start
    numbers = {
        name: rng.gamma(4.0, 3.0, num).astype(np.float32) for name in ("mean_speed_mps", "max_speed_mps", "max_lateral_accel_mps2", "distance_m")
    }
    numbers |= {name: rng.normal(0, 2, num).astype(np.float32) for name in ("min_accel_mps2", "turn_rad")}
    words = {"source": 8, "body": 3, "licence": 3, "motion_kind": 2, "instruction_kind": 2, "recording_id": 1000, "pack": 1}
    columns: dict[str, Any] = {"clip_id": _ids(start, stop), "content_id": _ids(start, stop), **numbers}
    for name, kinds in words.items():
        names = pyarrow.array([f"{name.removesuffix('_id')} {place}" for place in range(kinds)])
        columns[name] = names.take(pyarrow.array(rng.integers(kinds, size=num)))
    offsets = pyarrow.array(np.arange(num + 1, dtype=np.int32))
    columns["tags"] = pyarrow.ListArray.from_arrays(offsets, columns["source"])
    columns["cameras"] = pyarrow.ListArray.from_arrays(offsets, columns["body"])
    columns |= {"start_us": np.arange(start, stop) * 10_000_000, "num_steps": np.full(num, 100, np.int32), "num_thoughts": np.full(num, 90, np.int32)}
    columns |= {"nbytes": rng.integers(50_000, 200_000, num), "start_byte": np.arange(start, stop) * 100_000}
    return pyarrow.RecordBatch.from_arrays([pyarrow.array(columns[name], schema.field(name).type) for name in schema.names], schema=schema)


def _tags(start: int, stop: int) -> Any:
    import pyarrow

    rng, num = np.random.default_rng((2, start)), stop - start
    scenarios = pyarrow.array([f"scenario {place}" for place in range(24)])
    columns = {"clip_id": _ids(start, stop), "scenario": scenarios.take(pyarrow.array(rng.integers(24, size=num)))}
    columns |= {
        "sharpness": pyarrow.array(rng.random(num).astype(np.float32)),
        "cluster": pyarrow.array((np.arange(start, stop) // 5).astype(np.int64)),
    }
    return pyarrow.RecordBatch.from_pydict(columns)


def _entries(start: int, stop: int) -> np.ndarray:
    entries = np.zeros(stop - start, ENTRY)
    entries["offset"], entries["nbytes"], entries["num_steps"] = np.arange(start, stop) % 2**31, 100_000, 100
    return entries


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


if __name__ == "__main__":
    print(json.dumps(grow(int(sys.argv[1]))))
