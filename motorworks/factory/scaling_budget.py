"""How many samples the largest run of a scaling grid may see, so that the whole takes about as long, or costs about as much, as was asked for."""

import json
from typing import Any

from motorworks.factory.artifact import Artifact
from motorworks.factory.commands import Scaling
from motorworks.factory.errors import BadUsage

FEWEST = 8000  # a fifth of that is some 25 drives of the town; below, held-out loss hardly falls (docs/scaling.md)
MAKING_S = 0.02  # to drive, encode and curate one sample of the town on one core (docs/scaling.md)
FIXED_S = 120.0  # fits, their resamples, and the drives at the end, on one core


def samples_for(command: Scaling, speed: Artifact, grid: Any) -> int:
    """Rounded down to hundreds. Raises BadUsage where the budget is too small for a grid."""
    rows = {row["width"]: row for row in json.loads((speed.path / "speed.json").read_text())}
    largest = rows[max(rows)]
    drawn = grid.num_seeds * grid.passes  # times that each sample of the largest run is trained on, in all of its seeds
    share = sum(grid.data_fracs) * drawn  # samples drawn by all runs of one width, for each sample of the largest run
    if command.flops is not None:
        each = drawn * largest["flops_per_sample"] + sum(share * rows[width]["flops_per_sample"] for width in grid.widths)
        return _bought(command.flops, 0.0, each, "--flops")
    each_s = (0.0 if command.clips else MAKING_S) + drawn / largest["samples_per_s"] / min(command.workers, grid.num_seeds)
    each_s += sum(share / rows[width]["samples_per_s"] for width in grid.widths) / command.workers
    return _bought(command.minutes, FIXED_S / 60, each_s / 60, "--minutes")


def _bought(budget: float, fixed: float, each: float, flag: str) -> int:
    num = int((budget - fixed) / each) // 100 * 100
    if num < FEWEST:
        raise BadUsage(f"{flag} {budget:.3g} is too little for a grid here: give {fixed + FEWEST * each:.3g} or more")
    return num
