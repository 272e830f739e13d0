"""The page of a plan: the same numbers as in the terminal, drawn."""

import math
from dataclasses import replace

import numpy as np
from markupsafe import Markup

from motorworks.factory.plan_facts import Planned, failures_at, matters_most, proof_rows, rates
from motorworks.factory.report.charts import Curve, Dot, bars, curves, dot_whisker, number
from motorworks.factory.report.html import Section, absent, grid, table, tiles
from motorworks.train.planner.goodput import best_interval_s, goodput
from motorworks.train.planner.quantity import Quantity
from motorworks.train.planner.step_time import mfu

TONES = ("s1", "s2", "s3", "s4")
NUM_DRAWN = 12  # swings; the table has all


def plan_sections(planned: Planned) -> list[Section]:
    """Headline, cut, memory, step, failures, turn, what moves it, proof."""
    return [
        _headline(planned),
        _cut(planned),
        _memory(planned),
        _step(planned),
        _staying_up(planned),
        _turn(planned),
        _swings(planned),
        _proof(planned),
    ]


def _headline(planned: Planned) -> Section:
    said = {one.name: one for found in planned.groups.values() for one in found}
    last = planned.turns[-1]
    big = [
        ("Parameters", f"{said['parameters'].value:.2f} G", "counted from shapes, equal to the module's", "accent"),
        ("Step", f"{said['step'].value:.2f} s", f"MFU {said['MFU'].value:.1f} % by formula", ""),
        ("Memory", f"{said['all'].value:.1f} GB", f"of {said['room'].value:.0f} GB, fullest rank", ""),
        ("Effective MFU", f"{said['effective MFU'].value:.1f} %", "MFU × goodput", ""),
        (
            f"Turn, {last.num_clips / 1e6:.4g}M clips",
            f"{number(last.days)} days",
            f"{number(last.usd(planned.gpu.usd_per_hour[1]) / 1e6)} M$",
            "accent",
        ),
    ]
    lead = f"Of what is assumed, {matters_most(planned)}."
    return Section(anchor="headline", title="The plan", lead=lead, blocks=(tiles(big), _quantities(planned.groups["model"])))


def _cut(planned: Planned) -> Section:
    rows = [
        (
            str(one.sharding),
            f"{one.memory.total / 1e9:.1f}",
            f"{one.time.total_s:.2f}",
            f"{100 * mfu(planned.config, one.sharding, planned.gpu, one.time.total_s):.1f}",
        )
        for one in (planned.choice.best, *planned.choice.others[:9])
    ]
    blocks = (_quantities(planned.groups["plan"]), table(("cut", "GB", "step, s", "MFU, %"), rows))
    return Section(
        anchor="cut", title="How it is cut", lead="The fastest that fits, and the best of the next ways to split the ranks.", blocks=blocks
    )


def _memory(planned: Planned) -> Section:
    taken = vars(planned.choice.best.memory)
    rows = [(name, [(value / 1e9, "s1")], f"{number(value / 1e9)} GB") for name, value in taken.items()]
    blocks = (bars(rows, title="GB on the fullest rank"), _quantities(planned.groups["memory of the fullest rank"]))
    return Section(anchor="memory", title="Memory of a rank", lead="At the moment of most, in the backward pass.", blocks=blocks)


def _step(planned: Planned) -> Section:
    parts = [(name, value) for name, value in vars(planned.choice.best.time).items() if name != "hidden_s"]
    rows = [(name.removesuffix("_s").replace("_", " "), [(value, "s1")], f"{number(value)} s") for name, value in parts]
    blocks = (bars(rows, title="seconds of a step"), _quantities(planned.groups["step"]))
    return Section(anchor="step", title="A step", lead="A roofline with the assumptions below; not a measurement.", blocks=blocks)


def _staying_up(planned: Planned) -> Section:
    intervals, away = np.geomspace(30, 7200, 60), np.geomspace(15, 3600, 60)
    by_interval, by_return = [], []
    for rate, tone in zip(rates(planned.assumed), TONES, strict=False):
        failures, label = failures_at(planned.gpu, planned.num_gpus, planned.assumed, rate), f"{rate:.3g} / 1,000 node-days"
        by_interval.append(Curve(label=label, xs=list(intervals / 60), ys=[100 * goodput(failures, float(one)) for one in intervals], tone=tone))
        slower = [replace(failures, detect_s=0.0, restart_s=float(one)) for one in away]
        by_return.append(Curve(label=label, xs=list(away / 60), ys=[100 * goodput(one, best_interval_s(one)) for one in slower], tone=tone))
    drawn = grid(
        [
            curves(by_interval, title="goodput, %", x_label="minutes between checkpoints"),
            curves(by_return, title="goodput, %, at the best interval", x_label="minutes from failure to stepping again"),
        ]
    )
    blocks = (drawn, _quantities(planned.groups["staying up"]))
    return Section(anchor="up", title="Staying up", lead="The share of time whose steps survive, at published failure rates.", blocks=blocks)


def _turn(planned: Planned) -> Section:
    blocks: list[Markup] = []
    for turn in planned.turns:
        rows = [(stage.name, [(stage.hours, "s1")], f"{number(stage.hours)} h") for stage in turn.stages]
        blocks.append(bars(rows, title=f"{turn.num_clips / 1e6:.4g}M clips: {number(turn.days)} days"))
    blocks.append(table(("stage", "how"), [(stage.name, stage.how) for stage in planned.turns[-1].stages]))
    blocks.append(_quantities(planned.groups["turn"]))
    return Section(
        anchor="turn", title="One turn of the factory", lead="Stages one after the other, all GPUs paid for throughout.", blocks=tuple(blocks)
    )


def _swings(planned: Planned) -> Section:
    usual = planned.turns[-1].days
    dots = [
        Dot(label=one.name, mean=usual, low=min(one.days_at_low, one.days_at_high), high=max(one.days_at_low, one.days_at_high))
        for one in planned.swings
        if math.isfinite(one.days)
    ][:NUM_DRAWN]
    rows = [
        (one.name, one.unit, number(one.low), number(one.usual), number(one.high), number(one.days_at_low), number(one.days_at_high), one.source)
        for one in planned.swings
    ]
    head = ("assumption", "unit", "low", "usual", "high", "days at low", "days at high", "why")
    drawn = dot_whisker(dots, title=f"days of a turn of {planned.turns[-1].num_clips / 1e6:.4g}M clips", width=760)
    lead = f"Each assumption alone at its lowest and highest, everything planned anew: {matters_most(planned)}."
    sources = table(("GPU", "source"), [(planned.gpu.name, source) for source in planned.gpu.sources])
    return Section(anchor="moves", title="What moves it", lead=lead, blocks=(drawn, table(head, rows), sources))


def _proof(planned: Planned) -> Section:
    lead = "The member built on fake tensors, cut for rank 0 of a fake group of that many ranks."
    block = table(("", "", ""), proof_rows(planned.proof)) if planned.proof else absent("Not asked for: add --prove.")
    return Section(anchor="proof", title="Proof that it builds", lead=lead, blocks=(block,))


def _quantities(found: tuple[Quantity, ...]) -> Markup:
    return table(("", "", "", "how"), [(one.name, number(one.value), one.unit, one.how) for one in found])
