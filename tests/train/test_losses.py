"""Losses: zero at the truth, blind to what is masked."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from motorworks.bodies import body as bodies
from motorworks.datatypes.trajectory import Trajectory
from motorworks.models.driving_model import ModelOutput
from motorworks.tokens.action import ActionCodec
from motorworks.train.batch import Batch
from motorworks.train.losses import ActionLoss, LanguageLoss, RoadLoss, WorldLoss, integrate


def _pair(num: int = 4, proposals: int = 6) -> tuple[ModelOutput, Batch]:
    generator = torch.Generator().manual_seed(0)
    controls = torch.randn(num, 64, 2, generator=generator) * 0.3
    batch = Batch(
        images=torch.zeros(0, 64, 128, 3, dtype=torch.uint8),
        image_row=torch.zeros(num, 2, 1, dtype=torch.int64),
        next_row=torch.zeros(num, dtype=torch.int64),
        gain=torch.zeros(0),
        offset=torch.zeros(0),
        ego=torch.zeros(num, 30),
        instruction_ids=torch.zeros(num, 8, dtype=torch.int64),
        thought_ids=torch.randint(1, 40, (num, 16), generator=generator),
        controls=controls,
        controls_valid=torch.ones(num, 64, dtype=torch.bool),
        speed_mps=torch.full((num,), 5.0),
        curvature_scale_per_m=torch.full((num,), 0.1),
        distance_scale_m=torch.full((num,), 10.0),
        road=torch.randn(num, 5, generator=generator),
        next_latents=torch.nn.functional.layer_norm(torch.randn(num, 8, 16, generator=generator), (16,)),
    )
    output = ModelOutput(
        latents=torch.zeros(num, 2, 8, 16),
        state=torch.zeros(num, 4),
        controls=torch.randn(num, proposals, 64, 2, generator=generator),
        logits=torch.randn(num, proposals, generator=generator),
        next_latents=torch.randn(num, 8, 16, generator=generator),
        road=torch.randn(num, 5, generator=generator),
        thought_logits=torch.randn(num, 16, 42, generator=generator),
    )
    return output, batch


def test_action_loss_vanishes_when_the_scored_proposal_is_right():
    output, batch = _pair()
    controls, logits = output.controls.clone(), torch.full((4, 6), -20.0)
    controls[:, 3], logits[:, 3] = batch.controls, 20.0
    loss = ActionLoss(loser_frac=0.0)
    right, _ = loss(replace(output, controls=controls, logits=logits), batch)
    wrong, parts = loss(output, batch)
    assert right < 1e-3 < wrong and parts["action"] > 0.1


def test_masked_steps_and_masked_samples_do_not_count():
    output, batch = _pair()
    valid = batch.controls_valid.clone()
    valid[:, 20:], valid[3] = False, False
    controls = batch.controls.clone()
    controls[:, 20:], controls[3] = 9.0, 9.0
    one, _ = ActionLoss()(output, replace(batch, controls_valid=valid))
    other, _ = ActionLoss()(output, replace(batch, controls_valid=valid, controls=controls))
    assert torch.equal(one, other)
    none, _ = ActionLoss()(output, replace(batch, controls_valid=torch.zeros_like(valid)))
    assert none == 0


def test_an_early_error_costs_more_than_a_late_one():
    output, batch = _pair(proposals=1)
    early, late = batch.controls[:, None].clone(), batch.controls[:, None].clone()
    early[:, :, 0] += 1
    late[:, :, 60] += 1
    loss, logits = ActionLoss(pose_weight=0.0, score_weight=0.0), torch.zeros(4, 1)
    cost = [loss(replace(output, controls=value, logits=logits), batch)[0] for value in (early, late)]
    assert cost[0] > 5 * cost[1]


def test_torch_integration_is_the_bodys():
    generator = np.random.default_rng(0)
    controls = generator.normal(size=(5, 64, 2)).astype(np.float32) * 0.2
    codec = ActionCodec(body=bodies.CAR)
    truth, speeds = bodies.integrate(
        Trajectory(accel_mps2=controls[..., 0] * 3.0, curvature_per_m=controls[..., 1] * codec.curvature_scale_per_m), np.full(5, 9.0)
    )
    assert speeds.min() > 0
    ours = integrate(torch.from_numpy(controls), torch.full((5,), 9.0), torch.full((5,), codec.curvature_scale_per_m))
    assert np.allclose(ours, truth[..., :2], atol=1e-3)


def test_language_loss_ignores_padding_and_unlabelled_samples():
    output, batch = _pair()
    ids = torch.zeros(4, 16, dtype=torch.int64)
    ids[0, :4] = torch.tensor([1, 7, 3, 2])
    loss, _ = LanguageLoss()(output, replace(batch, thought_ids=ids))
    by_hand = -torch.log_softmax(output.thought_logits, -1)[0, [0, 1, 2], [7, 3, 2]].mean()
    assert loss == pytest.approx(float(by_hand), rel=1e-5)
    assert LanguageLoss()(output, replace(batch, thought_ids=torch.zeros_like(ids)))[0] == 0


def test_world_loss_knows_the_truth_and_counts_only_existing_frames():
    output, batch = _pair()
    assert WorldLoss()(replace(output, next_latents=batch.next_latents), batch)[0] < 1e-6
    one, _ = WorldLoss()(output, replace(batch, next_row=torch.tensor([0, 0, -1, 0])))
    changed = batch.next_latents.clone()
    changed[2] = 5.0
    other, _ = WorldLoss()(output, replace(batch, next_row=torch.tensor([0, 0, -1, 0]), next_latents=changed))
    assert torch.equal(one, other) and one > 0.1


def test_the_road_is_read_where_it_is_known():
    output, batch = _pair()
    assert RoadLoss()(replace(output, road=batch.road), batch)[0] < 1e-6 < RoadLoss()(output, batch)[0]
    unknown = batch.road.clone()
    unknown[2] = torch.nan
    told = RoadLoss()(output, replace(batch, road=unknown))[0]
    other = RoadLoss()(replace(output, road=output.road.index_fill(0, torch.tensor(2), 9.0)), replace(batch, road=unknown))[0]
    assert told == other and torch.isfinite(told)
    nobody, parts = RoadLoss()(output, replace(batch, road=torch.full_like(batch.road, torch.nan)))
    assert nobody == 0 and parts["road"] == 0
