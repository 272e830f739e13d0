"""Over-the-air updates: a trial is kept or given back, and a power cut at any moment leaves a vehicle that boots."""

import os
import shutil

import pytest

from motorworks.drive.bundle import BundleRefused
from motorworks.drive.ota import MAX_TRIAL_BOOTS, Updater


@pytest.fixture
def fleet(make_release, tmp_path):
    """Releases 1 and 2, and a vehicle on which release 1 is installed and confirmed."""
    old, new = make_release(1), make_release(2)
    updater = Updater(tmp_path / "vehicle", old.keys.trusted_root, old.vehicle, confirm_after=3)
    install(updater, old)
    return old, new, updater


def install(updater, release):
    updater.stage(release.path, release.now)
    updater.activate(release.now)
    updater.boot(release.now)
    updater.confirm()


def booted_release(updater, release):
    fresh = Updater(updater.root, updater.trusted_root, updater.vehicle, confirm_after=3)  # a new process knows only the disk
    return fresh.boot(release.now).manifest.release


def test_good_plans_confirm_an_update_and_then_the_old_one_is_refused(fleet):
    old, new, updater = fleet
    updater.stage(new.path, new.now)
    assert booted_release(updater, new) == 1, "staged is not active"
    updater.activate(new.now)
    assert updater.boot(new.now).manifest.release == 2
    assert [updater.report_plan(True) for _ in range(4)] == ["trial", "trial", "confirmed", "confirmed"]
    with pytest.raises(BundleRefused, match="older"):
        updater.stage(old.path, old.now)
    assert booted_release(updater, new) == 2


def test_one_bad_plan_on_trial_brings_the_old_slot_back(fleet):
    _, new, updater = fleet
    updater.stage(new.path, new.now)
    updater.activate(new.now)
    updater.boot(new.now)
    assert [updater.report_plan(True), updater.report_plan(False)] == ["trial", "rejected"]
    assert booted_release(updater, new) == 1
    install(updater, new)  # a rejected release may be tried again


def test_a_trial_that_keeps_crashing_before_its_confirmation_is_given_up(fleet):
    _, new, updater = fleet
    updater.stage(new.path, new.now)
    updater.activate(new.now)
    assert [booted_release(updater, new) for _ in range(MAX_TRIAL_BOOTS + 2)] == [2] * MAX_TRIAL_BOOTS + [1, 1]


def test_a_trial_damaged_on_disk_is_given_up(fleet):
    _, new, updater = fleet
    updater.stage(new.path, new.now)
    updater.activate(new.now)
    (updater.slot(updater.pointer().slot) / "plan.onnx").write_bytes(b"rot")
    assert booted_release(updater, new) == 1


def test_a_bundle_that_does_not_verify_is_never_staged(fleet, tmp_path):
    _, new, updater = fleet
    (new.path / "plan.onnx").write_bytes(b"evil")
    with pytest.raises(BundleRefused):
        updater.stage(new.path, new.now)
    with pytest.raises(BundleRefused):
        updater.activate(new.now)
    assert booted_release(updater, new) == 1


def test_two_trials_at_once_are_refused(fleet):
    _, new, updater = fleet
    updater.stage(new.path, new.now)
    updater.activate(new.now)
    with pytest.raises(BundleRefused, match="still on trial"):
        updater.stage(new.path, new.now)


class PowerCut(BaseException):
    """Not an Exception: nothing may tidy up after it."""


TOUCHES = (("os", "replace"), ("os", "fsync"), ("os", "mkdir"), ("shutil", "copyfile"), ("shutil", "copy2"), ("os", "unlink"), ("os", "rmdir"))


def test_power_cut_at_every_touch_of_the_disk_leaves_a_vehicle_that_boots(fleet, tmp_path):
    _, new, updater = fleet
    pristine = tmp_path / "vehicle-before"
    shutil.copytree(updater.root, pristine)
    cut_at = 0
    while True:
        shutil.rmtree(updater.root)
        shutil.copytree(pristine, updater.root)
        count = 0
        with pytest.MonkeyPatch.context() as patch:
            for module, name in TOUCHES:
                original = getattr({"os": os, "shutil": shutil}[module], name)

                def touch(*args, _original=original, _cut_at=cut_at, **kwargs):
                    nonlocal count
                    count += 1
                    if count > _cut_at:
                        raise PowerCut
                    return _original(*args, **kwargs)

                patch.setattr(f"{module}.{name}", touch)
            try:
                install(Updater(updater.root, updater.trusted_root, updater.vehicle), new)
                finished = True
            except PowerCut:
                finished = False
        assert booted_release(updater, new) in (1, 2), f"cut at touch {cut_at}"
        if finished:
            break
        cut_at += 1
    assert cut_at > 15 and booted_release(updater, new) == 2
