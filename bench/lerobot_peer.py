"""LeRobot on a dataset that `write_lerobot` wrote; run by a Python that has lerobot: `python bench/lerobot_peer.py FOLDER` prints one line of JSON.

A sample is 8 frames, 0.1 s apart, and as many states: once at random in this process on one thread, once shuffled through torch's DataLoader
with one worker and with two, the better one per worker. With torchcodec where it can be imported, else PyAV.
"""

import importlib.metadata
import json
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

SECONDS, NUM_FRAMES, BATCH = 6.0, 8, 32


def main(folder: Path) -> None:
    """Measures and prints."""
    import torch

    torch.set_num_threads(1)
    rates = {}
    for backend in backends():
        # workers first: they are forked, and decoders that are open here would share their place in the file with them
        streamed = max(loader_rate(load(folder, backend), workers) / workers for workers in (1, 2))
        rates[backend] = random_rate(load(folder, backend)), streamed
    backend = max(rates, key=lambda name: rates[name][1])
    print(
        json.dumps(
            {
                "random_samples_per_s": max(rate for rate, _ in rates.values()),
                "stream_samples_per_s_per_core": rates[backend][1],
                "bytes_on_disk": sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
                "lerobot_version": importlib.metadata.version("lerobot"),
                "backend": backend,
            }
        )
    )


def backends() -> list[str]:
    """LeRobot's own choice: torchcodec, and torchvision's PyAV only where that is missing."""
    try:
        import torchcodec.decoders  # noqa: F401
    except Exception:  # it fails in many ways where its libraries do not match
        return ["pyav"]
    return ["torchcodec"]


def load(folder: Path, backend: str):  # lerobot is not here for type checkers
    """The dataset with eight frames and states a sample."""
    _let_torchvision_in()
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    camera = next((folder / "videos").iterdir()).name
    ahead = [step / 10 for step in range(NUM_FRAMES)]
    return LeRobotDataset("local/clips", root=folder, delta_timestamps={camera: ahead, "observation.state": ahead}, video_backend=backend)


def _let_torchvision_in() -> None:
    """A torchvision built for another torch lacks its compiled operators; LeRobot only needs its transforms, so they are declared for it."""
    import re

    import torch

    library = torch.library.Library("torchvision", "FRAGMENT")
    for _ in range(40):
        try:
            import torchvision  # noqa: F401
        except RuntimeError as error:
            missing = re.search(r"torchvision::(\w+) does not exist", str(error))
            if missing is None:
                raise
            library.define(f"{missing[1]}(Tensor x) -> Tensor")
            for name in [name for name in sys.modules if name.startswith("torchvision")]:
                del sys.modules[name]
        else:
            _let_torchvision_in.library = library  # it would be undone when it goes
            return


def random_rate(dataset) -> float:
    """Samples a second of this process."""
    import torch

    order = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(0)).tolist()
    for index in order[:20]:
        dataset[index]
    start, num = time.perf_counter(), 0
    while time.perf_counter() - start < SECONDS:
        dataset[order[(20 + num) % len(order)]]
        num += 1
    return num / (time.perf_counter() - start)


def loader_rate(dataset, workers: int) -> float:
    """Samples a second of all workers."""
    import torch

    loader = torch.utils.data.DataLoader(dataset, batch_size=BATCH, shuffle=True, num_workers=workers, prefetch_factor=2)
    batches = iter(loader)
    for _ in range(2 * workers + 1):
        next(batches)
    start, num = time.perf_counter(), 0
    while time.perf_counter() - start < SECONDS:
        try:
            batch = next(batches)
        except StopIteration:
            batches = iter(loader)
            continue
        num += len(batch["index"])
    return num / (time.perf_counter() - start)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
