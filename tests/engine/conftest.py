"""A Ray cluster of two nodes on this machine, for the tests that ask for it."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = str(Path(__file__).parent)
sys.path.append(HERE)  # the workers import `work_for_processes` by name


@pytest.fixture(scope="session")
def two_nodes() -> Iterator[Any]:
    """Two raylets with a processor each; whatever happens, all of it is stopped at the end."""
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'motorworks[ray]'")
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True) as folder:
        patch.setenv("RAY_TMPDIR", folder)  # short: its sockets lie there
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("PYTHONPATH", os.pathsep.join([HERE, os.environ.get("PYTHONPATH", "")]))
        yield from _cluster()


def _cluster() -> Iterator[Any]:
    import ray
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 80 << 20}
    cluster = Cluster(initialize_head=True, head_node_args=node | {"include_dashboard": False})
    try:
        cluster.add_node(**node)
        yield cluster
    finally:
        with contextlib.suppress(Exception):
            ray.shutdown()
        cluster.shutdown()
