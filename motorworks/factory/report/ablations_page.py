"""The page of ablations: for each one a table and a plot, from the records that `compare` left."""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from motorworks.factory.report.charts import Dot, dot_whisker, number
from motorworks.factory.report.html import Section, finite, folded, grid, listed, mean_and_interval, table, words
from motorworks.factory.report.names import EXPERT, PROBES, metric_words
from motorworks.factory.report.records import Record, Turn

STAGE = "compare"
SHOWN = ("driving_score", "route_completion_frac", "at_fault_collision_frac", "off_road_frac", "comfort_frac", "epdms_style")
PLOTTED = ("route_completion_frac", "driving_score")

Rows = Mapping[tuple[str, str], Mapping[str, Any]]  # by arm (or "a − b") and metric


def ablation_sections(turn: Turn) -> list[Section]:
    """One for each comparison of the turn."""
    return [_section(record) for record in turn.records.values() if record.stage == STAGE]


def markdown(record: Record) -> str:
    """The table for docs/ablations.md: means, probes and expert last, then differences to the first arm, each with its 95 % interval."""
    arms, scores, paired = _read(record)
    cells = [[f"`{arm}`", *(_plain(scores.get((arm, metric))) for metric in SHOWN)] for arm in arms]
    cells += [[f"*{pair}*", *(_plain(paired.get((pair, metric)), sign=True) for metric in SHOWN)] for pair in _pairs(paired)]
    lines = [["", *map(metric_words, SHOWN)], ["---"] * (1 + len(SHOWN)), *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def plots(record: Record) -> list[Markup]:
    """Paired differences with their intervals, a drawing for each plotted metric."""
    _, _, paired = _read(record)
    drawn = []
    for metric in PLOTTED:
        dots = [
            Dot(label=pair, mean=row["mean"], low=row["low"], high=row["high"], tone=_tone(row))
            for pair in _pairs(paired)
            if (row := paired.get((pair, metric))) and finite(row["low"]) and finite(row["high"])
        ]
        if dots:
            drawn.append(dot_whisker(dots, title=f"{metric_words(metric)}, difference", zero=True))
    return drawn


def _section(record: Record) -> Section:
    arms, scores, paired = _read(record)
    seeds = [policy for policy, metric in scores if "/" in policy and metric == SHOWN[0]]
    head = ["", *map(metric_words, SHOWN)]
    means = [[words(arm), *(mean_and_interval(scores.get((arm, metric))) for metric in SHOWN)] for arm in arms]
    each = [[words(arm), *(mean_and_interval(scores.get((arm, metric))) for metric in SHOWN)] for arm in seeds]
    apart = [[pair, *(mean_and_interval(paired.get((pair, metric))) for metric in SHOWN)] for pair in _pairs(paired)]
    blocks: list[Markup] = [
        table(head, means, kind="scores"),
        grid(plots(record)),
        folded("paired differences", table(head, apart, kind="scores")),
        folded("each training seed", table(head, each, kind="scores")),
        listed(record.fields.get("thin") or []),
    ]
    facts = record.metrics
    lead = f"{facts.get('question', '')} {facts.get('num_scenarios', '?')} held-out scenarios, {facts.get('num_seeds', '?')} training seeds averaged."
    return Section(anchor=record.name.split("/")[-2], title=str(facts.get("title", record.name)), lead=lead, blocks=tuple(blocks))


def _read(record: Record) -> tuple[Sequence[str], Rows, Rows]:
    scores = {(str(row["policy"]), str(row["metric"])): row for row in record.rows("scores.json")}
    paired = {(f"{words(str(row['a']))} − {words(str(row['b']))}", str(row["metric"])): row for row in record.rows("paired.json")}
    yardsticks = [name for name in (*PROBES, EXPERT) if (name, SHOWN[0]) in scores]
    return [*record.metrics["arms"], *yardsticks], scores, paired


def _pairs(paired: Rows) -> list[str]:
    return list(dict.fromkeys(pair for pair, _ in paired))


def _tone(row: Mapping[str, Any]) -> str:
    return "good" if row["low"] > 0 else "bad" if row["high"] < 0 else "probe"


def _plain(row: Mapping[str, Any] | None, *, sign: bool = False) -> str:
    if row is None:
        return "–"
    plus = "+" if sign and row["mean"] > 0 else ""
    return f"{plus}{number(row['mean'])} [{number(row['low'])}, {number(row['high'])}]"
