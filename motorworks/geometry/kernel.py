"""Scalar kernels: one function body, compiled by Numba for CPU loops and, called from a CUDA kernel, for the GPU.

Numba's cache notices changes in a kernel's own file only, and a kernel that calls another would be served stale. So the cache lies
in a folder named after the text of every file that holds kernels: any change compiles them anew.
"""

import hashlib
import os
from pathlib import Path
from typing import Any

import numba

_PACKAGE = Path(__file__).resolve().parents[1]
_ROOMS = ("geometry", "datatypes", "bodies", "policy", "sim")  # where kernels, and the constants they freeze, are written


def _cache_folder() -> Path:
    sources = sorted(path for room in _ROOMS for path in (_PACKAGE / room).rglob("*.py"))
    name = f"kernels-{hashlib.sha256(b''.join(path.read_bytes() for path in sources)).hexdigest()[:16]}"
    inside = _PACKAGE / "__pycache__"
    return (inside if os.access(_PACKAGE, os.W_OK) else Path.home() / ".cache" / "motorworks") / name


if not os.environ.get("NUMBA_CACHE_DIR"):
    setattr(numba.config, "CACHE_DIR", str(_cache_folder()))  # noqa: B010 - not in its stubs


def kernel(function: Any) -> Any:
    """Compile a scalar function: cached, without the GIL, IEEE arithmetic (so that a rollout repeats bit for bit).

    Without Numba's memory runtime: counting references to some thirty arrays in every call of a small function made traffic ten times slower.
    So nothing may be allocated inside, as on a GPU: "NRT required but not enabled" means an array expression or a copy of a row; loop instead.
    """
    options: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy", "_nrt": False}
    return numba.njit(**options)(function)


# numba.cuda has no np.floor, and math.floor is a call on the CPU and a float on the GPU
@kernel
def floor(x: float) -> int:
    """The whole number at or below x."""
    near = int(x)
    return near - 1 if x < near else near


@kernel
def ceil(x: float) -> int:
    """The whole number at or above x."""
    near = int(x)
    return near + 1 if x > near else near
