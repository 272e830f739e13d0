"""Artifacts, records and plans as plain text."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from motorworks.factory.artifact import DEV, Artifact
from motorworks.factory.errors import BadUsage
from motorworks.factory.progress import duration
from motorworks.factory.recipe import nearest
from motorworks.factory.run import Planned
from motorworks.factory.store import Store

WIDEST = 100  # of a value in `show`; --json has all of it


def find_artifact(store: Store, text: str) -> Artifact:
    """`NAME@VERSION`, or `NAME` for its dev or else its newest version."""
    name, _, version = text.partition("@")
    versions = store.versions(name)
    if not versions:
        raise BadUsage(f"no artifact is called {name!r}{nearest(name, sorted({one.name for one in store.artifacts()}))}")
    if not version:
        return next((one for one in versions if one.version == DEV), versions[0])
    found = next((one for one in versions if one.version == version), None)
    if found is None:
        raise BadUsage(f"{name} has no version {version!r}{nearest(version, [one.version for one in versions])}")
    return found


def artifact_lines(artifacts: Sequence[Artifact], root: Path) -> str:
    """A line per artifact: name, when and how long, what it takes on disk, what was thin."""
    if not artifacts:
        return f"{root} holds no artifact yet: `motorworks run tiny` makes some"
    rows = [("ARTIFACT", "MADE", "TOOK", "DIGEST", "THIN")]
    for one in artifacts:
        took = duration(float(one.record["timings"]["wall_s"]))
        rows.append((str(one), str(one.record["created"]), took, one.digest[:12], str(len(one.record["thin"]) or "")))
    return columns(rows)


def planned_lines(planned: Sequence[Planned]) -> str:
    """A line per step: what would happen, and why."""
    return columns([(one.state, f"{one.step.name}@{one.version}", "" if one.state == "cached" else one.why) for one in planned])


def record_lines(artifact: Artifact) -> str:
    """A record for people: what it is, what it was made from, what it cost, what it says."""
    record = artifact.record
    head = [
        ("artifact", str(artifact)),
        ("path", str(artifact.path)),
        ("stage", record["stage"]),
        ("made", record["created"]),
        ("digest", artifact.digest),
    ]
    head += [("fingerprint", artifact.fingerprint)]
    head += [(f"input {role}", ", ".join(names)) for role, names in record["inputs"].items()]
    blocks = [columns(head)]
    for title in ("timings", "items", "metrics", "machine"):
        if record[title]:
            blocks.append(f"{title}\n{columns([(f'  {name}', value) for name, value in _flat(record[title])])}")
    config = record["fingerprint_fields"]["config"]
    if config:
        blocks.append(f"config\n{columns([(f'  {name}', value) for name, value in _flat(config)])}")
    if record["thin"]:
        blocks.append("thin\n" + "\n".join(f"  {note}" for note in record["thin"]))
    return "\n\n".join(blocks)


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Rows with their columns lined up."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))] if rows else []
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)


def _flat(value: Any, where: str = "") -> list[tuple[str, str]]:
    if isinstance(value, Mapping):
        return [row for key, inner in value.items() for row in _flat(inner, f"{where}.{key}" if where else str(key))]
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return [(where, text if len(text) <= WIDEST else f"{text[: WIDEST - 3]}...")]
