"""Every head trains in the loop, is kept and comes back; what existed before still loads."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from steering_samples import steering_samples as _samples

from motorworks.export.onnx import export_graphs
from motorworks.models.action_head import Answer
from motorworks.models.config import family
from motorworks.models.driving_model import DrivingModel
from motorworks.tokens.text import BEGIN_ID, END_ID, PAD_ID
from motorworks.train.batch import NO_JITTER, gather, look
from motorworks.train.checkpoint import load, save
from motorworks.train.evaluate import best_controls
from motorworks.train.fit_config import FitConfig, LossWeights, PolishConfig
from motorworks.train.head_losses import FlowLoss, GateLoss, LatentLoss, TokenLoss, head_losses
from motorworks.train.loop import fit
from motorworks.train.losses import WorldLoss
from motorworks.train.polish import polish
from motorworks.train.rows import join_rows
from tests.train.test_losses import _pair

SMALL = replace(family("pico"), depth=1, vision_depth=1)
THINKER = {"latent_thoughts": 2, "thought_gate": True}
LEARNS = {"tokens": "tokens", "flow": "flow"}  # the part of the loss that must fall


@pytest.mark.parametrize("name", ["tokens", "flow"])
def test_a_head_learns_is_saved_and_answers_the_same(name, tmp_path):
    torch.manual_seed(0)
    model = DrivingModel(replace(SMALL, action_head=name, flow_insulated=False))
    config = FitConfig(steps=90, batch_size=32, lr=3e-3, jitter=NO_JITTER, record_every=5, losses=LossWeights(reasoned=0, language=0, world=0))
    samples = _samples()
    curves = fit(model, samples, config, threads=1).curves
    assert curves[-1][LEARNS[name]] < 0.8 * curves[0][LEARNS[name]]
    assert [int(scale.measured) for scale in model.knot_scales()] == [32]
    plans = best_controls(model, samples, threads=1)
    assert np.abs(plans - samples.controls)[:, :20].mean() < 0.75 * np.abs(samples.controls - samples.controls.mean(0))[:, :20].mean()
    save(tmp_path / "model.safetensors", model)
    again, shape = load(tmp_path / "model.safetensors")
    assert shape == model.config and np.array_equal(best_controls(again, samples, threads=1), plans)
    fit(again, replace(samples, controls=samples.controls * 2), replace(config, steps=1), threads=1)
    assert torch.equal(next(again.knot_scales()).spread, next(model.knot_scales()).spread)  # measured once


def test_heads_together_thoughts_and_gate_train_in_one_step():
    torch.manual_seed(0)
    model = DrivingModel(replace(SMALL, action_head="flow", extra_heads=("tokens", "proposals"), foresight_horizons=2, **THINKER))
    before = {name: value.clone() for name, value in model.named_parameters()}
    row = fit(model, _samples(), FitConfig(steps=2, batch_size=32, losses=LossWeights(latent=0.3, gate=0.1), record_every=1), threads=1).curves[0]
    parts = {"flow", "tokens", "proposals_action", "reasoned_tokens", "latent_tokens", "latent_flow", "gate", "world", "world_2", "language"}
    assert parts <= set(row) and np.isfinite(list(row.values())).all()
    still = {name for name, value in model.named_parameters() if torch.equal(value, before[name])}
    assert not still - {"road.weight", "road.bias", "no_image_FLC"}  # nobody asked for the road


def test_a_checkpoint_of_before_the_heads_loads_and_drives_as_it_did(tmp_path, small_model):
    later = ("action_head", "extra_heads", "token_bins", "flow_dim", "flow_depth", "flow_steps", "flow_insulated", "latent_thoughts")
    later += ("thought_gate", "foresight_horizons", "pad_id", "begin_id", "end_id")
    fields = {name: value for name, value in asdict(small_model.config).items() if name not in later}
    save_file(
        {name: value.contiguous() for name, value in small_model.state_dict().items()}, tmp_path / "old", metadata={"config": json.dumps(fields)}
    )
    model, shape = load(tmp_path / "old")
    assert shape == small_model.config and {"action.mlp.0.weight", "action.mlp.2.bias"} <= set(model.state_dict())
    assert np.array_equal(best_controls(model, _samples(), threads=1), best_controls(small_model, _samples(), threads=1))


@pytest.mark.parametrize("name", ["tokens", "flow"])
def test_what_only_proposals_can_do_names_the_head(name, tmp_path):
    model = DrivingModel(replace(SMALL, action_head=name))
    with pytest.raises(ValueError, match=f"{name}.*cannot be exported yet"):
        export_graphs(model, tmp_path)
    with pytest.raises(ValueError, match=f"drives by '{name}'"):
        polish(model, _samples(), np.zeros((32, 6)), PolishConfig())


def test_marks_of_words_are_those_of_the_codec():
    assert (SMALL.pad_id, SMALL.begin_id, SMALL.end_id) == (PAD_ID, BEGIN_ID, END_ID)


def test_token_loss_is_least_at_the_truth_and_blind_to_what_was_not_driven():
    output, batch = _pair()
    ids, valid = torch.randint(0, 32, (4, 20), generator=torch.Generator().manual_seed(0)), torch.arange(20).expand(4, -1) < 12
    bins = torch.arange(32)

    def loss(shift: int, beyond: float = 0.0) -> float:
        logits = -0.5 * (bins - ids[..., None] - shift).float() ** 2
        logits[:, 12:] += beyond * bins
        return float(TokenLoss()(replace(output, answers={"tokens": Answer(token_logits=logits, tokens=ids, token_valid=valid)}), batch)[0])

    assert loss(0) < loss(1) < loss(3) and loss(0) == loss(0, beyond=5.0)
    with pytest.raises(ValueError, match="no answer of the head 'tokens'"):
        TokenLoss()(output, batch)


def test_flow_loss_counts_only_samples_with_a_future_and_teaches_the_choice():
    output, batch = _pair()
    error = torch.ones(4, 10)
    error[3] = 100.0
    blind = replace(batch, controls_valid=batch.controls_valid & (torch.arange(4) < 3)[:, None])
    logits = torch.zeros(4, 6, requires_grad=True)
    answer = Answer(velocity_error=error, controls=output.controls, logits=logits)
    loss, parts = FlowLoss()(replace(output, answers={"flow": answer}), blind)
    assert parts["flow"] == pytest.approx(1.0)
    loss.backward()
    assert logits.grad[:3].abs().sum() > 0 and logits.grad[3].abs().sum() == 0


def test_plans_of_some_samples_are_held_against_those_samples_when_parts_of_a_batch_are_joined():
    output, batch = _pair()
    exact, judged = batch.controls[[0, 2], None], torch.tensor([True, False])
    logits, error = torch.zeros(1, 1), torch.zeros(2, 10)
    parts = [{"flow": Answer(velocity_error=error, controls=one[None], logits=logits, judged=judged)} for one in exact]
    answers = join_rows(parts)
    assert answers["flow"].judged.tolist() == [True, False, True, False]
    _, said = FlowLoss()(replace(output, answers=answers), batch)
    assert float(said["flow_action"]) < 1e-3


def test_gate_loss_learns_where_the_thought_came_nearer():
    output, batch = _pair()
    exact = batch.controls[:, None].expand(-1, 6, -1, -1)
    both = {"reasoned_controls": exact, "reasoned_logits": output.logits}
    right = GateLoss()(replace(output, gate=torch.full((4,), 9.0), **both), batch)
    wrong = GateLoss()(replace(output, gate=torch.full((4,), -9.0), **both), batch)
    assert right[0] < 1e-3 < 5 < wrong[0] and right[1]["thinking_pays_frac"] == 1
    assert GateLoss()(replace(output, gate=torch.full((4,), -9.0), **both), replace(batch, thought_ids=torch.zeros_like(batch.thought_ids)))[0] == 0


def test_losses_that_lack_their_input_say_what_is_missing():
    output, batch = _pair()
    for loss, needs in (
        (LatentLoss(of=()), "latent_thoughts"),
        (GateLoss(), "thought_gate"),
        (*head_losses(replace(SMALL, action_head="flow")), "no answer"),
    ):
        with pytest.raises(ValueError, match=needs):
            loss(output, batch)


def test_frames_further_ahead_are_seen_and_counted():
    samples = _samples()
    rows = np.arange(32)
    later = np.where(rows[:, None] + [10, 15, 20] < 37, rows[:, None] + [10, 15, 20], -1)
    samples = replace(samples, later_frame_index=later)
    torch.manual_seed(0)
    model = DrivingModel(replace(SMALL, foresight_horizons=4)).eval()
    batch = gather(samples, rows, NO_JITTER, np.random.default_rng(0), num_later=3)
    with torch.no_grad():
        inputs, ahead = look(model, batch, thought=False)
        output = model(inputs)
        assert torch.allclose(ahead[10, 3], model.see(torch.from_numpy(samples.frames[30:31]))[0], atol=1e-5)
    batch = replace(batch, next_latents=ahead[:, 0], later_latents=ahead[:, 1:])
    loss, parts = WorldLoss()(output, batch)
    assert set(parts) == {"world", "world_2", "world_3", "world_4"} and loss == pytest.approx(float(sum(parts.values())) / 4)
    moved = ahead[:, 1:].clone()
    moved[17:, 2] = 50.0  # 2 s ahead of these there is no frame
    assert WorldLoss()(output, replace(batch, later_latents=moved))[0] == loss
