"""Open loop on held-out real clips: every model against constant velocity and constant curvature, source by source."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from motorworks.factory.artifact import Inputs

if TYPE_CHECKING:
    from motorworks.datatypes.clip import Clip
    from motorworks.datatypes.trajectory import Trajectory


def open_loop_rows(inputs: Inputs, *, stride: int, threads: int) -> list[dict[str, Any]]:
    """Rows of open_loop.json; empty where no real recording with motion was held out."""
    from motorworks.bodies.body import BODIES
    from motorworks.clips.store import ClipStore
    from motorworks.datatypes.trajectory import NUM_STEPS
    from motorworks.metrics import open_loop
    from motorworks.train.samples import concat, samples_from_clip

    clips = inputs.one("clips")
    store, index = ClipStore(clips.path), json.loads((clips.path / "index.json").read_text())
    held_out = [row for row in index if row["split"] == "held_out" and row["motion_kind"]]
    models = _models(inputs)
    shape = {name: max(getattr(model.config, name) for model in models.values()) for name in ("num_frames", "num_views")} if models else {}
    found: list[dict[str, Any]] = []
    for source in sorted({row["source"] for row in held_out}):
        chosen = [store.read_views(row["clip_id"], shape.get("num_views", 1)) for row in held_out if row["source"] == source]
        samples = [samples_from_clip(clip, stride=stride, **shape) for clip in chosen]
        kept = [(clip, part) for clip, part in zip(chosen, samples, strict=True) if len(part)]
        if not kept:
            continue
        future = open_loop.join_futures([open_loop.future_of(clip.motion, part.step) for clip, part in kept])
        # moments of one clip are no independent witnesses: whole clips are resampled, or the plans' own length of the only one
        groups = [(number, step // NUM_STEPS if len(kept) == 1 else 0) for number, (_, part) in enumerate(kept) for step in part.step.tolist()]
        body = BODIES[kept[0][0].body]
        plans = _plans(models, concat([part for _, part in kept]), kept[0][0], threads)
        baselines = {
            "constant_velocity": open_loop.predict_constant_velocity(future),
            "constant_curvature": open_loop.predict_constant_curvature(future, max_curvature_per_m=body.max_curvature_per_m),
        }
        rows = open_loop.compare_open_loop({f"{name} on {source}": plan for name, plan in plans.items()}, baselines, future, body, groups=groups)
        found += [asdict(row) | {"source": source, "num_clips": len(kept)} for row in rows]
    return found


def _models(inputs: Inputs) -> dict[str, Any]:
    """Of every stage that trains."""
    from motorworks.train.checkpoint import load

    roles = ("pretrain", "sft", "rl", "distil")
    return {role: load(artifact.path / "model.safetensors")[0] for role in roles for artifact in inputs.many(role)}


def _plans(models: dict[str, Any], samples: Any, clip: "Clip", threads: int) -> "dict[str, Trajectory]":
    """The best proposal of every model at every moment."""
    from motorworks.bodies.body import BODIES
    from motorworks.tokens.action import ActionCodec
    from motorworks.train.evaluate import best_controls

    codec = ActionCodec(body=BODIES[clip.body])
    return {role: codec.denormalise(best_controls(model, samples, threads=threads)) for role, model in models.items()}
