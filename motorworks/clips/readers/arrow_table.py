"""Columns of Arrow and Parquet tables as arrays; what is missing, of another type or not finite raises ValueError that names the column."""

from typing import Any

import numpy as np
from jaxtyping import Float, Int64

from motorworks.geometry.array import Array

NEEDS_PYARROW = "needs pyarrow: pip install 'motorworks[data]'"


def times_us(table: Any, name: str, *, still: bool = False) -> Int64[Array, " row"]:
    """A clock in whole microseconds that increases, or (`still`) at least never goes back."""
    import pyarrow as arrow

    column = _column(table, name)
    if not arrow.types.is_integer(column.type):
        raise ValueError(f"column {name!r} is {column.type}, not whole microseconds")
    if column.null_count:
        raise ValueError(f"column {name!r} has {column.null_count} rows without a value")
    time_us = column.to_numpy().astype(np.int64)
    back = np.flatnonzero(np.diff(time_us) < (0 if still else 1))
    if len(back):
        raise ValueError(f"column {name!r} goes back{'' if still else ' or stands still'} at row {back[0] + 1}")
    return time_us


def numbers(table: Any, name: str) -> Float[Array, "row *dim"]:
    """A column of numbers, or of lists of equally many numbers."""
    import pyarrow as arrow

    column = _column(table, name)
    try:
        if arrow.types.is_list(column.type) or arrow.types.is_fixed_size_list(column.type):
            values = np.array(column.to_pylist(), np.float64)
        else:
            values = np.asarray(column.to_numpy(), np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"column {name!r} is {column.type}, not one number or equally many a row ({error})") from error
    bad = np.flatnonzero(~np.isfinite(values.reshape(len(values), -1)).all(axis=1))
    if len(bad):
        raise ValueError(f"column {name!r} is not finite in {len(bad)} rows, the first {bad[0]}")
    return values


def _column(table: Any, name: str) -> Any:
    if name not in table.column_names:
        raise ValueError(f"no column {name!r}; it has {', '.join(table.column_names) or 'none'}")
    return table.column(name)
