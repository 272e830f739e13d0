"""Scenario by condition: how many clips and seconds there are of each, and what is missing, in words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64

from motorworks.geometry.array import Array

THIN_CLIPS = 5
_TOO_RARE = 0.2  # of what independence would give


@dataclass(frozen=True, kw_only=True)
class CoverageRow:
    """A clip as coverage sees it."""

    seconds_s: float
    scenarios: Sequence[str]
    conditions: Mapping[str, str]  # of each kind (light, speed, source ...) the clip's own


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """Counts over (scenario, condition)."""

    scenarios: tuple[str, ...]
    conditions: tuple[tuple[str, str], ...]  # kind, value
    num_clips: Int64[Array, "scenario condition"]
    seconds_s: Float[Array, "scenario condition"]
    of_condition: Int64[Array, " condition"]  # clips of each condition, whatever happens in them
    total: int

    def missing(self, num: int = 20) -> list[str]:
        """Cells that are empty or thinner than chance would have them, the most needed first: those whose row and column are large."""
        found = []
        of_scenario = self._of_scenario()
        empty = [(kind, value) for (kind, value), num_clips in zip(self.conditions, self.of_condition, strict=True) if not num_clips]
        whole = [f"no clip at all with {kind} {value}" for kind, value in empty if value != "unknown"]
        for row, scenario in enumerate(self.scenarios):
            for column, (kind, value) in enumerate(self.conditions):
                if not self.of_condition[column]:
                    continue
                own, expected = int(self.num_clips[row, column]), of_scenario[row, kind] * self.of_condition[column] / max(self.total, 1)
                if own < THIN_CLIPS or own < _TOO_RARE * expected:
                    need = "no" if own == 0 else f"only {own}"
                    found.append((expected, own, f"{need} {scenario} with {kind} {value}: {own} of {int(self.of_condition[column])} clips"))
        return (whole + [words for _, _, words in sorted(found, key=lambda entry: (-entry[0], entry[1], entry[2]))])[:num]

    def _of_scenario(self) -> dict[tuple[int, str], int]:
        kinds = sorted({kind for kind, _ in self.conditions})
        columns = {kind: [place for place, (own, _) in enumerate(self.conditions) if own == kind] for kind in kinds}
        return {(row, kind): int(self.num_clips[row, columns[kind]].sum()) for row in range(len(self.scenarios)) for kind in kinds}


def cover(rows: Sequence[CoverageRow], *, scenarios: Sequence[str], conditions: Mapping[str, Sequence[str]] | None = None) -> Coverage:
    """Counts `scenarios` (those that never occur too: that is what coverage is for) against every condition that occurs or is named."""
    named = {kind: list(values) for kind, values in (conditions or {}).items()}
    for row in rows:
        for kind, value in row.conditions.items():
            if value not in named.setdefault(kind, []):
                named[kind].append(value)
    columns = tuple((kind, value) for kind, values in named.items() for value in values)
    place = {column: number for number, column in enumerate(columns)}
    line = {name: number for number, name in enumerate(scenarios)}
    num, seconds, of_condition = np.zeros((len(line), len(columns)), np.int64), np.zeros((len(line), len(columns))), np.zeros(len(columns), np.int64)
    for row in rows:
        own = [place[column] for column in row.conditions.items()]
        of_condition[own] += 1
        lines = [line[name] for name in row.scenarios if name in line]
        num[np.ix_(lines, own)] += 1
        seconds[np.ix_(lines, own)] += row.seconds_s
    return Coverage(scenarios=tuple(scenarios), conditions=columns, num_clips=num, seconds_s=seconds, of_condition=of_condition, total=len(rows))
