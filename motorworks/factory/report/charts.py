"""Charts as inline SVG. Colours are CSS variables, so one drawing serves light, dark and paper."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

_FONT_PX = 12
_CHAR_PX = 6.6  # mean width of a character at 12 px in the page's font
MAX_CURVE_POINTS = 240
_ARC_PX = 9.0  # how much higher an arc of the lineage rises for each column it passes


@dataclass(frozen=True, kw_only=True)
class Dot:
    """A value with its interval, on one line of a dot-and-whisker plot."""

    label: str
    mean: float
    low: float
    high: float
    tone: str = "s1"  # a CSS colour variable


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A line over steps."""

    label: str
    xs: Sequence[float]
    ys: Sequence[float]
    tone: str = "s1"
    faint: bool = False


@dataclass(frozen=True, kw_only=True)
class Band:
    """A line over a logarithmic axis, with the interval about it shaded where there is one."""

    label: str
    xs: Sequence[float]
    ys: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    tone: str = "s1"


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A measured point, with its interval as a bar where there is one; `label` only where it needs a word of its own in the legend."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None
    tone: str = "s1"
    label: str = ""


def number(value: float) -> str:
    """Three significant digits, as a person writes them."""
    if not math.isfinite(value):
        return "–"
    if value != 0 and abs(value) < 0.0005:
        return f"{value:.1e}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def ticks(low: float, high: float, num: int = 4) -> list[float]:
    """Round values that cover [low, high]."""
    span = (high - low) or abs(high) or 1.0
    raw = span / num
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= raw * 0.999)
    first = math.floor(low / step + 1e-9)
    last = math.ceil(high / step - 1e-9)
    return [index * step for index in range(first, last + 1)]


def dot_whisker(dots: Sequence[Dot], *, title: str, zero: bool = False, width: int = 520) -> Markup:
    """One line per dot, its interval as a bar behind; `zero` draws the line that an interval must not touch."""
    label_px = min(max(len(dot.label) for dot in dots) * _CHAR_PX + 14, 240)
    value_px = 64
    low, high = min([dot.low for dot in dots] + [0.0] * zero), max([dot.high for dot in dots] + [0.0] * zero)
    pad = 0.05 * ((high - low) or abs(high) or 1.0)
    start, end = low - pad, high + pad
    axis = [tick for tick in ticks(low, high) if start <= tick <= end]
    row_px, top = 24, 30
    bottom = top + row_px * len(dots)
    left, right = label_px, width - value_px

    def x(value: float) -> float:
        return left + (value - start) / (end - start) * (right - left)

    parts = [_text(0, 13, title, "t")]
    for tick in axis:
        parts.append(f'<line class="g" x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{top - 6}" y2="{bottom}"/>')
        parts.append(_text(x(tick), bottom + 15, number(tick) if tick else "0", "m", "middle"))
    if zero:
        parts.append(f'<line class="z" x1="{x(0):.1f}" x2="{x(0):.1f}" y1="{top - 6}" y2="{bottom}"/>')
    for index, dot in enumerate(dots):
        y = top + row_px * index + row_px / 2 - 3
        parts.append(_text(label_px - 10, y + 4, dot.label, "l", "end"))
        parts.append(f'<line style="stroke:var(--{dot.tone})" class="w" x1="{x(dot.low):.1f}" x2="{x(dot.high):.1f}" y1="{y}" y2="{y}"/>')
        parts.append(f'<circle style="fill:var(--{dot.tone})" class="d" cx="{x(dot.mean):.1f}" cy="{y}" r="5"/>')
        parts.append(_text(width, y + 4, number(dot.mean), "v", "end"))
    return _svg(parts, width, bottom + 22, title)


def curves(lines: Sequence[Curve], *, title: str, x_label: str = "step", log: bool = False, width: int = 520, height: int = 220) -> Markup:
    """Lines over steps with a legend; a logarithmic y axis where all values allow it."""
    shown = [_thinned(line) for line in lines]
    shown = [line for line in shown if len(line.xs) > 0]
    if not shown:
        return Markup('<p class="none">no points</p>')
    values = [y for line in shown for y in line.ys]
    log = log and min(values) > 0
    low, high = min(values), max(values)
    y_axis = _log_ticks(low, high) if log else ticks(low, high)
    x_low, x_high = min(min(line.xs) for line in shown), max(max(line.xs) for line in shown)
    left, right, top, bottom = 52, width - 8, 46, height - 26

    def place(value: float) -> float:
        ends = (math.log10(y_axis[0]), math.log10(y_axis[-1])) if log else (y_axis[0], y_axis[-1])
        at = math.log10(value) if log else value
        return bottom - (at - ends[0]) / ((ends[1] - ends[0]) or 1.0) * (bottom - top)

    def across(value: float) -> float:
        return left + (value - x_low) / ((x_high - x_low) or 1.0) * (right - left)

    parts = [_text(0, 13, title, "t")]
    for tick in y_axis:
        parts.append(f'<line class="g" x1="{left}" x2="{right}" y1="{place(tick):.1f}" y2="{place(tick):.1f}"/>')
        parts.append(_text(left - 8, place(tick) + 4, number(tick) if tick else "0", "m", "end"))
    for value, anchor in ((x_low, "start"), (x_high, "end")):
        parts.append(_text(across(value), bottom + 17, f"{value:,.0f}", "m", anchor))
    parts.append(_text((left + right) / 2, bottom + 17, x_label, "m", "middle"))
    at = 0.0
    for line in shown:
        points = " ".join(f"{across(px):.1f},{place(py):.1f}" for px, py in zip(line.xs, line.ys, strict=True))
        parts.append(f'<polyline class="{"cf" if line.faint else "c"}" style="stroke:var(--{line.tone})" points="{points}"/>')
        parts.append(f'<rect style="fill:var(--{line.tone})" x="{at:.1f}" y="24" width="10" height="4" rx="2"/>')
        parts.append(_text(at + 15, 31, line.label, "m"))
        at += 15 + len(line.label) * _CHAR_PX + 16
    return _svg(parts, width, height, title)


def plane(
    bands: Sequence[Band], marks: Sequence[Mark], *, title: str, x_label: str, log_y: bool = False, width: int = 520, height: int = 300
) -> Markup:
    """Measured points and lines over a logarithmic x axis, with a legend; `log_y` where the values span enough."""
    xs = [x for band in bands for x in band.xs] + [mark.x for mark in marks]
    ys = [y for band in bands for y in (*band.ys, *band.low, *band.high)] + [
        y for mark in marks for y in (mark.y, mark.low, mark.high) if y is not None
    ]
    if not xs:
        return Markup('<p class="none">no points</p>')
    log_y = log_y and min(ys) > 0 and max(ys) > 4 * min(ys)  # over less, decades have no ticks to read
    x_axis, y_axis = _log_ticks(min(xs), max(xs)), _log_ticks(min(ys), max(ys)) if log_y else ticks(min(ys), max(ys))
    keys = [(band.label, band.tone) for band in bands] + [(mark.label, mark.tone) for mark in marks if mark.label]
    rows = _legend([(label, tone) for label, tone in keys if label], width)
    left, right, top, bottom = 52.0, width - 8.0, 30.0 + 16 * (1 + max((row for *_, row in rows), default=0)), height - 26.0

    def across(value: float) -> float:
        ends = math.log(min(xs)), math.log(max(xs))
        return left + (math.log(value) - ends[0]) / ((ends[1] - ends[0]) or 1.0) * (right - left)

    def place(value: float) -> float:
        low, at, high = (math.log(one) if log_y else one for one in (y_axis[0], value, y_axis[-1]))
        return bottom - (at - low) / ((high - low) or 1.0) * (bottom - top)

    parts = [_text(0, 13, title, "t"), _text((left + right) / 2, bottom + 24, x_label, "m", "middle")]
    for tick in y_axis:
        parts.append(f'<line class="g" x1="{left}" x2="{right}" y1="{place(tick):.1f}" y2="{place(tick):.1f}"/>')
        parts.append(_text(left - 8, place(tick) + 4, number(tick) if tick else "0", "m", "end"))
    for tick in (tick for tick in x_axis if min(xs) <= tick <= max(xs)):
        parts.append(f'<line class="g" x1="{across(tick):.1f}" x2="{across(tick):.1f}" y1="{top}" y2="{bottom}"/>')
        parts.append(_text(across(tick), bottom + 13, short(tick), "m", "middle"))
    for band in bands:
        line = [f"{across(x):.1f},{place(y):.1f}" for x, y in zip(band.xs, band.ys, strict=True)]
        if band.low:
            edge = [
                f"{across(x):.1f},{place(y):.1f}"
                for x, y in [*zip(band.xs, band.low, strict=True), *list(zip(band.xs, band.high, strict=True))[::-1]]
            ]
            parts.append(f'<polygon style="fill:var(--{band.tone});opacity:.13" points="{" ".join(edge)}"/>')
        parts.append(f'<polyline class="c" style="stroke:var(--{band.tone})" points="{" ".join(line)}"/>')
    for mark in marks:
        if mark.low is not None and mark.high is not None:
            ends = f'x1="{across(mark.x):.1f}" x2="{across(mark.x):.1f}" y1="{place(mark.low):.1f}" y2="{place(mark.high):.1f}"'
            parts.append(f'<line style="stroke:var(--{mark.tone})" {ends}/>')
        parts.append(f'<circle style="fill:var(--{mark.tone})" class="d" cx="{across(mark.x):.1f}" cy="{place(mark.y):.1f}" r="4"/>')
    for label, tone, at, row in rows:
        parts.append(f'<rect style="fill:var(--{tone})" x="{at:.1f}" y="{24 + 16 * row}" width="10" height="4" rx="2"/>')
        parts.append(_text(at + 15, 31 + 16 * row, label, "m"))
    return _svg(parts, width, height, title)


def short(value: float) -> str:
    """Large numbers as a person says them: 20k, 3M, 1.5T, 2e16."""
    for size, name in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if size <= value < 1e15:
            return f"{value / size:.3g}{name}"
    return number(value) if value < 1e3 else f"{value:.2g}".replace("e+", "e")


def _legend(keys: Sequence[tuple[str, str]], width: float) -> list[tuple[str, str, float, int]]:
    """(label, tone, x, row), as many in a row as fit."""
    placed, at, row = [], 0.0, 0
    for label, tone in keys:
        needs = 15 + len(label) * _CHAR_PX + 16
        if at and at + needs > width:
            at, row = 0.0, row + 1
        placed.append((label, tone, at, row))
        at += needs
    return placed


def bars(rows: Sequence[tuple[str, Sequence[tuple[float, str]], str]], *, title: str, width: int = 1060, label_px: int = 170) -> Markup:
    """Horizontal stacked bars: label, pieces of (value, tone), and the words at the end."""
    most = max((sum(value for value, _ in pieces) for _, pieces, _ in rows), default=0.0) or 1.0
    end_px = max((len(words) for *_, words in rows), default=0) * _CHAR_PX + 16
    room, row_px = width - label_px - end_px, 26
    parts = [_text(0, 13, title, "t")] if title else []
    top = 28 if title else 4
    for index, (label, pieces, words) in enumerate(rows):
        y, at = top + index * row_px, float(label_px)
        parts.append(_text(label_px - 10, y + 15, label, "l", "end"))
        for value, tone in pieces:
            long = max(value / most * room, 1.5 if value > 0 else 0.0)
            parts.append(f'<rect style="fill:var(--{tone})" x="{at:.1f}" y="{y + 3}" width="{long:.1f}" height="16" rx="2"/>')
            at += long
        parts.append(_text(at + 8, y + 15, words, "v"))
    return _svg(parts, width, top + row_px * len(rows) + 2, title or "bars")


def graph(nodes: Sequence[tuple[str, str, str, Sequence[str], str]], *, width: int = 1060) -> Markup:
    """A lineage drawn left to right: (key, name, digest, keys it reads, tone) with inputs first; columns are the longest way from a source."""
    depth: dict[str, int] = {}
    for key, _, _, reads, _ in nodes:
        depth[key] = 1 + max((depth[read] for read in reads if read in depth), default=-1)
    columns: dict[int, list[str]] = {}
    for key in depth:
        columns.setdefault(depth[key], []).append(key)
    across, tall = width / max(len(columns), 1), max((len(column) for column in columns.values()), default=1)
    box_w, box_h, row_px = min(across - 22, 130), 40, 62
    spans = [depth[key] - depth[read] for key, _, _, reads, _ in nodes for read in reads if read in depth]
    headroom = 8 + _ARC_PX * max(spans, default=1)
    height = headroom + tall * row_px
    at = {
        # every column hangs from the same line, so that arcs over it meet no box
        key: (level * across + (across - box_w) / 2, headroom + index * row_px)
        for level, column in columns.items()
        for index, key in enumerate(column)
    }
    parts = []
    for key, _, _, reads, _ in nodes:
        for read in reads:
            if read in at:
                parts.append(_edge(at[read], at[key], (box_w, box_h), depth[key] - depth[read]))
    for key, name, digest, _, tone in nodes:
        x, y = at[key]
        parts.append(f'<rect class="n" style="stroke:var(--{tone})" x="{x:.1f}" y="{y:.1f}" width="{box_w:.1f}" height="{box_h}" rx="7"/>')
        parts.append(_text(x + box_w / 2, y + 17, name[: max(int(box_w / 6.4), 6)], "l", "middle"))
        parts.append(_text(x + box_w / 2, y + 32, digest[:8], "h", "middle"))
    return _svg(parts, width, height, "lineage")


def _edge(start: tuple[float, float], end: tuple[float, float], box: tuple[float, float], columns: int) -> str:
    (x0, y0), (x1, y1) = start, end
    if columns > 1 and abs(y1 - y0) < 1:
        # over the boxes between them, the higher the further
        x0, x1, top = x0 + box[0] * 0.7, x1 + box[0] * 0.3, y0 - _ARC_PX * columns
        return f'<path class="e" d="M{x0:.1f},{y0:.1f} C{x0 + 14:.1f},{top:.1f} {x1 - 14:.1f},{top:.1f} {x1:.1f},{y1:.1f}"/>'
    x0, y0, y1 = x0 + box[0], y0 + box[1] / 2, y1 + box[1] / 2
    if columns > 1:
        # along the free row beside, then up or down into the box
        x1 += box[0] / 2
        y1 += box[1] / 2 if y0 > y1 else -box[1] / 2
        return f'<path class="e" d="M{x0:.1f},{y0:.1f} C{x1 - 30:.1f},{y0:.1f} {x1:.1f},{y0:.1f} {x1:.1f},{y1:.1f}"/>'
    bend = (x1 - x0) / 2
    return f'<path class="e" d="M{x0:.1f},{y0:.1f} C{x0 + bend:.1f},{y0:.1f} {x1 - bend:.1f},{y1:.1f} {x1:.1f},{y1:.1f}"/>'


def _thinned(line: Curve) -> Curve:
    """At most a screenful of points, each the mean of its neighbours, so that a noisy loss stays readable."""
    points = [(float(x), float(y)) for x, y in zip(line.xs, line.ys, strict=True) if math.isfinite(y)]
    size = max(1, math.ceil(len(points) / MAX_CURVE_POINTS))
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    means = [(sum(x for x, _ in group) / len(group), sum(y for _, y in group) / len(group)) for group in groups]
    return Curve(label=line.label, xs=[x for x, _ in means], ys=[y for _, y in means], tone=line.tone, faint=line.faint)


def _log_ticks(low: float, high: float) -> list[float]:
    start, end = math.floor(math.log10(low)), math.ceil(math.log10(high))
    decades = [10.0**power for power in range(start, max(end, start + 1) + 1)]
    fine = [base * factor for base in decades for factor in (1, 2, 5)]
    below, above = max(tick for tick in fine if tick <= low), min(tick for tick in fine if tick >= high)
    inside = [tick for tick in (fine if len(decades) <= 3 else decades) if below <= tick <= above]
    return sorted({below, above, *inside})


def _text(x: float, y: float, words: str, kind: str, anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def _svg(parts: Sequence[str], width: float, height: float, label: str) -> Markup:
    inside = "".join(parts)
    return Markup(
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" style="max-width:{width:.0f}px" role="img" aria-label="{escape(label)}">{inside}</svg>'
    )
