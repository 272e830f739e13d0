"""Sign what kept its budget: the bundle a vehicle may load, the root it pins, and a manifest that says where it came from."""

import json
import shutil
from dataclasses import dataclass

from motorworks.factory.artifact import Inputs
from motorworks.factory.errors import StageFailed
from motorworks.factory.step import Output

KEYS = "keys"  # in the artifacts folder: made once, for all releases


@dataclass(frozen=True, kw_only=True)
class ReleaseStepConfig:
    """`release` is the counter that never goes back: a vehicle refuses a lower one."""

    release: int
    body: str = "car"
    hardware_ids: tuple[str, ...] = ("generic-cpu",)


def run(config: ReleaseStepConfig, inputs: Inputs, out: Output) -> None:
    """Leaves bundle/ and trusted_root.json; fails, naming the lines missed, where the budget is not kept."""
    from motorworks.export.bundle import ModelCard, ReleaseConfig, build_bundle
    from motorworks.export.keys import ensure_keys
    from motorworks.policy.steady import STEADIED

    adapt, evaluate = inputs.one("adapted"), inputs.one("evaluated")
    if adapt.metrics["misses"]:
        raise StageFailed(f"not released: {'; '.join(adapt.metrics['misses'])}")
    rows = json.loads((evaluate.path / "scores.json").read_text())
    results = {row["metric"]: row["mean"] for row in rows if row["policy"] == "released_int8"}
    card = ModelCard(
        model="motorworks-student",
        precision="int8",
        num_params=adapt.metrics["params"],
        metrics=results,
        lineage={artifact.name: artifact.digest for role in inputs for artifact in inputs.many(role)},
        notes=("Trained and evaluated in simulation only. Not for public roads.",),
    )
    keys = ensure_keys(out.root / KEYS)
    graphs = {name: adapt.path / "int8" / f"{name}.onnx" for name in ("vision", "plan", "think")}
    # named after this turn, so that the same release signed again is the same payload
    manifest = build_bundle(
        out.path / "bundle", graphs, card, ReleaseConfig(release=config.release, body=config.body, hardware_ids=config.hardware_ids), keys
    )
    shutil.copyfile(keys.trusted_root, out.path / "trusted_root.json")
    for signed_anew in ("bundle/metadata/*", "trusted_root.json"):
        out.volatile(signed_anew)
    out.record(
        released=True,
        manifest={
            "model": manifest.model,
            "release": manifest.release,
            "body": manifest.body,
            "precision": manifest.precision,
            "params": manifest.num_params,
        },
    )
    patience = f"after {STEADIED.patience_s:g} s of standing it takes the best proposal that drives off"
    out.thin(f"Patience is a rule, not a skill: {patience}, at a red light too where the eye does not see it.")
    out.thin("All signing keys lie in one folder of this machine; a fleet keeps root and targets keys offline, two of three.")
