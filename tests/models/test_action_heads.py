"""The action heads: what each exists for, and that every way of asking gives the same answer."""

from dataclasses import replace

import pytest
import torch

from motorworks.models.action_head import KnotScale, Seen
from motorworks.models.config import ModelConfig, family
from motorworks.models.driving_model import DrivingModel, ModelInput
from motorworks.models.flow_head import FlowHead
from motorworks.models.heads import ProposalHead
from motorworks.models.reasoning import Reasoner
from motorworks.tokens.ego import NUM_EGO

SMALL = replace(family("pico"), depth=1, vision_depth=1)
SHAPES = {
    "proposals": SMALL,
    "tokens": replace(SMALL, action_head="tokens"),
    "flow": replace(SMALL, action_head="flow"),
    "flow_and_tokens": replace(SMALL, action_head="flow", extra_heads=("tokens",)),
}


def _model(shape: ModelConfig) -> DrivingModel:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = DrivingModel(shape).eval()
    for scale in model.knot_scales():
        scale.measure(*_driven(64))
    return model


def _driven(num: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Smooth controls; the futures of some end early."""
    generator = torch.Generator().manual_seed(3)
    start, slope = torch.randn(2, num, 1, 2, generator=generator) * 0.3
    controls = start + slope * torch.linspace(0, 1, 64)[None, :, None]
    valid = torch.arange(64)[None] < torch.randint(10, 65, (num, 1), generator=generator)
    return controls * valid[..., None], valid


def _input(num: int = 3, *, taught: bool = False) -> ModelInput:
    generator = torch.Generator().manual_seed(1)
    controls, valid = _driven(num)
    return ModelInput(
        latents=torch.randn(num, 2, 8, SMALL.vision_dim, generator=generator),
        images_valid=torch.ones(num, 2, dtype=torch.bool),
        ego=torch.randn(num, NUM_EGO, generator=generator),
        instruction_ids=torch.randint(0, 40, (num, 8), generator=generator),
        thought_ids=torch.randint(3, 40, (num, 16), generator=generator),
        controls=controls if taught else None,
        controls_valid=valid if taught else None,
    )


def _state(batch: ModelInput) -> tuple[torch.Tensor, ...]:
    assert batch.latents is not None
    return batch.latents, batch.images_valid, batch.ego, batch.instruction_ids


@torch.no_grad()
@pytest.mark.parametrize("name", SHAPES)
def test_the_same_seen_gives_the_same_plans_one_by_one_too(name):
    model, batch = _model(SHAPES[name]), _input()
    controls, logits = model.plan_from_latents(*_state(batch))
    assert controls.shape == (3, 6, 64, 2) and logits.shape == (3, 6) and controls.std(dim=1).mean() > 1e-3
    torch.manual_seed(9)  # nothing is drawn from torch's generator
    full = model(replace(batch, thought_ids=None))
    assert torch.allclose(controls, full.controls, atol=1e-5) and torch.allclose(logits, full.logits, atol=1e-4)
    for item in range(3):
        one, score = model.plan_from_latents(*(value[item : item + 1] for value in _state(batch)))
        assert torch.allclose(one[0], controls[item], atol=1e-5) and torch.allclose(score[0], logits[item], atol=1e-4)


@torch.no_grad()
def test_cached_decoding_of_tokens_is_full_decoding():
    model, batch = _model(SHAPES["tokens"]), _input()
    head = model.action
    embeds, _ = model.prefix(*_state(batch))
    states, memory = model.backbone.go_on(embeds)
    ids, score = head.sample(Seen(states=states, memory=memory, backbone=model.backbone))
    for plan in range(head.num_proposals):
        said = head.word(ids[:, plan, :-1]) + head.place_SD[:-1]
        hidden = model.backbone(torch.cat([embeds, said], dim=1))[:, embeds.shape[1] - 1 :]  # no cache
        chance = (head.speak(hidden) + head.usual_SV).log_softmax(-1)
        density = (chance - head.log_width_V).gather(2, ids[:, plan, :, None]).sum((1, 2))
        assert torch.allclose(density, score[:, plan], atol=1e-4)
        chosen = (chance + head.gumbel[plan]).argmax(-1) if plan else (chance.exp().cumsum(-1) < 0.5).sum(-1)
        assert torch.equal(chosen, ids[:, plan])


@torch.no_grad()
def test_teacher_forcing_sees_no_token_before_it_is_said():
    model, batch = _model(SHAPES["tokens"]), _input(taught=True)
    later = batch.controls.clone()
    later[:, 20:] += 0.5  # knots from 2.2 s on; the seventh is the first that the line to it touches
    one, other = (model(replace(batch, controls=value)).answers["tokens"].token_logits for value in (batch.controls, later))
    same = (model.action.encode(batch.controls, batch.controls_valid)[0] == model.action.encode(later, batch.controls_valid)[0]).all(dim=0)
    first = int(same.logical_not().nonzero()[0])
    assert first > 4 and torch.allclose(one[:, : first + 1], other[:, : first + 1], atol=1e-5) and not torch.allclose(one, other, atol=1e-4)


@torch.no_grad()
def test_tokens_cost_little_accuracy_and_know_where_the_future_ends():
    model = _model(SHAPES["tokens"])
    controls, valid = _driven(64)
    ids, known = model.action.encode(controls, valid)
    whole = valid.all(dim=1)
    assert (model.action.decode(ids) - controls)[whole].abs().mean() < 0.02
    assert torch.equal(known[:, ::2], valid[:, [0, 2, 4, 7, 10, 15, 22, 32, 46, 63]]) and torch.equal(known[:, ::2], known[:, 1::2])
    changed = torch.where(valid[..., None], controls, 9.0)
    assert torch.equal(ids, model.action.encode(changed, valid)[0])


@torch.no_grad()
def test_a_scale_is_measured_and_undone():
    scale = KnotScale(SMALL)
    controls, valid = _driven(500)
    scale.measure(controls, valid)
    knots, known = scale.encode(controls, valid)
    assert torch.allclose(knots[known].mean(0), torch.zeros(2), atol=0.1) and torch.allclose(knots[known].std(0), torch.ones(2), atol=0.1)
    whole = valid.all(dim=1)
    assert torch.allclose(scale.decode(knots)[whole], controls[whole], atol=1e-4) and int(scale.measured) == 500


def test_flow_finds_both_ways_round_where_l1_goes_through_the_middle():
    """Half of the drivers pass on the left, half on the right, and nothing seen says which."""
    torch.manual_seed(0)
    shape = replace(SMALL, num_proposals=1, flow_dim=32, flow_depth=1)
    flow, mean = FlowHead(shape), ProposalHead(shape)
    side = torch.tensor([1.0, -1.0]).repeat(16)
    controls = torch.stack([torch.zeros(32, 64), side[:, None].expand(-1, 64)], dim=-1)
    seen, valid = Seen(states=torch.zeros(32, 2, SMALL.dim), backbone=None), torch.ones(32, 64, dtype=torch.bool)
    optimizer, losses = torch.optim.Adam([*flow.parameters(), *mean.parameters()], 3e-3), []
    for _ in range(250):
        loss = flow.teach(seen, controls, valid).velocity_error.mean()
        losses.append(loss.item())
        optimizer.zero_grad()
        (loss + (mean.plan(seen)[0][:, 0] - controls).square().mean()).backward()  # squared: of two equal halves any value is a median
        optimizer.step()
    flow.noise = torch.randn(64, 10, 2)
    with torch.no_grad():
        steer = flow.plan(seen)[0][0, :, :, 1].mean(-1)  # of 64 plans
        between = mean.plan(seen)[0][0, 0, :, 1].mean()
    assert sum(losses[-20:]) < 0.6 * sum(losses[:20])
    assert between.abs() < 0.15  # straight into what both drivers went round
    assert ((steer.abs() - 1).abs() < 0.35).float().mean() > 0.7 and 0.2 < (steer > 0).float().mean() < 0.8


@pytest.mark.parametrize("insulated", [True, False])
def test_the_flow_experts_gradient_stops_before_the_backbone(insulated):
    model = _model(replace(SHAPES["flow"], flow_insulated=insulated))
    answer = model(_input(taught=True)).answers["flow"]
    (answer.velocity_error.sum() + answer.logits.sum()).backward()
    reached = [name for name, value in model.named_parameters() if value.grad is not None and value.grad.abs().sum() > 0]
    assert all(name.startswith("action.") for name in reached) == insulated and any(name.startswith("action.") for name in reached)
    model.zero_grad()
    model(_input(taught=True)).answers["flow"].logits.sum().backward()  # choosing among plans never teaches the backbone
    assert all(value.grad is None or not value.grad.any() for name, value in model.named_parameters() if not name.startswith("action."))


def test_tokens_beside_an_insulated_expert_do_teach_the_backbone():
    model = _model(SHAPES["flow_and_tokens"])
    model(_input(taught=True)).answers["tokens"].token_logits.square().mean().backward()
    assert all(value.grad is not None and value.grad.any() for value in model.backbone.parameters())


THINKER = replace(SMALL, latent_thoughts=3, thought_gate=True)


@torch.no_grad()
@pytest.mark.parametrize("name", ["proposals", "tokens", "flow"])
def test_thinking_at_run_time_is_thinking_in_training(name):
    model, batch = _model(replace(THINKER, action_head=name)), _input()
    text, latent = Reasoner(model, mode="text"), Reasoner(model, mode="latent")
    controls, logits = text.plan(*_state(batch))
    full = model(replace(batch, thought_ids=text.thought_ids))
    assert torch.equal(text.thought_ids[:, 0], torch.ones(3, dtype=torch.int64)) and text.thinks.all()
    assert torch.allclose(controls, full.reasoned_controls, atol=1e-4) and torch.allclose(logits, full.reasoned_logits, atol=1e-3)
    words = full.thought_logits.argmax(-1)[:, :-1]  # greedy: each word is what the model says after those before it
    said, ended = text.thought_ids[:, 1:], (text.thought_ids == model.config.end_id).cumsum(1)[:, :-1] > 0
    assert torch.equal(torch.where(ended, 0, words), said)
    quiet = latent.plan(*_state(batch))
    assert torch.allclose(quiet[0], full.latent_answers[name].controls, atol=1e-4)
    fast = Reasoner(model, mode="off").plan(*_state(batch))[0]
    assert not torch.allclose(fast, controls, atol=1e-3) and not torch.allclose(fast, quiet[0], atol=1e-3)


@torch.no_grad()
def test_the_gate_chooses_who_thinks():
    model, batch = _model(THINKER), _input(8)
    fast, slow = (Reasoner(model, mode=mode).plan(*_state(batch))[0] for mode in ("off", "text"))
    adaptive = Reasoner(model, mode="text", adaptive=True)
    model.gate.bias -= model.gate(model(replace(batch, thought_ids=None)).state).median()  # half of them
    mixed = adaptive.plan(*_state(batch))[0]
    assert 0 < adaptive.thinks.sum() < 8
    assert torch.allclose(mixed, torch.where(adaptive.thinks[:, None, None, None], slow, fast), atol=1e-4)


def test_what_a_model_cannot_do_is_said():
    model = _model(SMALL)
    with pytest.raises(ValueError, match="not one of"):
        Reasoner(model, mode="loud")
    with pytest.raises(ValueError, match=r"ModelConfig\.latent_thoughts"):
        Reasoner(model, mode="latent")
    with pytest.raises(ValueError, match="thought_gate"):
        Reasoner(model, mode="text", adaptive=True)
    with pytest.raises(ValueError, match="action_head and extra_heads"):
        replace(SMALL, action_head="tokens", extra_heads=("tokens",))
    with pytest.raises(ValueError, match="foresight_horizons 5"):
        replace(SMALL, foresight_horizons=5)


def test_further_foresight_starts_from_what_was_foreseen():
    model, batch = _model(replace(SMALL, foresight_horizons=3)), replace(_input(taught=True), thought_ids=None)
    torch.nn.init.normal_(model.world.mlp[-1].weight, std=0.02)
    out = model(batch)
    by_hand = out.latents[:, -1]
    for horizon, foreseen in enumerate((out.next_latents, *out.later_latents.unbind(1))):
        by_hand = model.world(by_hand, out.state, batch.controls[:, 5 * horizon :])
        assert torch.allclose(foreseen, by_hand, atol=1e-6)
    near = DrivingModel(SMALL).eval()
    near.load_state_dict(model.state_dict())  # no weight more
    assert torch.equal(near(batch).next_latents, out.next_latents) and near(batch).later_latents.shape[1] == 0
