"""The manifest: what a bundle says about itself. Trust it only after `open_bundle` has verified it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec
import numpy as np

from motorworks.bodies.body import BODIES, Body
from motorworks.datatypes.thought import CAUSES, DECISIONS, Thought
from motorworks.tokens.action import ActionCodec
from motorworks.tokens.ego import EgoCodec
from motorworks.tokens.image import ImageCodec
from motorworks.tokens.text import INSTRUCTIONS, TextCodec

FORMAT = 1
MANIFEST_FILE = "manifest.json"
GRAPHS = ("vision", "plan", "think")


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Model, body, shapes, codecs, lineage and results of one release; `files` binds every payload file by sha256."""

    model: str
    release: int  # the counter that must never go back
    body: str
    precision: str  # "fp32" or "int8"
    graphs: Mapping[str, str]  # vision, plan, think -> file name
    files: Mapping[str, str]  # every file but this one -> sha256
    codecs_digest: str
    num_params: int
    num_frames: int = 2
    frame_gap_steps: int = 4
    format: int = FORMAT
    metrics: Mapping[str, float] = field(default_factory=dict)
    lineage: Mapping[str, str] = field(default_factory=dict)  # artifact name -> content digest
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.format != FORMAT:
            raise ValueError(f"manifest format {self.format} is not {FORMAT}: this vehicle software reads format {FORMAT} only")
        if self.body not in BODIES:
            raise ValueError(f"manifest body {self.body!r} is not one of {sorted(BODIES)}")
        if self.release < 1:
            raise ValueError(f"manifest release {self.release} is not a counter from 1")
        missing = [name for name in ("vision", "plan") if name not in self.graphs]
        if missing or not set(self.graphs) <= set(GRAPHS):
            raise ValueError(f"manifest graphs {sorted(self.graphs)} need vision and plan, and know no other than {GRAPHS}")
        unbound = [name for name in self.graphs.values() if name not in self.files]
        if unbound:
            raise ValueError(f"manifest graphs name files without a sha256: {unbound}")


def encode_manifest(manifest: Manifest) -> bytes:
    """Canonical JSON: the same manifest is the same bytes."""
    return msgspec.json.format(msgspec.json.encode(manifest, order="sorted"), indent=1)


def decode_manifest(data: bytes) -> Manifest:
    """Raises msgspec.ValidationError or ValueError naming the field."""
    return msgspec.json.decode(data, type=Manifest)


def codecs_digest(body: Body) -> str:
    """What the codecs *do*, not what they are called: a digest of their answers to fixed probes, rounded to 1e-3.

    A bundle trained behind other codecs would drive on garbage without any error; equal digests rule that out.
    """
    rng = np.random.default_rng(20)
    image = ImageCodec().encode(rng.integers(0, 256, (1, 144, 256, 3), dtype=np.uint8))
    ego = EgoCodec().encode(np.array([3.0]), np.array([0.1]), rng.normal(size=(1, 16, 3)))
    action = ActionCodec(body=body).denormalise(rng.uniform(-0.9, 0.9, (1, 64, 2)).astype(np.float32))
    text = TextCodec()
    words = [text.encode_instruction(INSTRUCTIONS), text.encode_thought(tuple(Thought(decision=d, cause=CAUSES[0]) for d in DECISIONS))]
    words.append(text.encode_thought(tuple(Thought(decision=DECISIONS[0], cause=c) for c in CAUSES)))
    digest = hashlib.sha256()
    for floats in (ego, action.accel_mps2, action.curvature_per_m):
        digest.update(np.round(np.asarray(floats, np.float64) * 1000).astype(np.int64).tobytes())
    for ints in (image, *words):
        digest.update(np.asarray(ints, np.int64).tobytes())
    return digest.hexdigest()
