"""The exports of examples/exports by replay, against sums that a few lines of Python make of the same files.

Nothing of the readers is used on the right-hand side: files are cut with `csv` or `split`, and times are Python's.
"""

import csv
import importlib.util
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from twin.audit.read import open_set
from twin.plant import load
from twin.replay import replay
from twin.sources import load_mapping, open_logs

EXPORTS = Path(__file__).parents[2] / "examples" / "exports"
S = 1_000_000_000
Seconds = dict[tuple[str, str], int]  # station, class
Parts = dict[str, tuple[int, int]]  # station -> good, scrap
MACHINE = {"1": "running", "2": "stopped", "3": "setup"}


class Replayed:
    """What a replay gives: seconds by class, parts, orders."""

    def __init__(self, name: str, root: Path) -> None:
        folder = EXPORTS / name
        plant = load(folder / "plant.toml")
        mapping = load_mapping(folder / "mapping.toml", plant)
        files = sorted(one for one in folder.iterdir() if one.suffix != ".toml")
        logs = open_logs(files, plant, mapping)
        replay(plant, logs, root)
        self.summary = logs.summary
        self.seconds: Seconds = defaultdict(int)
        for row in self._rows(root, "states"):
            kind = "stopped" if row["class"] in ("minor_stop", "down") else row["class"]
            self.seconds[row["station"], kind] += (row["end"] - row["start"]) // S
        self.parts: Parts = {}
        self.orders: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
        for row in self._rows(root, "kpis"):
            if row["window"] == "1min" and row["station"]:
                good, scrap = self.parts.get(row["station"], (0, 0))
                self.parts[row["station"]] = good + row["good"], scrap + row["scrap"]
            elif row["window"] == "order" and row["station"]:
                self.orders[row["station"], row["order"]].append(row)

    @staticmethod
    def _rows(root: Path, name: str) -> list[dict[str, Any]]:
        table = open_set(root, name).to_table()
        for column in ("start", "end"):
            place = table.schema.get_field_index(column)
            table = table.set_column(place, column, table.column(column).cast("int64"))
        rows: list[dict[str, Any]] = table.to_pylist()
        return rows


@pytest.fixture
def replayed(request: pytest.FixtureRequest, tmp_path: Path) -> Replayed:
    return Replayed(request.param, tmp_path / "audit")


def held(samples: Iterable[tuple[str, int, str]], hold_s: int, last_s: int | None = None) -> Seconds:
    """Seconds by class of samples (station, s, class), each true until the next one, but no longer than `hold_s`.

    The last one of a station is true for `last_s`.
    """
    found: Seconds = defaultdict(int)
    last: dict[str, tuple[int, str]] = {}
    for station, at, kind in samples:
        if station in last:
            before, was = last[station]
            found[station, was] += min(at - before, hold_s)
        last[station] = at, kind
    for station, (_, was) in last.items():
        found[station, was] += hold_s if last_s is None else last_s
    return found


def known(seconds: Seconds) -> Seconds:
    return {key: value for key, value in seconds.items() if key[1] != "unknown" and value}


@pytest.mark.parametrize("replayed", ["wincc"], indirect=True)
def test_wincc(replayed: Replayed) -> None:
    samples, counters = [], defaultdict[str, list[int]](list)
    with (EXPORTS / "wincc" / "Data_log_10.csv").open(encoding="utf-8-sig") as file:
        for row in csv.DictReader(file, delimiter=";"):
            if row["Validity"] != "1" or row["VarName"].startswith("$"):
                continue
            press, tag = row["VarName"].split("_")
            value = row["VarValue"].removesuffix(",00")
            at = int(datetime.strptime(row["TimeString"] + "+0100", "%d.%m.%Y %H:%M:%S%z").timestamp())
            if tag == "State":
                samples.append((press, at, MACHINE[value]))
            counters[press + tag].append(int(value))
    assert known(replayed.seconds) == known(held(samples, 60))
    assert replayed.parts == parts_of(counters, ("Press1", "Press2"), "GoodCount", "ScrapCount")
    assert replayed.summary.gap_ns == 600 * S
    assert not replayed.summary.problems


def parts_of(counters: dict[str, list[int]], stations: Iterable[str], good: str, scrap: str) -> Parts:
    made = {name: values[-1] - values[0] for name, values in counters.items()}
    return {station: (made[station + good], made[station + scrap]) for station in stations}


@pytest.mark.parametrize("replayed", ["ignition"], indirect=True)
def test_ignition(replayed: Replayed) -> None:
    samples, counters = [], defaultdict[str, list[int]](list)
    words = {"Running": "running", "Stopped": "stopped", "Changeover": "setup"}
    with (EXPORTS / "ignition" / "tag_history.csv").open() as file:
        for row in csv.DictReader(file):
            text = row["t_stamp"].replace("CEST", "+0200").replace("CET", "+0100")
            at = int(datetime.strptime(text, "%a %b %d %H:%M:%S %z %Y").timestamp())
            for station in ("Filler", "Capper"):
                samples.append((station, at, words[row[f"Filling/{station}/State"]]))
                counters[station + "good"].append(int(row[f"Filling/{station}/Good Count"]))
                counters[station + "scrap"].append(int(row[f"Filling/{station}/Reject Count"]))
    # The night on which the clocks go on has no hour too many: 300 minutes.
    assert samples[-1][1] - samples[0][1] == 299 * 60
    assert known(replayed.seconds) == known(held(samples, 60))
    assert replayed.parts == parts_of(counters, ("Filler", "Capper"), "good", "scrap")
    assert not replayed.summary.problems
    assert not replayed.summary.gaps.count


@pytest.mark.parametrize("replayed", ["aveva"], indirect=True)
def test_aveva(replayed: Replayed) -> None:
    states, counters = [], defaultdict[str, list[int]](list)
    for line in (EXPORTS / "aveva" / "ovens.csv").read_text().splitlines()[3:]:
        tag, _, day, time, _, value, quality = line.split("|")
        if quality != "192":
            continue
        oven, name = tag.split(".")
        at = int(datetime.strptime(f"{day} {time[:8]}+0100", "%Y/%m/%d %H:%M:%S%z").timestamp())
        counters[oven + name].append(int(value))
        if name == "Mode":
            states.append((oven, at, MACHINE[value]))
    # The newest state of each oven is still open: it has no row yet.
    assert known(replayed.seconds) == known(held(states, 10**9, last_s=0))
    assert replayed.parts == parts_of(counters, ("Oven1", "Oven2"), "Trays", "Waste")
    assert not replayed.summary.problems
    assert replayed.summary.left_out == 3


@pytest.mark.parametrize("replayed", ["siemens-s7"], indirect=True)
def test_siemens_s7(replayed: Replayed) -> None:
    with (EXPORTS / "siemens-s7" / "DataLog.csv").open() as file:
        records = sorted(csv.DictReader(file), key=lambda row: int(row["Record"]))
    samples = []
    for row in records:
        text = f"{row['Date']} {row['UTC Time'].strip():0>8}+0000"
        at = int(datetime.strptime(text, "%m/%d/%Y %H:%M:%S%z").timestamp())
        samples.append(("lathe", at, MACHINE[row["State"].strip()]))
    assert len(samples) == 400
    assert known(replayed.seconds) == known(held(samples, 30))
    good, scrap = (int(records[-1][name]) - int(records[0][name]) for name in ("Good", "Scrap"))
    assert replayed.parts == {"lathe": (good, scrap)}
    assert not replayed.summary.problems
    assert not replayed.summary.gaps.count


def wall(text: str) -> datetime:
    return datetime.strptime(text, "%d.%m.%Y %H:%M:%S")  # noqa: DTZ007 # one zone, no change of clocks


@pytest.mark.parametrize("replayed", ["sap-pp"], indirect=True)
def test_sap_pp(replayed: Replayed) -> None:
    rows: dict[str, list[str]] = {}
    for name in ("rueckmeldungen_1.txt", "rueckmeldungen_2.txt"):
        for line in (EXPORTS / "sap-pp" / name).read_text(encoding="cp1252").splitlines():
            cells = [cell.strip() for cell in line.split("|")[1:-1]]
            if cells and cells[0].isdigit() and cells[-1] != "X":
                rows[cells[0]] = cells
    assert len(rows) == 28
    running: Counter[str] = Counter()
    parts: dict[str, tuple[int, int]] = {}
    orders: dict[tuple[str, str], tuple[int, int]] = {}
    for cells in rows.values():
        _, _, order, _, place, day, time, last_day, last_time, good, scrap, _, _ = cells
        begin, end = wall(f"{day} {time}"), wall(f"{last_day} {last_time}")
        running[place] += int((end - begin).total_seconds())
        made = int(good.removesuffix(",000").replace(".", "")), int(scrap)
        for sums, key in ((parts, place), (orders, (place, order))):
            before = sums.get(key, (0, 0))  # type: ignore[call-overload, attr-defined]
            sums[key] = before[0] + made[0], before[1] + made[1]  # type: ignore[index]
    assert {key[0]: value for key, value in replayed.seconds.items() if key[1] == "running"} == running
    assert replayed.parts == parts
    found = {
        key: (sum(row["good"] for row in rows_), sum(row["scrap"] for row in rows_))
        for key, rows_ in replayed.orders.items()
        if key[1] is not None
    }
    assert found == orders
    assert replayed.summary.repeats.count == 4
    assert not replayed.summary.problems


@pytest.mark.parametrize("replayed", ["sap-pm"], indirect=True)
def test_sap_pm(replayed: Replayed) -> None:
    names = {"10004711": "packer-1", "10004712": "packer-2"}
    down: dict[str, set[int]] = defaultdict(set)  # minutes, however many reports hold them
    with (EXPORTS / "sap-pm" / "meldungen.txt").open(encoding="utf-16") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            if row["Ausfall"] != "X":
                continue
            begin = wall(f"{row['Störbeginn']} {row['Störb.Zeit']}")
            at = int((begin - datetime(2026, 1, 1)).total_seconds()) // 60  # noqa: DTZ001
            station = names[row["Equipment"]]
            if row["Störende"]:
                end = wall(f"{row['Störende']} {row['Störe.Zeit']}")
                minutes = int((end - begin).total_seconds()) // 60
                down[station] |= set(range(at, at + minutes))
    for station in names.values():
        assert replayed.seconds[station, "stopped"] == 60 * len(down[station])
    assert not replayed.summary.problems


@pytest.mark.parametrize("replayed", ["excel"], indirect=True)
def test_excel(replayed: Replayed) -> None:
    module = importlib.util.spec_from_file_location("make_exports", EXPORTS / "make.py")
    assert module is not None
    assert module.loader is not None
    made = importlib.util.module_from_spec(module)
    module.loader.exec_module(made)
    zone = ZoneInfo("Europe/Vienna")
    parts: Parts = {}
    for name, station in (("Presse 1", "press-1"), ("Presse 2", "press-2")):
        rows = made.excel()[name][3:-1]
        seconds = 0
        for day, begin, end, *_ in rows:
            first, last = day + begin, day + end
            if last < first:
                last += timedelta(days=1)
            seconds += int((last.replace(tzinfo=zone) - first.replace(tzinfo=zone)).total_seconds())
        parts[station] = sum(row[4] for row in rows), sum(row[5] for row in rows)
        assert replayed.seconds[station, "running"] == seconds == 15 * (8 * 3600 - 15 * 60)
        found = {
            key[1]: sum(one["good"] for one in rows_) for key, rows_ in replayed.orders.items() if key[0] == station
        }
        wanted: Counter[str] = Counter()
        for row in rows:
            wanted[row[3]] += row[4]
        assert {key: value for key, value in found.items() if key is not None} == wanted
    assert replayed.parts == parts
    assert not replayed.summary.problems


def test_the_files_are_what_their_maker_makes(tmp_path: Path) -> None:
    module = importlib.util.spec_from_file_location("make_exports", EXPORTS / "make.py")
    assert module is not None
    assert module.loader is not None
    made = importlib.util.module_from_spec(module)
    module.loader.exec_module(made)
    made.main(tmp_path)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 8
    for path in files:
        there = EXPORTS / path.relative_to(tmp_path)
        # Another zlib packs a workbook differently.
        assert path.suffix == ".xlsx" or path.read_bytes() == there.read_bytes(), path.name
