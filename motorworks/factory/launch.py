"""Several processes that make one step together: torchrun, and whatever sets the same variables, says in the environment which one this is."""

import os


def rank() -> int:
    """0 is the one that keeps the artifact."""
    return int(os.environ.get("RANK") or 0)


def num_ranks() -> int:
    """1 where nobody said otherwise."""
    return int(os.environ.get("WORLD_SIZE") or 1)
