"""A drive from above, in a strip and as a recording for rerun: things must lie where they were."""

import types

import numpy as np
import pytest
from PIL import Image

from motorworks.datatypes.agent import BUS, CAR, CHILD
from motorworks.datatypes.rollout import Rollout
from motorworks.datatypes.scenario import Scenario
from motorworks.datatypes.trajectory import Trajectory
from motorworks.drive.log import StepLog
from motorworks.factory import drive_rerun, odd
from motorworks.factory.progress import Silent
from motorworks.factory.report.strips import draw_strip
from motorworks.factory.report.top_down import EGO_UP_FRAC, KIND_COLOURS, PLAN, draw_top_down
from motorworks.factory.town_camera import town_camera
from motorworks.geometry.se2 import compose, inverse, transform_points
from motorworks.policy.expert import Expert
from motorworks.sim.codes import ASPHALT, PAINT_M_PER_PX, RED_ASPHALT
from motorworks.sim.curriculum import tail_scenarios
from motorworks.sim.ground import TownMap, build_town
from motorworks.sim.rollout import roll_out
from motorworks.sim.town import Town

SIZE_PX, M_PER_PX = (160, 160), 0.25
POSES = [(60.0, 40.0, yaw) for yaw in (0.0, 1.1, 2.9, -2.0)]


def short_rollout(ego: tuple[float, float, float], others_rig: list[tuple[float, float, float]], kinds: list[int], num: int = 3) -> Rollout:
    """A car that rolls straight on at 5 m/s beside some that stand; the last of them is not there."""
    ego_world = compose(np.array(ego), np.array([(0.5 * step, 0.0, 0.0) for step in range(num)]))
    poses = compose(np.array(ego), np.array(others_rig))
    agents = np.column_stack([poses, np.zeros(len(poses)), np.full(len(poses), 4.4), np.full(len(poses), 1.8)])
    valid = np.tile(np.arange(len(poses)) < len(poses) - 1, (num, 1))
    flags, zeros = np.zeros(num, np.bool_), np.zeros(num, np.float32)
    return Rollout(
        scenario=Scenario(town_seed=3, route_seed=0), policy="straight", outcome="timeout", collision_at_fault=False, route_length_m=100.0,
        ego_world=ego_world, speed_mps=np.full(num, 5.0, np.float32), accel_mps2=zeros, curvature_per_m=zeros,
        progress_m=np.arange(num, dtype=np.float32), lateral_offset_m=zeros, on_road=~flags, wrong_way=flags, in_junction=flags,
        speed_limit_mps=np.full(num, 8.0, np.float32), agents_world=np.tile(agents.astype(np.float32), (num, 1, 1)), agents_valid=valid,
        agents_kind=np.array(kinds, np.uint8), red_light=flags, stop_sign=flags, gave_no_way=flags, blocks_siren=flags,
        plans=Trajectory(accel_mps2=np.zeros((num, 64)), curvature_per_m=np.zeros((num, 64))), frames=np.full((num, 144, 256, 3), 90, np.uint8),
    )  # fmt: skip


def bare_town(spot: tuple[float, float] | None = None) -> TownMap:
    """Asphalt everywhere, but for one red spot 2 m wide."""
    paint = np.full((500, 700), ASPHALT, np.uint8)
    if spot is not None:
        column, row = (round(value / PAINT_M_PER_PX) for value in spot)
        paint[row - 5 : row + 5, column - 5 : column + 5] = RED_ASPHALT
    network = types.SimpleNamespace(signals=np.zeros((0, 4)))
    return TownMap(name="bare", network=network, paint=paint, heading=np.zeros((1, 1), np.int8), scenery=np.zeros((0, 9)), light_seed=0)


def pixel(image: Image.Image, point_rig: tuple[float, float]) -> tuple[int, int, int]:
    column = round(SIZE_PX[0] / 2 - point_rig[1] / M_PER_PX)
    row = round(SIZE_PX[1] * (1 - EGO_UP_FRAC) - point_rig[0] / M_PER_PX)
    return image.getpixel((column, row))


@pytest.mark.parametrize("ego", POSES)
def test_forward_is_up_and_left_is_left_for_ground_and_agents_alike(ego):
    spot, car, child, gone = (12.0, 9.0), (14.0, -3.5, 0.0), (4.0, 8.0, 1.0), (20.0, 0.0, 0.0)
    rollout = short_rollout(ego, [car, child, gone], [CAR, CHILD, BUS])
    x, y, _ = compose(np.array(ego), np.array([*spot, 0.0]))
    image = draw_top_down(bare_town((x, y)), rollout, 0, size_px=SIZE_PX, m_per_px=M_PER_PX)
    assert image.size == SIZE_PX
    red, asphalt = pixel(image, spot), pixel(image, (-8.0, 9.0))
    assert red[0] > asphalt[0] + 20 and pixel(image, (12.0, -9.0)) == asphalt
    assert pixel(image, car[:2]) == KIND_COLOURS[CAR] and pixel(image, child[:2]) == KIND_COLOURS[CHILD]
    assert pixel(image, (8.0, 0.0)) == PLAN and pixel(image, gone[:2]) != KIND_COLOURS[BUS], "who is not there is not drawn"
    assert pixel(image, (1.0, 0.0)) == (255, 255, 255)


def test_the_end_state_has_a_way_driven_but_no_plan():
    rollout = short_rollout(POSES[1], [(0.0, 9.0, 0.0)], [CAR], num=40)
    end = draw_top_down(bare_town(), rollout, 39, size_px=SIZE_PX, m_per_px=M_PER_PX)
    assert pixel(end, (8.0, 0.0)) == pixel(end, (8.0, 9.0)) != pixel(end, (-6.0, 0.0))


def test_beyond_the_town_there_is_grass():
    image = draw_top_down(bare_town(), short_rollout((1.0, 1.0, np.pi / 4), [(0.0, 9.0, 0.0)], [CAR]), 0, size_px=SIZE_PX, m_per_px=M_PER_PX)
    assert pixel(image, (-8.0, 0.0)) != pixel(image, (20.0, 5.0))


def test_insets_lie_below_their_frames_at_the_frames_width():
    rollout = short_rollout(POSES[0], [(0.0, 9.0, 0.0)], [CAR])
    assert rollout.frames is not None and rollout.plans is not None
    seen: list[int] = []

    def inset(step: int) -> Image.Image:
        seen.append(step)
        return Image.new("RGB", (80, 60), (200, 0, 100 * step))

    arguments = (rollout.frames, rollout.plans, rollout.speed_mps, None, town_camera())
    plain = draw_strip(*arguments, steps=[0, 2], frame_width_px=160)
    strip = draw_strip(*arguments, steps=[0, 2], frame_width_px=160, inset=inset)
    assert seen == [0, 2] and strip.size == (plain.width, plain.height + 120)
    assert strip.getpixel((80, 90 + 60)) == (200, 0, 0) and strip.getpixel((166 + 80, 90 + 60)) == (200, 0, 200)
    assert np.array_equal(np.asarray(strip)[:90], np.asarray(plain)[:90]) and np.array_equal(np.asarray(strip)[210:], np.asarray(plain)[90:])


class Said(types.SimpleNamespace):
    """Something of the SDK that was made: what, and of which values."""


class SilentRerun(types.ModuleType):
    """As much of the SDK as is used: it remembers what was logged, and writes an empty file."""

    def __init__(self) -> None:
        super().__init__("rerun")
        self.logged: list[tuple[str, bool, Said]] = []
        self.ViewCoordinates = types.SimpleNamespace(RIGHT_HAND_Z_UP="axes", RDF="axes of a lens")

    def __getattr__(self, name: str):
        return lambda *values, **named: Said(name=name, values=values, **named)

    def RecordingStream(self, application: str):
        return self

    def set_strict_mode(self, strict: bool) -> None:
        assert strict

    def save(self, path) -> None:
        path.write_bytes(b"rrd")

    def log(self, entity: str, what: Said, *, static: bool = False) -> None:
        self.logged.append((entity, static, what))


def steps_of(rollout: Rollout) -> list[StepLog]:
    return [
        StepLog(
            step=step, time_us=step, health="ok", latency_s=0.03, plan_age_steps=0, speed_mps=5.0, yaw_rate_radps=0.0,
            instruction="follow the road", accel_mps2=(), curvature_per_m=(), thought="keep going because the road is clear",
        )
        for step in range(len(rollout.speed_mps) - 1)
    ]  # fmt: skip


def test_a_recording_holds_every_step_and_each_thought_once(tmp_path, monkeypatch):
    fake = SilentRerun()
    monkeypatch.setattr(drive_rerun, "load_rerun", lambda: fake)
    rollout = short_rollout(POSES[1], [(9.0, 3.0, 0.0), (0.0, 9.0, 0.0)], [BUS, CAR])
    drive_rerun.write_recording(tmp_path / "out.rrd", rollout, steps_of(rollout), Silent())
    num = {entity: sum(one == entity for one, *_ in fake.logged) for entity, *_ in fake.logged}
    assert num["world/agents"] == num["motion/speed_mps"] == 3 and num["world/ego/plan"] == 2 and num["says/thought"] == num["says/instruction"] == 1
    boxes = next(what for entity, _, what in fake.logged if entity == "world/agents")
    assert boxes.labels == ["bus"] and tuple(boxes.colors[0]) == KIND_COLOURS[BUS]
    assert np.allclose(boxes.centers[0, :2], rollout.agents_world[0, 0, :2]) and boxes.centers[0, 2] == boxes.half_sizes[0, 2]
    half_yaw = float(rollout.agents_world[0, 0, 2]) / 2
    assert np.allclose(boxes.quaternions[0], (0.0, 0.0, np.sin(half_yaw), np.cos(half_yaw)))
    assert [file.name for file in tmp_path.iterdir()] == ["out.rrd"]


def test_a_recording_that_fails_leaves_the_old_one(tmp_path, monkeypatch):
    monkeypatch.setattr(drive_rerun, "load_rerun", SilentRerun)
    (tmp_path / "out.rrd").write_bytes(b"the old one")
    rollout = short_rollout(POSES[1], [(0.0, 9.0, 0.0)], [CAR])
    with pytest.raises(AttributeError):
        drive_rerun.write_recording(tmp_path / "out.rrd", rollout, [None], Silent())
    assert (tmp_path / "out.rrd").read_bytes() == b"the old one" and len(list(tmp_path.iterdir())) == 1


def test_the_real_sdk_writes_a_file_that_its_own_reader_reads(tmp_path):
    chunk = pytest.importorskip("rerun.chunk", reason="rerun is the extra motorworks[viz]")
    rollout = short_rollout(POSES[1], [(9.0, 3.0, 0.0), (0.0, 9.0, 0.0)], [BUS, CAR])
    drive_rerun.write_recording(tmp_path / "out.rrd", rollout, steps_of(rollout), Silent())
    rows: dict[str, int] = {}
    for part in chunk.RrdReader(tmp_path / "out.rrd").stream().collect().stream():
        rows[part.entity_path] = rows.get(part.entity_path, 0) + (0 if part.is_static else part.num_rows)
    assert rows["/world/agents"] == rows["/world/ego/camera"] == 3 and rows["/world/ego/plan"] == 2 and rows["/says/thought"] == 1


def test_lanes_to_draw_are_those_for_driving():
    network = build_town(3).network
    lines = drive_rerun.lane_lines(network.lanes)
    assert 0 < len(lines) < len(network.lanes.first) and all(line.shape[1] == 3 and np.isfinite(line).all() for line in lines)


def test_a_strip_of_what_was_staged_begins_with_its_act_and_ends_before_it_is_passed():
    (scenario,) = tail_scenarios(odd.FIRST_SEED, 1, kinds=("wrong_way_driver",), num_agents=12, difficulty_frac=0.6)
    (rollout,) = roll_out(Town(1, renders=False), Expert(), [scenario])
    steps = odd.moments(rollout, odd.prepared(scenario))
    ahead = [transform_points(inverse(rollout.ego_world[step]), rollout.agents_world[step, 1:2, :2].astype(float))[0, 0] for step in steps]
    assert steps == sorted(set(steps)) and 20.0 < ahead[0] < 32.0, "it turns back some 27 m before the ego"
    assert ahead == sorted(ahead, reverse=True) and 0.0 < ahead[-1] < 10.0


def test_a_strip_of_weather_shows_the_route_along():
    (scenario,) = tail_scenarios(odd.FIRST_SEED, 1, kinds=("fog",), num_agents=4)
    (rollout,) = roll_out(Town(1, renders=False), Expert(), [scenario])
    steps = odd.moments(rollout, odd.prepared(scenario))
    assert rollout.progress_m[steps] == pytest.approx(odd.SHOWN_AT_M, abs=2.0)
