"""bench/results.json: rows in, rows out, and the table on the screen."""

import json
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from bench.figure import Figure

Row = Mapping[str, str | float]  # name, value, unit, against, ratio, machine, date
DIGITS = 5  # significant; a timing repeats to two or three


def rows_of(figures: Sequence[Figure], *, machine: str, date: str) -> list[Row]:
    """The figures as DESIGN writes them."""
    return [
        {**asdict(figure), "value": _rounded(figure.value), "ratio": _rounded(figure.ratio), "machine": machine, "date": date} for figure in figures
    ]


def merge(old: Sequence[Row], new: Sequence[Row], subjects: Collection[str]) -> list[Row]:
    """`new` takes the place of everything `subjects` ever said: a figure that was not measured this time is gone, not stale."""
    strange = sorted({str(row["name"]) for row in new if _subject(row) not in subjects})
    if strange:
        raise ValueError(f"figures {strange} belong to none of the subjects {sorted(subjects)}; name a figure after its file")
    names = [row["name"] for row in new]
    if len(set(names)) != len(names):
        raise ValueError(f"a figure was measured twice: {sorted(str(name) for name in set(names) if names.count(name) > 1)}")
    return sorted([*(row for row in old if _subject(row) not in subjects), *new], key=lambda row: str(row["name"]))


def of_subjects(rows: Sequence[Row], subjects: Collection[str]) -> list[Row]:
    """Without the rows of a subject that is measured no more."""
    return [row for row in rows if _subject(row) in subjects]


def read(path: Path) -> list[Row]:
    """Rows written before; none where there is no file yet."""
    if not path.exists():
        return []
    try:
        rows = json.loads(path.read_text())
        if not all(isinstance(row, dict) and isinstance(row.get("name"), str) for row in rows):
            raise ValueError("not a list of rows with a name")
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} is not a list of figures ({error}); delete it and run `make bench` again") from error
    return rows


def write(path: Path, rows: Sequence[Row]) -> None:
    """To a temporary name, then renamed."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        draft.write_text(json.dumps(list(rows), indent=1, ensure_ascii=False) + "\n")
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def table(rows: Sequence[Row]) -> str:
    """A line a figure, for a person."""
    cells = [(str(row["name"]), f"{row['value']:,.5g} {row['unit']}", f"{row['ratio']:.3g}", str(row["against"])) for row in rows]
    widths = [max((len(cell[column]) for cell in cells), default=0) for column in range(3)]
    return "\n".join(f"{name:<{widths[0]}}  {value:>{widths[1]}}  {ratio:>{widths[2]}} × {against}" for name, value, ratio, against in cells)


def _subject(row: Row) -> str:
    return str(row["name"]).partition(".")[0]


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
