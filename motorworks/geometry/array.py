"""What an array is in this house: numpy's, with shapes written in jaxtyping."""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    Array = np.ndarray[Any, np.dtype[Any]]
else:
    Array = np.ndarray | np.generic  # a scalar of numpy's may stand for a batch of no axes
