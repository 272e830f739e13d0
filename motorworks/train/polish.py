"""The reward-driven polish: which of its proposals should the model choose?

With everything but the scorer frozen the proposals stand still, so each can be scored by the reward in the state it was made in, and the
gradient of the expected reward is exact: sum over all proposals of probability times advantage ("all-action" policy gradient, Sutton et
al. 2001), no sampling and no importance weights. A KL term to the scorer as it was keeps it from forgetting what imitation taught it.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from motorworks.geometry.array import Array
from motorworks.models.driving_model import DrivingModel, ModelInput
from motorworks.train.batch import NO_JITTER, gather, look
from motorworks.train.fit_config import PolishConfig
from motorworks.train.samples import Samples


def polish(
    model: DrivingModel, samples: Samples, scores: Float[Array, "num proposal"], config: PolishConfig, *, batch_size: int = 256
) -> list[dict[str, float]]:
    """Trains the scorer's last layer in place; a row of curve every 10 steps. `scores` are of this model's own proposals, row by row."""
    if model.config.action_head != "proposals":
        raise ValueError(f"the polish trains the scorer of the head 'proposals'; this model drives by {model.config.action_head!r}")
    hidden = _hidden(model, samples, batch_size)
    last, num = model.action.mlp[-1], model.config.num_proposals
    weight, bias = last.weight.detach()[-num:].clone().requires_grad_(), last.bias.detach()[-num:].clone().requires_grad_()
    reward = torch.from_numpy(np.asarray(scores, np.float32)).to(hidden.device)
    before = F.log_softmax(F.linear(hidden, weight, bias), dim=-1).detach()
    optimizer, curve = torch.optim.Adam([weight, bias], config.lr), []
    for step in range(config.steps):
        now = F.log_softmax(F.linear(hidden, weight, bias), dim=-1)
        expected = (now.exp() * reward).sum(-1).mean()
        kl = (now.exp() * (now - before)).sum(-1).mean()
        loss = config.kl_weight * kl - expected
        if step % 10 == 0 or step == config.steps - 1:
            chosen = reward.gather(1, now.argmax(-1, keepdim=True)).mean()
            row = {"step": step, "loss": loss.item(), "expected_reward": expected.item(), "chosen_reward": chosen.item(), "kl": kl.item()}
            curve.append(row | {"best_reward": reward.max(dim=-1).values.mean().item()})
        if not torch.isfinite(loss):
            raise FloatingPointError(f"polish step {step}: the loss is {loss.item()}; look for NaN in the proposal scores")
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        last.weight[-num:], last.bias[-num:] = weight, bias
    return curve


@torch.no_grad()
def _hidden(model: DrivingModel, samples: Samples, batch_size: int) -> Float[Tensor, "num width"]:
    """What the scorer sees of every sample."""
    rows, generator = [], np.random.default_rng(0)
    samples = samples.seen_as(num_frames=model.config.num_frames, num_views=model.config.num_views)
    for start in range(0, len(samples), batch_size):
        batch = gather(samples, np.arange(start, min(start + batch_size, len(samples))), NO_JITTER, generator, world=False)
        inputs, _ = look(model, batch.to(model.act_2D.device), thought=False)
        state = model(
            ModelInput(latents=inputs.latents, images_valid=inputs.images_valid, ego=inputs.ego, instruction_ids=inputs.instruction_ids)
        ).state
        rows.append(model.action.mlp[:-1](state))
    return torch.cat(rows)
