"""How far a run has come: its step, where the next batch begins, and the curve so far. Everything but tensors that a snapshot keeps."""

from typing import Any

import numpy as np

from motorworks.train.feed import Cursor


class Course:
    """Counts steps that were taken; batches that were left out are counted apart, and do not make a step."""

    def __init__(self) -> None:
        self.step = 0
        self.cursor: Cursor | None = None
        self.curves: list[dict[str, float]] = []
        self.num_skipped = self.num_rollbacks = 0
        self.num_bad_in_row = 0
        self._since: list[dict[str, float]] = []

    def took(self, row: dict[str, float], cursor: Cursor, *, record: bool) -> None:
        """A step was taken; `record` closes a row of the curve with the means since the row before."""
        self.step, self.cursor, self.num_bad_in_row = self.step + 1, cursor, 0
        self._since.append(row)
        if record:
            names = dict.fromkeys(name for one in self._since for name in one)
            means = {name: float(np.mean([one[name] for one in self._since if name in one])) for name in names}
            self.curves.append({"step": self.step, **means})
            self._since = []

    def left_out(self, cursor: Cursor) -> None:
        """A batch was bad: the next one takes its place in the same step."""
        self.cursor = cursor
        self.num_skipped += 1
        self.num_bad_in_row += 1

    def went_back(self, state: dict[str, Any], cursor: Cursor) -> None:
        """The weights are those of an earlier step; the data goes on behind what was bad."""
        skipped, rollbacks = self.num_skipped, self.num_rollbacks + 1
        self.load_state_dict(state)
        self.cursor, self.num_skipped, self.num_rollbacks, self.num_bad_in_row = cursor, skipped, rollbacks, 0

    def state_dict(self) -> dict[str, Any]:
        """Plain JSON, which stands still while the run goes on."""
        return {name: list(value) if isinstance(value, list) else value for name, value in vars(self).items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """As it was."""
        self.__dict__.update({name: list(value) if isinstance(value, list) else value for name, value in state.items()})
