"""The golden control charts as event logs: what a worker writes is what the pure functions and the books say.

Each in order, late with revisions, over restarts at any place, and by two workers; rows and digests are the same.
"""

import json
import random
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.alerts import check_alert
from tests.support.families import Row, counting, fold
from twin.audit.digest import digest
from twin.audit.recompute import recompute
from twin.decimals import text_of
from twin.line import PartitionTwin
from twin.plant import loads
from twin.plant.model import Plant
from twin.replay import replay
from twin.report.build import report
from twin.sources import open_logs
from twin.time.rfc3339 import rfc3339

S: Final = 1_000_000_000
T0: Final = 1_772_409_600 * S
FOLDER = Path(__file__).parents[1] / "data/golden/mass-production"
CASES: Final = {case["id"]: case for case in json.loads((FOLDER / "spc.json").read_text(encoding="utf-8"))}


def plant(chart: str, decimals: int, kind: str = "characteristic", more: str = "", lines: str = "L") -> Plant:
    return loads(
        'site = "test"\narea = [{ id = "a" }]\n'
        + "".join(
            f'[[line]]\nid = "{line}"\narea = "a"\ntype = "flow"\npublish_every = "1min"\nlateness = "0s"\n'
            f'revise = "12h"\nwindows = ["10min/1min"]\n[[line.station]]\nid = "s"\nideal_cycle = "1s"\n'
            f'[[line.station.measure]]\nid = "x"\nkind = "{kind}"\nunit = "mm"\ndecimals = {decimals}\n{more}\n'
            f"[line.station.measure.chart]\n{chart}\n"
            for line in lines
        )
    )


def log(values: Sequence[Any], decimals: int, line: str = "L") -> list[Row]:
    """A value every ten seconds: numbers, ratios as text, or (product, value)."""
    events: list[Row] = []
    product: str | None = None
    for k, one in enumerate(values):
        name, value = one if isinstance(one, list | tuple) else (None, one)
        ts = T0 + 10 * k * S
        if name is not None and name != product:
            product = name
            head = {"type": "order", "ts": ts - 5 * S, "line": line, "action": "start"}
            events.append(head | {"order": f"o{k}", "product": name})
        exact = Fraction(repr(value) if isinstance(value, float) else value) * 10**decimals
        assert exact.denominator == 1
        text = text_of(int(exact), decimals)
        events.append({"type": "measure", "ts": ts, "line": line, "station": "s", "measure": "x", "value": text})
    end = T0 + 10 * len(values) * S + 7_200 * S
    return events + [{"type": "heartbeat", "ts": end + s * S, "line": line} for s in (0, 60)]


def samples(rows: list[tuple[str, Row]], chart: str, product: str | None = None) -> list[Row]:
    found = [row for name, row in rows if name == "samples" and row["chart"] == chart and row["product"] == product]
    return sorted(found, key=lambda row: row["point"])


def through(where: Plant, events: list[Row]) -> list[tuple[str, Row]]:
    """In order; the same late, restarted and cut; all give the same rows."""
    rows = fold(PartitionTwin(where, 0), where, events)
    drawn = random.Random(len(events))  # noqa: S311 -- a log, no secret
    keys = [event["ts"] / S + (drawn.randrange(60, 3_000) if drawn.random() < 0.1 else 0) for event in events[:-2]]
    # What starts an order comes in time: an order that is late is another log.
    keys = [e["ts"] / S if e["type"] == "order" else key for e, key in zip(events, keys, strict=False)]
    late = [event for _, event in sorted(zip(keys, events, strict=False), key=lambda pair: pair[0])] + events[-2:]
    first = {"type": "heartbeat", "ts": T0 - 60 * S, "line": events[0]["line"]}
    twin, got = PartitionTwin(where, 0), []
    for begin in range(0, len(late) + 1, 23):
        got += fold(twin, where, [first, *late][begin : begin + 23], begin)
        twin = PartitionTwin.restore(where, 0, twin.snapshot())
    assert counting(got) == counting(fold(PartitionTwin(where, 0), where, [first, *events]))
    return rows


def near(got: float | None, wanted: Any) -> None:
    assert got == pytest.approx(float(Fraction(wanted) if isinstance(wanted, str) else wanted), rel=1e-9, abs=1e-9)


def out(rows: list[Row], rule: str = "beyond", begin: int = 0) -> list[int]:
    return [row["point"] - begin for row in rows if rule in (row["signals"] or "").split()]


def same_limits(row: Row, limits: Sequence[float]) -> None:
    near(row["lower"], limits[0])
    near(row["upper"], limits[1])


def test_piston_rings_by_range() -> None:
    given, expect = CASES["piston-xbar-r"]["given"], CASES["piston-xbar-r"]["expect"]
    n1 = len(given["phase1"])
    values = [x for group in given["phase1"] + given["phase2"] for x in group]
    rows = through(plant(f'type = "xbar_r"\nn = 5\nbaseline = {n1}', 3), log(values, 3))
    means, ranges = samples(rows, "xbar"), samples(rows, "r")
    assert [row["phase"] for row in means] == [1] * n1 + [2] * len(given["phase2"])
    assert means[0]["center"] is None and {row["limits_version"] for row in means[n1:]} == {"baseline"}
    near(means[-1]["center"], expect["xbarbar"])
    near(ranges[-1]["center"], expect["rbar"])
    near(means[-1]["sigma"], expect["sigma"])
    same_limits(means[-1], expect["x_limits"])
    same_limits(ranges[-1], expect["r_limits"])
    assert out(means, begin=n1) == expect["phase2_out_x"] and out(ranges, begin=n1) == expect["phase2_out_r"]
    for name, row in rows:
        if name == "alerts":
            check_alert(row)
    told = [row for name, row in rows if name == "alerts" and row["kind"] == "chart"]
    # Points 11 to 13 of phase II are out; the alert is of the first, for the rule goes on to hold.
    assert [row["subject"] for row in told] == [f"x xbar {n1 + 11}"]
    assert told[0]["detail"] == f"xbar chart of x: beyond the limit (beyond) at point {n1 + 11}"


@pytest.mark.parametrize("case", ["piston-xbar-s", "rubber-colour"])
def test_by_standard_deviation(case: str) -> None:
    given, expect = CASES[case]["given"], CASES[case]["expect"]
    if "phase1" in given:
        groups, n1 = given["phase1"] + given["phase2"], len(given["phase1"])
    else:
        values, size = given["values"], given["subgroup_size"]
        groups = [values[k : k + size] for k in range(0, len(values), size)]
        n1 = len(groups)
        groups += groups[:1]  # so that there is a point behind phase I
    rows = through(plant(f'type = "xbar_s"\nn = 5\nbaseline = {n1}', 3), log([x for group in groups for x in group], 3))
    means, deviations = samples(rows, "xbar"), samples(rows, "s")
    near(means[-1]["center"], expect["xbarbar"])
    near(deviations[-1]["center"], expect["sbar"])
    same_limits(means[-1], expect["x_limits"])
    if "s_limits" in expect:
        same_limits(deviations[-1], expect["s_limits"])
        assert out(means, begin=n1) == expect["phase2_out_x"] and out(deviations, begin=n1) == expect["phase2_out_s"]
        return
    told = [row["detail"] for name, row in rows if name == "alerts" and row["subject"] == "x baseline"]
    assert len(told) == 1 and f"of these point {expect['out'][0]} lies beyond them" in told[0]
    # The point is excluded with its cause: the limits are made without it.
    bad = expect["out"][0]
    begin, end = (T0 // S + 50 * bad + 40 + more for more in (0, 1))
    exclude = f'exclude = [{{ from = {stamp(begin)}, to = {stamp(end)}, cause = "another lot" }}]'
    without = plant(f'type = "xbar_s"\nn = 5\nbaseline = {n1 - 1}\n{exclude}', 3)
    rows = through(without, log([x for group in groups for x in group], 3))
    means = samples(rows, "xbar")
    assert [row["point"] for row in means if row["cause"] == "another lot"] == [bad]
    near(means[-1]["center"], expect["after_removing_13"]["xbarbar"])
    same_limits(means[-1], expect["after_removing_13"]["x_limits"])


def stamp(seconds: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(seconds, UTC).strftime('"%Y-%m-%dT%H:%M:%SZ"')


def test_single_values() -> None:
    given, expect = CASES["viscosity-i-mr"]["given"], CASES["viscosity-i-mr"]["expect"]
    n1 = len(given["phase1"])
    rows = through(plant(f'type = "i_mr"\nbaseline = {n1}', 2), log([*given["phase1"], *given["phase2"]], 2))
    values, ranges = samples(rows, "i"), samples(rows, "mr")
    assert len(ranges) == len(values) - 1
    near(values[-1]["center"], expect["center"])
    near(ranges[-1]["center"], expect["mr_bar"])
    near(values[-1]["sigma"], expect["sigma"])
    same_limits(values[-1], expect["limits"])
    near(ranges[-1]["upper"], expect["mr_ucl"])
    assert out(values, begin=n1) == expect["phase2_out"]
    told = [row["detail"] for name, row in rows if name == "alerts" and row["subject"] == "x baseline"]
    # Point 3, and the moving ranges to it and from it where they are beyond theirs.
    assert "of these points 3" in told[0] or "of these point 3" in told[0]


def counts(kind: str, n: str, values: Sequence[int], baseline: int) -> list[tuple[str, Row]]:
    return through(plant(f'type = "{kind}"\n{n}\nbaseline = {baseline}', 0, "amount"), log(values, 0))


def test_orange_juice() -> None:
    given, expect = CASES["orange-juice-p"]["given"], CASES["orange-juice-p"]["expect"]
    first, second = given["phase1_defectives"], given["phase2_defectives"]
    rows = samples(counts("p", "n = 50", [*first, *second], len(first)), "p")
    near(rows[-1]["center"], expect["pbar"])
    same_limits(rows[-1], expect["limits"])
    every = counts("p", "n = 50", [*first, *second], len(first))
    told = [row["detail"] for name, row in every if name == "alerts" and row["subject"] == "x baseline"]
    assert f"of these points {', '.join(map(str, expect['phase1_out']))} lie beyond" in told[0]
    # Excluded by the engineer, with the cause; phase II is judged by the limits without them.
    gone = given["excluded_by_engineer_0based"]
    windows = ", ".join(
        f'{{ from = {stamp(T0 // S + 10 * k)}, to = {stamp(T0 // S + 10 * k + 1)}, cause = "new cardboard" }}'
        for k in gone
    )
    where = plant(f'type = "p"\nn = 50\nbaseline = {len(first) - 2}\nexclude = [{windows}]', 0, "amount")
    rows = samples(through(where, log([*first, *second], 0)), "p")
    assert [row["point"] for row in rows if row["cause"]] == gone
    near(rows[-1]["center"], expect["revised_pbar"])
    same_limits(rows[-1], expect["revised_limits"])
    assert out(rows, begin=len(first)) == expect["phase2_out"]


@pytest.mark.parametrize(
    ("case", "kind", "n", "center"),
    [
        ("orange-juice-np", "np", "n = 50", "center"),
        ("nist-wafer-c", "c", "", "cbar"),
        ("pcmanufact-u", "u", "n = 5", "ubar"),
    ],
)
def test_counts(case: str, kind: str, n: str, center: str) -> None:
    given, expect = CASES[case]["given"], CASES[case]["expect"]
    values = given.get("phase1_defectives") or given.get("phase1") or given["defects"]
    # Phase I, and the same values again, judged by its limits.
    every = counts(kind, n, [*values, *values], len(values))
    rows = samples(every, kind)
    near(rows[-1]["center"], expect[center])
    same_limits(rows[-1], expect["limits"])
    assert out(rows, begin=len(values)) == expect["out"]
    for on_the_limit in expect.get("on_limit_not_out", []):
        assert rows[len(values) + on_the_limit]["signals"] is None


@pytest.mark.parametrize("case", ["nist-ewma", "ewma-halves"])
def test_ewma(case: str) -> None:
    given, expect = CASES[case]["given"], CASES[case]["expect"]
    weight = float(Fraction(given["lambda"]))
    chart = (
        f'type = "ewma"\nweight = "{weight}"\nwidth = {given["L"]}\n'
        f'limits = {{ version = "study", center = {given["start"]}, sigma = {given["sigma"]} }}'
    )
    rows = samples(through(plant(chart, 1), log(given["x"], 1)), "ewma")
    assert len(rows) == len(given["x"])
    for row, wanted in zip(rows, expect["ewma"], strict=True):
        near(row["figure"], wanted)
    for row, limits in zip(rows, expect.get("exact_limits", []), strict=False):
        same_limits(row, limits)
    for row, variance in zip(rows, expect.get("sigma_i_squared", []), strict=False):
        near(row["upper"] - row["center"], float(given["L"]) * float(Fraction(variance)) ** 0.5)
    assert {row["limits_version"] for row in rows} == {"study"} and {row["phase"] for row in rows} == {2}


@pytest.mark.parametrize("case", ["montgomery-runger-16-8", "nist-cusum", "cusum-boundary"])
def test_cusum(case: str) -> None:
    given, expect = CASES[case]["given"], CASES[case]["expect"]
    k, h = (float(Fraction(given[name])) for name in "KH")
    where = plant(f'type = "cusum"\nk = "{k}"\nh = "{h}"', 4, more=f"target = {given['target']}")
    rows = through(where, log(given["x"], 4))
    for side in ("upper", "lower"):
        found = samples(rows, f"cusum_{side}")
        assert [Fraction(repr(row["figure"])) for row in found] == [Fraction(one) for one in expect[side]]
        if f"{side}_signals" in expect:
            assert out(found) == expect[f"{side}_signals"]


RULES: Final = [name for name, case in CASES.items() if case["kind"] == "run_rules"]


@pytest.mark.parametrize("case", RULES)
def test_run_rules(case: str) -> None:
    given, expect = CASES[case]["given"], CASES[case]["expect"]
    chart = (
        'type = "i_mr"\nrules = ["western_electric", "nelson"]\n'
        f'limits = {{ version = "v1", center = {given["center"]}, sigma = {given["sigma"]} }}'
    )
    rows = samples(through(plant(chart, 2), log(given["z"], 2)), "i")
    assert {rule: out(rows, rule) for rule in expect} == expect


def test_products_have_series_of_their_own() -> None:
    given, expect = CASES["rules-product-change"]["given"], CASES["rules-product-change"]["expect"]
    chart = 'type = "i_mr"\nrules = ["western_electric", "nelson"]\nlimits = { version = "v", center = 0, sigma = 1 }'
    rows = through(plant(chart, 1), log(given["events"], 1))
    for rule, wanted in expect.items():
        assert {product: out(samples(rows, "i", product), rule) for product in wanted} == wanted


def test_an_open_subgroup_and_a_late_value() -> None:
    given, expect = CASES["subgroup-incomplete-at-end"]["given"], CASES["subgroup-incomplete-at-end"]["expect"]
    where = plant(f'type = "xbar_r"\nn = {given["n"]}\nbaseline = 2', 0)
    events = log([[product, x] for _, product, x in given["events"]], 0)
    late = {"type": "measure", "ts": T0 + 15 * S, "line": "L", "station": "s", "measure": "x", "value": "20"}
    first = {"type": "heartbeat", "ts": T0 - 60 * S, "line": "L"}
    twin = PartitionTwin(where, 0)
    before = fold(twin, where, [first, *events])
    assert [row["figure"] for row in samples(before, "r", "A")] == expect["ranges_before"]
    assert not samples(before, "r", "B")
    end = events[-1]["ts"]
    ends = [{"type": "heartbeat", "ts": end + 120 * S, "line": "L"}]
    after = fold(twin, where, [late, *ends], 100)
    # The value came between an order of A and one of B.
    ranges = samples([one for one in after if not one[1]["retracted"]], "r", "A")
    assert [row["figure"] for row in ranges] == expect["ranges_after"]
    assert {row["revision"] for row in ranges} == {expect["revision"]}


def test_two_workers_and_recompute(tmp_path: Path) -> None:
    """Lines on two partitions, or on one: equal digests; and a root that computes itself again."""
    given = CASES["piston-xbar-r"]["given"]
    values = [x for group in given["phase1"] + given["phase2"] for x in group]
    where = plant('type = "xbar_r"\nn = 5\nbaseline = 25\nrules = ["nelson"]', 3, lines="LM")
    both = sorted([*log(values, 3, "L"), *log(values[::-1], 3, "M")], key=lambda event: event["ts"])
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(event) + "\n" for event in both))
    replay(where, open_logs([tmp_path / "log.jsonl"], where), tmp_path / "one")
    assert recompute(tmp_path / "one").differences == []
    together = fold(PartitionTwin(where, 0), where, both)
    apart: list[tuple[str, Row]] = []
    for k, line in enumerate("LM"):
        apart += fold(PartitionTwin(where, k), where, [event for event in both if event["line"] == line])
    assert counting(together) == counting(apart)
    assert digest(tmp_path / "one")["samples"].rows == 2 * 2 * 40


def test_giveaway_by_product(tmp_path: Path) -> None:
    """Net weights of two products, each with a nominal of its own; one comes late."""
    cases = {one["id"]: one for one in json.loads((FOLDER / "continuous.json").read_text(encoding="utf-8"))}
    given, expect = cases["giveaway-stream"]["given"], cases["giveaway-stream"]["expect"]
    packs = [
        (product, Fraction(repr(gross)) - Fraction(repr(tare)))
        for _, product, gross, tare in given["events"]
        if gross is not None
    ]
    products = "".join(
        f'[[line.station.measure.product]]\nid = "{name}"\nnominal = {nominal}\n'
        for name, nominal in given["nominal"].items()
    )
    text = (
        'site = "test"\narea = [{ id = "a" }]\n[[line]]\nid = "L"\narea = "a"\ntype = "flow"\nlateness = "0s"\n'
        'revise = "1h"\n[[line.station]]\nid = "s"\nideal_cycle = "1s"\n[[line.station.measure]]\nid = "x"\n'
        f'kind = "characteristic"\nunit = "g"\ndecimals = 1\n{products}'
        + "".join(f'[[line.product]]\nid = "{name}"\n' for name in given["nominal"])
    )
    where = loads(text)
    events = log(packs, 1)
    late = events[:4] + events[5:8] + [events[4]] + events[8:]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(event) + "\n" for event in late))
    replay(where, open_logs([tmp_path / "log.jsonl"], where), tmp_path / "root")
    begin, end = T0 - 60 * S, T0 + 7_200 * S
    span = "/".join(rfc3339(one) for one in (begin, end))
    rows = {row["product"]: row for row in report(tmp_path / "root", "L", "span", span)["characteristics"]}
    for product, total in expect["giveaway_total_g"].items():
        near(rows[product]["giveaway_total"], total)
        assert rows[product]["n"] == len(expect["net_g"][product])
