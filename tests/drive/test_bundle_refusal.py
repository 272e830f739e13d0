"""Every way a bundle can be wrong is refused by name, and the right one opens."""

import datetime
import shutil
from pathlib import Path

import pytest

from motorworks.drive.bundle import METADATA_FILES, BundleRefused, VehicleIdentity, open_bundle
from motorworks.export.bundle import ReleaseConfig, sign_bundle
from motorworks.export.keys import ROLES, Keys, ensure_keys


def open_release(release, state=None, *, now=None, vehicle=None, root=None, accept=True):
    return open_bundle(release.path, root or release.keys.trusted_root, vehicle or release.vehicle, state, now or release.now, accept=accept)


def test_the_right_bundle_opens_and_is_held_in_memory(release, tmp_path):
    bundle = open_release(release, tmp_path / "seen.json")
    assert bundle.manifest.release == 1 and bundle.manifest.body == "car"
    assert bundle.payload["plan.onnx"] == b"weights of plan in release 1"
    assert open_release(release, tmp_path / "seen.json").seen == bundle.seen, "opening the same release again is no rollback"


@pytest.mark.parametrize("name", [*(f"metadata/{file}" for file in METADATA_FILES), "manifest.json", "vision.onnx", "plan.onnx"])
def test_one_flipped_bit_anywhere_in_any_file_is_refused(release, name):
    file = release.path / name
    good = file.read_bytes()
    for position in sorted({0, 1, len(good) // 3, len(good) // 2, len(good) - 1}):
        file.write_bytes(good[:position] + bytes([good[position] ^ 1]) + good[position + 1 :])
        with pytest.raises(BundleRefused) as refused:
            open_release(release)
        assert refused.value.fix and name.split("/")[-1] in str(refused.value), f"byte {position}: {refused.value}"
    file.write_bytes(good)
    open_release(release)


@pytest.mark.parametrize("name", [*(f"metadata/{file}" for file in METADATA_FILES), "manifest.json", "plan.onnx"])
@pytest.mark.parametrize("keep_frac", [0.0, 0.5, None])
def test_truncated_or_missing_files_are_refused(release, name, keep_frac):
    file = release.path / name
    if keep_frac is None:
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[: int(file.stat().st_size * keep_frac)])
    with pytest.raises(BundleRefused, match=file.name):
        open_release(release)


@pytest.mark.parametrize(("days", "file"), [(91, "timestamp.json"), (6 * 365, "root.json")])
def test_expired_metadata_is_refused(release, days, file):
    with pytest.raises(BundleRefused, match="expired") as refused:
        open_release(release, now=release.now + datetime.timedelta(days=days))
    assert Path(refused.value.file).name == file


def test_a_clock_set_back_does_not_revive_an_expired_bundle(make_release, release, tmp_path):
    state = tmp_path / "seen.json"
    open_release(release, state)
    state.write_text(state.read_text().replace(str(int(release.now.timestamp() * 1e6)), str(int((release.now.timestamp() + 200 * 86400) * 1e6))))
    with pytest.raises(BundleRefused, match="expired"):
        open_release(release, state)


def test_an_older_release_is_refused_once_a_newer_was_accepted(make_release, tmp_path):
    old, new, state = make_release(1), make_release(2), tmp_path / "seen.json"
    open_release(old, state)
    open_release(new, state, accept=False)
    open_release(old, state)  # a trial does not raise the counters
    open_release(new, state)
    with pytest.raises(BundleRefused, match="older than 2"):
        open_release(old, state)


def test_mixed_releases_are_refused(make_release, tmp_path):
    old, new = make_release(1), make_release(2)
    for file in ("snapshot.json", "targets.json", "director.json"):
        mixed = tmp_path / f"mixed-{file}"
        shutil.copytree(new.path, mixed)
        shutil.copyfile(old.path / "metadata" / file, mixed / "metadata" / file)
        with pytest.raises(BundleRefused, match=file):
            open_bundle(mixed, new.keys.trusted_root, new.vehicle, None, new.now)


def test_another_body_or_hardware_is_refused(make_release):
    donkey = make_release(3, body="donkey")
    with pytest.raises(BundleRefused, match="body 'donkey'"):
        open_release(donkey)
    open_release(donkey, vehicle=VehicleIdentity(body="donkey"))
    with pytest.raises(BundleRefused, match="hardware"):
        open_release(make_release(4), vehicle=VehicleIdentity(body="car", hardware_id="other-computer"))


def test_keys_of_someone_else_are_refused(make_release, release, tmp_path):
    other = ensure_keys(tmp_path / "other" / "keys", release.now)
    forged = make_release(1, signed_by=other, name="forged")
    with pytest.raises(BundleRefused, match="not the root this vehicle trusts"):
        open_release(forged, root=release.keys.trusted_root)
    shutil.copyfile(release.keys.trusted_root, forged.path / "metadata" / "root.json")
    with pytest.raises(BundleRefused, match="signature"):
        open_release(forged, root=release.keys.trusted_root)


@pytest.mark.parametrize("stolen", ROLES[1:])
def test_one_stolen_key_is_not_enough_for_a_changed_payload(release, stolen, tmp_path):
    thief = ensure_keys(tmp_path / "thief" / "keys", release.now)
    signers = {role: (release.keys if role == stolen else thief).signers[role] for role in ROLES}
    (release.path / "plan.onnx").write_bytes(b"evil weights")
    sign_bundle(release.path, ReleaseConfig(release=9), Keys(signers=signers, trusted_root=release.keys.trusted_root), release.now)
    with pytest.raises(BundleRefused):
        open_release(release)


@pytest.mark.parametrize("name", ["extra.onnx", "metadata/extra.json", "deep/extra.bin"])
def test_files_nobody_signed_are_refused(release, name):
    (release.path / name).parent.mkdir(exist_ok=True)
    (release.path / name).write_bytes(b"x")
    with pytest.raises(BundleRefused, match="extra"):
        open_release(release)


def test_links_are_refused(release, tmp_path):
    outside = tmp_path / "outside.onnx"
    (release.path / "plan.onnx").rename(outside)
    (release.path / "plan.onnx").symlink_to(outside)
    with pytest.raises(BundleRefused, match="link"):
        open_release(release)


def test_a_damaged_memory_of_versions_is_not_taken_for_none(release, tmp_path):
    state = tmp_path / "seen.json"
    state.write_bytes(b"{")
    with pytest.raises(BundleRefused, match="unreadable"):
        open_release(release, state)


def test_private_keys_are_private_made_once_and_missed_by_name(tmp_path, release):
    folder = tmp_path / "k" / "keys"
    first = ensure_keys(folder, release.now)
    assert all((folder / f"{role}.pem").stat().st_mode & 0o777 == 0o600 for role in ROLES)
    again = ensure_keys(folder, release.now)
    assert {r: s.public_key.keyid for r, s in first.signers.items()} == {r: s.public_key.keyid for r, s in again.signers.items()}
    (folder / "targets.pem").unlink()
    with pytest.raises(ValueError, match=r"targets\.pem"):
        ensure_keys(folder)


def test_a_bundle_is_never_overwritten(make_release):
    make_release(1)
    with pytest.raises(ValueError, match="exists already"):
        make_release(1)
