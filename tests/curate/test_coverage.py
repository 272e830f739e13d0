"""Holes in the coverage are named, the most needed first."""

from motorworks.curate.coverage import CoverageRow, cover


def test_a_hole_in_the_coverage_is_named_first() -> None:
    rows = [CoverageRow(seconds_s=8.0, scenarios=("turn left",) if number % 2 else ("stop",), conditions={"light": "day"}) for number in range(40)]
    rows += [CoverageRow(seconds_s=8.0, scenarios=("stop",), conditions={"light": "dark"}) for _ in range(30)]
    table = cover(rows, scenarios=["stop", "turn left", "u-turn"])
    assert table.num_clips.tolist() == [[20, 30], [20, 0], [0, 0]] and table.seconds_s[0, 0] == 160
    assert table.missing()[0] == "no turn left with light dark: 0 of 30 clips"
    with_night = cover(rows, scenarios=["stop"], conditions={"light": ("day", "dark", "night", "unknown")})
    assert with_night.missing()[0] == "no clip at all with light night"
    assert "no u-turn with light day: 0 of 40 clips" in table.missing()
