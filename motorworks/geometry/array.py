"""What an array is in this house: numpy's, with shapes written in jaxtyping."""

import numpy as np

Array = np.ndarray | np.generic
