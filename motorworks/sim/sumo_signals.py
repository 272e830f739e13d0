"""SUMO's light programmes as rows of a town's signal table."""

import numpy as np

from motorworks.sim.sumo_net import Net

STEPS_PER_S = 10
SHORTEST_GREEN_STEPS = 10
Row = tuple[int, int, int, int]


def _row(phases: list[tuple[float, str]], offset_s: float, link: int) -> Row | None:
    """A link's longest green and the yellow after it, as (cycle, from, green, yellow) steps; None if it is never green."""
    letters = "".join(state[link] * round(duration * STEPS_PER_S) for duration, state in phases)
    green = np.array([letter in "gG" for letter in letters])
    cycle = len(letters)
    if not green.any():
        return None
    if green.all():
        return cycle, 0, cycle, 0
    starts = [i for i in range(cycle) if green[i] and not green[i - 1]]
    lengths = [next(k for k in range(cycle) if not green[(start + k) % cycle]) for start in starts]
    best = int(np.argmax(lengths))
    end = starts[best] + lengths[best]
    yellow = next(k for k in range(cycle) if letters[(end + k) % cycle] not in "yYu")
    return cycle, (starts[best] + round(offset_s * STEPS_PER_S)) % cycle, lengths[best], yellow


def green_together(a: Row, b: Row) -> bool:
    """Whether two rows are ever green at the same step. Rows of different cycles drift, so they are."""
    if a[0] != b[0]:
        return True
    clock = np.arange(a[0])
    return bool((((clock - a[1]) % a[0] < a[2]) & ((clock - b[1]) % b[0] < b[2])).any())


class SignalTable:
    """The rows that a net's links need, each once."""

    def __init__(self, net: Net) -> None:
        self._net = net
        self.rows: list[Row] = []

    def row(self, light: str, link: int) -> int:
        """The row of a link, or -1 where no working light rules it. A link never green is an error: nobody could ever drive on."""
        if not light or link < 0:
            return -1
        if light not in self._net.programmes:
            raise self._net.error(
                f"<connection tl={light!r}> has no <tlLogic id={light!r}>", "add the programme; regenerate the file with netconvert"
            )
        offset, phases = self._net.programmes[light]
        if link >= len(phases[0][1]):
            raise self._net.error(f"<tlLogic id={light!r}> has {len(phases[0][1])} states but a link {link}", "give every phase one letter a link")
        if all(state[link] in "oO" for _, state in phases):
            return -1
        row = _row(phases, offset, link)
        if row is None or row[2] < SHORTEST_GREEN_STEPS:
            raise self._net.error(f"<tlLogic id={light!r}> never shows link {link} green for a second", "give it a green phase")
        if row not in self.rows:
            self.rows.append(row)
        return self.rows.index(row)
