"""The sections of what came out: headline, before and after, open loop, film strips, what is next, what was thin."""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from motorworks.factory.report.charts import Dot, dot_whisker, number
from motorworks.factory.report.html import (
    Section,
    absent,
    finite,
    folded,
    grid,
    listed,
    marks,
    mean_and_interval,
    picture,
    seconds,
    table,
    tiles,
    words,
)
from motorworks.factory.report.names import EXPERT, IN_SHORT, METRICS, PLOTTED, PROBES, RELEASED, in_order, metric_words, tone_of
from motorworks.factory.report.records import Record, Turn

COMPLETION, WANTED_COMPLETION_FRAC, WANTED_P99_MS = "route_completion_frac", 0.8, 100.0
MAX_PICTURE_BYTES = 6_500_000  # base64 makes 8.7 MB of them; the page stays under 10 MB

Rows = Sequence[Mapping[str, Any]]


def headline(turn: Turn) -> Section:
    """What came out, in figures and against the bars."""
    scores, release = score_table(turn), turn.find("release")
    ours, expert = scores.get((RELEASED, COMPLETION)), scores.get((EXPERT, COMPLETION))
    released = release.metrics.get("released") if release else None
    p99 = plan_p99_ms(turn)
    wall_s = sum(float(record.timings.get("wall_s", 0.0)) for record in turn.records.values())
    state = ("released", "good") if released is True else ("not released", "bad") if released is False else ("no bundle", "none")
    items = [("Bundle", state[0], bundle_words(turn), state[1])]
    if ours:
        items.append(
            (
                "Route completed, released int8",
                f"{100 * ours['mean']:.1f} %",
                f"95 % between {100 * ours['low']:.1f} and {100 * ours['high']:.1f} % · {ours.get('num', '?')} held-out drives",
                "accent",
            )
        )
    if ours and expert:
        items.append(
            (
                "Distance from the expert",
                f"{100 * (expert['mean'] - ours['mean']):.1f} points",
                f"the privileged expert completes {100 * expert['mean']:.1f} %",
                "",
            )
        )
    if p99 is not None:
        items.append(("One plan, p99", f"{p99:.1f} ms", f"limit {WANTED_P99_MS:.0f} ms at 10 Hz, in the vehicle runtime", ""))
    items.append(
        ("The whole line", seconds(wall_s), f"{len(turn.records)} artifacts" + (f", {len(turn.missing)} stages missing" if turn.missing else ""), "")
    )
    before = turn.find_before("evaluate")
    blocks = [tiles(items), marks(bars_held(turn, scores, p99))]
    if before and ours:
        earlier = next((row for row in before.rows("scores.json") if row.get("policy") == RELEASED and row.get("metric") == COMPLETION), None)
        if earlier and finite(earlier.get("mean")):
            blocks.append(
                Markup("<p>The turn before completed {:.1f} %; this one {:+.1f} points.</p>").format(
                    100 * earlier["mean"], 100 * (ours["mean"] - earlier["mean"])
                )
            )
    if turn.missing:
        blocks.append(absent(f"No record of: {', '.join(turn.missing)}. What they would show is left out below."))
    return Section(anchor="headline", title="What came out", lead=_lead(ours, expert, released), blocks=tuple(blocks))


def _lead(ours: Mapping[str, Any] | None, expert: Mapping[str, Any] | None, released: object) -> str:
    if ours is None:
        return "The turn has no closed-loop score of a released model."
    verb = "was released and completes" if released else "was not released; it completes"
    beside = f", the expert {100 * expert['mean']:.0f} %" if expert else ""
    return f"The int8 student {verb} {100 * ours['mean']:.0f} % of unseen routes{beside}."


def bundle_words(turn: Turn) -> str:
    """Size and parameters of the bundle, where a stage recorded them."""
    parts = []
    for row in budget_rows(turn):
        if "size" in str(row.get("name", "")) and finite(row.get("value")):
            parts.append(f"{number(float(row['value']))} {row.get('unit', '')}")
    distil = turn.find("distil")
    if distil and finite(distil.metrics.get("params")):
        parts.append(f"{distil.metrics['params'] / 1e6:.2f} M parameters")
    return " · ".join(parts) or "signed, verified before it drives"


def bars_held(turn: Turn, scores: Mapping[tuple[str, str], Mapping[str, Any]], p99: float | None) -> list[tuple[bool | None, str, str]]:
    """The bars a turn is measured by, each held, missed, or not measured."""
    ours = scores.get((RELEASED, COMPLETION))
    held: list[tuple[bool | None, str, str]] = [
        (
            None if ours is None else ours["mean"] >= WANTED_COMPLETION_FRAC,
            "completes at least 80 % of unseen routes",
            f"{100 * ours['mean']:.1f} %" if ours else "not measured",
        )
    ]
    for probe in PROBES:
        theirs = scores.get((probe, COMPLETION))
        ok = None if not (ours and theirs) else ours["low"] > theirs["high"]
        detail = f"lowest {100 * ours['low']:.1f} % against highest {100 * theirs['high']:.1f} %" if ours and theirs else "not measured"
        held.append((ok, f"beats {words(probe)}, intervals apart", detail))
    held.append((None if p99 is None else p99 < WANTED_P99_MS, "p99 of one plan under 100 ms", "not measured" if p99 is None else f"{p99:.1f} ms"))
    action = [row for row in open_loop_rows(turn) if str(row.get("metric")) == "action_error_frac"]
    better = [row for row in action if finite(row.get("diff_high")) and row["diff_high"] < 0]
    models = {
        str(row["model"])
        for row in action
        if sum(other["model"] == row["model"] for other in better) == sum(other["model"] == row["model"] for other in action)
    }
    detail = (
        f"beats every baseline: {', '.join(map(words, in_order(models)))}"
        if models
        else "no model beats every baseline"
        if action
        else "not measured"
    )
    held.append((bool(models) if action else None, "open-loop action error on real clips beats the constant baselines", detail))
    return held


def before_after(turn: Turn) -> Section:
    """Policies against metrics, as plots and as a table, probes included."""
    evaluate, scores = turn.find("evaluate"), score_table(turn)
    if not scores or evaluate is None:
        return Section(anchor="scores", title="Before and after", lead="Not measured in this turn.", blocks=(absent("evaluate left no scores.json"),))
    policies, metrics = in_order(policy for policy, _ in scores), list(dict.fromkeys([*METRICS, *(metric for _, metric in scores)]))
    plots = []
    for metric in PLOTTED:
        dots = [
            Dot(label=words(policy), mean=row["mean"], low=row["low"], high=row["high"], tone=tone_of(policy))
            for policy in policies
            if (row := scores.get((policy, metric)))
        ]
        if dots:
            plots.append(dot_whisker(dots, title=metric_words(metric)))
    shown = [metric for metric in metrics if any((policy, metric) in scores for policy in policies)]
    wide = [[metric_words(metric), *(mean_and_interval(scores.get((policy, metric))) for policy in policies)] for metric in shown]
    short = [metric for metric in IN_SHORT if any((policy, metric) in scores for policy in policies)]
    narrow = [[words(policy), *(mean_and_interval(scores.get((policy, metric))) for metric in short)] for policy in policies]
    blocks = [
        grid(plots),
        table(["", *map(metric_words, short)], narrow, kind="scores"),
        folded("every metric of every policy", table(["metric", *map(words, policies)], wide, kind="scores")),
    ]
    pairs = [row for row in evaluate.rows("paired.json") if finite(row.get("mean"))]
    if pairs:
        pair_rows = [
            [words(str(row.get("a"))), words(str(row.get("b"))), metric_words(str(row.get("metric"))), mean_and_interval(row), _paired_verdict(row)]
            for row in pairs
        ]
        blocks.append(folded("paired differences, a minus b on the same towns and seeds", table(["a", "b", "metric", "difference", ""], pair_rows)))
    worlds = ", ".join(sorted({str(row.get("world")) for row in scores.values()}))
    num = max(int(row.get("num", 0)) for row in scores.values())
    lead = f"Up to {num} held-out scenarios in {worlds}, the same for everyone; whiskers are 95 % bootstrap intervals over scenarios."
    return Section(anchor="scores", title="Before and after", lead=lead, blocks=tuple(blocks))


def _paired_verdict(row: Mapping[str, Any]) -> Markup:
    sign = METRICS.get(str(row.get("metric")), ("", 1))[1]
    low, high = sorted((sign * float(row["low"]), sign * float(row["high"])))
    if low > 0:
        return Markup('<b class="good">a is better</b>')
    return Markup('<b class="bad">b is better</b>') if high < 0 else Markup('<span class="none">no difference seen</span>')


def open_loop(turn: Turn) -> Section:
    """Errors on held-out real clips, each paired with each baseline."""
    rows = [row for row in open_loop_rows(turn) if all(finite(row.get(key)) for key in ("mean", "low", "high", "diff_mean", "diff_low", "diff_high"))]
    title = "Open loop on real clips"
    if not rows:
        return Section(
            anchor="open-loop",
            title=title,
            lead="Not measured in this turn.",
            blocks=(absent("evaluate left no open_loop.json: no held-out real clip with motion"),),
        )
    plots = []
    for metric in dict.fromkeys(str(row["metric"]) for row in rows):
        of_metric = [row for row in rows if row["metric"] == metric]
        dots = [
            Dot(
                label=f"{words(str(row['model']))} − {_short(str(row['baseline']))}",
                mean=row["diff_mean"],
                low=row["diff_low"],
                high=row["diff_high"],
                tone=_verdict(row)[1],
            )
            for row in of_metric
        ]
        plots.append(dot_whisker(dots, title=f"{metric_words(metric)}: difference to the baseline", zero=True))
    lines = [
        [
            words(str(row["model"])),
            metric_words(str(row["metric"])),
            mean_and_interval(row),
            words(str(row["baseline"])),
            mean_and_interval({"mean": row["diff_mean"], "low": row["diff_low"], "high": row["diff_high"]}),
            Markup('<b class="{}">{}</b>').format(_verdict(row)[1], _verdict(row)[0]),
        ]
        for row in rows
    ]
    won = sum(_verdict(row)[1] == "good" for row in rows)
    lead = f"{won} of {len(rows)} comparisons beat their baseline with an interval that excludes zero; left of the line is better."
    lead += " Open loop only informs."
    head = ["model", "error", "mean", "baseline", "difference", "verdict"]
    return Section(anchor="open-loop", title=title, lead=lead, blocks=(grid(plots[:6]), folded("the figures", table(head, lines))))


def _short(baseline: str) -> str:
    return {"constant_velocity": "const. velocity", "constant_curvature": "const. curvature"}.get(baseline, words(baseline))


def _verdict(row: Mapping[str, Any]) -> tuple[str, str]:
    if row["diff_high"] < 0:
        return "beats it", "good"
    return ("does not beat it", "bad") if row["diff_low"] > 0 else ("does not beat it: no difference seen", "probe")


def film_strips(turn: Turn) -> Section:
    """Pictures that the stages drew: worst drives and a good one, plan and thought in them."""
    pictures, left_out, used = [], 0, 0
    for record in (turn.find("evaluate"), turn.find("drive"), turn.find("mine")):
        for row in record.rows("strips.json") if record else []:
            path = strip_path(record, str(row.get("file", "")))
            if path is None or used + path.stat().st_size > MAX_PICTURE_BYTES:
                left_out += 1
                continue
            used += path.stat().st_size
            pictures.append(picture(path, title=str(row.get("title", path.stem)), caption=str(row.get("caption", ""))))
    if not pictures:
        return Section(
            anchor="strips", title="Drives", lead="No film strips in this turn.", blocks=(absent("neither evaluate nor drive left strips"),)
        )
    lead = "The band on the road is the plan of that moment; below each frame are its time, speed and chain of thought."
    blocks = [Markup('<div class="strips">{}</div>').format(Markup("").join(pictures))]
    if left_out:
        blocks.append(absent(f"{left_out} more strips are missing or did not fit into a page of 10 MB; those that exist lie beside the records."))
    return Section(anchor="strips", title="Drives", lead=lead, blocks=tuple(blocks))


def strip_path(record: Record | None, file: str) -> Any:
    """The picture a row names, in the artifact's folder or its strips folder, never outside it."""
    if record is None or not file:
        return None
    for path in (record.path / file, record.path / "strips" / file):
        inside = path.resolve().is_relative_to(record.path.resolve())
        if inside and path.is_file() and path.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp"):
            return path
    return None


def mined(turn: Turn) -> Section:
    """Failures that become the next turn's clips and scenarios."""
    record = turn.find("mine")
    failures = record.rows("failures.json") if record else []
    title = "What is mined next"
    if record is None or not failures:
        why = "mine has no record" if record is None else "mine found nothing"
        return Section(anchor="mined", title=title, lead="Nothing goes into the next turn from here.", blocks=(absent(why),))
    kinds: dict[str, int] = {}
    for row in failures:
        kinds[str(row.get("kind"))] = kinds.get(str(row.get("kind")), 0) + 1
    lines = [
        [
            row.get("name", ""),
            words(str(row.get("kind", ""))),
            number(float(row["severity"])) if finite(row.get("severity")) else "",
            row.get("detail", ""),
        ]
        for row in failures[:200]
    ]
    scenarios = record.metrics.get("scenarios")
    counted = scenarios if finite(scenarios) else len(scenarios) if isinstance(scenarios, list) else None
    lead = ", ".join(f"{num} {words(kind)}" for kind, num in sorted(kinds.items(), key=lambda item: -item[1]))
    lead += f"; {counted} scenarios go into the next turn." if counted is not None else "; turn " + str(turn.number + 1) + " ingests them."
    head = ["name", "kind", "severity", "detail"]
    blocks = [table(head, lines[:8])]
    if len(lines) > 8:
        blocks.append(folded(f"{len(failures) - 8} more", table(head, lines[8:])))
    return Section(anchor="mined", title=title, lead=lead, blocks=tuple(blocks))


def thin(turn: Turn) -> Section:
    """What each stage says is thin about its own result."""
    notes = [(record.stage, str(note)) for record in turn.records.values() for note in record.fields.get("thin") or []]
    if not notes:
        return Section(anchor="thin", title="What was thin", lead="No stage named anything thin.", blocks=())
    items = [Markup("<b>{}</b> {}").format(stage, note) for stage, note in notes]
    return Section(
        anchor="thin", title="What was thin", lead="Said by the stages themselves: read the figures above with this in mind.", blocks=(listed(items),)
    )


def score_table(turn: Turn) -> dict[tuple[str, str], Mapping[str, Any]]:
    """(policy, metric) to its row."""
    record = turn.find("evaluate")
    rows = record.rows("scores.json") if record else []
    return {(str(row.get("policy")), str(row.get("metric"))): row for row in rows if all(finite(row.get(key)) for key in ("mean", "low", "high"))}


def open_loop_rows(turn: Turn) -> Rows:
    """The rows of open_loop.json, if evaluate left them."""
    record = turn.find("evaluate")
    return record.rows("open_loop.json") if record else []


def budget_rows(turn: Turn) -> Rows:
    """The vehicle budget, as adapt measured it."""
    record = turn.find("adapt")
    return [*record.rows("budget.json")] if record else []


def plan_p99_ms(turn: Turn) -> float | None:
    """p99 of one plan in the vehicle runtime: where adapt or drive measured it."""
    for row in budget_rows(turn):
        if "p99" in str(row.get("name")) and finite(row.get("value")):
            return float(row["value"])
    for stage in ("adapt", "drive"):
        record = turn.find(stage)
        for name, value in record.metrics.items() if record else ():
            if "p99" in name and finite(value):
                return float(value)
    return None
