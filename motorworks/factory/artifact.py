"""What a stage leaves behind: a folder called `name@version` with a record in it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RECORD = "record.json"
DEV = "dev"  # the one version that is rebuilt in place; every other version is kept


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """One finished folder and its record; it is never changed after `record.json` exists."""

    name: str
    version: str
    path: Path
    record: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """sha256 over the names and contents of all files that are not volatile."""
        return str(self.record["digest"])

    @property
    def fingerprint(self) -> str:
        """What the artifact was made from: config, inputs and code, as one sha256."""
        return str(self.record["fingerprint"])

    @property
    def metrics(self) -> Mapping[str, Any]:
        """What the stage recorded with `out.record`."""
        return dict(self.record["metrics"])

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"


class Inputs(dict[str, "Artifact | tuple[Artifact, ...]"]):
    """The artifacts a stage reads, by role."""

    def one(self, role: str) -> Artifact:
        """The single artifact in this role."""
        found = self[role]
        if isinstance(found, tuple):
            raise TypeError(f"input '{role}' holds {len(found)} artifacts; use many('{role}')")
        return found

    def many(self, role: str) -> tuple[Artifact, ...]:
        """All artifacts in this role; empty where the recipe gave none."""
        found = self.get(role, ())
        return found if isinstance(found, tuple) else (found,)
