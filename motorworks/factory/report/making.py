"""The sections of how it was made: the funnel of clips, curves, the vehicle budget, the clock, utilisation, lineage."""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from motorworks.factory.report.charts import Curve, bars, curves, graph, number
from motorworks.factory.report.html import Section, finite, folded, grid, marks, seconds, table, words
from motorworks.factory.report.records import Record, Turn
from motorworks.factory.report.sections import budget_rows

_TONES = ("s1", "s2", "s5", "s4", "s6")
_TRAINED = ("pretrain", "sft", "teacher", "rl", "distil")


def funnel(turn: Turn) -> Section:
    """From recordings to samples: what came, what was dropped and why, what could not be read."""
    ingest, curate = turn.find("ingest"), turn.find("curate")
    blocks: list[Markup] = []
    sources = _counts(ingest, "clips_by_source")
    lengths = _counts(ingest, "seconds_by_source")
    dropped = _counts(curate, "dropped_by_reason")
    kept = curate.metrics.get("kept") if curate else None
    if sources:
        tone = dict(zip(sources, _TONES * len(sources), strict=False))
        rows = [
            (words(name), [(num, tone[name])], f"{num:,.0f} clips" + (f", {seconds(lengths[name])}" if name in lengths else ""))
            for name, num in sources.items()
        ]
        blocks.append(bars(rows, title="read, by source"))
    if dropped or finite(kept):
        rows = [("kept", [(float(kept), "good")], f"{kept:,.0f} clips")] if finite(kept) and kept is not None else []
        rows += [(words(reason), [(num, "probe")], f"{num:,.0f} dropped") for reason, num in sorted(dropped.items(), key=lambda item: -item[1])]
        blocks.append(bars(rows, title="kept and dropped"))
    facts = [[words(name), number(float(value))] for name, value in (curate.metrics.items() if curate else ()) if finite(value) and name != "kept"]
    for name, value in curate.metrics.items() if curate else ():
        if isinstance(value, Mapping) and name != "dropped_by_reason":
            facts.append([words(name), ", ".join(f"{words(str(key))} {number(float(num))}" for key, num in value.items() if finite(num))])
    if facts:
        blocks.append(folded("split, samples and labels", table(["", ""], facts)))
    quarantine = ingest.rows("quarantine.json") if ingest else []
    if quarantine:
        lines = [[row.get("path", ""), row.get("reason", "")] for row in quarantine]
        blocks.append(Markup("<h3>Quarantined: {} could not be read, the rest went on</h3>").format(len(lines)))
        blocks.append(table(["what", "why"], lines[:60]) if len(lines) <= 12 else folded(f"all {len(lines)}", table(["what", "why"], lines[:400])))
    notes = [str(note) for note in (ingest.metrics.get("notes") or [])] if ingest else []
    if notes:
        blocks.append(folded("what the readers say", table(["note"], [[note] for note in notes])))
    if not blocks:
        return Section(anchor="funnel", title="The funnel of clips", lead="Neither ingest nor curate has a record.", blocks=())
    total, read_s = sum(sources.values()), sum(lengths.values())
    lead = f"{total:,.0f} clips, {seconds(read_s)} of driving" if lengths else f"{total:,.0f} clips"
    lead += f"; {kept:,.0f} kept" if finite(kept) else ""
    return Section(anchor="funnel", title="The funnel of clips", lead=f"{lead}; {len(quarantine)} quarantined.", blocks=tuple(blocks))


def training(turn: Turn) -> Section:
    """Loss of every trained stage, return of the teacher."""
    plots, seen = [], []
    for stage in _TRAINED:
        record = turn.find(stage)
        points = [row for row in record.rows("curves.json") if finite(row.get("step"))] if record else []
        if points:
            seen.append(stage)
            plots += _curves_of(stage, points)
    if not plots:
        return Section(anchor="curves", title="Training", lead="No training curve in this turn.", blocks=())
    return Section(anchor="curves", title="Training", lead=f"{', '.join(seen)}; each point is the mean of its neighbours.", blocks=(grid(plots),))


def _curves_of(stage: str, points: Sequence[Mapping[str, Any]]) -> list[Markup]:
    """Loss with its parts in one chart, anything else (return, completion) in its own."""
    plots = []
    parts = list(dict.fromkeys(name for row in points for name in (row.get("parts") or {})))
    lines = [_curve(points, "loss", [row.get("loss") for row in points], "s1")]
    lines += [
        _curve(points, words(name), [(row.get("parts") or {}).get(name) for row in points], tone, faint=True)
        for name, tone in zip(parts[:4], _TONES[1:], strict=False)
    ]
    lines = [line for line in lines if line.ys]
    if lines:
        plots.append(curves(lines, title=f"{stage}: loss", log=True))
    others = list(dict.fromkeys(name for row in points for name, value in row.items() if finite(value) and name not in ("step", "loss")))
    plots += [
        curves([_curve(points, words(name), [row.get(name) for row in points], "expert")], title=f"{stage}: {words(name.removesuffix('_frac'))}")
        for name in others
    ]
    return plots


def _curve(points: Sequence[Mapping[str, Any]], label: str, values: Sequence[object], tone: str, *, faint: bool = False) -> Curve:
    both = [(float(row["step"]), float(value)) for row, value in zip(points, values, strict=True) if isinstance(value, int | float) and finite(value)]
    return Curve(label=label, xs=[x for x, _ in both], ys=[y for _, y in both], tone=tone, faint=faint)


def vehicle(turn: Turn) -> Section:
    """The bundle against its budget, and against its checkpoint."""
    adapt, release = turn.find("adapt"), turn.find("release")
    title, rows = "The vehicle bundle", budget_rows(turn)
    if adapt is None:
        return Section(anchor="vehicle", title=title, lead="adapt has no record.", blocks=())
    blocks = []
    if rows:
        held = [
            (
                row.get("ok") if isinstance(row.get("ok"), bool) else None,
                words(str(row.get("name"))),
                f"{_value(row.get('value'))} {row.get('unit', '')}, limit {_value(row.get('limit'))}",
            )
            for row in rows
        ]
        blocks.append(marks(held))
    facts = [[words(name), number(float(value))] for name, value in adapt.metrics.items() if finite(value)]
    facts += [
        [f"{words(name)}: {words(str(key))}", number(float(inner))]
        for name, value in adapt.metrics.items()
        if isinstance(value, Mapping)
        for key, inner in value.items()
        if finite(inner)
    ]
    if facts:
        blocks.append(folded("parity, latency and size in figures", table(["", ""], facts)))
    manifest = release.metrics.get("manifest") if release else None
    if isinstance(manifest, Mapping):
        blocks.append(
            folded(
                "manifest",
                table(
                    ["", ""], [[words(str(key)), value if isinstance(value, str | int | float) else str(value)] for key, value in manifest.items()]
                ),
            )
        )
    missed = sum(row.get("ok") is False for row in rows)
    lead = f"{len(rows)} limits, {missed} missed." if rows else "No budget was recorded."
    return Section(anchor="vehicle", title=title, lead=lead, blocks=tuple(blocks))


def _value(value: object) -> str:
    return number(float(value)) if isinstance(value, int | float) and finite(value) else "–"


def clock(turn: Turn) -> Section:
    """Where the time went: computing and waiting per stage, with its share of the whole."""
    timed = [(record, float(record.timings.get("wall_s", 0.0)), float(record.timings.get("wait_s", 0.0))) for record in turn.records.values()]
    total = sum(wall for _, wall, _ in timed)
    if total <= 0:
        return Section(anchor="clock", title="The clock", lead="No stage recorded its time.", blocks=())
    rows = [
        (_stage_words(record, turn), [(max(wall - wait, 0.0), "s1"), (min(wait, wall), "s3")], f"{seconds(wall)} · {100 * wall / total:.0f} %")
        for record, wall, wait in timed
    ]
    lines = [
        [
            _stage_words(record, turn),
            seconds(wall),
            seconds(float(record.timings.get("cpu_s", 0.0))),
            seconds(wait),
            f"{100 * wall / total:.1f} %",
            f"{float(record.timings.get('peak_rss_mb', 0.0)):,.0f} MB",
        ]
        for record, wall, wait in timed
    ]
    waited, peak = sum(wait for *_, wait in timed), max(float(record.timings.get("peak_rss_mb", 0.0)) for record, *_ in timed)
    lead = f"{seconds(total)} in all, {100 * waited / total:.0f} % of it waiting; at most {peak:,.0f} MB of memory."
    lead += " The time is that of the run which made each artifact, so reused ones count too."
    key = Markup('<p class="key"><i style="background:var(--s1)"></i> computing <i style="background:var(--s3)"></i> waiting</p>')
    head = ["stage", "wall", "processor", "waiting", "share", "memory, most"]
    return Section(anchor="clock", title="The clock", lead=lead, blocks=(key, bars(rows, title=""), folded("the figures", table(head, lines))))


def utilisation(turn: Turn) -> Section:
    """The figures of each trained stage of the line."""
    return figures_of([(stage, record) for stage in _TRAINED if (record := turn.find(stage))])


def figures_of(fits: Sequence[tuple[str, Record]]) -> Section:
    """The five figures of named fits, and the stall; never one number."""
    wanted = (
        ("params", "parameters"),
        ("samples_per_s", "samples/s"),
        ("tokens_per_s", "tokens/s"),
        ("allocated_frac", "allocated"),
        ("busy_frac", "busy"),
        ("goodput_frac", "goodput"),
        ("mfu_frac", "MFU"),
        ("effective_mfu_frac", "effective MFU"),
        ("stall_frac", "data stall"),
    )
    found = [(stage, record) for stage, record in fits if any(finite(record.metrics.get(key)) for key, _ in wanted)]
    if not found:
        return Section(anchor="busy", title="Busy, MFU, stall", lead="No trained stage recorded them.", blocks=())
    lines = [[stage, *(_cell(record.metrics.get(key), key) for key, _ in wanted)] for stage, record in found]
    lead = (
        "Allocated: of the machine's devices. Busy: computing over wall time. Goodput: steps that survive over wall time. MFU: model FLOP in those "
        "steps over the matrix-product peak measured on this machine; effective: times goodput. Stall: waiting for data."
    )
    return Section(anchor="busy", title="Busy, MFU, stall", lead=lead, blocks=(table(["stage", *(name for _, name in wanted)], lines),))


def _cell(value: object, key: str) -> Markup:
    if not isinstance(value, int | float) or not finite(value):
        return Markup('<span class="none">–</span>')
    if key.endswith("_frac"):
        return Markup('{:.1f} % <span class="meter"><i style="width:{:.0f}%"></i></span>').format(100 * value, 100 * min(max(value, 0.0), 1.0))
    return Markup("{:.2f} M").format(value / 1e6) if key == "params" and value >= 1e5 else Markup(number(float(value)))


def lineage(turn: Turn) -> Section:
    """What was made from what, by digest."""
    here = f"{turn.recipe}/turn{turn.number}/"
    nodes = [
        (name, _stage_words(record, turn), record.digest, record.reads, "s1" if name.startswith(here) else "probe")
        for name, record in turn.records.items()
    ]
    lines = [
        [
            record.name,
            record.fields.get("version", ""),
            Markup("<code>{}</code>").format(record.digest[:16]),
            Markup("<code>{}</code>").format(str(record.fields.get("fingerprint", ""))[:16]),
            ", ".join(record.reads) or "–",
        ]
        for record in turn.records.values()
    ]
    machine = next(
        (record.fields.get("machine") for record in reversed(list(turn.records.values())) if isinstance(record.fields.get("machine"), Mapping)), None
    )
    blocks = [graph(nodes), folded("digests and fingerprints", table(["artifact", "version", "digest", "fingerprint", "made from"], lines))]
    if machine:
        blocks.append(folded("the machine", table(["", ""], [[words(str(key)), str(value)] for key, value in machine.items()])))
    return Section(
        anchor="lineage",
        title="Lineage",
        lead="Each box is an artifact with the first letters of its digest; the same inputs, settings and code give the same digest.",
        blocks=tuple(blocks),
    )


def _stage_words(record: Record, turn: Turn) -> str:
    here = f"{turn.recipe}/turn{turn.number}/"
    return record.name.removeprefix(here) if record.name.startswith(here) else record.name.removeprefix(f"{turn.recipe}/")


def _counts(record: Record | None, name: str) -> dict[str, float]:
    found = record.metrics.get(name) if record else None
    return {str(key): float(value) for key, value in found.items() if finite(value)} if isinstance(found, Mapping) else {}
