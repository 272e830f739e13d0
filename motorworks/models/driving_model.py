"""The driving model: what it sees, how it moves and where it is told to go, in one causal sequence.

    [latents older, sides][latents now, sides][ego][instruction x8][ACT][thought x16][ACT again]

The fast plan is read at ACT and cannot see the thought; the reasoned plan is read at the second ACT and can.
What is seen comes as one axis of pictures: frames, oldest first, and in each its views, the one that looks ahead first.
Legend: B batch, P pictures, F frames, L latents, S latents of the sides, C latent channels, D width, T time, K proposals.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor, nn

from motorworks.models.action_head import ActionHead, Answer, KnotScale, Plan, Seen
from motorworks.models.backbone import LlamaBackbone, Memory, first_tokens, load_smollm2
from motorworks.models.config import ModelConfig
from motorworks.models.heads import WorldHead, make_action_head
from motorworks.models.sides import SideReader
from motorworks.models.vision import Vision


@dataclass(frozen=True, kw_only=True)
class ModelInput:
    """One batch. `latents` may stand in for `images` (seen before); `controls` are what was driven: the world head is asked what they lead
    to, and with `controls_valid` the action heads are taught them."""

    ego: Float[Tensor, "b ego"]
    instruction_ids: Int64[Tensor, "b 8"]
    images_valid: Bool[Tensor, "b p"]
    images: UInt8[Tensor, "b p 64 128 3"] | None = None
    cameras: Float[Tensor, "b p 16"] | None = None  # of the images, for a calibrated model
    latents: Float[Tensor, "b p l c"] | None = None
    thought_ids: Int64[Tensor, "b 16"] | None = None  # None: the short sequence, no reasoned plan
    controls: Float[Tensor, "b 64 2"] | None = None  # None: the model's own best plan
    controls_valid: Bool[Tensor, "b 64"] | None = None  # None: the heads plan instead of being taught


@dataclass(frozen=True, kw_only=True)
class ModelOutput:
    """Everything the losses may look at; the thought parts are None for the short sequence."""

    latents: Float[Tensor, "b p l c"]  # with the learned "no image" where there is none
    state: Float[Tensor, "b d"]  # at ACT
    controls: Float[Tensor, "b k 64 2"] | None  # of the head that drives; taught, tokens plan nothing and flow only of some
    logits: Float[Tensor, "b k"] | None
    next_latents: Float[Tensor, "b l c"]
    road: Float[Tensor, "b road"]  # read off the state; a lesson for the eye, nothing drives by it
    thought_logits: Float[Tensor, "b 16 vocab"] | None = None
    reasoned_controls: Float[Tensor, "b k 64 2"] | None = None
    reasoned_logits: Float[Tensor, "b k"] | None = None
    later_latents: Float[Tensor, "b later l c"] | None = None  # further ahead, with foresight_horizons above 1
    answers: Mapping[str, Answer] = field(default_factory=dict)  # of every head
    reasoned_answers: Mapping[str, Answer] = field(default_factory=dict)
    latent_answers: Mapping[str, Answer] = field(default_factory=dict)  # after thoughts without words
    gate: Float[Tensor, " b"] | None = None  # logit of "thinking makes the better plan"


class DrivingModel(nn.Module):
    """One member of the family. With `pretrained`, a named backbone brings its own weights."""

    def __init__(self, config: ModelConfig, *, pretrained: bool = True) -> None:
        super().__init__()
        self.config = config
        self.vision = Vision(config)
        self.no_image_FLC = nn.Parameter(torch.randn(config.num_frames, config.latents_per_frame, config.vision_dim) * 0.02)
        self.project = nn.Linear(config.vision_dim, config.dim)
        self.frame_FLD = nn.Parameter(torch.randn(config.num_frames, config.latents_per_frame, config.dim) * 0.02)
        self.ego = nn.Sequential(nn.Linear(config.num_ego, config.dim), nn.GELU(approximate="tanh"), nn.Linear(config.dim, config.dim))
        self.word = nn.Embedding(config.num_vocab, config.dim)
        nn.init.normal_(self.word.weight, std=0.2)
        self.act_2D = nn.Parameter(torch.randn(2, config.dim) * 0.2)
        self.backbone = LlamaBackbone(config)
        self.speak = nn.Linear(config.dim, config.num_vocab)
        self.action = make_action_head(config.action_head, config)
        self.beside = nn.ModuleDict({name: make_action_head(name, config) for name in config.extra_heads})
        self.world = WorldHead(config)
        self.road = nn.Linear(config.dim, config.num_road)
        if config.latent_thoughts:
            self.muse_MD = nn.Parameter(torch.randn(config.latent_thoughts, config.dim) * 0.2)
        if config.thought_gate:
            self.gate = nn.Linear(config.dim, 1)
        if config.num_views > 1:
            self.sides = SideReader(config)
            self.frame_FSD = nn.Parameter(torch.randn(config.num_frames, config.side_latents, config.dim) * 0.02)
        if pretrained and config.backbone == "smollm2-135m":
            load_smollm2(self.backbone)

    def see(
        self, images: UInt8[Tensor, "b 64 128 3"] | Float[Tensor, "b 64 128 3"], cameras: Float[Tensor, "b 16"] | None = None
    ) -> Float[Tensor, "b l c"]:
        """Latents of each image, values 0..255; a calibrated model needs their cameras (tokens.camera)."""
        return self.vision(images, cameras)

    def prefix(
        self,
        latents_BPLC: Float[Tensor, "b p l c"],
        latents_valid: Bool[Tensor, "b p"],
        ego: Float[Tensor, "b ego"],
        instruction_ids: Int64[Tensor, "b 8"],
    ) -> tuple[Float[Tensor, "b token d"], Float[Tensor, "b p l c"]]:
        """Embeddings up to ACT, and the latents with "no image" filled in."""
        views = self.config.num_views
        nothing_PLC = self.no_image_FLC if views == 1 else self.no_image_FLC.repeat_interleave(views, dim=0)
        latents_BPLC = torch.where(latents_valid[:, :, None, None], latents_BPLC, nothing_PLC.to(latents_BPLC.dtype))
        moved = self.ego(ego)[:, None]
        act = self.act_2D[:1].expand(ego.shape[0], 1, -1)
        return torch.cat([self._seen(latents_BPLC), moved, self.word(instruction_ids), act], dim=1), latents_BPLC

    def _seen(self, latents_BPLC: Float[Tensor, "b p l c"]) -> Float[Tensor, "b token d"]:
        """What the decoder reads of all pictures, frame after frame; of older ones less, where the config says so."""
        views, keep = self.config.num_views, self.config.older_latents
        parts = [self.project(latents_BPLC[:, ::views]) + self.frame_FLD]
        if views > 1:
            sides = latents_BPLC.unflatten(1, (-1, views))[:, :, 1:].flatten(2, 3)
            parts.append(self.project(self.sides(sides.flatten(0, 1)).unflatten(0, sides.shape[:2])) + self.frame_FSD)
        if not keep:
            return torch.cat(parts, dim=2).flatten(1, 2)
        older = torch.cat([part[:, :-1, :keep] for part in parts], dim=2).flatten(1, 2)
        return torch.cat([older, *(part[:, -1] for part in parts)], dim=1)

    @property
    def action_heads(self) -> dict[str, ActionHead]:
        """By name, the one that drives first."""
        return dict(zip(self.config.action_heads, (self.action, *self.beside.values()), strict=True))

    def knot_scales(self) -> Iterator[KnotScale]:
        """The scales that are to be measured on training samples before the first step."""
        return (module for module in self.modules() if isinstance(module, KnotScale))

    def plan_from_latents(
        self,
        latents: Float[Tensor, "b p l c"],
        latents_valid: Bool[Tensor, "b p"],
        ego: Float[Tensor, "b ego"],
        instruction_ids: Int64[Tensor, "b 8"],
    ) -> Plan:
        """The fast plan: normalised controls and logits of every proposal."""
        embeds, _ = self.prefix(latents, latents_valid, ego, instruction_ids)
        states, memory = self._read(embeds, remember=self.action.needs_memory)
        return self.action.plan(Seen(states=states, memory=memory, backbone=self.backbone))

    def think(
        self,
        latents: Float[Tensor, "b p l c"],
        latents_valid: Bool[Tensor, "b p"],
        ego: Float[Tensor, "b ego"],
        instruction_ids: Int64[Tensor, "b 8"],
        thought_ids: Int64[Tensor, "b 16"],
    ) -> Float[Tensor, "b 16 vocab"]:
        """Logits of the next word at every thought position."""
        embeds, _ = self.prefix(latents, latents_valid, ego, instruction_ids)
        hidden = self.backbone(torch.cat([embeds, self.word(thought_ids)], dim=1))
        return self.speak(hidden[:, -self.config.num_thought :])

    def foresee(
        self,
        latents: Float[Tensor, "b p l c"],
        latents_valid: Bool[Tensor, "b p"],
        ego: Float[Tensor, "b ego"],
        instruction_ids: Int64[Tensor, "b 8"],
    ) -> Float[Tensor, "b l c"]:
        """Latents 0.5 s ahead if the best plan is driven."""
        return self(ModelInput(latents=latents, images_valid=latents_valid, ego=ego, instruction_ids=instruction_ids)).next_latents

    def forward(self, batch: ModelInput) -> ModelOutput:
        """Everything at once, for training."""
        latents = batch.latents
        if latents is None:
            if batch.images is None:
                raise ValueError("ModelInput needs images or latents")
            cameras = None if batch.cameras is None else batch.cameras.flatten(0, 1)
            latents = self.see(batch.images.flatten(0, 1), cameras).unflatten(0, batch.images.shape[:2])
        embeds, latents = self.prefix(latents, batch.images_valid, batch.ego, batch.instruction_ids)
        num_plan = embeds.shape[1]
        if batch.thought_ids is not None:
            again = self.act_2D[1:].expand(len(embeds), 1, -1)
            embeds = torch.cat([embeds, self.word(batch.thought_ids), again], dim=1)
        remember = self.config.latent_thoughts > 0 or any(head.needs_memory for head in self.action_heads.values())
        hidden, memory = self._read(embeds, remember=remember)
        state = hidden[:, num_plan - 1]
        answers = self._answer(hidden[:, :num_plan], first_tokens(memory, num_plan), batch)
        plan = answers[self.config.action_head]
        driven = batch.controls if batch.controls is not None else best_proposal(plan.controls, plan.logits)
        ahead = self.world.look_ahead(latents[:, -self.config.num_views], state, driven)  # what the camera ahead will see
        out = {"latents": latents, "state": state, "controls": plan.controls, "logits": plan.logits, "answers": answers}
        out |= {"next_latents": ahead[:, 0], "later_latents": ahead[:, 1:], "road": self.road(state)}
        if batch.thought_ids is not None:
            out["thought_logits"] = self.speak(hidden[:, num_plan : num_plan + self.config.num_thought])
            out["reasoned_answers"] = self._answer(hidden, memory, batch)
            reasoned = out["reasoned_answers"][self.config.action_head]
            out["reasoned_controls"], out["reasoned_logits"] = reasoned.controls, reasoned.logits
            if self.config.latent_thoughts:
                out["latent_answers"] = self._answer_latent(hidden[:, :num_plan], first_tokens(memory, num_plan), batch)
            if self.config.thought_gate:
                out["gate"] = self.gate(state.detach())[:, 0]
        return ModelOutput(**out)

    def _read(self, embeds: Float[Tensor, "b token d"], *, remember: bool) -> tuple[Float[Tensor, "b token d"], Memory]:
        return self.backbone.go_on(embeds) if remember else (self.backbone(embeds), ())

    def _answer_latent(self, states: Float[Tensor, "b token d"], memory: Memory, batch: ModelInput) -> dict[str, Answer]:
        embeds = torch.cat([self.muse_MD, self.act_2D[1:]]).expand(len(states), -1, -1)
        more, memory = self.backbone.go_on(embeds, memory)
        return self._answer(torch.cat([states, more], dim=1), memory, batch)

    def _answer(self, states: Float[Tensor, "b token d"], memory: Memory, batch: ModelInput) -> dict[str, Answer]:
        """What every head says when it is taught, or what the one that drives plans."""
        seen = Seen(states=states, memory=memory, backbone=self.backbone)
        if batch.controls is not None and batch.controls_valid is not None:
            return {name: head.teach(seen, batch.controls, batch.controls_valid) for name, head in self.action_heads.items()}
        controls, logits = self.action.plan(seen)
        return {self.config.action_head: Answer(controls=controls, logits=logits)}


def best_proposal(controls_BKT2: Float[Tensor, "b k 64 2"], logits_BK: Float[Tensor, "b k"]) -> Float[Tensor, "b 64 2"]:
    """The proposal with the highest logit."""
    return controls_BKT2[torch.arange(len(logits_BK), device=logits_BK.device), logits_BK.argmax(dim=1)]


def num_params(config: ModelConfig) -> int:
    """Parameters of a member, counted without allocating them."""
    with torch.device("meta"):
        model = DrivingModel(config, pretrained=False)
    return sum(parameter.numel() for parameter in model.parameters())
