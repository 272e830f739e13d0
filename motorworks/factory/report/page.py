"""One HTML file of sections that needs nothing beside it, written whole or not at all."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from motorworks.clips.place import whole_file
from motorworks.factory.report.html import Section


def write_page(path: Path, sections: Sequence[Section], *, title: str, beside: str, when: str, foot: str) -> Path:
    """`beside` stands in soft ink after the title; `foot` says what the page was made from."""
    page = _template().render(sections=sections, title=title, beside=beside, when=when, foot=foot)
    with whole_file(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("template.html.j2")
