"""Never both, never taken back, each source on its own."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motorworks.clips.split import part_of_clips, split_by_recording

recordings = st.dictionaries(st.text("abcdef", min_size=1, max_size=5), st.sampled_from(["donkeycar", "town", "video"]), max_size=40)


@given(recordings, st.floats(0, 0.9), st.integers(0, 5))
@settings(deadline=None)
def test_each_source_has_both_where_it_can(given_recordings: dict[str, str], frac: float, seed: int) -> None:
    split = split_by_recording(given_recordings, held_out_frac=frac, seed=seed)
    assert split.keys() == given_recordings.keys()
    assert split == split_by_recording(dict(reversed(given_recordings.items())), held_out_frac=frac, seed=seed)
    for source in set(given_recordings.values()):
        of_source = [split[name] for name, own in given_recordings.items() if own == source]
        num_held_out = of_source.count("held_out")
        assert num_held_out < len(of_source)
        if len(of_source) >= 2 and frac > 0:
            assert num_held_out >= 1 and abs(num_held_out - frac * len(of_source)) <= 1
        else:
            assert num_held_out == 0


@given(recordings, recordings, recordings, st.floats(0.05, 0.6))
@settings(deadline=None)
def test_turn_after_turn_nothing_changes_sides(first: dict[str, str], second: dict[str, str], third: dict[str, str], frac: float) -> None:
    split: dict[str, str] = {}
    for turn in (first, {**second, **first}, {**third, **second, **first}):
        later = split_by_recording(turn, held_out_frac=frac, previous=split)
        assert all(later[name] == side for name, side in split.items())  # also of recordings that are gone today
        split = later


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="held_out_frac"):
        split_by_recording({}, held_out_frac=1.0)
    with pytest.raises(ValueError, match="validation"):
        split_by_recording({"a": "town"}, held_out_frac=0.2, previous={"a": "validation"})


def test_what_is_held_out_under_one_name_does_not_train_under_another() -> None:
    clips = [("a", "1"), ("b", "2"), ("again", "1"), ("town", "3"), ("a", "4")]
    assert part_of_clips(clips, {"a": "held_out", "b": "train"}) == ["held_out", "train", "copy", "train", "held_out"]
