"""What can go wrong in a run, and that it ends as if it had not; and where its seconds went."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import dying
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from steering_samples import steering_samples

from motorworks.train.batch import DrawOrder
from motorworks.train.clock import BUCKETS, RunClock, utilisation
from motorworks.train.faults import FaultWatch, Preempted, tell_to_stop
from motorworks.train.feed import Cursor, Drawn, InMemory
from motorworks.train.fit_config import FaultPolicy, FitConfig
from motorworks.train.learner import Learner
from motorworks.train.live import flops_of_steps, live_words
from motorworks.train.loop import FitResult, fit
from motorworks.train.peak import measure_gemm_flops
from motorworks.train.ranks import Ranks
from motorworks.train.snapshot import SnapshotConfig, Snapshots

CONFIG = dying.CONFIG


@pytest.fixture(scope="module")
def straight() -> tuple[FitResult, dict[str, torch.Tensor]]:
    """The run that nothing happened to."""
    model = dying.model()
    return fit(model, steering_samples(), CONFIG, threads=1, ahead=0), model.state_dict()


def same(straight: tuple[FitResult, dict[str, torch.Tensor]], result: FitResult, model: torch.nn.Module) -> bool:
    """Bit for bit."""
    return result.curves == straight[0].curves and all(torch.equal(value, straight[1][name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("ahead", [1, 3])
def test_batches_ahead_change_no_bit(straight, ahead: int):
    model = dying.model()
    assert same(straight, fit(model, steering_samples(), CONFIG, threads=1, ahead=ahead), model)


@pytest.mark.slow
def test_after_kill_9_it_ends_with_the_same_bits(straight, tmp_path):
    command = [sys.executable, str(Path(dying.__file__)), str(tmp_path), "8"]
    ended = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}, capture_output=True, timeout=200)
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    model = dying.model()
    result = fit(model, steering_samples(), CONFIG, threads=1, snapshots=SnapshotConfig(folder=tmp_path))
    assert same(straight, result, model)
    assert result.seconds["restart"] > 0


def test_a_snapshot_has_its_name_before_the_next_is_taken(tmp_path):
    learner = Learner(dying.model(), CONFIG, Ranks(), "cpu")
    kept = Snapshots(SnapshotConfig(folder=tmp_path), Ranks(), run="this", say=print)
    kept.take(learner, 3, {"clock": {}})
    while not list(tmp_path.glob("step-*")):
        time.sleep(0.01)
    assert kept.newest().path.name == "step-000000003"
    kept.take(learner, 3, {"clock": {"init": 1.0}})  # as after a rollback
    kept.finish()
    assert kept.newest().progress["clock"] == {"init": 1.0} and not list(tmp_path.glob(".*"))


def test_sigterm_takes_a_snapshot_and_says_75(straight, tmp_path):
    def preempt(step: int, row: dict[str, float]) -> None:
        if step == 4:
            os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Preempted, match="after step 4 of 9") as told:
        fit(dying.model(), steering_samples(), CONFIG, threads=1, snapshots=SnapshotConfig(folder=tmp_path), on_progress=preempt)
    assert told.value.exit_code == 75 and signal.getsignal(signal.SIGTERM) is before
    assert [path.name for path in tmp_path.glob("step-*")] == ["step-000000004"]
    model = dying.model()
    assert same(straight, fit(model, steering_samples(), CONFIG, threads=1, snapshots=SnapshotConfig(folder=tmp_path)), model)


def test_a_fit_that_no_signal_reaches_is_told_by_its_launcher(tmp_path, monkeypatch):
    monkeypatch.setattr("motorworks.train.faults._told", threading.Event())

    def asked(step: int, row: dict[str, float]) -> None:
        if step == 4:
            tell_to_stop()

    with ThreadPoolExecutor(1) as aside, pytest.raises(Preempted, match="after step 4 of 9"):
        aside.submit(fit, dying.model(), steering_samples(), CONFIG, threads=1, snapshots=SnapshotConfig(folder=tmp_path), on_progress=asked).result()
    assert [path.name for path in tmp_path.glob("step-*")] == ["step-000000004"]


@pytest.mark.parametrize("fault", ["cut short", "one bit", "no progress"])
def test_a_torn_snapshot_is_passed_over_for_the_one_before(straight, tmp_path, capsys, fault: str):
    fit(dying.model(), steering_samples(), CONFIG, threads=1, snapshots=SnapshotConfig(folder=tmp_path, every_steps=3, keep=3))
    assert sorted(path.name for path in tmp_path.glob("step-*")) == [f"step-00000000{step}" for step in (3, 6, 9)]
    for newest in (tmp_path / "step-000000009", tmp_path / "step-000000006"):
        if fault == "no progress":
            (newest / "progress.json").unlink()
            continue
        file = next(newest.glob("*.distcp"))
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(data[:-7] if fault == "cut short" else data)
    model = dying.model()
    assert same(straight, fit(model, steering_samples(), CONFIG, threads=1, snapshots=SnapshotConfig(folder=tmp_path)), model)
    said = capsys.readouterr().err
    assert "step-000000009 is passed over" in said and "step-000000006 is passed over" in said and "step-000000003" not in said


def test_snapshots_of_another_run_are_refused(tmp_path):
    fit(dying.model(), steering_samples(), replace(CONFIG, steps=3), threads=1, snapshots=SnapshotConfig(folder=tmp_path, every_steps=3))
    with pytest.raises(ValueError, match="is of another run"):
        fit(dying.model(), steering_samples(), CONFIG, threads=1, snapshots=SnapshotConfig(folder=tmp_path))


def test_a_full_disk_says_where_and_leaves_the_one_before(tmp_path, monkeypatch):
    config = SnapshotConfig(folder=tmp_path, every_steps=3)
    number = iter(range(100))

    def full(path: Path) -> int:
        if next(number) >= 2:  # two files were written the first time
            raise OSError(28, "No space left on device")
        return 0

    monkeypatch.setattr("motorworks.train.snapshot._crc32", full)
    with pytest.raises(OSError, match=r"step-000000006.* could not be written .*No space left"):
        fit(dying.model(), steering_samples(), CONFIG, threads=1, snapshots=config)
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["step-000000003"]


class Poisoned:
    """Batches of which some, counted from the first, are not finite or far off; or are missing, as in a run that never met them."""

    def __init__(self, bad: dict[int, float], missing: tuple[int, ...] = ()) -> None:
        self.inner, self.bad, self.missing = InMemory(steering_samples()), bad, missing

    def identity(self) -> str:
        return "poisoned"

    def batches(self, config: FitConfig, *, mine: slice, cursor: Cursor | None, num_later: int = 0) -> Iterator[Drawn]:
        number = 0 if cursor is None else cursor["number"]
        inner = self.inner.batches(config, mine=mine, cursor=None if cursor is None else cursor["inner"])
        for index, drawn in enumerate(inner, start=number):
            if index not in self.missing:
                controls = drawn.batch.controls * self.bad.get(index, 1.0)
                yield Drawn(batch=replace(drawn.batch, controls=controls), cursor={"number": index + 1, "inner": drawn.cursor})


def test_bad_batches_are_left_out_and_counted():
    config = replace(CONFIG, faults=FaultPolicy(skips=2))
    model, other = dying.model(), dying.model()
    result = fit(model, Poisoned({2: np.nan, 5: np.inf}), config, threads=1)
    without = fit(other, Poisoned({}, missing=(2, 5)), config, threads=1)
    assert result.num_skipped == 2 and result.num_rollbacks == 0 and result.curves == without.curves
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), other.state_dict().values(), strict=True))
    assert result.seconds["recompute"] > 0 == without.seconds["recompute"]


def test_several_in_a_row_go_back_to_the_snapshot_and_past_the_data(tmp_path, capsys):
    config, bad = replace(CONFIG, faults=FaultPolicy(skips=3)), dict.fromkeys((5, 6, 7), np.nan)
    model, other = dying.model(), dying.model()
    result = fit(model, Poisoned(bad), config, threads=1, snapshots=SnapshotConfig(folder=tmp_path, every_steps=4))
    without = fit(other, Poisoned({}, missing=(4, 5, 6, 7)), config, threads=1)  # 4 was good, and lost with the steps after the snapshot
    assert (result.num_skipped, result.num_rollbacks) == (3, 1) and result.curves == without.curves
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), other.state_dict().values(), strict=True))
    assert "back to step 4" in capsys.readouterr().err


def test_where_that_does_not_help_the_snapshot_before_is_taken(tmp_path, capsys):
    config, bad = replace(CONFIG, faults=FaultPolicy(skips=2)), dict.fromkeys((5, 6, 8, 9), np.nan)
    result = fit(dying.model(), Poisoned(bad), config, threads=1, snapshots=SnapshotConfig(folder=tmp_path, every_steps=2, keep=3))
    assert (result.num_skipped, result.num_rollbacks) == (4, 2) and result.curves[-1]["step"] == CONFIG.steps
    said = capsys.readouterr().err
    assert said.index("step 5: back to step 4") < said.index("step 5: back to step 2")
    without = fit(dying.model(), Poisoned({}, missing=tuple(range(2, 10))), config, threads=1)
    assert result.curves == without.curves


def test_without_a_way_back_it_stops_and_says_why(tmp_path):
    config, bad = replace(CONFIG, faults=FaultPolicy(skips=2, rollbacks=1)), dict.fromkeys(range(5, 100), np.nan)
    with pytest.raises(FloatingPointError, match=r"step 5: loss=nan.*2 bad batches in a row, and there is no snapshot"):
        fit(dying.model(), Poisoned(bad), config, threads=1)
    with pytest.raises(FloatingPointError, match="it has gone back 1 times"):
        fit(dying.model(), Poisoned(bad), config, threads=1, snapshots=SnapshotConfig(folder=tmp_path, every_steps=2))


def test_a_jump_counts_as_bad_among_its_own_kind():
    watch = FaultWatch(FaultPolicy(skips=1, spike_factor=5.0))
    for number in range(10):
        watch.keep({"loss": 2.0 + 0.1 * number, "grad_norm": 1.0}, thought=True)
        watch.keep({"loss": 0.2, "grad_norm": 0.1}, thought=False)
    assert not watch.wrong({"loss": 9.0, "grad_norm": 1.0}, thought=True)
    assert watch.wrong({"loss": 9.0, "grad_norm": 0.1}, thought=False) == ["loss=9 is above 5 times the median 0.2"]
    assert "grad_norm" in watch.wrong({"loss": 2.0, "grad_norm": 1e4}, thought=True)[0]
    other = FaultWatch(watch.policy)
    other.load_state_dict(json.loads(json.dumps(watch.state_dict())))
    assert other.wrong({"loss": 9.0, "grad_norm": 0.1}, thought=False)
    model = dying.model()
    config = replace(CONFIG, steps=12, faults=FaultPolicy(skips=2, spike_factor=10.0))
    assert fit(model, Poisoned({9: 1e4}), config, threads=1).num_skipped == 1


def test_a_step_left_out_leaves_the_eye_as_it_was():
    learner = Learner(dying.model(), replace(CONFIG, faults=FaultPolicy(skips=1)), Ranks(), "cpu")
    before = {name: value.clone() for name, value in learner.model.state_dict().items()}
    drawn = next(InMemory(steering_samples()).batches(CONFIG, mine=slice(None), cursor=None))
    random = torch.get_rng_state()
    learner.gradients(drawn.batch, 0, RunClock())
    torch.rand(1)  # as a head of flow does
    assert not torch.equal(before["vision.norm_out.running_mean"], learner.model.vision.norm_out.running_mean)
    learner.forget()
    assert all(torch.equal(value, before[name]) for name, value in learner.model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)


def test_what_goes_wrong_in_the_thread_is_raised_in_the_loop():
    class Broken(Poisoned):
        def batches(self, config: FitConfig, *, mine: slice, cursor: Cursor | None, num_later: int = 0) -> Iterator[Drawn]:
            yield from (drawn for drawn, _ in zip(super().batches(config, mine=mine, cursor=cursor), range(2), strict=False))
            raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        fit(dying.model(), Broken({}), CONFIG, threads=1)


@settings(max_examples=40, deadline=None)
@given(num=st.integers(1, 30), batch_size=st.integers(1, 40), taken=st.integers(0, 12), seed=st.integers(0, 9))
def test_an_order_goes_on_from_any_place(num: int, batch_size: int, taken: int, seed: int):
    weight = np.random.default_rng(seed).uniform(0.1, 3, num)
    order, other = DrawOrder(weight, batch_size, seed), DrawOrder(weight, batch_size, seed + 1)
    for _ in range(taken):
        next(order)
    other.load_state_dict(json.loads(json.dumps(order.state_dict())))
    for _ in range(5):
        assert np.array_equal(next(order), next(other))
    assert order.state_dict() == other.state_dict()


def test_every_second_has_a_name_and_the_five_figures_follow(straight):
    result = straight[0]
    assert set(result.seconds) == set(BUCKETS) and sum(result.seconds.values()) == pytest.approx(result.wall_s)
    assert result.seconds["compute"] > 0.5 * result.wall_s
    clock = RunClock()
    clock.resume(
        alive=dict.fromkeys(BUCKETS, 0.0) | {"init": 2.0, "compute": 50.0, "data_wait": 3.0, "communication": 5.0},
        kept=dict.fromkeys(BUCKETS, 0.0) | {"init": 2.0, "compute": 40.0, "data_wait": 2.0, "communication": 4.0},
        restart_s=7.0,
    )
    seconds = {name: round(value, 1) for name, value in clock.read().items()}
    assert seconds == dict.fromkeys(BUCKETS, 0.0) | {
        "init": 2.0,
        "compute": 40.0,
        "data_wait": 3.0,
        "communication": 4.0,
        "recompute": 11.0,
        "restart": 7.0,
    }
    five = utilisation(seconds, model_flops=44.0 * 30, peak_flops=100.0, allocated_frac=0.5)
    assert five.goodput_frac == pytest.approx(44 / 67) and five.busy_frac == pytest.approx(51 / 67)
    assert five.mfu_frac == pytest.approx(0.3) and five.effective_mfu_frac == pytest.approx(44 * 30 / (67 * 100))


def test_figures_are_told_while_it_runs_and_change_no_bit(straight):
    rows, model = [], dying.model()
    result = fit(model, steering_samples(), CONFIG, threads=1, on_progress=lambda step, row: rows.append(row))
    assert same(straight, result, model)  # the curve has no clock in it
    assert [row["step"] for row in rows] == [row["step"] for row in result.curves]
    last = rows[-1]
    assert {name: value for name, value in last.items() if not name.endswith("_s")} == result.curves[-1]
    assert all(0 <= last[f"{bucket}_s"] <= result.seconds[bucket] for bucket in BUCKETS)
    clock = {f"{bucket}_s": 0.0 for bucket in BUCKETS} | {"init_s": 1.0, "compute_s": 7.0, "recompute_s": 2.0}
    flops = flops_of_steps(model.config, CONFIG, 9)
    words = live_words({"step": 9.0, "loss": 0.5} | clock, model.config, CONFIG, peak_flops=flops / 2.8, allocated_frac=0.5)
    assert words == "loss 0.500 · allocated 50, busy 90, goodput 70, MFU 40, effective 28 %"


@pytest.mark.parametrize("think_every", [1, 4])
def test_flops_so_far_are_those_of_the_result(think_every: int):
    config, model = replace(CONFIG, think_every=think_every), dying.model()
    result = fit(model, steering_samples(), config, threads=1)
    of_all = result.tokens_per_s * result.flops_per_token * result.wall_s
    assert flops_of_steps(model.config, config, config.steps) == pytest.approx(of_all)


def test_measuring_the_peak_leaves_what_is_drawn_next_as_it_was():
    before = torch.get_rng_state()
    assert measure_gemm_flops(threads=1, size=64, repeats=2) > 0
    assert torch.equal(torch.get_rng_state(), before)
