"""The plant as a text tree, the order of flow and the memory of the windows."""

from twin.plant import loads
from twin.plant.memory import ring_slots, tick_slots, window_bytes
from twin.plant.model import Window
from twin.plant.topology import flow_order, full_loops, links, starved_loops
from twin.plant.tree import MOST_AREAS, summary, tree

S = 10**9
PLANT = """
site = "Works"
area = [{ id = "hall" }, { id = "empty" }]
[[line]]
id = "L1"
area = "hall"
type = "assembly"
constraint = "join"
minor_stop = "90s"
[[line.station]]
id = "join"
ideal_cycle = "6.5s"
[[line.station]]
id = "left"
rate = "120000/h"
minor_stop = "0s"
[[line.station]]
id = "right"
[[line.buffer]]
id = "B2"
after = "right"
before = "join"
capacity = 0
[[line.buffer]]
id = "B1"
after = "left"
before = "join"
capacity = 1
initial = 1
[[line.buffer]]
id = "raw"
before = ["left", "right"]
[[line.buffer]]
id = "done"
after = "join"
[[line.product]]
id = "P"
ideal_cycle = "7s"
at = { left = "30ms" }
[[line]]
id = "L2"
area = "hall"
type = "cell"
windows = []
station = [{ id = "only" }]
[line.calendar]
zone = "Europe/Berlin"
shift = [{ id = "early", hours = "06:00-14:00" }, { id = "late", hours = "14:00-22:00" }]
planned_stop = [{ id = "break", hours = "10:00-10:15" }, { id = "x", weekly = "Sat 00:00 - Mon 00:00" }]
"""


def test_tree() -> None:
    plant = loads(PLANT)
    assert (
        tree(plant)
        == f"""\
Works  model {plant.hash}, 2 lines, 4 stations, windows 69.9 kB
└─ hall
   ├─ L1  assembly, policy iso22400, rows every 1min
   │  ├─ raw (unlimited, 0 at first) -> left, right
   │  ├─ left  ideal 30ms
   │  │    B1 (1 place, 1 at first) -> join
   │  ├─ right
   │  │    B2 (direct) -> join
   │  ├─ join  ideal 6.5s  assembles B2 + B1 (each part takes one from every input)  constraint
   │  │    done (unlimited, 0 at first) -> out of the line
   │  ├─ product P  ideal 7s, at left 30ms
   │  ├─ calendar UTC: always in shift
   │  ├─ bottleneck: 12 panes of 10min
   │  └─ windows: 69.9 kB of memory
   │       1min in steps of 1s: 183 slots x 22 columns x 8 bytes
   │       1h in steps of 1min: 183 slots x 22 columns x 8 bytes
   └─ L2  cell, policy iso22400, rows every 1min
      ├─ only
      ├─ calendar Europe/Berlin: early, late; 2 planned stops
      ├─ bottleneck: none, the line has no buffers
      └─ windows: 0 bytes of memory
"""
    )


def test_a_ring_has_a_slot_for_either_end_of_its_window() -> None:
    assert ring_slots(Window("1min", 60 * S, S)) == 61
    assert ring_slots(Window("10min", 600 * S, 60 * S)) == 11


def test_windows_take_rings_and_the_rows_that_wait_for_undecided_stops() -> None:
    line = loads(PLANT).lines[0]
    assert tick_slots(line) == 2 + 3  # stops of up to 90 s, ticks of a minute
    assert window_bytes(line) == (61 + 61) * 22 * 3 * 8 + 2 * 5 * 23 * 3 * 8


def test_flow_order_follows_the_parts() -> None:
    line = loads(PLANT).lines[0]
    assert [line.stations[i].id for i in flow_order(line)] == ["left", "right", "join"]


def test_flow_order_cuts_a_loop_where_the_file_begins() -> None:
    loop = "".join(
        f'[[line.buffer]]\nid = "b{a}{b}"\nafter = "{a}"\nbefore = "{b}"\ninitial = 1\n' for a, b in ("ab", "bc", "ca")
    )
    stations = "".join(f'[[line.station]]\nid = "{s}"\n' for s in "bca")
    head = 'site = "W"\narea = [{ id = "h" }]\n[[line]]\nid = "L"\narea = "h"\ntype = "flow"\n'
    line = loads(head + stations + loop).lines[0]
    assert [line.stations[i].id for i in flow_order(line)] == ["b", "c", "a"]
    assert not starved_loops(links(line))
    assert not full_loops(links(line))


def test_a_large_plant_is_summed_up_by_area() -> None:
    areas = MOST_AREAS + 3
    text = 'site = "Works"\n' + "".join(f'[[area]]\nid = "a{k}"\n' for k in range(areas))
    for k in range(2 * areas):
        text += f'[[line]]\nid = "l{k}"\narea = "a{k % areas}"\ntype = "flow"\n[[line.station]]\nid = "s"\n'
    rows = summary(loads(text, "plant.toml")).splitlines()
    assert len(rows) == 2 + MOST_AREAS
    assert f"{2 * areas} lines, {2 * areas} stations" in rows[0]
    assert rows[1].startswith("├─ a0  2 lines (flow), 2 stations, windows")
    assert rows[-1].startswith("└─ 3 more areas  6 lines (flow), 6 stations")
