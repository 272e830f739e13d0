"""What a reader is and what it answers: clips, what was set aside by name and why, and what was noticed."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from motorworks.datatypes.clip import Clip


@dataclass(frozen=True, kw_only=True)
class Quarantined:
    """A file (or a line or field of one) that could not be used, and why. The rest of its recording goes on."""

    path: Path
    reason: str


@dataclass(frozen=True, kw_only=True)
class ReadResult:
    """Clips of one or many recordings."""

    clips: list[Clip] = field(default_factory=list)
    quarantine: list[Quarantined] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class ClipReader(Protocol):
    """Reads one layout, and converts its frames and units to ours: the one door at which that is done. Inherit it for what is usual."""

    name: str
    understands: str  # one line for a person: what a recording of this layout looks like

    def recognises(self, path: Path) -> bool:
        """Whether `path` itself is one recording of this layout."""
        ...

    def beside(self, path: Path) -> tuple[Path, ...]:
        """What else reading the recording at `path` depends on, outside it; an ingest.toml goes without saying."""
        return ()

    def read(self, path: Path) -> ReadResult:
        """All clips of the recording at `path`; what cannot be read is quarantined, not raised."""
        ...


def join(results: Sequence[ReadResult]) -> ReadResult:
    """One result of many, in order."""
    return ReadResult(
        clips=[clip for result in results for clip in result.clips],
        quarantine=[entry for result in results for entry in result.quarantine],
        notes=[note for result in results for note in result.notes],
    )


def only_licences(result: ReadResult, allowed: Sequence[str], recording: Path) -> ReadResult:
    """The result without clips under a licence that is not among the allowed; they are set aside by name. None allowed: as it is."""
    if not allowed:
        return result
    refused = sorted({clip.licence for clip in result.clips} - set(allowed))
    reasons = [f"licence {licence!r} is not among those allowed ({', '.join(allowed)})" for licence in refused]
    return ReadResult(
        clips=[clip for clip in result.clips if clip.licence in allowed],
        quarantine=[*result.quarantine, *(Quarantined(path=recording, reason=reason) for reason in reasons)],
        notes=result.notes,
    )
