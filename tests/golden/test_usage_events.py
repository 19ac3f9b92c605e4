"""Golden cases of energy as event logs through replay: what the pure functions say of them, and what the rows give."""

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

from tests.unit.twin.line.test_line_stops import T0, S
from tests.unit.twin.line.test_station_orders import text
from twin.plant import loads
from twin.replay import replay
from twin.report.build import Sheet
from twin.report.factors import load
from twin.report.spans import between
from twin.report.usage import usage
from twin.sources import open_logs
from twin.time.rfc3339 import rfc3339

CASES = {
    case["id"]: case
    for case in json.loads(
        (Path(__file__).parents[1] / "data/golden/mass-production/environment.json").read_text(encoding="utf-8")
    )
}


def measure(id_: str, kind: str, unit: str, decimals: int = 0, more: str = "") -> str:
    return (
        f'[[line.station.measure]]\nid = "{id_}"\nkind = "{kind}"\nunit = "{unit}"\nquantity = "energy"\n'
        f"decimals = {decimals}\n{more}"
    )


def value(at_s: int, name: str, number: float) -> dict[str, Any]:
    return {"ts": T0 + at_s * S, "type": "measure", "line": "L", "station": "s0", "measure": name, "value": number}


def used(
    folder: Path, plant_text: str, events: list[dict[str, Any]], end_s: int, factors: Path | None = None
) -> dict[str, dict[str, Any]]:
    plant = loads(plant_text)
    run = {"ts": T0, "type": "state", "line": "L", "station": "s0", "state": "run"}
    log = folder / "log.jsonl"
    log.write_text("".join(json.dumps(event) + "\n" for event in [run, *events]))
    replay(plant, open_logs([log], plant), folder / "audit")
    span = between(rfc3339(T0), rfc3339(T0 + end_s * S))
    rows = usage(Sheet(folder / "audit", plant.lines[0], span), load(factors) if factors else None)
    return {row["measure"]: row for row in rows}


def test_a_meter_that_is_exchanged(tmp_path: Path) -> None:
    case = CASES["energy-counter"]
    modulus = f'modulus = "{case["given"]["modulus_kwh"]}"\n'
    plant = text(1) + measure("m1", "meter", "kWh", more=modulus) + measure("m2", "meter", "kWh", more=modulus)
    events = [value(at, name, kwh) for at, name, kwh in case["given"]["readings"]]
    found = used(tmp_path, plant, events, 5_400)
    assert sum(row["amount"] for row in found.values()) == case["expect"]["known_kwh"]
    assert {name: row["amount"] for name, row in found.items()} == {"m1": 16, "m2": 12}


def test_a_factor_that_varies_by_the_hour(tmp_path: Path) -> None:
    case = CASES["time-varying"]
    kwh, grams = case["given"]["kwh_by_hour"], case["given"]["g_per_kwh_by_hour"]
    values = [[rfc3339(T0 + k * 3_600 * S), f"0.{g:03d}"] for k, g in enumerate(grams)]
    (tmp_path / "f.toml").write_text(
        'version = "1"\n[[factor]]\ngives = "co2e"\nunit = "kg"\nper = "kWh"\nquantity = "energy"\n'
        f"values = {json.dumps(values)}\n"
    )
    plant = text(1).replace('publish_every = "10min"', 'publish_every = "1h"').replace('"10min/10min"', '"1h/1h"')
    plant += measure("e", "amount", "kWh")
    events = [value(3_600 * (k + 1), "e", amount) for k, amount in enumerate(kwh)]
    found = used(tmp_path, plant, events, 8 * 3_600, tmp_path / "f.toml")["e"]
    assert found["co2e"] is None, "nobody knows since when the first amount is"
    (tmp_path / "again").mkdir()
    found = used(tmp_path / "again", plant, [value(0, "e", 0), *events], 8 * 3_600, tmp_path / "f.toml")["e"]
    assert found["co2e"] == Fraction(case["expect"]["kg"])
    assert found["co2e"] * 1000 / found["amount"] == Fraction(case["expect"]["effective_g_per_kwh"])


def test_the_peak_of_fixed_quarter_hours(tmp_path: Path) -> None:
    """Means of 5 min, counted in kW x 5 min, of which an hour has 12; the last block has not ended."""
    case = CASES["peak-demand"]
    plant = text(1).replace('publish_every = "10min"', 'publish_every = "5min"').replace('"10min/10min"', '"5min/5min"')
    events = [value(300 * (k + 1), "e", kw) for k, kw in enumerate(case["given"]["kw_by_5min"])]
    found = used(tmp_path, plant + measure("e", "amount", "kW5min"), [value(0, "e", 0), *events], 1_800)["e"]
    blocks = [Fraction(one) for one in case["expect"]["fixed_15min_kw"]]
    assert [found["base_load"] / 12, found["peak"] / 12] == [min(blocks), max(blocks)]
    assert found["quarters"] == len(blocks)


def test_energy_by_what_the_station_was_doing(tmp_path: Path) -> None:
    """Each segment's power, read at its ends and held: kWh by class, idle share, per good unit."""
    case = CASES["idle-share"]
    words = {"running": "run", "idle": "wait", "off": "off", "setup": "set", "unknown": "unknown"}
    said = 'run = "running"\nwait = "waiting"\noff = "planned_stop"\nset = "setup"\n'
    plant = text(1).replace('run = "running"\n', said) + measure("p", "gauge", "kW", 1)
    plant += measure("e", "integral", "kWh", 9, 'of = "p"\nbetween = "hold"\ngap = "2h"\n')
    events, at = [], 0
    for name, seconds, kw in case["given"]["segments"]:
        events += [value(at, "p", kw), {**value(at, "p", 0), "type": "state", "state": words[name]}]
        events[-1] = {key: one for key, one in events[-1].items() if key not in ("measure", "value")}
        at += seconds
    counted = {"ts": T0 + S, "type": "count", "line": "L", "station": "s0", "good": case["given"]["good"]}
    counted |= {"scrap": case["given"]["scrap"]}
    end = -(-at // 600) * 600
    beat = {"ts": T0 + (end + 600) * S, "type": "heartbeat", "line": "L"}
    found = used(tmp_path, plant, [counted, *events, value(at, "p", 0), beat], end)["e"]
    kwh = {name: Fraction(one) for name, one in case["expect"]["kwh"].items()}
    for name, group in (("running", "running"), ("idle", "idle"), ("off", "off"), ("setup", "setup")):
        assert abs(found[group] - kwh[name]) < Fraction(1, 10**8), name
    assert abs(found["amount"] - Fraction(case["expect"]["total_kwh"])) < Fraction(1, 10**9)
    assert abs(found["idle_share"] - Fraction(case["expect"]["idle_share"])) < Fraction(1, 10**8)
    assert abs(found["per_good"] - Fraction(case["expect"]["kwh_per_good"])) < Fraction(1, 10**9)
