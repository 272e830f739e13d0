"""Measure the subjects named (default: all) and write bench/results.json: `python -m bench [SUBJECT ...]`, as sim, clips, growth, train, chaos."""

import argparse
import datetime
import importlib.util
import os
import time
from collections.abc import Callable
from pathlib import Path

from bench import chaos, clips, curation, drive, family, growth, privacy, sim, sim_cuda, train
from bench.figure import Figure
from bench.results import merge, of_subjects, read, rows_of, table, write
from motorworks.factory.machine import describe_machine

# in this order: what counts for one core is measured before torch is in the process
SUBJECTS: dict[str, tuple[Callable[[], list[Figure]], tuple[str, ...]]] = {
    "sim": (sim.measure, ()),
    "sim_cuda": (sim_cuda.measure, ("numba_cuda",)),
    "clips": (clips.measure, ()),
    "curation": (curation.measure, ("lance",)),
    "privacy": (privacy.measure, ("cv2",)),
    "growth": (growth.measure, ("lance", "duckdb")),
    "drive": (drive.measure, ("torch", "onnx", "onnxscript")),
    "train": (lambda: [*train.measure(), *family.measure()], ("torch",)),
    "chaos": (chaos.measure, ("torch",)),
}


def main() -> None:
    """Each subject's rows take the place of its old ones as soon as they are measured."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("subjects", nargs="*", metavar="subject", help=f"of {', '.join(SUBJECTS)}; all where none is given")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("results.json"))
    given = parser.parse_args()
    unknown = [name for name in given.subjects if name not in SUBJECTS]
    if unknown:
        parser.error(f"there is no subject {unknown[0]!r}; choose from {', '.join(SUBJECTS)}")
    chosen, machine = given.subjects or list(SUBJECTS), _machine()
    rows = of_subjects(read(given.out), SUBJECTS)
    for name in SUBJECTS:
        if name not in chosen:
            continue
        measure, needs = SUBJECTS[name]
        lacking = [package for package in needs if importlib.util.find_spec(package) is None]
        if lacking:
            print(f"{name}: no figures, for {', '.join(lacking)} is not installed", flush=True)
        start = time.perf_counter()
        figures = [] if lacking else measure()
        new = rows_of(figures, machine=machine, date=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"))
        rows = merge(rows, new, (name,))
        write(given.out, rows)
        if new:
            print(f"{name}, {time.perf_counter() - start:.0f} s\n{table(new)}\n", flush=True)
    print(f"{machine} → {given.out}")


def _machine() -> str:
    """Processor, cores, and how many others were running: a busy neighbour is part of what was measured."""
    about, load = describe_machine(), os.getloadavg()[0]
    return f"{about['processor']}, {about['num_cores']} cores, {about['memory_mb'] / 1000:.0f} GB, load {load:.1f} at the start"


if __name__ == "__main__":
    main()
