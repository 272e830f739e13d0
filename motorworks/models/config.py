"""The family on one dial: every size from the student to 72B is one ModelConfig."""

from dataclasses import dataclass, replace

BACKBONES = ("llama-random", "smollm2-135m", "hf")
EYES = ("own", "hf")
ACTION_HEADS = ("proposals", "tokens", "flow")
THINKING = ("off", "latent", "text")  # models.reasoning
SMOLLM2 = {"dim": 576, "depth": 30, "heads": 9, "kv_heads": 3, "mlp_dim": 1536}  # its published shape


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Shape of one member: ViT + resampler into `latents_per_frame` tokens, a decoder, an action and a world head."""

    dim: int
    depth: int
    heads: int
    kv_heads: int
    mlp_dim: int
    vision_dim: int
    vision_depth: int
    vision_heads: int
    vision_mlp_ratio: int = 4
    resampler_depth: int = 1
    patch: int = 16  # pixels between features of the stem, a power of two
    latents_per_frame: int = 8
    num_frames: int = 2
    frame_gap_steps: int = 4
    older_latents: int = 0  # of a picture before today's that the decoder reads, the first ones; 0: as many as of today's
    calibrated: bool = False  # the eye is told each picture's camera (models.rays)
    num_views: int = 1  # cameras, the one that looks ahead first; sides need `calibrated`
    side_latents: int = 8  # tokens a frame into which all sides together are read (models.sides), however many they are
    num_proposals: int = 6
    knot_times_s: tuple[float, ...] = (0.0, 0.2, 0.4, 0.7, 1.0, 1.5, 2.2, 3.2, 4.6, 6.3)  # denser early: only the start is driven
    # What the codecs of `tokens` deliver (a test keeps the two rooms in step):
    height_px: int = 64
    width_px: int = 128
    num_ego: int = 30
    num_instruction: int = 8
    num_thought: int = 16
    num_vocab: int = 75
    num_road: int = 49
    num_camera: int = 16
    pad_id: int = 0
    begin_id: int = 1
    end_id: int = 2
    foresight_steps: int = 5  # 10 Hz steps the world head looks ahead at a time
    foresight_horizons: int = 1  # how many such times, each from what it foresaw before
    action_head: str = "proposals"  # the one that drives; "proposals" with num_proposals=1 is plain L1 regression
    extra_heads: tuple[str, ...] = ()  # trained beside it
    token_bins: int = 128  # of the head "tokens"
    flow_dim: int = 64  # of the head "flow": its width, blocks and Euler steps
    flow_depth: int = 2
    flow_steps: int = 5
    flow_insulated: bool = True  # its gradient stops before the backbone
    latent_thoughts: int = 0  # learned vectors that may stand in a thought's place; 0: this model has none
    thought_gate: bool = False  # learns whether thinking pays
    backbone: str = "llama-random"
    backbone_json: str = ""  # of the backbone "hf": the decoder's own config (models.pretrained)
    eye: str = "own"
    eye_json: str = ""  # of the eye "hf": the vision tower's own config
    eye_patches: tuple[int, int] = (9, 18)  # rows and columns that pictures are enlarged to
    eye_frozen: bool = True  # the tower is not trained, what reads it is

    def __post_init__(self) -> None:
        if self.backbone not in BACKBONES:
            raise ValueError(f"backbone {self.backbone!r} is not one of {BACKBONES}")
        if (self.backbone == "hf") != bool(self.backbone_json) or self.eye not in EYES or (self.eye == "hf") != bool(self.eye_json):
            raise ValueError("a backbone or eye of Hugging Face needs its config: make it with models.pretrained.with_decoder or with_eye")
        if self.backbone == "smollm2-135m" and {name: getattr(self, name) for name in SMOLLM2} != SMOLLM2:
            raise ValueError(f"backbone smollm2-135m needs {SMOLLM2}; start from family('base')")
        if self.dim % self.heads or self.heads % self.kv_heads or self.vision_dim % self.vision_heads:
            raise ValueError(f"heads must divide dim, kv_heads must divide heads, vision_heads must divide vision_dim: {self}")
        if self.patch < 4 or self.patch & (self.patch - 1) or self.height_px % self.patch or self.width_px % self.patch:
            raise ValueError(f"patch {self.patch} must be a power of two from 4 up that divides {self.height_px}x{self.width_px}")
        if min(self.num_frames, self.num_views, self.side_latents) < 1 or (self.num_views > 1 and not self.calibrated):
            raise ValueError(
                f"num_frames {self.num_frames}, num_views {self.num_views} and side_latents {self.side_latents} must be at least 1; a model of "
                f"several views must be calibrated=True ({self.calibrated}): a side camera says nothing to one that knows not where it looks"
            )
        if not 0 <= self.older_latents <= self.latents_per_frame:
            raise ValueError(f"older_latents {self.older_latents} must be in 0..{self.latents_per_frame}, the latents_per_frame")
        if len(self.knot_times_s) < 2 or list(self.knot_times_s) != sorted(set(self.knot_times_s)):
            raise ValueError(f"knot_times_s must be at least two increasing times: {self.knot_times_s}")
        if any(name not in ACTION_HEADS for name in self.action_heads) or len(set(self.action_heads)) < len(self.action_heads):
            raise ValueError(f"action_head and extra_heads {self.action_heads} must be different ones of {ACTION_HEADS}")
        if self.token_bins < 3 or self.flow_dim % 4 or min(self.flow_dim, self.flow_depth, self.flow_steps) < 1:
            raise ValueError(f"token_bins must be at least 3, flow_dim a multiple of 4, flow_depth and flow_steps at least 1: {self}")
        if self.latent_thoughts < 0:
            raise ValueError(f"latent_thoughts {self.latent_thoughts} must not be negative; 0 leaves them out")
        if not 1 <= self.foresight_horizons <= 4:
            raise ValueError(f"foresight_horizons {self.foresight_horizons} must be in 1..4: samples know four frames ahead (train.samples)")

    @property
    def action_heads(self) -> tuple[str, ...]:
        """The action heads, the one that drives first."""
        return (self.action_head, *self.extra_heads)

    @property
    def num_knots(self) -> int:
        """Knots of a proposal."""
        return len(self.knot_times_s)

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of features."""
        return self.height_px // self.patch, self.width_px // self.patch

    @property
    def num_patches(self) -> int:
        """Features that the resampler reads of a picture: those of the stem, or of a tower."""
        rows, columns = self.grid if self.eye == "own" else self.eye_patches
        return rows * columns

    @property
    def stem_widths(self) -> list[int]:
        """Channels of the stem from 2x2 RGB pixels to the ViT's width, doubling; a patch of 16 takes three steps."""
        steps = self.patch.bit_length() - 2
        return [12, *(max(self.vision_dim >> max(steps - 2 - index, 0), 8) for index in range(steps))]

    @property
    def num_seen_tokens(self) -> int:
        """Decoder positions of what is seen, all frames and views."""
        today = (self.latents_per_frame, *([self.side_latents] if self.num_views > 1 else []))
        return sum(today) + (self.num_frames - 1) * sum(min(num, self.older_latents or num) for num in today)

    @property
    def num_plan_tokens(self) -> int:
        """Decoder positions up to and including ACT."""
        return self.num_seen_tokens + 1 + self.num_instruction + 1

    @property
    def num_full_tokens(self) -> int:
        """Decoder positions with the thought and the second ACT."""
        return self.num_plan_tokens + self.num_thought + 1


def looking(config: ModelConfig, *, num_views: int = 1, num_frames: int = 2) -> ModelConfig:
    """The member with more cameras and more history; of history beyond 0.4 s the decoder reads half as many tokens a picture."""
    older = config.latents_per_frame // 2 if num_frames > 2 else config.older_latents
    return replace(config, num_views=num_views, calibrated=config.calibrated or num_views > 1, num_frames=num_frames, older_latents=older)


# dim, depth, heads, kv_heads, mlp_dim | vision_dim, vision_depth, vision_heads, vision_mlp_ratio, resampler_depth, latents_per_frame
_DIAL = {
    "pico": (64, 2, 2, 2, 96, 64, 1, 2, 2, 1, 8),
    "nano": (128, 2, 4, 2, 640, 96, 1, 3, 4, 1, 8),
    "small": (512, 8, 8, 4, 1408, 320, 6, 5, 4, 2, 8),
    "base": (576, 30, 9, 3, 1536, 384, 12, 6, 4, 2, 8),
    "1b": (2048, 20, 16, 8, 5632, 768, 12, 12, 4, 2, 16),
    "7b": (4096, 32, 32, 8, 11008, 1024, 24, 16, 4, 4, 16),
    "72b": (8192, 80, 64, 8, 29568, 1408, 40, 16, 4, 6, 32),
}
FAMILY = tuple(_DIAL)


def family(name: str) -> ModelConfig:
    """A member by name: pico (the student), nano, small, base (SmolLM2-135M inside), 1b, 7b, 72b (numbers only on one machine)."""
    if name not in _DIAL:
        raise ValueError(f"member {name!r} is not one of {FAMILY}")
    dim, depth, heads, kv_heads, mlp_dim, vision_dim, vision_depth, vision_heads, ratio, resampler_depth, latents = _DIAL[name]
    return ModelConfig(
        dim=dim,
        depth=depth,
        heads=heads,
        kv_heads=kv_heads,
        mlp_dim=mlp_dim,
        vision_dim=vision_dim,
        vision_depth=vision_depth,
        vision_heads=vision_heads,
        vision_mlp_ratio=ratio,
        resampler_depth=resampler_depth,
        latents_per_frame=latents,
        patch=16 if name in ("pico", "nano") else 8,
        backbone="smollm2-135m" if name == "base" else "llama-random",
    )
