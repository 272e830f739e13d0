"""Ray Train as a launcher: processes of a Ray cluster that do one piece of work together, and all start again when one of them dies.

As under torchrun, each is told in its environment which one it is (RANK, WORLD_SIZE, MASTER_ADDR and the rest); torch's process group is open
before the work begins. What the work goes on from after a death it has put on disk itself: Ray is given no checkpoints to keep.
"""

import asyncio
import contextlib
import logging
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass
from importlib import import_module
from typing import Any

SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_TRAIN_V2_ENABLED": "1",  # Ray 2.50 wants to be told
    "RAY_TRAIN_ENABLE_PRINT_PATCH": "0",  # which says every line twice
}
STARTS = 10  # how often Ray Train asks a cluster for room, a minute each (RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S)
LOOK_EVERY_S = 0.2


@dataclass(frozen=True, kw_only=True)
class Crew:
    """What is asked of the cluster. Each process holds `cpus` processors and, `on_gpu`, one GPU; without GPUs they are spread over the nodes."""

    num: int
    cpus: int = 1
    on_gpu: bool = False
    restarts: int = 3  # of all of them, after deaths and errors alike; those after a lost spot machine are not counted (Ray 2.60)

    def __post_init__(self) -> None:
        if min(self.num, self.cpus) < 1 or self.restarts < 0:
            raise ValueError(f"at least one worker with one processor and no fewer than 0 restarts: {self}")

    @property
    def each(self) -> dict[str, float]:
        """Ray's resources of one process."""
        return {"CPU": self.cpus, "GPU": 1} if self.on_gpu else {"CPU": self.cpus}


class CrewFailed(RuntimeError):
    """The work did not end well, however often it was started; the message has each rank's last error, and the exit code is theirs."""

    exit_code = 1


class NoRoom(CrewFailed):
    """The cluster has fewer processors or GPUs than the processes want."""

    exit_code = 2


def run_crew(crew: Crew, work: Callable[[], None], end_early: Callable[[], None], *, say: Callable[[str], None]) -> bool:
    """Runs `work` in all processes and waits for the last; Ray loads the function by name, so it must be a module's.

    SIGTERM to this process calls `end_early` in the first of them, upon which `work` is to return in all; then the value is True.
    """
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    try:
        ray, train, torch = (import_module(name) for name in ("ray", "ray.train", "ray.train.torch"))
    except ImportError as error:
        raise ModuleNotFoundError(f"workers of Ray Train need Ray and torch: pip install 'motorworks[factory,ray]' ({error})", name="ray") from error
    made_here = not ray.is_initialized()
    if made_here:
        ray.init(logging_level=logging.WARNING)  # with its dashboard, which Ray Train asks about its own actors
    try:
        _look_for_room(ray, crew, say)
        # Ray wants a place for checkpoints, and says some things on standard output, which is for the command's own answer
        with tempfile.TemporaryDirectory(prefix="ray_train", ignore_cleanup_errors=True) as unused, contextlib.redirect_stdout(sys.stderr):
            bell = _hang_up_bell(ray)
            trainer = torch.TorchTrainer(
                _take_part,
                train_loop_config={"work": work, "end_early": end_early, "bell": bell},
                torch_config=torch.TorchConfig(backend="cpu:gloo,cuda:nccl" if crew.on_gpu else "gloo"),
                scaling_config=train.ScalingConfig(
                    num_workers=crew.num,
                    use_gpu=crew.on_gpu,
                    resources_per_worker=crew.each,
                    placement_strategy="PACK" if crew.on_gpu else "SPREAD",
                ),
                run_config=train.RunConfig(
                    storage_path=unused,
                    failure_config=train.FailureConfig(max_failures=crew.restarts, controller_failure_limit=STARTS - 1),
                ),
            )
            return _wait_for(trainer, bell, crew)
    finally:
        if made_here:
            ray.shutdown()


def _look_for_room(ray: Any, crew: Crew, say: Callable[[str], None]) -> None:
    """A cluster may grow when it is asked for more, and Ray Train waits for that; this machine will not."""
    have = ray.cluster_resources()
    short = [
        f"{crew.num * each:g} {name}, of which Ray has {have.get(name, 0):g}"
        for name, each in crew.each.items()
        if have.get(name, 0) < crew.num * each
    ]
    if not short:
        return
    wanted = f"{crew.num} workers want {' and '.join(short)}"
    if os.environ.get("RAY_ADDRESS", "local") == "local" and len(ray.nodes()) == 1:
        raise NoRoom(f"{wanted} on this machine: ask for fewer, or say in RAY_ADDRESS where the cluster is")
    say(f"{wanted}: waiting for the cluster to grow, {STARTS} times RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S (60 s) at most")


def _hang_up_bell(ray: Any) -> Any:
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(num_cpus=0, scheduling_strategy=here)(_Bell).remote()


class _Bell:
    """An actor beside the driver, for no signal reaches a worker: Ray runs the work outside its main thread."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    async def ring(self) -> None:
        self._rung.set()

    async def rung(self) -> None:
        await self._rung.wait()


def _take_part(config: dict[str, Any]) -> None:
    """In a worker."""
    if os.environ["RANK"] == "0":
        threading.Thread(target=_listen, args=(config["bell"], config["end_early"]), daemon=True).start()
    config["work"]()


def _listen(bell: Any, end_early: Callable[[], None]) -> None:
    import ray

    with contextlib.suppress(ray.exceptions.RayError):  # the driver is gone, and so is all else
        ray.get(bell.rung.remote())
        end_early()


def _wait_for(trainer: Any, bell: Any, crew: Crew) -> bool:
    """In a thread, for in the main one Ray Train takes Ctrl-C for itself."""
    ended: Future[Any] = Future()
    told = threading.Event()

    def fit() -> None:
        try:
            ended.set_result(trainer.fit())
        except BaseException as error:
            ended.set_exception(error)

    def on_signal(*_: object) -> None:
        told.set()
        signal.signal(signal.SIGTERM, before)  # a second one does what it always did

    before = signal.signal(signal.SIGTERM, on_signal)
    rung = False
    threading.Thread(target=fit, daemon=True).start()
    try:
        while not wait([ended], timeout=LOOK_EVERY_S).done:
            if told.is_set() and not rung:
                bell.ring.remote()
                rung = True
        ended.result()
    except Exception as error:
        raise _failed(error, crew) from error
    finally:
        signal.signal(signal.SIGTERM, before)
    return told.is_set()


def _failed(error: Exception, crew: Crew) -> CrewFailed:
    failures: dict[int, Exception] = getattr(error, "worker_failures", {})
    if not failures:
        cause = getattr(error, "controller_failure", error)
        kind = NoRoom if type(cause).__name__ in ("WorkerGroupStartupTimeoutError", "InsufficientClusterResourcesError") else CrewFailed
        return kind(f"Ray Train gave up: {type(cause).__name__}: {cause}")
    words = "; ".join(f"rank {rank}: {type(one).__name__}: {' '.join(str(one).split())[:400]}" for rank, one in sorted(failures.items()))
    failed = CrewFailed(f"failed, with {crew.restarts} restarts: {words}")
    failed.exit_code = next((int(one.exit_code) for one in failures.values() if hasattr(one, "exit_code")), 1)
    return failed
