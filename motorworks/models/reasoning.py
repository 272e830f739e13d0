"""Thinking before acting, at run time: how a plan is made when the model may think first.

- `off`: the plan at ACT.
- `text`: the model says its thought word by word (greedily, keys and values cached), then plans at the second ACT.
- `latent`: in the thought's place stand learned vectors without words, read in one go (pause tokens, Goyal et al. 2023, arXiv 2310.02226).
With `adaptive` a learned gate at ACT chooses who thinks: those of a batch for whom thinking made the better plan in training.
"""

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from motorworks.models.action_head import Plan, Seen
from motorworks.models.backbone import Memory
from motorworks.models.config import THINKING
from motorworks.models.driving_model import DrivingModel


class Reasoner:
    """A model that plans in one of the modes. `thought_ids` and `thinks` tell what was said last, and by whom."""

    def __init__(self, model: DrivingModel, *, mode: str, adaptive: bool = False) -> None:
        config = model.config
        if mode not in THINKING:
            raise ValueError(f"thinking {mode!r} is not one of {THINKING}")
        if mode == "latent" and not config.latent_thoughts:
            raise ValueError("this model has no latent thoughts: train one with ModelConfig.latent_thoughts above 0 and LossWeights.latent")
        if adaptive and (mode == "off" or not config.thought_gate):
            raise ValueError("adaptive thinking needs the mode text or latent and a model with ModelConfig.thought_gate")
        self.model, self.mode, self.adaptive = model, mode, adaptive
        self.thought_ids: Int64[Tensor, "b 16"] | None = None
        self.thinks: Bool[Tensor, " b"] | None = None

    def plan(
        self,
        latents: Float[Tensor, "b f l c"],
        latents_valid: Bool[Tensor, "b f"],
        ego: Float[Tensor, "b ego"],
        instruction_ids: Int64[Tensor, "b 8"],
    ) -> Plan:
        """Normalised controls and logits of every proposal."""
        model = self.model
        if self.mode == "off":
            return model.plan_from_latents(latents, latents_valid, ego, instruction_ids)
        embeds, _ = model.prefix(latents, latents_valid, ego, instruction_ids)
        states, memory = model.backbone.go_on(embeds)
        thinks = torch.ones(len(ego), dtype=torch.bool, device=ego.device)
        if self.adaptive:
            thinks = model.gate(states[:, -1])[:, 0] > 0
        self.thinks = thinks
        if bool(thinks.all()):
            return self._think_and_plan(states, memory)
        controls, logits = model.action.plan(Seen(states=states, memory=memory, backbone=model.backbone))
        if bool(thinks.any()):
            some = tuple((key[thinks], value[thinks]) for key, value in memory)
            controls[thinks], logits[thinks] = self._think_and_plan(states[thinks], some)
        return controls, logits

    def _think_and_plan(self, states: Float[Tensor, "b token d"], memory: Memory) -> Plan:
        model, num = self.model, len(states)
        again = model.act_2D[1:].expand(num, 1, -1)
        if self.mode == "latent":
            thought = model.muse_MD.expand(num, -1, -1)
        else:
            states, memory, thought = self._say(states, memory)
        more, memory = model.backbone.go_on(torch.cat([thought, again], dim=1), memory)
        return model.action.plan(Seen(states=torch.cat([states, more], dim=1), memory=memory, backbone=model.backbone))

    def _say(self, states: Float[Tensor, "b token d"], memory: Memory) -> tuple[Float[Tensor, "b longer d"], Memory, Float[Tensor, "b rest d"]]:
        """States and memory with the words that were read, and the embeddings of those still to be read (padding, mostly)."""
        model, config = self.model, self.model.config
        ids = torch.full((len(states), config.num_thought), config.pad_id, device=states.device)
        ids[:, 0] = config.begin_id
        ended, read = torch.zeros(len(states), dtype=torch.bool, device=states.device), 0
        while read + 1 < config.num_thought and not bool(ended.all()):
            more, memory = model.backbone.go_on(model.word(ids[:, read : read + 1]), memory)
            states, read = torch.cat([states, more], dim=1), read + 1
            word = model.speak(more[:, 0]).argmax(-1)
            ids[:, read] = torch.where(ended, config.pad_id, word)
            ended |= word == config.end_id
        self.thought_ids = ids
        return states, memory, model.word(ids[:, read:])
