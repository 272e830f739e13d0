"""Light programmes: which arms are green when. A row is (cycle, green from, green, yellow) in steps of 0.1 s; red else."""

from dataclasses import dataclass

import numpy as np

YELLOW_STEPS, ALL_RED_STEPS = 30, 10
WALK_CLEAR_STEPS = 40  # people's green ends this long before the drivers'
MAX_LIT_NODES = 9


@dataclass(frozen=True, kw_only=True)
class Programme:
    """The rows of one junction in the town's signal table."""

    phase_of: dict[int, int]  # arm: phase
    first_row: int
    rows: tuple[tuple[int, int, int, int], ...]  # one a phase

    def row_of_arm(self, arm: int) -> int:
        """The drivers' row."""
        return self.first_row + self.phase_of[arm]

    def walk_row(self, phase: int) -> tuple[int, int, int, int]:
        """What people on foot are shown in a phase."""
        cycle, start, green, _ = self.rows[phase]
        return cycle, start, green - WALK_CLEAR_STEPS, 0


def draw_programme(rng: np.random.Generator, opposite: dict[int, int], num_arms: int, busy: bool, first_row: int) -> Programme:
    """Opposite arms together with left turns that give way; or, where it is busy, one arm after the other. A cycle is at most 50 s."""
    if busy:
        phase_of = {arm: arm for arm in range(num_arms)}
    else:
        phase_of = {}
        for arm in range(num_arms):
            partner = opposite.get(arm, -1)
            phase_of[arm] = phase_of[partner] if partner in phase_of else len(set(phase_of.values()))
    num = max(phase_of.values()) + 1
    longest = {2: 160, 3: 125, 4: 85}[num]
    greens = [int(rng.integers(80, longest + 1)) for _ in range(num)]
    cycle = sum(greens) + num * (YELLOW_STEPS + ALL_RED_STEPS)
    start = int(rng.integers(cycle))
    rows = []
    for green in greens:
        rows.append((cycle, start % cycle, green, YELLOW_STEPS))
        start += green + YELLOW_STEPS + ALL_RED_STEPS
    return Programme(phase_of=phase_of, first_row=first_row, rows=tuple(rows))
