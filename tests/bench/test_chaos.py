"""The planner's goodput beside processes that are really killed; two minutes, most of it waiting."""

import json
import subprocess
import sys

import pytest

from bench.chaos import CALM_SNAPSHOTS, CALM_STEPS, RECORD_EVERY, Chaos, as_planned, exponential_gaps, outcome


@pytest.mark.timed
def test_a_killed_job_keeps_as_much_as_the_planner_says():
    command = [sys.executable, "-m", "bench.chaos", "--failures", "8", "--mtbf-s", "16"]
    done = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=240).stdout)
    assert done["goodput"] == pytest.approx(done["predicted"], abs=0.05)
    assert done["num_lives"] >= 7
    untouched = done["interval_s"] / (done["interval_s"] + done["checkpoint_s"])
    assert untouched - done["goodput"] > 0.08, "the failures must cost more than the tolerance, or nothing was shown"


def test_times_are_those_that_were_seen():
    calm = {"compute": 0.75 * CALM_STEPS, "communication": 0.25 * CALM_STEPS, "checkpoint_stall": 0.5 * CALM_SNAPSHOTS}
    records = [(0, 1.0), (1, 7.0 + RECORD_EVERY), (1, 8.0 + RECORD_EVERY)]
    survived = {"compute": 1.5, "communication": 0.5, "recompute": 9.0}
    done = outcome(Chaos(steps_per_checkpoint=2), calm, survived, records, num_steps=3, wall_s=10.0, died=[4.0, 8.0], noticed=[4.5])
    assert (done.goodput, done.work_frac) == pytest.approx((0.2, 0.3))
    assert (done.detect_s, done.restart_s, done.checkpoint_s, done.step_s) == pytest.approx((0.5, 2.5, 0.5, 1.0))


def test_snapshots_come_as_often_as_the_planner_advises():
    calm = {"compute": 1.0 * CALM_STEPS, "communication": 0.0, "checkpoint_stall": 0.5 * CALM_SNAPSHOTS}
    assert as_planned(Chaos(mtbf_s=99.8), calm).steps_per_checkpoint == 10 == 2 * RECORD_EVERY  # sqrt(2 x 0.5 s x (99.8 + 0.2) s)
    assert as_planned(Chaos(steps_per_checkpoint=3), calm).steps_per_checkpoint == 3
    assert as_planned(Chaos(mtbf_s=0.1), calm).steps_per_checkpoint == RECORD_EVERY


def test_failures_come_exponentially_at_the_planned_rate():
    gaps = exponential_gaps(Chaos(num_failures=1000, mtbf_s=7.0))
    assert gaps.mean() == pytest.approx(7.0) and gaps.std() == pytest.approx(7.0, rel=0.03)
    assert (gaps != exponential_gaps(Chaos(num_failures=1000, mtbf_s=7.0, seed=1))).any()
