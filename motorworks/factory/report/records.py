"""What the report reads: records of one turn's artifacts, and the JSON files beside them. Nothing is computed anew."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RECORD = "record.json"
# in flow order; what is not there is named in the report
STAGES = ("ingest", "curate", "pretrain", "sft", "teacher", "rl", "distil", "adapt", "evaluate", "release", "drive", "mine")


@dataclass(frozen=True, kw_only=True)
class Record:
    """One finished artifact as its record tells it."""

    name: str  # tiny/turn1/sft
    stage: str  # sft
    path: Path
    fields: Mapping[str, Any]

    @property
    def metrics(self) -> Mapping[str, Any]:
        return _mapping(self.fields.get("metrics"))

    @property
    def timings(self) -> Mapping[str, float]:
        return _mapping(self.fields.get("timings"))

    @property
    def digest(self) -> str:
        return str(self.fields.get("digest", ""))

    @property
    def reads(self) -> tuple[str, ...]:
        """Names (without version) of the artifacts it read."""
        inputs = self.fields.get("inputs") or {}
        groups = inputs.values() if isinstance(inputs, Mapping) else [inputs]
        listed = [name for group in groups for name in ([group] if isinstance(group, str) else group)]
        return tuple(dict.fromkeys(str(name).rpartition("@")[0] or str(name) for name in listed))

    def rows(self, file: str) -> list[Mapping[str, Any]]:
        """A list of objects: the JSON file beside the record, else the metric of the same name; empty where there is neither."""
        path = self.path / file
        if path.is_file():
            try:
                found = json.loads(path.read_text())
            except ValueError as error:
                raise ValueError(f"{path} is not JSON ({error}): run the stage {self.stage} again") from error
        else:
            found = self.metrics.get(Path(file).stem, [])
        if isinstance(found, Mapping):
            found = found.get("rows", [])
        return [row for row in found if isinstance(row, Mapping)]


@dataclass(frozen=True, kw_only=True)
class Turn:
    """All that one turn left, and what its stages read from elsewhere."""

    recipe: str
    number: int
    version: str
    records: Mapping[str, Record]  # by artifact name, inputs first
    previous: Mapping[str, Record]  # of the turn before, where it was made under the same version

    def find(self, stage: str) -> Record | None:
        """This turn's record of a stage, or of one that all turns share, or none."""
        return _find(self.records, f"{self.recipe}/turn{self.number}/", stage) or self.records.get(f"{self.recipe}/{stage}")

    def find_before(self, stage: str) -> Record | None:
        """The turn before's record of a stage, or none."""
        return _find(self.previous, f"{self.recipe}/turn{self.number - 1}/", stage)

    @property
    def missing(self) -> tuple[str, ...]:
        """Stages of the house plan that this turn has no record of."""
        return tuple(stage for stage in STAGES if self.find(stage) is None)


def read_turn(artifacts_root: Path, recipe: str, turn: int, version: str = "dev") -> Turn:
    """Every record under `<root>/<recipe>/turn<N>/`, and those they came from."""
    found = _read_folder(artifacts_root, f"{recipe}/turn{turn}", version)
    if not found:
        folder = artifacts_root / recipe / f"turn{turn}"
        raise FileNotFoundError(f"no finished artifact of version {version!r} in {folder}: run `motorworks run {recipe} --turn {turn}` first")
    waiting = [name for record in found.values() for name in record.reads]
    while waiting:
        name = waiting.pop()
        path = artifacts_root / name / version / RECORD
        if name not in found and path.is_file():
            found[name] = _read(path, name)
            waiting += found[name].reads
    previous = _read_folder(artifacts_root, f"{recipe}/turn{turn - 1}", version)
    return Turn(recipe=recipe, number=turn, version=version, records=_inputs_first(found), previous=previous)


def _read_folder(root: Path, prefix: str, version: str) -> dict[str, Record]:
    paths = sorted((root / prefix).glob(f"**/{version}/{RECORD}"))
    names = [path.parent.parent.relative_to(root).as_posix() for path in paths]
    return {name: _read(path, name) for name, path in zip(names, paths, strict=True)}


def _read(path: Path, name: str) -> Record:
    try:
        fields = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path} is not JSON ({error}): delete its folder and run again") from error
    return Record(name=name, stage=name.rpartition("/")[2], path=path.parent, fields=_mapping(fields))


def _inputs_first(records: Mapping[str, Record]) -> dict[str, Record]:
    ordered: dict[str, Record] = {}

    def visit(name: str, above: tuple[str, ...]) -> None:
        if name in records and name not in ordered and name not in above:
            for read in records[name].reads:
                visit(read, (*above, name))
            ordered[name] = records[name]

    for name in sorted(records, key=_flow_order):
        visit(name, ())
    return ordered


def _flow_order(name: str) -> tuple[int, str]:
    stage = name.rpartition("/")[2]
    return (STAGES.index(stage) if stage in STAGES else len(STAGES), name)


def _find(records: Mapping[str, Record], prefix: str, stage: str) -> Record | None:
    named: Iterable[Record] = (
        record for name, record in records.items() if name.startswith(prefix) and (record.stage == stage or name == prefix + stage)
    )
    return next(iter(named), None)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
