"""Choose and label: what teaches nothing is dropped by name, turns are balanced against straights, every step gets its thought."""

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from motorworks.curate.balance import BalanceConfig
from motorworks.curate.deduplicate import DuplicateConfig
from motorworks.curate.label import LabelConfig
from motorworks.curate.mixture import MixtureConfig
from motorworks.curate.quality import QualityConfig
from motorworks.factory.artifact import Artifact, Inputs
from motorworks.factory.errors import BadUsage
from motorworks.factory.stages.surprised import mean_known, surprises
from motorworks.factory.step import Output

if TYPE_CHECKING:
    from motorworks.datatypes.clip import Clip
    from motorworks.geometry.array import Array


@dataclass(frozen=True, kw_only=True)
class CurateConfig:
    """Thresholds of every choice; `stride` 10 Hz steps lie between two samples."""

    quality: QualityConfig = field(default_factory=QualityConfig)
    duplicates: DuplicateConfig = field(default_factory=DuplicateConfig)
    balance: BalanceConfig = field(default_factory=BalanceConfig)
    mixture: MixtureConfig = field(default_factory=MixtureConfig)  # its surprise_gain needs a model as the input `foresees`
    labels: LabelConfig = field(default_factory=LabelConfig)
    stride: int = 2
    num_frames: int = 2  # of a sample, 0.4 s apart, the last now
    num_views: int = 1  # the camera that looks ahead, and the first sides with a calibration; a clip that has fewer leaves them empty
    real_share: float = 0.3  # of what is drawn in training, where there are real clips


def run(config: CurateConfig, inputs: Inputs, out: Output) -> None:
    """Leaves samples.npz (train only), clips.json (what became of every clip, and its mean surprise if a model `foresees`) and records the funnel."""
    from motorworks.curate.balance import count_bins
    from motorworks.curate.deduplicate import features_of, find_duplicates
    from motorworks.train.sample_files import save_samples

    if config.mixture.surprise_gain and not inputs.many("foresees"):
        raise BadUsage("mixture.surprise_gain weighs steps by how they surprise a model: give the curate step one as its input 'foresees'")
    ingest = inputs.one("clips")
    index = json.loads((ingest.path / "index.json").read_text())
    clips, rows, dropped, dropped_s = _choose(config, ingest, index, out)
    for duplicate in reversed(find_duplicates([features_of(clip) for clip in clips], config.duplicates)):
        dropped["duplicate"] += 1
        dropped_s["duplicate"] += len(clips[duplicate.clip].timestamp_us) / 10
        rows.append({"clip_id": rows[duplicate.clip]["clip_id"], "dropped": "duplicate", "of": rows[duplicate.of]["clip_id"]})
        del clips[duplicate.clip], rows[duplicate.clip]
    amazed = surprises(inputs.one("foresees"), clips) if inputs.many("foresees") else None
    weights, mixed = _weights(config, clips, amazed)
    samples, num_samples = _samples(config, clips, weights)
    for at, num in enumerate(num_samples):  # samples.npz holds them in this order
        rows[at] |= {"num_samples": num} | ({} if amazed is None else {"surprise": mean_known(amazed[at])})
    save_samples(out.path / "samples.npz", samples)
    (out.path / "clips.json").write_text(json.dumps(rows, indent=1))
    out.record(
        num_clips_read=len(index),
        kept=len(clips),
        num_clips_held_out=sum(row["split"] == "held_out" for row in index),
        seconds_kept=sum(len(clip.timestamp_us) for clip in clips) / 10,
        dropped_by_reason=dropped,
        dropped_seconds_by_reason=dropped_s,
        num_samples=len(samples),
        bins_before=count_bins(clips),
        bins_after=count_bins(clips, weights),
        **mixed,
        kept_by_source=Counter(clip.source for clip in clips),
        instructions_by_kind=Counter(clip.instruction_kind or ("given" if clip.instructions else "none") for clip in clips),
        num_thoughts=sum(thought is not None for clip in clips for thought in clip.thoughts or ()),
    )
    out.thin("Thoughts of real clips come from motion alone: the decision is known, its cause mostly is not.")


def _choose(
    config: CurateConfig, ingest: Artifact, index: list[dict[str, Any]], out: Output
) -> "tuple[list[Clip], list[dict[str, Any]], Counter[str], Counter[str]]":
    """Training clips that teach something, labelled, with pictures at the model's size; and what was dropped by reason, in spans and seconds.

    The first rows are those of the clips; behind them stands what was set aside whole."""
    from dataclasses import replace

    from motorworks.clips.store import ClipStore
    from motorworks.curate.filters import filter_clips
    from motorworks.curate.label import label
    from motorworks.curate.quality import assess
    from motorworks.curate.route import instruct
    from motorworks.tokens.image import ImageCodec

    store, codec, clips, rows, aside = ClipStore(ingest.path), ImageCodec(), [], [], []
    dropped: Counter[str] = Counter()
    dropped_s: Counter[str] = Counter()
    training = [row for row in index if row["split"] == "train"]
    for done, row in enumerate(training, start=1):
        clip = store.read_views(row["clip_id"], config.num_views)
        sides = {name: codec.encode(pictures) for name, pictures in clip.side_frames.items()}  # cameras stay as recorded: CameraCodec follows
        small = clip if clip.frames is None else replace(clip, frames=codec.encode(clip.frames), side_frames=sides)
        if faults := assess(small, config.quality).faults:
            kind = faults[0].partition(":")[0]
            dropped[kind] += 1
            dropped_s[kind] += len(clip.timestamp_us) / 10
            aside.append({"clip_id": row["clip_id"], "dropped": faults[0]})
            continue
        filtered = filter_clips([small], config.quality.steps)
        for span in filtered.dropped:
            dropped[span.reason] += 1
            dropped_s[span.reason] += (span.stop - span.start) / 10
        clips += [instruct(label(piece, config.labels)) for piece in filtered.clips]
        known = {"clip_id": row["clip_id"], "recording_id": row["recording_id"]}
        rows += [known | {"source": piece.source, "steps": len(piece.timestamp_us)} for piece in filtered.clips]
        out.progress(done, len(training), "clips")
    return clips, rows + aside, dropped, dropped_s


def _weights(config: CurateConfig, clips: "list[Clip]", amazed: "list[Array] | None") -> "tuple[list[Array], dict[str, Any]]":
    """Balanced, then mixed as the config says; what became of its quotas."""
    from motorworks.curate.balance import balance
    from motorworks.curate.mixture import mix

    weights = balance(clips, config.balance)
    if not config.mixture.changes:
        return weights, {}
    mixed = mix(clips, weights, config.mixture, amazed)
    return mixed.weights, {"quota_shares_before": mixed.before, "quota_shares_after": mixed.after, "quotas_unmet": mixed.unmet}


def _samples(config: CurateConfig, clips: "list[Clip]", weights: "list[Array]") -> tuple[Any, list[int]]:
    """Weighted samples and how many of each clip; donkey clips twice, once mirrored, because their tracks have no side of the road."""
    from motorworks.train.samples import concat, mirror, samples_from_clip

    parts, real, num_samples = [], [], []
    for clip, weight in zip(clips, weights, strict=True):
        # what the released model did just before it failed is seen and foreseen, never imitated
        shape = {"num_frames": config.num_frames, "num_views": config.num_views}
        found = samples_from_clip(clip, stride=config.stride, weight=weight, imitate=clip.source != "drive", **shape)
        both = (found, mirror(found)) if clip.body == "donkey" else (found,)
        for samples in both:
            parts.append(samples)
            real.append(clip.source not in ("town", "drive"))
        num_samples.append(sum(map(len, both)))
    share = sum(float(part.weight.sum()) for part, is_real in zip(parts, real, strict=True) if is_real)
    total = sum(float(part.weight.sum()) for part in parts)
    if 0 < share < total:
        factor = {True: config.real_share * total / share, False: (1 - config.real_share) * total / (total - share)}
        parts = [part.reweighted(factor[is_real]) for part, is_real in zip(parts, real, strict=True)]
    return concat(parts), num_samples
