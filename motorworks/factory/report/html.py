"""Small pieces of HTML that sections are made of; every word from outside is escaped."""

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from motorworks.factory.report.charts import number


@dataclass(frozen=True, kw_only=True)
class Section:
    """A titled part of the page; `lead` is the one sentence to read if nothing else."""

    anchor: str
    title: str
    lead: str
    blocks: tuple[Markup, ...]


def table(head: Sequence[str], rows: Sequence[Sequence[object]], *, kind: str = "", above: Sequence[tuple[str, int]] = ()) -> Markup:
    """A table that scrolls sideways on a narrow screen; Markup cells pass, numbers line up. `above`: words over so many columns each."""
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    if above:
        top = "".join(f'<th colspan="{span}">{escape(cell)}</th>' for cell, span in above) + f"</tr><tr>{top}"
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return Markup(f'<div class="scroll"><table class="{kind}"><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>')


def grid(blocks: Sequence[Markup], *, kind: str = "grid") -> Markup:
    """Blocks side by side, as many as fit."""
    return Markup(f'<div class="{kind}">{"".join(f"<div>{escape(block)}</div>" for block in blocks)}</div>')


def tiles(items: Sequence[tuple[str, str, str, str]]) -> Markup:
    """Large figures: (name, value, what it is next to, tone)."""
    cell = Markup('<div class="tile {}"><span class="name">{}</span><span class="value">{}</span><span class="beside">{}</span></div>')
    cells = "".join(cell.format(tone, name, value, beside) for name, value, beside, tone in items)
    return Markup(f'<div class="tiles">{cells}</div>')


def marks(items: Sequence[tuple[bool | None, str, str]]) -> Markup:
    """A check list: held, missed, or not measured (None)."""
    signs = {True: ("good", "✓"), False: ("bad", "✗"), None: ("none", "–")}
    cells = "".join(
        f'<li class="{signs[ok][0]}"><b>{signs[ok][1]}</b><span>{escape(words)} <small>{escape(detail)}</small></span></li>'
        for ok, words, detail in items
    )
    return Markup(f'<ul class="marks">{cells}</ul>')


def listed(items: Sequence[object]) -> Markup:
    """A plain list."""
    return Markup(f'<ul class="plain">{"".join(f"<li>{escape(item)}</li>" for item in items)}</ul>')


def folded(summary: str, inside: Markup) -> Markup:
    """Shown on demand, and always on paper."""
    return Markup(f"<details><summary>{escape(summary)}</summary>{escape(inside)}</details>")


def absent(what: str) -> Markup:
    """A statement in the place of something that was not measured."""
    return Markup(f'<p class="none">{escape(what)}</p>')


def picture(path: Path, *, title: str, caption: str) -> Markup:
    """An image, carried inside the page."""
    kind = {".jpg": "jpeg", ".jpeg": "jpeg", ".png": "png", ".webp": "webp"}[path.suffix.lower()]
    data = base64.b64encode(path.read_bytes()).decode()
    figure = Markup('<figure><img alt="{}" src="data:image/{};base64,{}"><figcaption><b>{}</b> {}</figcaption></figure>')
    return figure.format(title, kind, data, title, caption)


def mean_and_interval(row: Mapping[str, Any] | None) -> Markup:
    """`0.83 [0.79, 0.88]`, the interval small."""
    if row is None or not finite(row.get("mean")):
        return Markup('<span class="none">–</span>')
    return Markup(f"{number(float(row['mean']))} <small>[{number(float(row['low']))}, {number(float(row['high']))}]</small>")


def finite(value: object) -> bool:
    """A real number, not a bool, NaN or text."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def seconds(value: float) -> str:
    """45.2 s, 3 min 05 s, 1 h 02 min."""
    if value < 60:
        return f"{value:.1f} s"
    if value < 3600:
        return f"{int(value // 60)} min {int(value % 60):02d} s"
    return f"{int(value // 3600)} h {int(value % 3600 // 60):02d} min"


def words(name: str) -> str:
    """A key as a person says it."""
    return name.replace("_", " ")
