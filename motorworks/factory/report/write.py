"""Writes the report of a turn: reads the records, fills the template, renames into place."""

import os
import time
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from motorworks.factory.report import long_tail, making, sections
from motorworks.factory.report.records import read_turn

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
    made = [section(read) for section in _SECTIONS]
    created = max((str(record.fields.get("created", "")) for record in read.records.values()), default="")
    page = _template().render(turn=read, sections=made, created=created or time.strftime("%Y-%m-%d", time.gmtime()))
    # a kept version has its own page: a later dev run must not take its place
    name = _REPORT if version == "dev" else f"report-{version}.html"
    path = artifacts_root / recipe / f"turn{turn}" / name
    temporary = path.with_name(f".{name}.{os.getpid()}.part")
    temporary.write_text(page, encoding="utf-8")
    temporary.replace(path)
    return path


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("template.html.j2")
