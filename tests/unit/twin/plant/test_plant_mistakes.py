"""Mistakes in a plant file: what is wrong, on which line, and what to do."""

import json

import pytest

from tests.support.plant import HEAD, LINE, SMALL, one_problem, problems
from twin.plant import loads

UNITS = SMALL.replace("[[line.", 'unit = "g"\n[[line.')
CHART = SMALL + '[[line.station.measure]]\nid = "x"\nkind = "characteristic"\nunit = "mm"\n'
USED = CHART.replace("characteristic", "meter")
MISTAKES = {
    "budget of a property": (CHART + "budget = 1\n", 14, "line[L].station[A].measure[x].budget", "is of what is used"),
    "time of no budget": (USED + 'budget_over = "1h"\n', 14, "line[L].station[A].measure[x].budget_over", "no budget"),
    "draw of no idleness": (USED + "idle_draw = 1\n", 14, "line[L].station[A].measure[x].idle_draw", "idle_for"),
    "limits of a meter's product": (
        USED + 'product = [{ id = "P", lsl = 1 }]\n[[line.product]]\nid = "P"\nideal_cycle = "1s"\n',
        14,
        "line[L].station[A].measure[x].product[P].lsl",
        "is of single values",
    ),
    "packs without a nominal": (
        CHART.replace('"mm"', '"g"') + "average_weight = true\n",
        11,
        "line[L].station[A].measure[x].id",
        "needs `nominal`",
    ),
    "packs by the millimetre": (
        CHART + "nominal = 500\naverage_weight = true\n",
        13,
        "line[L].station[A].measure[x].unit",
        "weighed or filled",
    ),
    "too small a pack": (
        CHART.replace('"mm"', '"g"') + "nominal = 4\naverage_weight = true\n",
        14,
        "line[L].station[A].measure[x].nominal",
        "from 5 g",
    ),
    "histogram of a meter": (
        USED + "histogram = true\n",
        14,
        "line[L].station[A].measure[x].histogram",
        "single values",
    ),
    "tenths of units": (
        CHART.replace("characteristic", "first_pass") + "decimals = 1\n",
        14,
        "line[L].station[A].measure[x].decimals",
        "units are counted",
    ),
    "units where cycles count": (
        CHART.replace("characteristic", "first_pass").replace(
            "[[line.station]]", 'parts_from = "cycle"\n[[line.station]]'
        ),
        13,
        "line[L].station[A].measure[x].kind",
        "say which parts are good",
    ),
    "shares of one n without it": (
        CHART.replace("characteristic", "amount") + 'chart = { type = "np", baseline = 9 }\n',
        14,
        "line[L].station[A].measure[x].chart.type",
        "needs n",
    ),
    "tenths of defects": (
        CHART.replace("characteristic", "amount") + 'quantity = "defect"\ndecimals = 1\n',
        15,
        "line[L].station[A].measure[x].decimals",
        "defects are counted",
    ),
    "chances of what is no defect": (
        CHART + "opportunities = 2\n",
        14,
        "line[L].station[A].measure[x].opportunities",
        "is of defects",
    ),
    "chart without limits": (
        CHART + 'chart = { type = "i_mr" }\n',
        14,
        "line[L].station[A].measure[x].chart.type",
        "needs its limits",
    ),
    "chart with both limits": (
        CHART + 'chart = { type = "i_mr", baseline = 9, limits = { version = "a", center = 1, sigma = 2 } }\n',
        14,
        "line[L].station[A].measure[x].chart.type",
        "needs its limits",
    ),
    "limits without sigma": (
        CHART + 'chart = { type = "i_mr", limits = { version = "a", center = 1 } }\n',
        14,
        "line[L].station[A].measure[x].chart.limits.version",
        "need sigma",
    ),
    "cusum without target": (
        CHART + 'chart = { type = "cusum", k = 1, h = 5 }\n',
        14,
        "line[L].station[A].measure[x].chart.type",
        "add target",
    ),
    "key of another chart": (
        CHART + 'chart = { type = "c", baseline = 9, n = 5 }\n',
        14,
        "line[L].station[A].measure[x].chart.n",
        "is not of",
    ),
    "share above one": (
        CHART + 'chart = { type = "p", n = 9, limits = { version = "a", center = 2 } }\n',
        14,
        "line[L].station[A].measure[x].chart.limits.center",
        "at most 1",
    ),
    "specification upside down": (
        CHART + "lsl = 5\nusl = -5\n",
        15,
        "line[L].station[A].measure[x].usl",
        "not above lsl",
    ),
    "specification of a product nowhere": (
        CHART + 'product = [{ id = "P", lsl = 1 }]\n',
        14,
        "line[L].station[A].measure[x].product[P].id",
        "no product",
    ),
    "specification of a product upside down": (
        CHART + 'product = [{ id = "P", lsl = 5, usl = 4 }]\n[[line.product]]\nid = "P"\n',
        14,
        "line[L].station[A].measure[x].product[P].usl",
        "not above lsl",
    ),
    "exclusion that ends before": (
        CHART
        + 'chart = { type = "i_mr", baseline = 9, exclude = [{ from = "2026-03-02T07:00:00Z", '
        + 'to = "2026-03-02T06:00:00Z", cause = "x" }] }\n',
        14,
        "line[L].station[A].measure[x].chart.exclude[1].to",
        "is not after",
    ),
    "chart of a meter": (
        CHART.replace("characteristic", "meter") + 'chart = { type = "i_mr", baseline = 9 }\n',
        14,
        "line[L].station[A].measure[x].chart",
        "of single values",
    ),
    "unit of a station alone": (SMALL + 'unit = "pack"\n', 10, "line[L].station[A].unit", "add unit"),
    "factor of a station alone": (SMALL + "factor = 20\n", 10, "line[L].station[A].factor", "add unit"),
    "factor of a product alone": (
        SMALL + '[[line.product]]\nid = "P"\nfactor = { A = 20 }\n',
        12,
        "line[L].product[P].factor.A",
        "add unit",
    ),
    "unit without factor": (UNITS + 'unit = "pack"\n', 11, "line[L].station[A].unit", "the g in one pack"),
    "factor without unit": (UNITS + "factor = 20\n", 11, "line[L].station[A].factor", "of which unit"),
    "factor of the line's own unit": (
        UNITS + 'unit = "g"\nfactor = 20\n',
        12,
        "line[L].station[A].factor",
        "one g is one g",
    ),
    "target of a product nowhere": (
        SMALL + "[line.target]\nparts_per_hour = { P = 20 }\n",
        11,
        "line[L].target.parts_per_hour.P",
        "no product",
    ),
    "target OEE in per cent": (SMALL + "[line.target]\noee = 75\n", 11, "line[L].target.oee", "not a share"),
    "reason at no station": (
        SMALL + '[[reason]]\nid = "R"\nstations = "B"\n',
        12,
        "reason[R].stations[1]",
        "no station",
    ),
    "reason of none": (SMALL + '[[reason]]\nid = "R"\nparent = "Q"\n', 12, "reason[R].parent", "no reason"),
    "third level of reasons": (
        SMALL + '[[reason]]\nid = "A"\n[[reason]]\nid = "B"\nparent = "A"\n[[reason]]\nid = "C"\nparent = "B"\n',
        17,
        "reason[C].parent",
        "third level",
    ),
    "language of a reason": (
        SMALL + '[[reason]]\nid = "R"\nlabel = { German = "x" }\n',
        12,
        "reason[R].label.German",
        "no language",
    ),
    "reason that ran": (SMALL + '[[reason]]\nid = "R"\nclass = "running"\n', 12, "reason[R].class", "leave class out"),
    "retired at a time": (
        SMALL + '[[reason]]\nid = "R"\nretired = 2027-01-01T06:00:00\n',
        12,
        "reason[R].retired",
        "date alone",
    ),
    "factor of 0": (UNITS + 'unit = "pack"\nfactor = 0\n', 12, "line[L].station[A].factor", "out of range"),
    "decimal factor": (UNITS + 'unit = "pack"\nfactor = "0.5"\n', 12, "line[L].station[A].factor", '"1/8"'),
    "factor at no station": (
        UNITS + '[[line.product]]\nid = "P"\nfactor = { B = 20 }\n',
        13,
        "line[L].product[P].factor.B",
        "no station",
    ),
    "unknown key": (SMALL + 'idel_cycle = "1s"\n', 10, "line[L].station[A].idel_cycle", 'did you mean "ideal_cycle"'),
    "wrong type": (SMALL.replace('"flow"', "3"), 7, "line[L].type", "in quotes"),
    "number for a duration": (SMALL + "minor_stop = 5\n", 10, "line[L].station[A].minor_stop", 'such as "5min"'),
    "text for a number": (SMALL.replace("[[line.", 'panes = "6"\n[[line.'), 8, "line[L].panes", "without quotes"),
    "true is no number": (SMALL.replace("[[line.", "panes = true\n[[line."), 8, "line[L].panes", "true or false"),
    "missing key": (SMALL.replace('type = "flow"\n', ""), 4, "line[L].type", "is missing"),
    "missing site": (SMALL.replace('site = "Works"\n', ""), 1, "site", "is missing"),
    "no station": (LINE, 4, "line[L].station", "is missing"),
    "empty stations": (LINE + "station = []\n", 8, "line[L].station", "is empty"),
    "single brackets": (LINE + '[line.station]\nid = "A"\n', 8, "line[L].station", "double brackets"),
    "double brackets": (SMALL + "[[line.limits]]\n", 10, "line[L].limits", "single brackets"),
    "line twice": (SMALL + SMALL[len(HEAD) :], 11, "line[L].id", "taken; choose another (see line 5)"),
    "station twice": (SMALL + '[[line.station]]\nid = "A"\n', 11, "line[L].station[A].id", "(see line 9)"),
    "buffer twice": (
        SMALL + '[[line.buffer]]\nid = "B"\nafter = "A"\n' + '[[line.buffer]]\nid = "B"\nbefore = "A"\n',
        14,
        "line[L].buffer[B].id",
        "(see line 11)",
    ),
    "area nowhere": (SMALL.replace('area = "hall"', 'area = "hal"'), 6, "line[L].area", 'did you mean "hall"'),
    "buffer to nowhere": (
        SMALL + '[[line.buffer]]\nid = "B"\nafter = "A"\nbefore = [\n  "A1", # [\n]\n',
        14,
        "line[L].buffer[B].before[1]",
        'did you mean "A"',
    ),
    "buffer of nothing": (SMALL + '[[line.buffer]]\nid = "B"\n', 10, "line[L].buffer[B]", "joins nothing"),
    "station named twice": (
        SMALL + '[[line.buffer]]\nid = "B"\nafter = ["A", "A"]\n',
        12,
        "line[L].buffer[B].after[2]",
        "remove one",
    ),
    "two outputs": (
        SMALL + '[[line.buffer]]\nid = "B"\nafter = "A"\n' + '[[line.buffer]]\nid = "C"\nafter = ["A"]\n',
        15,
        "line[L].buffer[C].after[1]",
        "one output",
    ),
    "initial over capacity": (
        SMALL + '[[line.buffer]]\nid = "B"\nafter = "A"\ncapacity = 2\ninitial = 3\n',
        14,
        "line[L].buffer[B].initial",
        "do not fit into 2 places",
    ),
    "negative capacity": (
        SMALL + '[[line.buffer]]\nid = "B"\nafter = "A"\ncapacity = -1\n',
        13,
        "line[L].buffer[B].capacity",
        "out of range",
    ),
    "window": (SMALL.replace("[[line.", 'windows = "1h/7s"\n[[line.'), 8, "line[L].windows", "multiple of the step"),
    "window without step": (SMALL.replace("[[line.", 'windows = "1h"\n[[line.'), 8, "line[L].windows", "length/step"),
    "window twice": (
        SMALL.replace("[[line.", 'windows = ["1h/1min", "60min/1s"]\n[[line.'),
        8,
        "line[L].windows[2]",
        "two windows of 1h",
    ),
    "window too fine": (
        SMALL.replace("[[line.", 'windows = "7d/1s"\n[[line.'),
        8,
        "line[L].windows[1]",
        "604,800 steps",
    ),
    "publish_every": (
        SMALL.replace("[[line.", 'publish_every = "90s"\n[[line.'),
        8,
        "line[L].publish_every",
        'the step of the window "1h/1min"',
    ),
    "publish_every by default": (
        SMALL.replace("[[line.", 'windows = ["1min/1s",\n "8h/5min"]\n[[line.'),
        9,
        "line[L].windows[2]",
        "publish_every 1min is no multiple",
    ),
    "policy": (SMALL.replace("[[line.", 'policy = "iso"\n[[line.'), 8, "line[L].policy", "iso22400"),
    "class": (SMALL + '[line.states]\n"RUN [1] # x" = "runing"\n', 11, 'line[L].states."RUN [1] # x"', '"running"'),
    "ideal cycle 0": (SMALL + 'ideal_cycle = "0s"\n', 10, "line[L].station[A].ideal_cycle", "at least 1 ns"),
    "rate as cycle": (SMALL + 'ideal_cycle = "9/s"\n', 10, "line[L].station[A].ideal_cycle", 'rate = "9/s"'),
    "cycle as rate": (SMALL + 'rate = "9s"\n', 10, "line[L].station[A].rate", 'ideal_cycle = "9s"'),
    "both": (SMALL + 'rate = "9/s"\nideal_cycle = "1s"\n', 10, "line[L].station[A].rate", "(see line 11)"),
    "product at nowhere": (
        SMALL + '[[line.product]]\nid = "P"\n[line.product.at]\nB = "1s"\n',
        13,
        "line[L].product[P].at.B",
        "no station in this line",
    ),
    "constraint": (SMALL.replace("[[line.", 'constraint = "Z"\n[[line.'), 8, "line[L].constraint", "known: A"),
    "reserved id": (SMALL.replace('"A"', '"undecided"'), 9, "line[L].station[undecided].id", "choose another"),
    "id with a space": (SMALL.replace('"A"', '"A "'), 9, "line[L].station[A ].id", "no space"),
    "modulus 0": (
        SMALL + '[[line.station.counter]]\nid = "c"\nmodulus = 0\n',
        12,
        "line[L].station[A].counter[c].modulus",
        "from 1",
    ),
    "zone": (SMALL + '[line.calendar]\nzone = "Europe/Berln"\n', 11, "line[L].calendar.zone", '"Europe/Berlin"'),
    "zone as a path": (SMALL + '[line.calendar]\nzone = "../etc"\n', 11, "line[L].calendar.zone", "IANA"),
    "zone folder": (SMALL + '[line.calendar]\nzone = "Europe"\n', 11, "line[L].calendar.zone", "no time zone"),
    "day start": (SMALL + '[line.calendar]\nday_start = "25:00"\n', 11, "line[L].calendar.day_start", "24:00"),
    "oee limit": (SMALL + "[line.limits]\noee_below = 60\n", 11, "line[L].limits.oee_below", "0.6 for 60 %"),
    "oee window": (SMALL + '[line.limits]\noee_window = "2h"\n', 11, "line[L].limits.oee_window", "windows: 1min, 1h"),
    "source": (SMALL + "[[source]]\nfile = 1\nfiles = 'x'\n", 11, "source[1].file", 'did you mean "files"'),
    "too many windows": (
        SMALL.replace(
            "[[line.", f'windows = {json.dumps([f"{i}h/1h" for i in range(1, 10)])}\npublish_every="1h"\n[[line.'
        ),
        8,
        "line[L].windows",
        "9 entries; at most 8",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake(name: str) -> None:
    source, line, key, message = MISTAKES[name]
    found = one_problem(source)
    assert found[:2] == (line, key)
    assert message in found[2]


def test_a_wrong_element_of_an_array_is_on_its_own_line_and_the_others_keep_theirs() -> None:
    windows = 'windows = [\n"1h/7s",\n"1min/1s",\n60,\n"1min/2s",\n]\n[[line.'
    assert [(line, key) for line, key, _ in problems(SMALL.replace("[[line.", windows))] == [
        (9, "line[L].windows[1]"),
        (11, "line[L].windows[3]"),
        (12, "line[L].windows[4]"),
    ]


def shift(id: str, days: str, hours: str) -> str:
    return f'[[line.calendar.shift]]\nid = "{id}"\ndays = "{days}"\nhours = "{hours}"\n'


@pytest.mark.parametrize(
    ("first", "second", "when"),
    [
        (("Mon-Fri", "06:00 - 14:00"), ("Mon-Fri", "13:30 - 22:00"), "Mon 13:30"),
        (("Sun", "22:00 - 06:00"), ("Mon", "05:00 - 07:00"), "Mon 05:00"),
        (("Fri", "22:00 - 06:00"), ("Sat", "00:00 - 01:00"), "Sat 00:00"),
        (("Mon", "00:00 - 24:00"), ("Mon", "23:00 - 23:30"), "Mon 23:00"),
        (("Wed", "08:00 - 16:00"), ("Wed", "08:00 - 16:00"), "Wed 08:00"),
    ],
)
def test_overlapping_shifts(first: tuple[str, str], second: tuple[str, str], when: str) -> None:
    line, key, message = one_problem(SMALL + shift("a", *first) + shift("b", *second))
    assert (line, key) == (17, "line[L].calendar.shift[b].hours")
    assert when in message
    assert "(see line 13)" in message


def test_every_overlapping_pair_is_told() -> None:
    days = shift("day", "Mon", "00:00-24:00") + shift("b", "Mon", "01:00-02:00") + shift("c", "Mon", "03:00-04:00")
    assert [line for line, _, _ in problems(SMALL + days)] == [17, 21]


@pytest.mark.parametrize(
    "hours",
    [("06:00-14:00", "14:00-22:00", "22:00-06:00"), ("00:00-08:00", "08:00-16:00", "16:00-24:00"), ("06:00-06:00",)],
)
def test_shifts_that_touch_do_not_overlap(hours: tuple[str, ...]) -> None:
    plant = loads(SMALL + "".join(shift(f"s{i}", "Mon-Sun", h) for i, h in enumerate(hours)))
    assert len(plant.lines[0].calendar.shifts) == len(hours)


@pytest.mark.parametrize(
    ("body", "key", "message"),
    [
        ("", "", "says no time"),
        ('weekly = "Fri - Sun"', ".weekly", "Fri 22:00 - Sun 22:00"),
        ('weekly = "Fri 22:00 - Fri 22:00"', ".weekly", "empty or the whole week"),
        ('weekly = "Mon 00:00 - Sun 24:00"', ".weekly", "empty or the whole week"),
        ('weekly = "Fry 22:00 - Sun 22:00"', ".weekly", "not a day of the week"),
        ('weekly = "Fri 22:00 - Sun 25:00"', ".weekly", "not a time of day"),
        ('days = "Mon"', "", "says no time"),
        ('hours = "10:00-10:00"', ".hours", "empty"),
        ('hours = "10:00"', ".hours", "22:00 - 06:00"),
        ('hours = "10:00-10:30"\nweekly = "Fri 22:00 - Sun 22:00"', ".hours", "weekly already says when"),
        ("from = 2026-01-01T00:00:00", ".to", "is missing"),
        ('to = "2026-01-01 00:00"', ".from", "is missing"),
        ('from = 2026-01-01\nto = "2026-01-02 00:00"', ".from", "a date and a time of day"),
        ('from = 2026-01-01T00:00:00Z\nto = "2026-01-02 00:00"', ".from", "leave the offset out"),
        ('from = "2026-01-02 00:00"\nto = "2026-01-02 00:00"', ".to", "not after from"),
        ('from = "2026-02-30 00:00"\nto = "2026-03-02 00:00"', ".from", "that exists"),
    ],
)
def test_planned_stop_mistakes(body: str, key: str, message: str) -> None:
    found = problems(SMALL + f'[[line.calendar.planned_stop]]\nid = "x"\n{body}\n')
    assert any(k == f"line[L].calendar.planned_stop[x]{key}" and message in m for _, k, m in found), found


def test_all_mistakes_at_once_sorted_by_line() -> None:
    source = SMALL.replace("site", "sit") + 'rate = "x"\n[[line]]\nid = "M"\ntype = "flo"\narea = "hall"\n'
    found = [(line, key) for line, key, _ in problems(source)]
    assert found == [
        (1, "sit"),
        (1, "site"),
        (10, "line[L].station[A].rate"),
        (11, "line[M].station"),
        (13, "line[M].type"),
    ]


def test_a_wrong_id_causes_no_second_message() -> None:
    source = LINE + '[[line.station]]\nid = 7\n[[line.buffer]]\nid = "B"\nafter = "A"\n'
    assert [line for line, _, _ in problems(source)] == [9]


# --- loops


def stations(*names: str) -> str:
    return "".join(f'[[line.station]]\nid = "{name}"\n' for name in names)


def buffer(id: str, after: str, before: str, rest: str = "") -> str:
    sides = "".join(
        f"{side} = {json.dumps(names.split())}\n" for side, names in (("after", after), ("before", before)) if names
    )
    return f'[[line.buffer]]\nid = "{id}"\n{sides}{rest}\n'


def test_a_loop_without_a_part_can_never_move() -> None:
    source = LINE + stations("A", "B", "C") + buffer("x", "A", "B") + buffer("y", "B", "A C")
    _, key, message = one_problem(source)
    assert key == "line[L].buffer[x].id"
    assert '"x" -> "y" -> "x"' in message or '"y" -> "x" -> "y"' in message
    assert "no part" in message


def test_a_loop_of_direct_links_can_never_move() -> None:
    direct = "capacity = 0"
    _, _, message = one_problem(
        LINE + stations("A", "B") + buffer("x", "A", "B", direct) + buffer("y", "B", "A", direct)
    )
    assert "no part" in message


def test_a_loop_without_a_free_place_can_never_move() -> None:
    full = "capacity = 2\ninitial = 2"
    _, _, message = one_problem(LINE + stations("A", "B") + buffer("x", "A", "B", full) + buffer("y", "B", "A", full))
    assert "free place" in message


def test_two_loops_are_two_mistakes_and_what_lies_behind_is_none() -> None:
    loops = buffer("x", "A", "B D") + buffer("y", "B", "A") + buffer("u", "D", "E") + buffer("v", "F", "F")
    found = problems(LINE + stations("A", "B", "D", "E", "F") + loops)
    assert [key for _, key, _ in found] == ["line[L].buffer[x].id", "line[L].buffer[v].id"]


@pytest.mark.parametrize(
    "joints",
    [
        buffer("x", "A", "B") + buffer("y", "B", "A", "capacity = 3\ninitial = 1"),  # pallets
        buffer("x", "A C", "B", "capacity = 0") + buffer("y", "B", "C D", "capacity = 0"),  # rework: A feeds, D empties
        buffer("x", "A", "B", "capacity = 0") + buffer("y", "B", "C", "capacity = 0"),  # a line of direct links
        buffer("x", "A", "B", "capacity = 2\ninitial = 2") + buffer("y", "B", "", "capacity = 2\ninitial = 2"),
    ],
)
def test_a_topology_that_moves(joints: str) -> None:
    assert loads(LINE + stations("A", "B", "C", "D") + joints).lines[0].buffers
