"""`motorworks publish`: a trained member as a Hugging Face-style folder: safetensors, config.json, a model card written from the record."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from motorworks.factory.artifact import Artifact
from motorworks.factory.commands import Publish
from motorworks.factory.errors import BadUsage
from motorworks.factory.show import find_artifact
from motorworks.factory.store import Store

WEIGHTS = "model.safetensors"
_TOLD = ("params", "num_samples_drawn", "num_samples_available", "last_loss", "tokens_per_s", "mfu_frac", "busy_frac", "stall_frac")


def publish(command: Publish) -> None:
    """Weights, config and card into a new folder."""
    from motorworks.clips.place import whole_folder
    from motorworks.train.checkpoint import load, save_folder

    store = Store(command.artifacts)
    artifact = find_artifact(store, command.name)
    if not (artifact.path / WEIGHTS).is_file():
        raise BadUsage(f"{artifact} holds no {WEIGHTS}: give the artifact of a stage that trains, as tiny/turn1/rl")
    if command.out.exists():
        raise BadUsage(f"{command.out} exists: give a new folder")
    model, _ = load(artifact.path / WEIGHTS)
    with whole_folder(command.out) as folder:
        save_folder(folder, model)
        (folder / "README.md").write_text(card(artifact, list(ancestors(artifact, store)), scores(artifact, store)))
    print(
        json.dumps({"path": str(command.out)})
        if command.json
        else f"{command.out}: {WEIGHTS}, config.json, README.md; read with motorworks.train.checkpoint.load_folder"
    )


def ancestors(artifact: Artifact, store: Store) -> Iterator[Artifact]:
    """What it was made from, each once, nearest first; what is gone is left out."""
    seen, left = {str(artifact)}, [artifact]
    while left:
        for name in (name for names in left.pop(0).record["inputs"].values() for name in names):
            if name in seen:
                continue
            seen.add(name)
            try:
                found = find_artifact(store, name)
            except BadUsage:
                continue
            left.append(found)
            yield found


def scores(artifact: Artifact, store: Store) -> list[Mapping[str, Any]]:
    """Rows of an evaluation that judged it, the newest one's."""
    judged = [one for one in store.artifacts() if str(artifact) in (name for names in one.record["inputs"].values() for name in names)]
    for one in sorted(judged, key=lambda one: str(one.record["created"]), reverse=True):
        if (one.path / "scores.json").is_file():
            stage = artifact.name.rpartition("/")[2]
            return [row for row in json.loads((one.path / "scores.json").read_text()) if row["policy"] in (stage, "expert", "constant_velocity")]
    return []


def card(artifact: Artifact, made_from: list[Artifact], judged: list[Mapping[str, Any]]) -> str:
    """Markdown with the Hub's head; nothing in it that no record says."""
    record, metrics = artifact.record, artifact.metrics
    clips = [one for one in made_from if "clips_by_source" in one.metrics]
    licences = sorted({row["licence"] for one in clips for row in json.loads((one.path / "index.json").read_text())})
    head = [
        "---",
        "license: other  # what the clips allow, see below",
        "library_name: motorworks",
        "pipeline_tag: robotics",
        "tags: [autonomous-driving, vision-language-action, motorworks]",
        "---",
    ]
    lines = [
        *head,
        "",
        f"# {artifact.name}",
        "",
        f"Made {record['created']} by the stage `{record['stage']}` of Motorworks; digest `{artifact.digest[:16]}`.",
    ]
    lines += ["", "## What it learnt from", ""]
    for one in clips:
        seconds = one.metrics.get("seconds_by_source", {})
        parts = (f"{num} clips of {source}, {seconds.get(source, 0):.0f} s" for source, num in one.metrics["clips_by_source"].items())
        lines.append(f"- `{one}`: {', '.join(parts)}")
    named = ", ".join(licence or "none stated" for licence in licences) or "not recorded"
    lines.append(f"- licences of the clips: {named}: they bind whoever uses these weights")
    lines += [f"- made from: {', '.join(f'`{one}`' for one in made_from) or 'nothing that is still there'}", "", "## Numbers", ""]
    lines += [f"- {name}: {metrics[name]:,.4g}" for name in _TOLD if isinstance(metrics.get(name), int | float)]
    if judged:
        lines += ["", "## Closed loop, held out", "", "| policy | world | metric | mean | 95 % | n |", "| --- | --- | --- | --- | --- | --- |"]
        lines += [
            f"| {row['policy']} | {row['world']} | {row['metric']} | {row['mean']:.3f} | {row['low']:.3f} to {row['high']:.3f} | {row['num']} |"
            for row in judged
        ]
    else:
        lines += ["", "No evaluation of it is among the artifacts: nothing is said about how it drives."]
    lines += ["", "## What is thin", "", *(f"- {note}" for note in record["thin"] or ("nothing was noted",))]
    machine = record["machine"]
    return "\n".join([*lines, "", f"Machine: {machine['processor']}, {machine['num_cores']} cores.", ""])
