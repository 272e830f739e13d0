"""A shuffled order of any length that is computed, not stored: position in, item out."""

import numpy as np
from jaxtyping import Int64

from motorworks.geometry.array import Array

_ROUNDS = 4


class Permutation:
    """Each of `num` items once, in an order that the key chooses: a Feistel network over the next even power of two, walked
    until it falls below `num` (Black and Rogaway, Ciphers with Arbitrary Finite Domains, 2002). Good enough to shuffle, not to hide."""

    def __init__(self, num: int, *, key: tuple[int, ...]):
        if num < 1:
            raise ValueError(f"an order of {num} items: at least 1")
        self.num = num
        self._half_bits = np.uint64(max(1, ((num - 1).bit_length() + 1) // 2))
        self._keys = np.random.default_rng(key).integers(0, 2**64, _ROUNDS, dtype=np.uint64)

    def __call__(self, position: Int64[Array, " some"]) -> Int64[Array, " some"]:
        """The items at these positions, each in 0 .. num - 1."""
        position = np.asarray(position, np.int64)
        if position.size and (position.min() < 0 or position.max() >= self.num):
            raise IndexError(f"positions {position.min()} to {position.max()} of an order of {self.num}")
        item = self._network(position.astype(np.uint64))
        while (outside := item >= self.num).any():
            item[outside] = self._network(item[outside])
        return item.astype(np.int64)

    def _network(self, value: Array) -> Array:
        mask = (np.uint64(1) << self._half_bits) - np.uint64(1)
        left, right = value >> self._half_bits, value & mask
        for key in self._keys:
            left, right = right, left ^ (_mix(right + key) & mask)
        return (left << self._half_bits) | right


def _mix(value: Array) -> Array:
    """The finaliser of SplitMix64: every input bit reaches every output bit."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))
