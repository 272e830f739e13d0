"""The signing keys: one ed25519 key a role, made once, private halves 0600, the root to pin beside them.

Thin: all keys lie on one machine with a threshold of one; a fleet would keep root and targets keys offline, two of three.
"""

import datetime
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from securesystemslib.signer import CryptoSigner, SSlibKey
from tuf.api.metadata import Metadata, Root

from motorworks.drive.atomic import sync_folder, write_atomically
from motorworks.drive.bundle import DIRECTOR

ROLES = ("root", "targets", "snapshot", "timestamp", DIRECTOR)
TRUSTED_ROOT = "trusted_root.json"
ROOT_LIFE = datetime.timedelta(days=5 * 365)


@dataclass(frozen=True, kw_only=True)
class Keys:
    """Signers by role, and the root that vehicles pin."""

    signers: Mapping[str, CryptoSigner]
    trusted_root: Path


def ensure_keys(folder: Path, now: datetime.datetime | None = None) -> Keys:
    """Loads the keys of `folder`, or makes them there once."""
    if not folder.exists():
        _make_keys(folder, now or datetime.datetime.now(datetime.UTC))
    signers = {}
    for role in ROLES:
        file = folder / f"{role}.pem"
        try:
            private = load_pem_private_key(file.read_bytes(), None)
        except (OSError, ValueError) as error:
            raise ValueError(
                f"{file}: the {role} key is missing or unreadable ({error}); restore it, or move {folder} away to make new keys "
                "(vehicles that pin the old root will refuse what the new keys sign)"
            ) from error
        if not isinstance(private, Ed25519PrivateKey):
            raise ValueError(f"{file}: not an ed25519 key; restore the key that was made with {folder}")
        signers[role] = CryptoSigner(private, _public(private))
    return Keys(signers=signers, trusted_root=folder / TRUSTED_ROOT)


def _make_keys(folder: Path, now: datetime.datetime) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))  # mkdtemp makes it 0700
    try:
        signers = {role: CryptoSigner.generate_ed25519() for role in ROLES}
        for role, signer in signers.items():
            with os.fdopen(os.open(work / f"{role}.pem", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
                stream.write(signer.private_bytes)
                stream.flush()
                os.fsync(stream.fileno())
        root = Root(version=1, expires=now.replace(microsecond=0) + ROOT_LIFE, consistent_snapshot=False)
        for role in ROLES[:4]:
            root.add_key(signers[role].public_key, role)
        metadata = Metadata(root)
        metadata.sign(signers["root"])
        write_atomically(work / TRUSTED_ROOT, metadata.to_bytes())
        os.rename(work, folder)
        sync_folder(folder.parent)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise


def _public(private: Ed25519PrivateKey) -> SSlibKey:
    return SSlibKey.from_crypto(private.public_key())
