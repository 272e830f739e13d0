"""Recorded clips as a world: the picture against ray-cast truth, the episode's rules, the probes, and real recordings."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motorworks.bodies.body import CAR, DYNAMIC_CAR, integrate
from motorworks.clips.readers.donkeycar import DonkeycarReader
from motorworks.datatypes.clip import Clip, Motion
from motorworks.datatypes.rig import FRONT, Camera
from motorworks.datatypes.scenario import Scenario
from motorworks.datatypes.trajectory import Trajectory
from motorworks.geometry.se2 import compose
from motorworks.policy.expert import Expert
from motorworks.policy.probes import ConstantVelocity, StandStill
from motorworks.sim.replay import Replay, replay_scenarios
from motorworks.sim.replay_check import psnr_db, reprojection_errors
from motorworks.sim.replay_clip import ReplayClip, cut_clip, forward_part, scale_camera
from motorworks.sim.replay_dgp import read_views, real_errors
from motorworks.sim.replay_drive import LogReplay, PathFollower, drive_clips, replay_report
from motorworks.sim.replay_warp import plan_move, reproject
from motorworks.sim.town import Town

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
CAMERA = Camera(name="test", width_px=96, height_px=64, focal_px=60.0, centre_px=(48.0, 26.0), position_rig_m=(1.4, 0.1, 1.5), pitch_rad=0.03)
BOXES = [(12.0, 4.0, 2.0, 1.0, 1.6), (20.0, -5.0, 2.0, 2.0, 4.0), (9.0, -4.5, 0.3, 0.3, 3.0)]  # x y half_x half_y height, world metres


def _render(pose_world: np.ndarray, camera: Camera = CAMERA) -> tuple[np.ndarray, np.ndarray]:
    """A patterned plain under a sky with boxes on it, ray by ray: picture and depth along the axis."""
    rows, columns = np.mgrid[0 : camera.height_px, 0 : camera.width_px] + 0.5
    rays = np.stack([(columns - camera.centre_px[0]) / camera.focal_px, (rows - camera.centre_px[1]) / camera.focal_px, np.ones_like(rows)], axis=-1)
    c, s = np.cos(pose_world[2]), np.sin(pose_world[2])
    turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])
    eye = turn @ camera.position_rig_m + (pose_world[0], pose_world[1], 0)
    way = rays @ (turn @ camera.rig_from_camera).T
    with np.errstate(divide="ignore", invalid="ignore"):
        depth = np.where(way[..., 2] < 0, -eye[2] / way[..., 2], np.inf)
        for x, y, half_x, half_y, height in BOXES:
            low, high = np.array([x - half_x, y - half_y, 0.0]), np.array([x + half_x, y + half_y, height])
            a, b = (low - eye) / way, (high - eye) / way
            enter, leave = np.minimum(a, b).max(axis=-1), np.maximum(a, b).min(axis=-1)
            depth = np.where((enter < leave) & (enter > 0), np.minimum(depth, enter), depth)
    hit = eye + way * np.where(np.isfinite(depth), depth, 0.0)[..., None]
    far = np.isinf(depth)
    fade = np.exp(-np.where(far, 0.0, depth) / 20.0)  # so that nothing is finer than a pixel
    ground = np.stack([np.sin(hit[..., 0] * 1.5) * fade, np.sin(hit[..., 1] * 1.5) * fade, np.sin(hit[..., 2] * 3.0) * fade], axis=-1) * 70 + 120
    sky = np.stack([120 + 40 * np.sin(3 * np.arctan2(way[..., 1], way[..., 0]))] * 3, axis=-1) + np.array([0, 20, 60])
    upright = (hit[..., 2] > 1e-6) & ~far
    picture = np.where(far[..., None], sky, np.where(upright[..., None], ground * (0.9, 0.4, 0.4), ground))
    return np.clip(picture, 0, 255).astype(np.uint8), depth


def _clip(
    num: int = 40, speed: float = 5.0, curvature: float = 0.02, *, depth: bool = False, camera: Camera = CAMERA, **changes: object
) -> ReplayClip:
    """A drive along a gentle bend, as the camera recorded it."""
    controls = Trajectory(accel_mps2=np.zeros(num), curvature_per_m=np.full(num, curvature))
    poses, speeds = integrate(controls, np.array(speed))
    poses = np.concatenate([np.zeros((1, 3)), poses[:-1]])
    seen = [_render(pose, camera) for pose in poses]
    motion = Motion(kind="simulated", poses_world=poses, speed_mps=speeds, accel_mps2=controls.accel_mps2, curvature_per_m=controls.curvature_per_m)
    clip = Clip(
        recording_id="bend",
        source="town",
        body="car",
        licence="none",
        timestamp_us=np.arange(num, dtype=np.int64) * 100_000,
        frames=np.stack([picture for picture, _ in seen]),
        motion=motion,
    )
    depth_m = np.stack([far for _, far in seen]) if depth else None
    return ReplayClip(clip=replace(clip, **changes), camera=camera, depth_m=depth_m)


def _plan(num: int, accel: float = 0.0, curvature: float = 0.0) -> Trajectory:
    return Trajectory(accel_mps2=np.full((num, 64), accel), curvature_per_m=np.full((num, 64), curvature))


@pytest.mark.parametrize("depth", [False, True])
def test_at_the_recorded_pose_the_picture_comes_back_bit_for_bit(depth: bool) -> None:
    clip = _clip(3, depth=depth)
    picture, unseen = reproject(clip.clip.frames[1], CAMERA, plan_move(CAMERA, CAMERA, np.zeros(3)), depth_m=clip.depth_m[1] if depth else None)
    np.testing.assert_array_equal(picture, clip.clip.frames[1])
    assert unseen == 0.0
    world = Replay(1, [clip])
    np.testing.assert_array_equal(world.reset(replay_scenarios(1)).frames[0], clip.clip.frames[0])


def test_depth_beats_the_flat_guess_beats_none_and_most_where_things_stand_up() -> None:
    poses = [np.array([x, 0.0, 0.1 * x]) for x in (-1.0, 0.0, 1.0)]
    for offset in ((0.0, 0.8, 0.0), (0.3, -0.5, 0.1), (0.5, 0.0, 0.0)):
        none, flat, deep = reprojection_errors(_render, CAMERA, poses, [offset])
        assert none.psnr_db + 3 < flat.psnr_db < deep.psnr_db, (offset, none, flat, deep)
        assert deep.upright_db > flat.upright_db + 3, (offset, flat, deep)


@settings(max_examples=20, deadline=None)
@given(yaw=st.floats(-0.3, 0.3))
def test_a_turn_on_the_spot_of_the_camera_needs_no_depth(yaw: float) -> None:
    """The eye stays where it is, so flat and deep agree with each other and with the truth."""
    camera = replace(CAMERA, position_rig_m=(0.0, 0.0, 1.5))
    picture, depth = _render(np.zeros(3), camera)
    move = plan_move(camera, camera, np.array([0.0, 0.0, yaw]))
    flat, unseen = reproject(picture, camera, move)
    truth = _render(np.array([0.0, 0.0, yaw]), camera)[0]
    seen = slice(None, -14) if yaw >= 0 else slice(14, None)
    lost = int(np.ceil(abs(np.tan(yaw)) * 60 * 1.8)) + 2
    part = (slice(2, -12), slice(lost, -lost)) if lost < 40 else (slice(2, -12), seen)
    assert psnr_db(flat[part], truth[part]) > 24
    assert psnr_db(reproject(picture, camera, move, depth_m=depth)[0][part], flat[part]) > 24
    assert (unseen > 0) == (abs(yaw) > 1e-3) or abs(yaw) < 0.02


def test_a_mirrored_world_gives_the_mirrored_picture() -> None:
    camera = replace(CAMERA, position_rig_m=(1.4, 0.0, 1.5))
    picture, depth = _render(np.zeros(3), camera)
    for far in (None, depth):
        left, share = reproject(picture, camera, plan_move(camera, camera, np.array([0.2, 0.6, 0.05])), depth_m=far)
        mirrored = None if far is None else far[:, ::-1]
        right, other = reproject(picture[:, ::-1], camera, plan_move(camera, camera, np.array([0.2, -0.6, -0.05])), depth_m=mirrored)
        assert np.abs(left.astype(int) - right[:, ::-1]).max() <= 2
        assert share == pytest.approx(other, abs=1e-3)


def test_another_camera_sees_the_same_ground() -> None:
    """The policy's own camera: other focal length, place and size than the recorded one."""
    own = Camera(name="own", width_px=64, height_px=36, focal_px=60.0, centre_px=(32.0, 6.0), position_rig_m=(1.2, 0.0, 1.4))
    picture, depth = _render(np.zeros(3))
    seen, unseen = reproject(picture, CAMERA, plan_move(CAMERA, own, np.zeros(3)), wanted=own, depth_m=depth)
    assert unseen < 0.05
    assert psnr_db(seen[:24], _render(np.zeros(3), own)[0][:24]) > 22


def test_place_picks_the_frame_and_standing_still_holds_it() -> None:
    clip = _clip(40, speed=5.0, curvature=0.0)
    world = Replay(2, [clip])
    world.reset(replay_scenarios(1) * 2)
    for _ in range(30):  # one goes on at 5 m/s as recorded, one brakes to a stop
        step = world.step(Trajectory(accel_mps2=np.array([[0.0] * 64, [-5.0] * 64]), curvature_per_m=np.zeros((2, 64))))
    np.testing.assert_array_equal(step.observation.frames[0], clip.clip.frames[30])
    held = step.observation.frames[1]
    again = world.step(_plan(2, -1.0)).observation.frames[1]
    np.testing.assert_array_equal(held, again)
    assert psnr_db(held, clip.clip.frames[5]) > 25, "it stopped after 2.5 m, where frame 5 was taken"
    assert world.step(_plan(2, -1.0)).speed_mps[1] == 0.0


def test_a_stop_in_the_recording_is_one_place() -> None:
    clip = _clip(30, speed=5.0, curvature=0.0)
    still = np.concatenate([np.arange(15), np.full(20, 15), np.arange(15, 30)])  # a wait of 2 s
    motion = clip.motion
    speed = motion.speed_mps[still] * (np.diff(motion.poses_world[still, 0], append=1e9) > 0)
    parts = {"accel_mps2": motion.accel_mps2[still], "curvature_per_m": motion.curvature_per_m[still]}
    waits = Motion(kind="simulated", poses_world=motion.poses_world[still], speed_mps=speed, **parts)
    recording = replace(clip.clip, timestamp_us=np.arange(50, dtype=np.int64) * 100_000, frames=clip.clip.frames[still], motion=waits)
    world = Replay(1, [ReplayClip(clip=recording, camera=CAMERA)])
    assert len(world.clips[0].path()) == 30
    drive = next(drive_clips(world, ConstantVelocity(), replay_scenarios(1)))
    assert drive.completed and len(drive.lateral_m) < 32


def test_leaving_the_range_ends_the_episode_and_says_why() -> None:
    world = Replay(3, [_clip(60, curvature=0.0)], max_steps=40)
    world.reset(replay_scenarios(1) * 3)
    curvature = np.zeros((3, 64))
    curvature[0], curvature[1] = 0.05, -0.2
    ended = np.zeros(3, bool)
    while not ended.all():
        step = world.step(Trajectory(accel_mps2=np.array([[0.0]] * 2 + [[-3.0]]) * np.ones((3, 64)), curvature_per_m=curvature))
        ended = step.terminated | step.truncated
    assert "m left of the recording" in world.reasons[0] or "heading +" in world.reasons[0]
    assert "heading -" in world.reasons[1]
    assert world.reasons[2] == "out of time after 4.0 s"
    assert step.off_road.tolist() == [True, True, False] and step.truncated.tolist() == [False, False, True]
    frozen = world.step(_plan(3, 1.0))
    assert (frozen.progress_m == 0).all() and frozen.terminated.tolist() == [True, True, False]


def test_the_end_of_the_clip_completes_it() -> None:
    world = Replay(2, [_clip()])
    drives = list(drive_clips(world, LogReplay(world), replay_scenarios(1, lateral_m=(0.0, 0.4))))
    assert [drive.reason for drive in drives] == ["end of the clip"] * 2
    np.testing.assert_allclose(drives[0].lateral_m, 0.0, atol=0.02)
    np.testing.assert_allclose(drives[1].lateral_m, 0.4, atol=0.03)
    assert drives[0].progress_m == pytest.approx(drives[0].route_length_m, abs=CAR.wheelbase_m)


def test_probes_order_as_they_should() -> None:
    rows = {(row.policy, row.metric): row.mean for row in replay_report([_clip(100, curvature=0.03)], [], lateral_m=(-0.5, 0.0, 0.5))}
    assert rows["path_follower", "survival_frac"] == 1.0 and rows["path_follower", "off_range_frac"] == 0.0
    assert rows["path_follower", "lateral_deviation_m"] < 0.2
    assert rows["stand_still", "survival_frac"] < 0.2 and rows["stand_still", "off_range_frac"] == 0.0
    assert rows["constant_velocity", "off_range_frac"] == 1.0
    assert rows["constant_velocity", "survival_frac"] < rows["log_replay", "survival_frac"] == 1.0


def test_batch_is_singles_and_a_world_rotation_changes_nothing() -> None:
    clip = _clip(30, depth=True)
    turn = np.array([30.0, -70.0, 2.5])
    moved = replace(clip.motion, poses_world=compose(turn, clip.motion.poses_world))
    turned = ReplayClip(clip=replace(clip.clip, motion=moved), camera=CAMERA, depth_m=clip.depth_m)
    scenarios = replay_scenarios(1, lateral_m=(-0.6, 0.0, 0.6), heading_rad=(0.0, 0.1))
    together, apart, there = Replay(6, [clip]), [Replay(1, [clip]) for _ in scenarios], Replay(6, [turned])
    frames = [together.reset(scenarios).frames, np.concatenate([w.reset([s]).frames for w, s in zip(apart, scenarios, strict=True)])]
    rotated = there.reset(scenarios).frames
    for _ in range(12):
        step, other = together.step(_plan(6, 0.5, 0.01)), there.step(_plan(6, 0.5, 0.01))
        singles = [world.step(_plan(1, 0.5, 0.01)) for world in apart]
        frames += [step.observation.frames, np.concatenate([single.observation.frames for single in singles])]
        np.testing.assert_array_equal(step.lateral_offset_m, np.concatenate([single.lateral_offset_m for single in singles]))
        np.testing.assert_allclose(step.lateral_offset_m, other.lateral_offset_m, atol=1e-9)
        rotated = other.observation.frames
    for a, b in zip(frames[0::2], frames[1::2], strict=True):
        np.testing.assert_array_equal(a, b)
    assert np.mean(np.abs(rotated.astype(int) - frames[-1]) > 2) < 1e-3


def test_the_body_may_be_a_dynamic_one() -> None:
    clip = _clip(60, speed=14.0, curvature=0.03)
    dry, snow = (Replay(1, [clip], body=DYNAMIC_CAR, grip=grip, renders=False) for grip in (1.0, 0.35))
    drives = [next(drive_clips(world, PathFollower(world), replay_scenarios(1))) for world in (dry, snow)]
    assert drives[0].completed and np.abs(drives[0].lateral_m).max() < 1.0
    assert drives[1].off_range and "right of the recording" in drives[1].reason, "a curve of 5.9 m/s2 on snow"


def test_a_path_that_crosses_itself_does_not_let_the_ego_jump() -> None:
    circles = _clip(150, speed=10.0, curvature=0.1)  # over two rounds of 63 m
    world = Replay(1, [circles], renders=False)
    drive = next(drive_clips(world, PathFollower(world), replay_scenarios(1)))
    assert drive.completed and len(drive.lateral_m) > 140


def test_bad_clips_and_scenarios_are_named() -> None:
    good = _clip(10)
    motion = good.motion
    with pytest.raises(ValueError, match="has no frames"):
        replace(good, clip=replace(good.clip, frames=None))
    with pytest.raises(ValueError, match="has no motion"):
        replace(good, clip=replace(good.clip, motion=None))
    with pytest.raises(ValueError, match="scale_camera"):
        replace(good, camera=replace(CAMERA, width_px=100))
    with pytest.raises(ValueError, match="depth_m is"):
        replace(good, depth_m=np.ones((9, 64, 96)))
    for column, value, words in (
        ("speed_mps", -1.0, "reverses at row 4"),
        ("poses_world", np.nan, "not finite from row 4"),
        ("poses_world", 90.0, "jumps by"),
    ):
        values = getattr(motion, column).copy()
        values[4] = value
        with pytest.raises(ValueError, match=words):
            replace(good, clip=replace(good.clip, motion=replace(motion, **{column: values})))
    with pytest.raises(ValueError, match="never moves"):
        replace(good, clip=replace(good.clip, motion=replace(motion, poses_world=np.zeros((10, 3)))))
    with pytest.raises(ValueError, match="without stretching"):
        scale_camera(CAMERA, 96, 40)
    world = Replay(1, [good])
    plain = replay_scenarios(1)[0]
    for scenario, words in (
        (Scenario(town_seed=0, route_seed=0), "needs world='replay'"),
        (replace(plain, route_seed=1), "there are 1"),
        (replace(plain, kind="cut_in"), "cannot stage 'cut_in'"),
        (replace(plain, kind="offset", params=(("up_m", 1.0),)), "by the names"),
        (replace(plain, kind="offset", params=(("lateral_m", np.nan),)), "finite numbers"),
        (replace(plain, kind="offset", params=(("lateral_m", 9.0),)), "starts out of range"),
        (replace(plain, kind="offset", params=(("start_m", 99.0),)), "outside the path"),
    ):
        with pytest.raises(ValueError, match=words):
            world.reset([scenario])
    world.reset([plain])
    with pytest.raises(ValueError, match=r"environments \[0\] is not finite"):
        world.step(_plan(1, np.nan))
    with pytest.raises(ValueError, match="2 trajectories for 1 environments"):
        world.step(_plan(2))


def test_forward_part_is_the_longest_stretch_without_reversing() -> None:
    clip = _clip(20).clip
    speed = clip.motion.speed_mps.copy()
    speed[6] = -0.1
    reversing = replace(clip, motion=replace(clip.motion, speed_mps=speed))
    np.testing.assert_array_equal(forward_part(reversing).timestamp_us, clip.timestamp_us[7:])
    assert len(cut_clip(clip, 2, 5).frames) == 3
    ReplayClip(clip=forward_part(reversing), camera=CAMERA)


def test_stand_still_ends_out_of_time() -> None:
    world = Replay(1, [_clip(30)])
    drive = next(drive_clips(world, StandStill(), replay_scenarios(1)))
    assert "out of time" in drive.reason and not drive.off_range and drive.speed_mps[-1] == 0.0


def test_real_pictures_moved_to_the_next_real_pose_fit_it_better_with_lidar_than_flat_than_unmoved(tmp_path: Path) -> None:
    folder = DATA / "dgp_test_scenes" / "test_scene"
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent")
    rows = real_errors(read_views(folder / "scene_02"))
    for row in rows:
        print(
            f"{row.camera} moved {row.moved_m:.2f} m: none {row.none_db:.2f} flat {row.flat_db:.2f} lidar {row.deep_db:.2f} dB of {row.seen_frac:.2f}"
        )
    none, flat, deep = (float(np.mean([getattr(row, name) for row in rows])) for name in ("none_db", "flat_db", "deep_db"))
    print(f"mean of {len(rows)}: none {none:.2f} flat {flat:.2f} lidar {deep:.2f} dB")
    assert len(rows) == 18 and none + 0.3 < flat and flat + 0.5 < deep
    assert not real_errors(read_views(folder / "scene_01")), "it stands still"
    with pytest.raises(ValueError, match=r"no scene_\*\.json"):
        read_views(tmp_path)


def test_a_real_tub_is_driven_again() -> None:
    """The camera's calibration is assumed (a tub has none): about 90 degrees wide, 12 cm up, looking 15 degrees down."""
    folder = DATA / "donkeycar_tubs" / "tub_6_24-04-23"
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent")
    camera = Camera(
        name="donkey", width_px=160, height_px=120, focal_px=80.0, centre_px=(80.0, 60.0), position_rig_m=(0.2, 0.0, 0.12), pitch_rad=0.26
    )
    cuts = [forward_part(clip) for clip in DonkeycarReader().read(folder).clips]
    clips = [ReplayClip(clip=clip, camera=camera, assumed=("calibration", "speed", "curvature")) for clip in cuts if len(clip.timestamp_us) >= 50]
    rows = replay_report(clips, [], lateral_m=(-0.08, 0.0, 0.08))
    for row in rows:
        print(f"{row.policy} {row.metric} {row.mean:.3f} [{row.low:.3f}, {row.high:.3f}] of {row.num}")
    found = {(row.policy, row.metric): row.mean for row in rows}
    assert found["path_follower", "survival_frac"] > 0.95 and found["path_follower", "lateral_deviation_m"] < 0.04
    assert found["constant_velocity", "survival_frac"] < 0.3
    assert found["stand_still", "off_range_frac"] == 0.0


@pytest.mark.slow
def test_on_the_town_depth_beats_flat_beats_none() -> None:
    """Against the town's own picture from the shifted pose, everything else as it stood."""
    world, expert, offsets = Town(1), Expert(), [(0.0, 0.5, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 0.1)]
    observation = world.reset([Scenario(town_seed=0, route_seed=0, num_agents=12)])
    errors = []

    def render(pose: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        world._chassis.pose[0] = pose
        picture = world._frames(np.ones(1, bool))[0, 0].copy()
        seen = (world._bank.arrays, world._slots, world._chassis.pose, world._agents, world._clock)
        return picture, world._renderer.labels(np.zeros(1, np.int64), *seen).depth_m[0, 0]

    for step in range(121):
        if step % 40 == 0:
            here = world.snapshot().ego_world[0].copy()
            errors += reprojection_errors(render, FRONT.cameras[0], [here], offsets)
            world._chassis.pose[0] = here
        observation = world.step(expert.act(observation).trajectory).observation
    for offset in offsets:
        rows = [[row for row in errors if row.offset == offset and row.method == method] for method in ("none", "flat", "deep")]
        none, flat, deep = (float(np.median([row.psnr_db for row in of])) for of in rows)
        ground = float(np.median([row.ground_db for row in rows[1]]))
        print(f"{offset}: none {none:.1f} flat {flat:.1f} deep {deep:.1f} dB; flat on the ground alone {ground:.1f} dB; {len(rows[0])} pictures")
        assert none + 2 < flat < deep and ground > flat
