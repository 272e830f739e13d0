"""Groups of near vectors, of about one size however many there are: what is compared is only ever within a group."""

import numpy as np
from jaxtyping import Float, Int64

from motorworks.geometry.array import Array

GROUP_SIZE = 1000
_SAMPLES_PER_GROUP, _ROUNDS, _MOST_AT_ONCE = 64, 12, 1024


def groups(vectors: Float[Array, "num dim"], *, size: int = GROUP_SIZE, seed: int = 0) -> Int64[Array, "num 2"]:
    """The nearest and the second nearest group of each vector (-1: there is only one), by k-means on a sample.

    Many groups are found in two levels, so the work for each vector stays under 2 x 1,024 comparisons up to a billion vectors.
    """
    num = len(vectors)
    wanted = -(-num // size)
    if wanted <= 1:
        return np.stack([np.zeros(num, np.int64), np.full(num, -1, np.int64)], axis=1)
    if wanted <= _MOST_AT_ONCE:
        return _nearest_two(vectors, _centres(vectors, wanted, seed))
    coarse = _nearest_two(vectors, _centres(vectors, int(np.ceil(np.sqrt(wanted))), seed))[:, 0]
    found, first = np.full((num, 2), -1, np.int64), 0
    for group in range(int(coarse.max()) + 1):
        members = np.flatnonzero(coarse == group)
        if len(members):
            own = groups(vectors[members], size=size, seed=seed + group + 1)
            found[members] = np.where(own >= 0, own + first, -1)
            first += int(own.max()) + 1
    return found


def map_2d(vectors: Float[Array, "num dim"]) -> Float[Array, "num 2"]:
    """Two directions in which the vectors differ most (PCA), the first scaled to spread 1: a map to look at, not to measure on."""
    centred = vectors - vectors.mean(axis=0)
    if len(vectors) < 3:
        return np.zeros((len(vectors), 2))
    _, directions = np.linalg.eigh(centred.T @ centred)
    flat = centred @ directions[:, -2:][:, ::-1]
    flat *= np.where(np.abs(flat).max(axis=0) == flat.max(axis=0), 1.0, -1.0)  # a sign that does not depend on the library
    return flat / max(float(flat[:, 0].std()), 1e-9)


def _centres(vectors: Float[Array, "num dim"], num: int, seed: int) -> Float[Array, "group dim"]:
    """Lloyd's rounds on a sample; a group that loses all its vectors keeps its centre."""
    rng = np.random.default_rng((seed, num))
    sample = vectors[np.sort(rng.permutation(len(vectors))[: num * _SAMPLES_PER_GROUP])].astype(np.float32)
    centres = sample[np.sort(rng.permutation(len(sample))[:num])].copy()
    for _ in range(_ROUNDS):
        nearest = _nearest_two(sample, centres)[:, 0]
        counts = np.bincount(nearest, minlength=num)
        sums = np.zeros_like(centres)
        np.add.at(sums, nearest, sample)
        centres[counts > 0] = sums[counts > 0] / counts[counts > 0, None]
    return centres


def _nearest_two(vectors: Float[Array, "num dim"], centres: Float[Array, "group dim"]) -> Int64[Array, "num 2"]:
    found = np.empty((len(vectors), 2), np.int64)
    squares = (centres**2).sum(axis=1)
    for start in range(0, len(vectors), 8192):
        far = squares - 2 * (vectors[start : start + 8192] @ centres.T)
        first = far.argmin(axis=1)
        far[np.arange(len(far)), first] = np.inf
        found[start : start + 8192] = np.stack([first, far.argmin(axis=1)], axis=1)
    return found
