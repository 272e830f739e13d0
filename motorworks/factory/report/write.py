"""Writes the report of a turn: reads the records, one section after the other."""

import time
from pathlib import Path

from motorworks.factory.report import long_tail, making, sections
from motorworks.factory.report.ablations_page import ablation_sections
from motorworks.factory.report.clips_page import clips_sections
from motorworks.factory.report.pace_page import pace_sections
from motorworks.factory.report.page import write_page
from motorworks.factory.report.records import read_turn
from motorworks.factory.report.scaling_page import scaling_sections

_SECTIONS = (
    sections.headline,
    sections.before_after,
    long_tail.failures,
    sections.film_strips,
    long_tail.situations,
    sections.open_loop,
    making.vehicle,
    making.funnel,
    making.training,
    making.clock,
    making.utilisation,
    making.lineage,
    sections.mined,
    sections.thin,
)
_REPORT = "report.html"


def write_report(artifacts_root: Path, recipe: str, turn: int, version: str = "dev") -> Path:
    """One HTML file from what the stages of a turn left; it needs nothing beside it. Missing stages are named in it."""
    read = read_turn(artifacts_root, recipe, turn, version)
    compared = [*pace_sections(read), *ablation_sections(read)]
    if read.find("grid") is not None:
        made, whole = scaling_sections(read), read.find("wheel") is not None
    elif read.find("examine") is not None and read.find("curate") is None:
        made, whole = clips_sections(read), True
    elif compared:
        made, whole = compared, True
    else:
        made, whole = [section(read) for section in _SECTIONS], not read.missing
    created = max((str(record.fields.get("created", "")) for record in read.records.values()), default="")
    # a kept version has its own page: a later dev run must not take its place
    name = _REPORT if version == "dev" else f"report-{version}.html"
    return write_page(
        artifacts_root / recipe / f"turn{turn}" / name,
        made,
        title=recipe,
        beside=f"turn {turn}" + ("" if version == "dev" else f" · {version}"),
        when=f"made {created or time.strftime('%Y-%m-%d', time.gmtime())}" + ("" if whole else " · incomplete"),
        foot="Made from the records of the turn alone: everything above is in record.json and the files beside it.",
    )
