"""The sections of the long tail: how a few drivers do in each staged situation and on each kind of road, and what went wrong, with causes."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from motorworks.datatypes.failure import Failure
from motorworks.datatypes.scenario import TRAFFIC, Scenario
from motorworks.factory.report.charts import bars
from motorworks.factory.report.html import Section, absent, finite, folded, table, words
from motorworks.factory.report.names import EXPERT, PROBES, RELEASED, driver_words, metric_words
from motorworks.factory.report.records import Record, Turn

ALL = "all"  # the group of every drive
DECIDES, BESIDE = "route_completion_frac", "driving_score"  # rows are ordered by the first, and both are shown at once
GRAVE = (  # worst first; a severity is comparable within one of them only
    "collision", "off_road", "wrong_way", "red_light", "stop_sign", "gave_no_way", "blocked_siren", "near_miss", "timeout", "fallback",
)  # fmt: skip
SHOWN_ROWS, SHOWN_FAILURES, SHOWN_SORTS, SHOWN_BARS = 8, 6, 8, 10
_TONES = {"ego": "bad", "other": "s2", "nobody": "probe"}
_FAULTS = {"ego": "its own", "other": "another's", "nobody": "nobody's"}

Groups = Mapping[str, Mapping[tuple[str, str], Mapping[str, Any]]]  # group: (driver, metric): row


def situations(turn: Turn) -> Section:
    """Each scenario kind, then each tag of the operational design domain, worst first."""
    title, anchor, record = "Situations", "situations", turn.find("evaluate")
    if record is None:
        return Section(anchor=anchor, title=title, lead="Not measured in this turn.", blocks=(absent("evaluate has no record"),))
    kinds, tags = _groups(record, "by_scenario.json"), _groups(record, "by_odd.json")
    tags = {name: rows for name, rows in tags.items() if name == ALL or name not in kinds}  # a kind is a tag as well
    blocks: list[Markup] = []
    for found, file, heading, what in (
        (kinds, "by_scenario.json", "By what is staged", "situation"),
        (tags, "by_odd.json", "By kind of road, junction and weather", "tag"),
    ):
        blocks.append(Markup("<h3>{}</h3>").format(heading))
        blocks += _group_tables(found, what) if found else [absent(f"evaluate left no {file}")]
    return Section(anchor=anchor, title=title, lead=_situations_lead(kinds), blocks=tuple(blocks))


def _situations_lead(kinds: Groups) -> str:
    staged = [name for name in _worst_first(kinds) if name not in (ALL, TRAFFIC)]
    everyone = kinds.get(ALL, {}).get((RELEASED, DECIDES))
    if not staged or everyone is None:
        return "Not measured in this turn." if not kinds else "The released model was not driven here."
    worst = ", ".join(f"{words(name)} ({100 * _mean(kinds[name], RELEASED):.0f} %)" for name in staged[:3])
    lead = f"{everyone['num']} drives of the released model in {len(staged)} staged situations and plain traffic; it completes least of {worst}."
    few = max(int(row.get("num", 0)) for name in staged for row in kinds[name].values())
    return lead + (f" {few} drive{'s' if few > 1 else ''} of a kind at most: a hint where to look, no verdict." if few < 5 else "")


def _groups(record: Record, file: str) -> Groups:
    found: dict[str, dict[tuple[str, str], Mapping[str, Any]]] = {}
    for row in record.rows(file):
        if finite(row.get("mean")) and finite(row.get("num")):  # one drive of a group has no interval
            found.setdefault(str(row.get("group")), {})[str(row.get("policy")), str(row.get("metric"))] = row
    return found


def _worst_first(groups: Groups) -> list[str]:
    """Everything, then plain traffic, then the groups of which the released model (else whoever was driven) completes least."""
    drivers = _drivers(policy for rows in groups.values() for policy, _ in rows)
    return sorted(groups, key=lambda name: (name != ALL, name != TRAFFIC, *(_mean(groups[name], driver) for driver in drivers[:2]), name))


def _mean(rows: Mapping[tuple[str, str], Mapping[str, Any]], driver: str) -> float:
    row = rows.get((driver, DECIDES))
    return float(row["mean"]) if row else 2.0  # who was not driven here is no worst


def _drivers(policies: Iterable[str]) -> list[str]:
    """The released model first, then who sees everything, then the probes."""
    order = (RELEASED, EXPERT, *PROBES)
    return sorted(dict.fromkeys(policies), key=lambda name: (order.index(name) if name in order else len(order), name))


def _group_tables(groups: Groups, what: str) -> list[Markup]:
    """The worst groups at once; all of them, and the other metrics, on demand."""
    names = _worst_first(groups)
    drivers = _drivers(policy for rows in groups.values() for policy, _ in rows)
    metrics = list(dict.fromkeys(metric for rows in groups.values() for _, metric in rows))
    first = [metric for metric in (DECIDES, BESIDE) if metric in metrics]
    blocks = [_group_table({name: groups[name] for name in names[:SHOWN_ROWS]}, what, drivers, first)]
    if len(names) > SHOWN_ROWS:
        blocks.append(folded(f"all {len(names)} rows, worst first", _group_table({name: groups[name] for name in names}, what, drivers, first)))
    others = [metric for metric in metrics if metric not in first]
    if others:
        summary = f"the same rows: {', '.join(map(metric_words, others))}"
        blocks.append(folded(summary, _group_table({name: groups[name] for name in names}, what, drivers, others)))
    return blocks


def _group_table(groups: Groups, what: str, drivers: Sequence[str], metrics: Sequence[str]) -> Markup:
    lines = []
    for name, rows in groups.items():
        num = max((int(row["num"]) for row in rows.values()), default=0)
        cells = [_cell(rows.get((driver, metric)), meter=driver == RELEASED and metric == DECIDES) for metric in metrics for driver in drivers]
        label = {ALL: "every drive", TRAFFIC: "plain traffic"}.get(name, words(name))
        lines.append([Markup("<b>{}</b>").format(label) if name == ALL else label, num, *cells])
    above = [("", 2), *((metric_words(metric), len(drivers)) for metric in metrics)]
    return table([what, "drives", *(driver_words(driver) for _ in metrics for driver in drivers)], lines, kind="scores groups", above=above)


def _cell(row: Mapping[str, Any] | None, *, meter: bool) -> Markup:
    """The mean, a bar where it is a share to be scanned for, and the interval below; of a single drive there is none."""
    if row is None:
        return Markup('<span class="none">–</span>')
    mean = float(row["mean"])
    bar = Markup('<span class="meter"><i style="width:{:.0f}%"></i></span>').format(100 * min(max(mean, 0.0), 1.0)) if meter else ""
    interval = Markup("<small>[{}, {}]</small>").format(_short(row["low"]), _short(row["high"])) if row["num"] > 1 else ""
    return Markup("{}{}{}").format(_short(mean), bar, interval)


def _short(value: float) -> str:
    """As many digits as a narrow column and so few drives bear."""
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.0f}"


def failures(turn: Turn) -> Section:
    """What went wrong, whose fault, what led to it: counted for each driver, and the worst of the released model one by one."""
    title, anchor, record = "What went wrong", "failures", turn.find("evaluate")
    if record is None or not (record.path / "failures.json").is_file():
        why = "evaluate has no record" if record is None else "evaluate left no failures.json"
        return Section(anchor=anchor, title=title, lead="Not explained in this turn.", blocks=(absent(why),))
    rows = record.rows("failures.json")
    read = [(str(row.get("policy")), failure) for row in rows if (failure := read_failure(row)) is not None]
    ours = [failure for driver, failure in read if driver == RELEASED]
    driven = _groups(record, "by_scenario.json").get(ALL, {}).get((RELEASED, DECIDES))
    num = f" in {driven['num']} drives" if driven else ""
    sorts = Counter((failure.what, failure.fault) for failure in ours)
    lead = f"{len(ours)} failures of the released model{num}" + (": " if sorts else ".")
    lead += ", ".join(f"{count} × {what}" for what, count in Counter(failure.what for failure in ours).most_common(3)) + ("." if sorts else "")
    blocks = []
    if ours:
        blocks += [_key(), bars(_bars(sorts), title="")]
        blocks.append(Markup("<h3>The worst of the released model</h3>"))
        blocks += _worst(ours, turn)
    if read:
        blocks.append(Markup("<h3>Everybody, by fault and cause</h3>"))
        blocks += _taxonomy(read)
    if len(read) < len(rows):
        blocks.append(absent(f"{len(rows) - len(read)} rows of failures.json were written by another version and are left out."))
    return Section(anchor=anchor, title=title, lead=f"{lead} Causes are judged by rules over the last seconds.", blocks=tuple(blocks))


def read_failure(row: Mapping[str, Any]) -> Failure | None:
    """A row of failures.json as the noun it was; none where its fields are not today's."""
    scenario = row.get("scenario")
    if not isinstance(scenario, Mapping):
        return None
    try:
        params = tuple((name, value) for name, value in scenario.get("params", ()))
        fields = {name: value for name, value in row.items() if name not in ("policy", "text", "scenario")}
        return Failure(scenario=Scenario(**{**scenario, "params": params}), **fields)
    except (TypeError, ValueError):
        return None


def _key() -> Markup:
    parts = (Markup('<i style="background:var(--{})"></i> {}').format(_TONES[fault], f"{said} fault") for fault, said in _FAULTS.items())
    return Markup('<p class="key">{}</p>').format(Markup(" ").join(parts))


def _bars(sorts: Mapping[tuple[str, str], int]) -> list[tuple[str, list[tuple[float, str]], str]]:
    """The most frequent first, each split by fault."""
    totals = Counter({what: sum(num for (other, _), num in sorts.items() if other == what) for what, _ in sorts})
    rows = []
    for what, total in totals.most_common(SHOWN_BARS):
        pieces = [(float(sorts[what, fault]), tone) for fault, tone in (*_TONES.items(), ("", "s3")) if (what, fault) in sorts]
        rows.append((what, pieces, str(total)))
    return rows


def _worst(ours: Sequence[Failure], turn: Turn) -> list[Markup]:
    release = turn.find("release")
    bundle = None
    if release is not None and (release.path / "bundle").is_dir():
        bundle = release.name if turn.version == "dev" else f"{release.name}@{turn.version}"
    items = []
    for failure in worst_failures(ours, SHOWN_FAILURES):
        command = replay_command(failure.scenario, bundle)
        below = Markup("<div><code>{}</code></div>").format(command) if command else ""
        items.append(Markup("<li>{}{}</li>").format(failure.text, below))
    listed = Markup('<ul class="plain replays">{}</ul>').format(Markup("").join(items))
    if bundle is None:
        return [listed, absent("Nothing was released, so none of these can be driven again with motorworks drive.")]
    said = "Each command drives that scenario again in the vehicle runtime, on the real clock: a plan that comes late may change it."
    return [listed, Markup('<p class="none">{} <code>--video OUT.mp4</code> films it.</p>').format(said)]


def worst_failures(found: Sequence[Failure], num: int) -> list[Failure]:
    """One of each grave kind before a second of any, the ego's own fault and the most severe first; no drive twice."""
    ordered = sorted(found, key=lambda one: (_gravity(one), one.fault != "ego", -one.severity, one.name))
    chosen: dict[str, Failure] = {}
    seen: Counter[str] = Counter()
    ranked = []
    for one in ordered:
        if one.scenario.name not in chosen:
            chosen[one.scenario.name] = one
            ranked.append((seen[one.kind], _gravity(one), len(ranked), one))
            seen[one.kind] += 1
    return [one for *_, one in sorted(ranked, key=lambda entry: entry[:3])[:num]]


def _gravity(failure: Failure) -> int:
    return GRAVE.index(failure.kind) if failure.kind in GRAVE else len(GRAVE)


def replay_command(scenario: Scenario, bundle: str | None) -> str:
    """The command that drives exactly this scenario again; empty where there is no bundle or the name does not tell all."""
    try:
        exact = Scenario.named(scenario.name) == scenario
    except ValueError:
        exact = False
    return f"motorworks drive {bundle} --scenario {scenario.name}" if bundle and exact else ""


def _taxonomy(read: Sequence[tuple[str, Failure]]) -> list[Markup]:
    """Rows of what, fault and cause; a column for each driver, the released model first, by whose count they are ordered."""
    drivers = _drivers(driver for driver, _ in read)
    counted = Counter((driver, failure.what, failure.fault, failure.cause) for driver, failure in read)
    sorts = dict.fromkeys((what, fault, cause) for _, what, fault, cause in counted)
    order = sorted(sorts, key=lambda sort: (*(-counted[driver, *sort] for driver in drivers), sort))
    lines = [
        [what, _FAULTS.get(fault, "not judged"), cause or "not judged", *(counted[driver, what, fault, cause] or "" for driver in drivers)]
        for what, fault, cause in order
    ]
    head = ["what", "fault", "what led to it", *map(driver_words, drivers)]
    total = ["every failure", "", "", *(sum(driver == other for other, _ in read) for driver in drivers)]
    blocks = [table(head, [total, *lines[:SHOWN_SORTS]], kind="scores")]
    if len(lines) > SHOWN_SORTS:
        blocks.append(folded(f"all {len(lines)} sorts of failure", table(head, lines, kind="scores")))
    return blocks
