"""Cameras as a set with calibration, history as a dial: what may change the plan, and what may not."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from motorworks.datatypes.rig import FRONT3, Camera
from motorworks.models.config import ModelConfig, family, looking
from motorworks.models.driving_model import DrivingModel, ModelInput, num_params
from motorworks.models.rays import patch_rays
from motorworks.tokens.camera import NUM_CAMERA, CameraCodec
from motorworks.train.checkpoint import load, save

RIG = torch.from_numpy(CameraCodec().encode(FRONT3.cameras))


@pytest.fixture(scope="module")
def model() -> DrivingModel:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    return DrivingModel(looking(family("pico"), num_views=3, num_frames=4)).eval()


def _input(num: int = 2) -> ModelInput:
    generator = torch.Generator().manual_seed(1)
    return ModelInput(
        images=torch.randint(0, 256, (num, 12, 64, 128, 3), generator=generator, dtype=torch.uint8),
        images_valid=torch.ones(num, 12, dtype=torch.bool),
        cameras=RIG.repeat(4, 1).expand(num, -1, -1),
        ego=torch.randn(num, 30, generator=generator),
        instruction_ids=torch.randint(0, 40, (num, 8), generator=generator),
    )


def _swapped(values: torch.Tensor) -> torch.Tensor:
    """The two sides of every frame in the other order."""
    return values.unflatten(1, (4, 3))[:, :, [0, 2, 1]].flatten(1, 2)


@torch.no_grad()
def test_the_order_of_sides_does_not_matter_where_each_looks_does(model):
    batch = _input()
    controls = model(batch).controls
    moved = replace(batch, images=_swapped(batch.images), cameras=_swapped(batch.cameras))
    assert torch.allclose(model(moved).controls, controls, atol=1e-5)
    assert not torch.allclose(model(replace(batch, images=_swapped(batch.images))).controls, controls, atol=1e-4)
    turned = batch.cameras.clone()
    turned[:, :, 7:] = torch.from_numpy(replace(FRONT3.cameras[1], yaw_rad=0.3).rig_from_camera.ravel()).float()
    assert not torch.allclose(model(replace(batch, cameras=turned)).controls, controls, atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("lost", [[1], [0], [0, 1, 2]])
def test_cameras_that_drop_out_are_not_looked_at_and_it_still_plans(model, lost):
    batch = _input()
    valid, other = batch.images_valid.clone().unflatten(1, (4, 3)), batch.images.clone().unflatten(1, (4, 3))
    valid[:, :, lost], other[:, :, lost] = False, 255 - other[:, :, lost]
    dropped = replace(batch, images_valid=valid.flatten(1))
    plan = model(dropped).controls
    assert plan.isfinite().all() and torch.equal(plan, model(replace(dropped, images=other.flatten(1, 2))).controls)
    assert not torch.allclose(plan, model(batch).controls, atol=1e-5)
    assert not torch.allclose(model(replace(batch, images=other.flatten(1, 2))).controls, model(batch).controls, atol=1e-6)


@torch.no_grad()
def test_an_unknown_camera_is_no_camera_at_the_origin(model):
    image = torch.zeros(1, 64, 128, 3)
    unknown, known = (model.see(image, cameras) for cameras in (torch.zeros(1, NUM_CAMERA), RIG[:1]))
    assert unknown.isfinite().all() and not torch.allclose(unknown, known, atol=1e-4)
    with pytest.raises(ValueError, match="needs the camera of each image"):
        model.see(image)


@pytest.mark.parametrize(("views", "frames", "older"), [(1, 2, 0), (1, 8, 4), (3, 4, 0), (3, 4, 2), (7, 8, 4)])
def test_the_sequence_is_as_long_as_the_config_says(views, frames, older):
    config = replace(family("pico"), num_views=views, calibrated=views > 1, num_frames=frames, older_latents=older)
    latents, valid = torch.zeros(1, views * frames, 8, config.vision_dim), torch.ones(1, views * frames, dtype=torch.bool)
    embeds, _ = DrivingModel(config).prefix(latents, valid, torch.zeros(1, 30), torch.zeros(1, 8, dtype=torch.long))
    assert embeds.shape[1] == config.num_plan_tokens == config.num_seen_tokens + 10
    assert config.num_seen_tokens == (8 + (frames - 1) * (older or 8)) * (2 if views > 1 else 1)  # of all sides no more than of the front


def test_a_checkpoint_keeps_its_views(model, tmp_path):
    save(tmp_path / "model.safetensors", model)
    again, config = load(tmp_path / "model.safetensors")
    assert config == model.config and config.num_views == 3 and config.num_camera == NUM_CAMERA
    with torch.no_grad():
        assert torch.equal(again(_input()).controls, model(_input()).controls)


def test_a_wrong_config_names_the_field():
    plain = family("pico")
    assert plain == ModelConfig(**{**vars(plain), "num_views": 1}) and num_params(plain) == num_params(replace(plain, older_latents=3))
    for wrong, said in (({"num_views": 3}, "calibrated=True"), ({"num_frames": 0}, "num_frames 0"), ({"older_latents": 9}, "older_latents 9")):
        with pytest.raises(ValueError, match=said):
            replace(plain, **wrong)


def test_rays_go_through_the_points_that_the_camera_sees():
    camera = Camera(
        name="c",
        width_px=320,
        height_px=240,
        focal_px=200.0,
        centre_px=(150.0, 130.0),
        position_rig_m=(0.5, 0.3, 1.2),
        yaw_rad=0.7,
        pitch_rad=0.1,
        roll_rad=-0.2,
    )
    rays = patch_rays(torch.from_numpy(CameraCodec().encode([camera])), 4, 8, 64, 128)[0].double().numpy()
    assert rays.shape == (32, 6) and np.allclose(rays[:, 3:], camera.position_rig_m) and np.allclose(np.linalg.norm(rays[:, :3], axis=1), 1)
    points = rays[:, 3:] + 7.0 * rays[:, :3]
    x, y, z = ((points - np.array(camera.position_rig_m)) @ camera.rig_from_camera).T
    columns = camera.centre_px[0] + camera.focal_px * x / z
    rows = camera.centre_px[1] + camera.focal_px * y / z
    # 320x240: the lower 160 rows are kept, 2.5 pixels become one, a patch is 16 of those
    assert np.allclose(columns.reshape(4, 8), (np.arange(8) + 0.5) * 40, atol=1e-2)
    assert np.allclose(rows.reshape(4, 8), 80 + (np.arange(4)[:, None] + 0.5) * 40, atol=1e-2)
    # the town's front camera, focal 70 around (64, 22) px: its first patch looks at (1, 0.8, 0.2), ahead, left and up
    assert np.allclose(patch_rays(RIG[:1], 4, 8, 64, 128)[0, 0], [0.77152, 0.61721, 0.15430, 1.4, 0, 1.5], atol=1e-4)
