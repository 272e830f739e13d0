"""What tensors take: every storage an operation makes is counted from birth to death, real ones and fake ones alike.

torch's own MemTracker counts DTensors at their global size (docs/plan.md); this mode lets a DTensor's operation go on to the local tensors
it is made of and counts those, so a rank of thousands is charged its own shard.
"""

import weakref
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch._guards import active_fake_mode
from torch.distributed.tensor import DTensor
from torch.distributed.tensor._sharding_prop import ShardingPropagator
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class MemoryTracker(TorchDispatchMode):
    """`live_bytes` now and `peak_bytes` so far, of storages made inside the `with` or given to `adopt`; an operation's workspace does not count."""

    def __init__(self) -> None:
        super().__init__()
        self.live_bytes = 0
        self.peak_bytes = 0
        self.is_elsewhere = False
        self._sizes: dict[int, int] = {}  # by the storage's implementation, which outlives its Python wrappers

    def adopt(self, tensors: Iterable[Tensor]) -> None:
        """Counts what was there before."""
        for tensor in tensors:
            self._count((tensor._local_tensor if isinstance(tensor, DTensor) else tensor).untyped_storage())

    def __enter__(self) -> "MemoryTracker":
        # DTensor looks at shapes of the whole before it works on its parts, once for each kind of operation; inside this lock of its
        self._lock, ShardingPropagator._fake_mode_lock = ShardingPropagator._fake_mode_lock, _Elsewhere(self)
        # FSDP2 frees and refills the storage of gathered weights in place, which no operation tells of
        original = self._resize = torch.UntypedStorage.resize_

        def resize(storage: torch.UntypedStorage, size: int) -> torch.UntypedStorage:
            original(storage, size)
            self._count(storage)
            return storage

        torch.UntypedStorage.resize_ = resize  # type: ignore[method-assign, assignment]
        return super().__enter__()

    def __exit__(self, *exception: Any) -> None:
        torch.UntypedStorage.resize_ = self._resize  # type: ignore[method-assign]
        ShardingPropagator._fake_mode_lock = self._lock
        super().__exit__(*exception)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if any(issubclass(one, DTensor) for one in types):
            return NotImplemented
        if func is torch.ops._c10d_functional.wait_tensor.default and active_fake_mode() is not None:
            return args[0]  # as a real one does; the fake one would be a second copy
        out = func(*args, **(kwargs or {}))
        if not self.is_elsewhere:
            for tensor in tree_leaves(out):
                if isinstance(tensor, Tensor) and not isinstance(tensor, DTensor):
                    self._count(tensor.untyped_storage())
        return out

    def _count(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.size()
        before = self._sizes.get(key)
        if before is None:
            weakref.finalize(storage, self._forget, key).atexit = False
        if before != size:
            self._sizes[key] = size
            self.live_bytes += size - (before or 0)
            self.peak_bytes = max(self.peak_bytes, self.live_bytes)

    def _forget(self, key: int) -> None:
        self.live_bytes -= self._sizes.pop(key, 0)


class _Elsewhere:
    """While inside, what is made is of no rank."""

    def __init__(self, tracker: MemoryTracker) -> None:
        self.tracker = tracker

    def __enter__(self) -> None:
        self.tracker.is_elsewhere = True

    def __exit__(self, *exception: Any) -> None:
        self.tracker.is_elsewhere = False
