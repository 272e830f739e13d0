"""The page about clips: what came in, what became of it, what it is like, what is missing, and what could not be used, with the reason."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup, escape

from motorworks.factory.report.charts import bars
from motorworks.factory.report.html import Section, absent, folded, grid, listed, picture, seconds, table, tiles, words
from motorworks.factory.report.records import Record, Turn
from motorworks.factory.report.sections import thin

_TONES = ("s1", "s2", "s4", "s5", "s6", "expert", "s3", "accent")
_MAP_PX = 460
Rows = Sequence[dict[str, Any]]


def clips_sections(turn: Turn) -> list[Section]:
    """All sections; the turn must have an `examine`."""
    ingest, examine = turn.find("ingest"), turn.find("examine")
    if ingest is None or examine is None:
        raise ValueError(f"{turn.recipe}/turn{turn.number} has no examine: run `motorworks ingest PATH`")
    rows = [dict(row) for row in examine.rows("clips.json")]
    return [
        _headline(rows, ingest, examine),
        _funnel(rows, ingest),
        _map(rows, examine),
        _coverage(examine),
        _strips(rows, examine),
        _set_aside(rows, ingest, examine),
        thin(turn),
    ]


def _good(rows: Rows) -> Rows:
    return [row for row in rows if not row["reasons"] and "duplicate_of" not in row]


def _length_s(rows: Rows) -> float:
    return sum(row["num_steps"] for row in rows) / 10


def _headline(rows: Rows, ingest: Record, examine: Record) -> Section:
    good, recordings = _good(rows), {row["recording_id"] for row in rows}
    repeats, set_aside = sum("duplicate_of" in row for row in rows), sum(bool(row["reasons"]) for row in rows)
    items = [
        ("Clips", f"{len(rows):,}", f"of {len(recordings):,} recordings", "accent"),
        ("Driving", seconds(_length_s(rows)), f"{len({row['source'] for row in rows})} sources", ""),
        ("Good and distinct", f"{len(good):,}", seconds(_length_s(good)), "good"),
        ("Repeats", f"{repeats:,}", "of a clip that is there already", ""),
        ("Set aside", f"{set_aside:,}", "for their quality; nothing is deleted", ""),
        ("Not readable", f"{len(ingest.rows('quarantine.json')):,}", "files or parts, each with its reason", ""),
    ]
    lead = f"{len(good):,} clips of {len(rows):,} are good and distinct: {seconds(_length_s(good))} of driving."
    return Section(anchor="headline", title="What came in", lead=lead, blocks=(tiles(items),))


def _funnel(rows: Rows, ingest: Record) -> Section:
    sources = sorted({row["source"] for row in rows})
    tone = {source: _TONES[number % len(_TONES)] for number, source in enumerate(sources)}
    good = [row for row in rows if not row["reasons"]]
    stages = (("read", rows), ("good", good), ("good and distinct", _good(rows)))

    def pieces(some: Rows) -> list[tuple[float, str]]:
        counts = Counter(row["source"] for row in some)
        return [(float(counts[source]), tone[source]) for source in sources]

    drawn = bars([(name, pieces(some), f"{len(some):,} clips, {seconds(_length_s(some))}") for name, some in stages], title="")
    key = Markup('<p class="key">{}</p>').format(
        Markup("").join(Markup('<i style="background:var(--{})"></i>{}').format(tone[one], one) for one in sources)
    )
    per_source = []
    for source in sources:
        own = [row for row in rows if row["source"] == source]
        licences = ", ".join(sorted({row["licence"] for row in own}))
        kinds = ", ".join(sorted({str(row["motion_kind"] or "none") for row in own}))
        held_out = sum(row["split"] == "held_out" for row in own)
        per_source.append([source, len({row["recording_id"] for row in own}), len(own), seconds(_length_s(own)), kinds, licences, held_out])
    head = ("source", "recordings", "clips", "length", "ego motion", "licence", "held out")
    lead = "From what was read to what teaches something new; colours are sources."
    return Section(anchor="funnel", title="Funnel", lead=lead, blocks=(drawn, key, table(head, per_source)))


def _map(rows: Rows, examine: Record) -> Section:
    points, by_id = examine.rows("map.json"), {row["clip_id"]: row for row in rows}
    if not points:
        return Section(anchor="map", title="Map", lead="No clip has pictures.", blocks=())
    sources = sorted({row["source"] for row in rows})
    tone = {source: _TONES[number % len(_TONES)] for number, source in enumerate(sources)}
    xs, ys = [float(point["x"]) for point in points], [float(point["y"]) for point in points]
    strips = {str(row["clip_id"]): str(row["file"]) for row in examine.rows("strips.json")}
    return Section(
        anchor="map",
        title="Map",
        lead="Each dot is a clip; near dots look alike (two main directions of the layout embedding). Point at one to read what it is.",
        blocks=(grid([_scatter(points, xs, ys, by_id, tone), _corners(points, xs, ys, by_id, strips, examine)]),),
    )


def _scatter(points: Sequence[Any], xs: Sequence[float], ys: Sequence[float], by_id: dict[str, Any], tone: dict[str, str]) -> Markup:
    left, top = min(xs), min(ys)
    scale = (_MAP_PX - 30) / max(max(xs) - left, 1e-9), (_MAP_PX - 30) / max(max(ys) - top, 1e-9)
    dots = []
    for point, x, y in zip(points, xs, ys, strict=True):
        row = by_id[point["clip_id"]]
        faint = 0.35 if row["reasons"] or "duplicate_of" in row else 0.85
        dots.append(
            Markup('<circle cx="{:.1f}" cy="{:.1f}" r="4" style="fill:var(--{});opacity:{}"><title>{}</title></circle>').format(
                15 + (x - left) * scale[0], _MAP_PX - 15 - (y - top) * scale[1], tone[row["source"]], faint, f"{row['source']}: {row['description']}"
            )
        )
    frame = Markup('<rect x="0.5" y="0.5" width="{0}" height="{0}" rx="8" fill="none" class="g"/>').format(_MAP_PX - 1)
    return Markup('<svg viewBox="0 0 {0} {0}" role="img" aria-label="map of clips">{1}{2}</svg>').format(_MAP_PX, frame, Markup("").join(dots))


def _corners(
    points: Sequence[Any], xs: Sequence[float], ys: Sequence[float], by_id: dict[str, Any], strips: dict[str, str], examine: Record
) -> Markup:
    """Strips of the clips furthest out in each direction that are shown at all."""
    shown = [number for number, point in enumerate(points) if point["clip_id"] in strips]
    if not shown:
        return absent("none of them is shown below")
    ends = {
        "left": min(shown, key=lambda number: xs[number]),
        "right": max(shown, key=lambda number: xs[number]),
        "top": max(shown, key=lambda number: ys[number]),
        "bottom": min(shown, key=lambda number: ys[number]),
    }
    figures = []
    for side, number in ends.items():
        row = by_id[points[number]["clip_id"]]
        figures.append(picture(examine.path / strips[row["clip_id"]], title=f"furthest {side}", caption=row["description"][:120]))
    return Markup('<div class="strips">{}</div>').format(Markup("").join(figures))


def _coverage(examine: Record) -> Section:
    (facts,) = examine.rows("coverage.json")
    conditions = facts["conditions"]
    most = max((value for line in facts["num_clips"] for value in line), default=0) or 1
    body = []
    for scenario, line in zip(facts["scenarios"], facts["num_clips"], strict=True):
        cells = [Markup('<td class="heat" style="--heat:{:.2f}">{}</td>').format((value / most) ** 0.5, value or Markup("·")) for value in line]
        body.append(Markup("<tr><td>{}</td>{}</tr>").format(scenario, Markup("").join(cells)))
    kinds = list(dict.fromkeys(kind for kind, _ in conditions))
    above = Markup("<th></th>") + Markup("").join(
        Markup('<th colspan="{}">{}</th>').format(sum(own == kind for own, _ in conditions), kind) for kind in kinds
    )
    below = Markup("<th></th>") + Markup("").join(
        Markup("<th>{}<br><small>{}</small></th>").format(words(str(value)), num)
        for (_, value), num in zip(conditions, facts["of_condition"], strict=True)
    )
    drawn = Markup('<div class="scroll"><table class="groups"><thead><tr>{}</tr><tr>{}</tr></thead><tbody>{}</tbody></table></div>').format(
        above, below, Markup("").join(body)
    )
    half = -(-len(facts["missing"]) // 2)
    missing = (
        grid([listed(facts["missing"][:half]), listed(facts["missing"][half:])])
        if facts["missing"]
        else absent("Nothing: every scenario was seen under every condition.")
    )
    lead = "Good clips by scenario and condition. What is missing comes first where there is most of everything else."
    return Section(anchor="coverage", title="Coverage", lead=lead, blocks=(drawn, Markup("<h3>What is missing</h3>"), missing))


def _strips(rows: Rows, examine: Record) -> Section:
    by_id, groups = {row["clip_id"]: row for row in rows}, {}
    for entry in examine.rows("strips.json"):
        groups.setdefault(str(entry["group"]), []).append(entry)
    blocks: list[Markup] = []
    shown: set[str] = set()
    for group, entries in groups.items():
        own = [entry for entry in entries if entry["file"] not in shown]
        shown |= {str(entry["file"]) for entry in own}
        if own:
            figures = [
                picture(
                    examine.path / str(entry["file"]),
                    title=str(by_id[str(entry["clip_id"])]["source"]),
                    caption=_caption(by_id[str(entry["clip_id"])]),
                )
                for entry in own
            ]
            blocks.append(Markup('<h3>{}</h3><div class="strips grid">{}</div>').format(group, Markup("").join(figures)))
    return Section(anchor="strips", title="To look at", lead="Clips of each scenario, source and fault, six moments each.", blocks=tuple(blocks))


def _caption(row: dict[str, Any]) -> str:
    return "; ".join([row["description"][:140], *row["reasons"]])


def _set_aside(rows: Rows, ingest: Record, examine: Record) -> Section:
    files = [[row.get("path", ""), row.get("reason", "")] for row in [*ingest.rows("quarantine.json"), *examine.rows("failed.json")]]
    faults = [[row["recording_id"], f"{row['start_us'] / 1e6:.1f} s", "; ".join(row["reasons"])] for row in rows if row["reasons"]]
    repeats = [
        [row["recording_id"], f"{row['start_us'] / 1e6:.1f} s", "a copy" if row["duplicate_exact"] else "nearly the same", row["duplicate_of"][:12]]
        for row in rows
        if "duplicate_of" in row
    ]
    notes = [[note] for note in ingest.metrics.get("notes") or []]
    blocks = [
        Markup("<h3>Could not be read</h3>") + (table(("file", "why"), files) if files else absent("Nothing.")),
        Markup("<h3>Read, but set aside</h3>") + (table(("recording", "from", "why"), faults[:200]) if faults else absent("Nothing.")),
        Markup("<h3>Repeats</h3>") + (table(("recording", "from", "", "of clip"), repeats[:200]) if repeats else absent("None.")),
    ]
    if notes:
        blocks.append(folded(f"{len(notes)} notes of the readers", table(("note",), notes[:400])))
    lead = f"{len(files)} files or parts could not be read, {len(faults)} clips are set aside, {len(repeats)} repeat another. The rest went on."
    return Section(anchor="aside", title="Set aside", lead=lead, blocks=tuple(map(escape, blocks)))
