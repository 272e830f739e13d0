"""Road networks of others become towns, and broken ones say what is wrong."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from motorworks.sim.ground import furnish
from motorworks.sim.lanes import ALL_STOP, CROSSWALK, DRIVE, LIGHT, YIELD, Network
from motorworks.sim.paint import lane_points
from motorworks.sim.sumo import import_network, sumo_tool
from motorworks.sim.sumo_net import Net
from motorworks.sim.sumo_signals import SignalTable

TWO_ROADS = """<net version="1.20">
  <edge id="up" from="a" to="b"><lane id="up_0" index="0" speed="10" length="90" shape="0,0 20,-20 40,-20 60,0"/></edge>
  <edge id="down" from="b" to="a"><lane id="down_0" index="0" speed="12" length="90" shape="60,12 40,32 20,32 0,12"/></edge>
  <edge id="dead" from="b" to="c"><lane id="dead_0" index="0" speed="12" length="60" shape="64,2 120,2"/></edge>
  <junction id="a" type="priority" x="0" y="6" incLanes="down_0" intLanes="" shape="-3,-1 -3,13 3,13 3,-1"/>
  <junction id="b" type="priority" x="60" y="6" incLanes="up_0" intLanes="" shape="57,-1 57,13 63,13 63,-1"/>
  <junction id="c" type="dead_end" x="120" y="2" incLanes="dead_0" intLanes="" shape="120,0 120,4"/>
  <connection from="up" to="down" fromLane="0" toLane="0" dir="l" state="M"/>
  <connection from="up" to="dead" fromLane="0" toLane="0" dir="s" state="M"/>
  <connection from="down" to="up" fromLane="0" toLane="0" dir="l" state="m"/>
</net>
"""


def _import(folder: Path, text: str) -> Network:
    path = folder / "small.net.xml"
    path.write_text(text)
    return import_network(path)


def _check_rules(network: Network) -> None:
    """Continuous, without dead ends; rivals symmetric, nobody gives way to one who gives way, and no two clash on green."""
    lanes = network.lanes
    assert (lanes.num_next > 0).all()
    for lane in range(len(lanes.first)):
        end = lane_points(network, lane)[-1]
        for following in lanes.next[lane, : lanes.num_next[lane]]:
            start = lane_points(network, int(following))[0]
            assert np.hypot(*(end[:2] - start[:2])) < 0.05
            assert lanes.kind[lane] == lanes.kind[following]
            assert lanes.kind[lane] != DRIVE or np.cos(end[2] - start[2]) > np.cos(np.radians(2))
        for k, rival in enumerate(lanes.rivals[lane, : lanes.num_rivals[lane]]):
            back = lanes.rivals[rival, : lanes.num_rivals[rival]].tolist().index(lane)
            yields = bool(lanes.gives_way[lane, k]), bool(lanes.gives_way[rival, back])
            assert not all(yields)
            assert any(yields) or not _green_together(network, lane, int(rival))


def _green_together(network: Network, a: int, b: int) -> bool:
    rows = network.signals[network.lanes.signal[[a, b]]]
    if (network.lanes.signal[[a, b]] < 0).any():
        return False
    clock = np.arange(rows[0, 0])
    return bool(np.logical_and(*(((clock - row[1]) % row[0]) < row[2] for row in rows)).any())


def test_two_roads_by_hand(tmp_path: Path) -> None:
    network = _import(tmp_path, TWO_ROADS)
    lanes = network.lanes
    assert network.name == "small"
    assert (lanes.source < 0).sum() == 2  # the dead end is left out
    assert sorted(lanes.limit[lanes.source < 0]) == [10.0, 12.0]
    connectors = np.flatnonzero(lanes.source >= 0)
    assert sorted(lanes.control[connectors]) == sorted((0, YIELD))
    assert (lanes.turn[connectors] == 1).all()
    assert np.abs(lanes.points[:, 3]).max() < 0.21
    _check_rules(network)
    town = furnish(network, 1)
    codes = town.heading[(lanes.points[:, 1] / 0.5).astype(int), (lanes.points[:, 0] / 0.5).astype(int)]
    assert (codes != -128).all()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("</net>", "", "not well-formed XML"),
        ("<net version", "<town version", "not well-formed XML"),
        ('shape="0,0 20,-20 40,-20 60,0"', 'shape="0,0 x,1"', "up_0"),
        ('shape="0,0 20,-20 40,-20 60,0"', 'shape="0,0 nan,1"', "up_0"),
        ('speed="10"', 'speed="fast"', "speed"),
        ('to="down" fromLane="0" toLane="0"', 'to="down" fromLane="0" toLane="4"', "down_4"),
        ('from="down" to="up"', 'from="down" to="nowhere"', "nowhere_0"),
        ('state="m"', 'state="m" tl="L" linkIndex="0"', "tlLogic"),
        ('<connection from="down"', '<x from="down"', "lead round"),
        ("120,2", "1120,2", "640 m fit"),
    ],
)
def test_a_broken_net_says_file_element_and_fix(tmp_path: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        _import(tmp_path, TWO_ROADS.replace(old, new, 1))
    assert "small.net.xml" in str(caught.value)


def test_no_roads_and_no_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="passenger cars"):
        _import(tmp_path, '<net version="1.20"/>')
    with pytest.raises(ValueError, match="no such file"):
        import_network(tmp_path / "missing.net.xml")


def test_a_light_keeps_a_links_longest_green() -> None:
    net = Net(path=Path("x"), programmes={"t": (1.0, [(4.0, "Gr"), (3.0, "yr"), (8.0, "rG"), (3.0, "ry"), (2.0, "Gr")])})
    table = SignalTable(net)
    assert table.row("", 0) == -1
    assert (table.row("t", 0), table.row("t", 1)) == (0, 1)
    assert table.rows == [(200, 190, 60, 30), (200, 80, 80, 30)]  # the first runs over the end of the cycle; the offset shifts both


def test_opendrive_without_sumo_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sumo", None)
    path = tmp_path / "town.xodr"
    path.write_text("<OpenDRIVE/>")
    with pytest.raises(ValueError, match=r"motorworks\[sumo\]"):
        import_network(path)


def _run(tool: str, *arguments: str) -> None:
    pytest.importorskip("sumo", reason="eclipse-sumo is not installed: the [sumo] extra")
    program = sumo_tool(tool)
    subprocess.run([str(program), *arguments], check=True, capture_output=True, env={**os.environ, "SUMO_HOME": str(program.parents[1])})


def test_a_generated_grid_with_lights_crossings_and_its_opendrive_twin(tmp_path: Path) -> None:
    net, twin = tmp_path / "grid.net.xml", tmp_path / "twin.xodr"
    _run(
        "netgenerate", "--grid", "--grid.number", "3", "--grid.length", "100", "--default.lanenumber", "2", "--sidewalks.guess",
        "--crossings.guess", "--tls.guess", "-o", str(net),
    )  # fmt: skip
    network = import_network(net)
    lanes = network.lanes
    assert {LIGHT, CROSSWALK} <= set(lanes.control[lanes.source >= 0].tolist())
    assert (lanes.left >= 0).any()
    assert (lanes.opposite >= 0).any()
    assert len(network.signals) > 1
    _check_rules(network)
    _run("netconvert", "-s", str(net), "--opendrive-output", str(twin))
    other = import_network(twin)
    assert ((other.lanes.kind == DRIVE) & (other.lanes.source < 0)).sum() == ((lanes.kind == DRIVE) & (lanes.source < 0)).sum()
    _check_rules(other)


def test_all_way_stops_are_first_come_first_served(tmp_path: Path) -> None:
    net = tmp_path / "stops.net.xml"
    _run("netgenerate", "--grid", "--grid.number", "3", "--grid.length", "80", "--default-junction-type", "allway_stop", "-o", str(net))
    network = import_network(net)
    lanes = network.lanes
    stops = lanes.control == ALL_STOP
    assert stops.any()
    assert lanes.num_rivals[stops].any()
    assert not lanes.gives_way[stops].any()


def test_a_broken_opendrive_file_says_so(tmp_path: Path) -> None:
    pytest.importorskip("sumo", reason="eclipse-sumo is not installed: the [sumo] extra")
    path = tmp_path / "broken.xodr"
    path.write_text("<OpenDRIVE><road")
    with pytest.raises(ValueError, match=r"broken\.xodr"):
        import_network(path)
