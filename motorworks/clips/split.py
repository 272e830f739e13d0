"""Train or held out: decided per recording, never per clip, and never taken back."""

import hashlib
from collections.abc import Mapping, Sequence

SPLITS = ("train", "held_out")


def split_by_recording(
    recordings: Mapping[str, str], *, held_out_frac: float, seed: int = 0, previous: Mapping[str, str] | None = None
) -> dict[str, str]:
    """`recordings` maps recording_id to source; answers recording_id to "train" or "held_out".

    Per source: assignments of `previous` stay, also of recordings absent today (a turn must not learn from what an earlier one
    held out); then new recordings are held out, lowest hash first, until their number is nearest to `held_out_frac`. A source with
    at least two recordings holds out at least one and trains on at least one; a lone recording trains.
    """
    if not 0.0 <= held_out_frac < 1.0:
        raise ValueError(f"held_out_frac {held_out_frac} must be in [0, 1)")
    kept = dict(previous or {})
    wrong = sorted({value for value in kept.values()} - set(SPLITS))
    if wrong:
        raise ValueError(f"previous assigns {wrong}, only {SPLITS} exist")
    split = dict(kept)
    for source in sorted(set(recordings.values())):
        members = sorted(name for name, of in recordings.items() if of == source)
        new = sorted((name for name in members if name not in kept), key=lambda name: (_hash(seed, name), name))
        wanted = _num_held_out(len(members), held_out_frac)
        missing = max(0, wanted - sum(kept.get(name) == "held_out" for name in members))
        split.update({name: "held_out" if rank < missing else "train" for rank, name in enumerate(new)})
    return split


def part_of_clips(clips: Sequence[tuple[str, str]], split: Mapping[str, str]) -> list[str]:
    """Of (recording_id, content_id) each: train, held_out, or "copy" — in training it would show what is held out, uploaded under another
    name. Recordings that `split` does not know train."""
    parts = [split.get(recording, "train") for recording, _ in clips]
    hidden = {content for (_, content), part in zip(clips, parts, strict=True) if part == "held_out"}
    return ["copy" if part == "train" and content in hidden else part for (_, content), part in zip(clips, parts, strict=True)]


def _num_held_out(num: int, frac: float) -> int:
    return 0 if num < 2 or frac == 0.0 else min(num - 1, max(1, round(num * frac)))


def _hash(seed: int, name: str) -> str:
    return hashlib.sha256(f"{seed}:{name}".encode()).hexdigest()
