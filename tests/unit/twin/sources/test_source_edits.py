"""How many edits a draft of `--suggest` needs until its figures are right, log by log; the table of docs/sources.md.

An edit is one piece of text put in the place of another, or added, in the draft of the mapping or of the plant. The
figures are sums over the events: seconds by class, good parts and scrap, per station. What is right comes from the
mapping that a person wrote, or from how the log was made. `first` is what it took before the guesses were mended with a
log that they had not been made for.
"""

import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from kernels.codes import CLASS_NAMES, COUNT, COUNTER, CYCLE, END, PARTS, STATE
from tests.support.made_exports import downtime_table, historian, machine_states
from tests.support.sources import workbook
from twin import plant as plants
from twin.plant.model import Plant
from twin.sources import Mapping, load_mapping, log_paths, open_logs
from twin.sources.suggest import suggest
from twin.sources.suggest import write as write_draft

ROOT = Path(__file__).parents[4]
EXAMPLES = ROOT / "examples"
Figures = list[tuple[dict[str, int], int, int]]  # per station: seconds by class, good, scrap; without names, in order


@dataclass
class Case:
    name: str
    first: int | str | None  # edits on first sight; None: the guesses were made looking at it
    files: Callable[[Path], Sequence[Path]]
    right: Callable[[Sequence[Path]], Figures]
    zone: str | None = None
    edits: Sequence[tuple[str, str, str]] = ()  # (file, before, behind)


def figures(paths: Sequence[Path], model: Plant, mapping: Mapping | None) -> Figures:
    """Sums over the events, by naive steps."""
    seconds: dict[int, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    parts: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    state: dict[int, tuple[int, int]] = {}
    shown: dict[tuple[int, str], int] = {}
    scrap = {
        (i, counter.id) for i, station in enumerate(model.stations) for counter in station.counters
        if counter.quality == "scrap"
    }  # fmt: skip
    logs = open_logs(paths, model, mapping)
    for block, _ in logs:
        for i in range(len(block)):
            at, station, kind = int(block.ts[i]), int(block.station[i]), int(block.type[i])
            if kind == STATE:
                if station in state:
                    before, since = state[station]
                    seconds[station][CLASS_NAMES[before]] += (at - since) // 10**9
                state[station] = int(block.code[i]), at
            elif kind == CYCLE and block.code[i] == END:
                parts[station][0] += 1
            elif kind == COUNT and block.code[i] == PARTS:
                parts[station][0] += int(block.a[i])
                parts[station][1] += int(block.b[i])
            elif kind == COUNT and block.code[i] == COUNTER:
                key, value = (station, block.words[block.x[i]]), int(block.a[i])
                step = value - shown.get(key, value)
                parts[station][int(key in scrap)] += step if step >= 0 else value
                shown[key] = value
    known = {k: {n: s for n, s in one.items() if s and n != "unknown"} for k, one in seconds.items()}
    used = sorted(set(known) | set(parts))
    found = [(known.get(k, {}), parts[k][0], parts[k][1]) for k in used]
    return sorted((one for one in found if any(one)), key=lambda one: (sorted(one[0].items()), one[1:]))


def by_hand(folder: str, name: str = "mapping.toml") -> Callable[[Sequence[Path]], Figures]:
    def right(paths: Sequence[Path]) -> Figures:
        model = plants.load(EXAMPLES / folder / "plant.toml")
        return figures(paths, model, load_mapping(EXAMPLES / folder / name, model))

    return right


def example(*names: str) -> Callable[[Path], Sequence[Path]]:
    return lambda _: [EXAMPLES / name for name in names]


T0 = datetime(2026, 5, 4, 6, 0, 0)  # noqa: DTZ001 # by the wall clock of a works


def made(name: str, text: str, encoding: str = "utf-8") -> Callable[[Path], Sequence[Path]]:
    def files(folder: Path) -> Sequence[Path]:
        (folder / name).write_bytes(text.encode(encoding))
        return [folder / name]

    return files


def known(*stations: tuple[dict[str, int], int, int]) -> Callable[[Sequence[Path]], Figures]:
    return lambda _: sorted(stations, key=lambda one: (sorted(one[0].items()), one[1:]))


def french() -> tuple[str, Figures]:
    """A list of stops from a French MES: half a comma, durations, a total."""
    chance, rows, stopped = random.Random(81), [], defaultdict[str, int](int)  # noqa: S311  repeatable
    at, span = T0, dict[str, tuple[datetime, datetime]]()
    for k in range(20):
        machine = f"Presse {k % 2 + 1}"
        minutes = chance.randrange(3, 20)
        end = at + timedelta(minutes=minutes)
        rows.append(f"{machine};{at:%d/%m/%Y %H:%M};{end:%d/%m/%Y %H:%M};{chance.choice(('Bourrage', 'Réglage'))}")
        stopped[machine] += 60 * minutes
        span[machine] = span.get(machine, (at, at))[0], end
        at = end + timedelta(minutes=chance.randrange(5, 30))
    return "Arrêts du 04/05/2026\n\nMachine;Début;Fin;Cause\n" + "\n".join(rows) + "\nTotal;;;20\n", [
        ({"stopped": s, "running": int((span[name][1] - span[name][0]).total_seconds()) - s}, 0, 0)
        for name, s in stopped.items()
    ]


def italian() -> tuple[str, Figures]:
    """A panel's log, a row a minute: data and ora apart, comma, parts since the last row."""
    chance = random.Random(82)  # noqa: S311  repeatable
    rows, seconds, good, bad = [], defaultdict[str, int](int), 0, 0
    for i in range(200):
        state = "Marcia" if i % 17 < 13 else "Fermo"
        pieces, scraps = (chance.randrange(8, 12), int(i % 9 == 0)) if state == "Marcia" else (0, 0)
        warm = f"{chance.random() * 90:.1f}".replace(".", ",")
        rows.append(f"{T0 + timedelta(minutes=i):%d/%m/%Y;%H:%M:%S};{state};{pieces};{scraps};{warm}")
        seconds["running" if state == "Marcia" else "stopped"] += 60
        good, bad = good + pieces, bad + scraps
    return "Data;Ora;Stato;Pezzi buoni;Scarti;Temperatura\n" + "\n".join(rows) + "\n", [(dict(seconds), good, bad)]


def cycles() -> tuple[str, Figures]:
    """A test bench: one row per unit when it is done, with the time it took and a result."""
    chance = random.Random(83)  # noqa: S311  repeatable
    rows, done, at = [], defaultdict[str, int](int), T0
    for k in range(120):
        at += timedelta(seconds=chance.randrange(20, 60))
        station, result = f"ST{k % 3 + 10}", "PASS" if chance.random() < 0.9 else "FAIL"
        rows.append(f"{at:%Y-%m-%d %H:%M:%S},{station},SN{1000 + k},{chance.randrange(10, 19)}.{k % 10},{result}")
        done[station] += result == "PASS"
    text = "Timestamp,Station,Serial_Number,Cycle_Time_s,Result\n" + "\n".join(rows) + "\n"
    return text, [({}, count, 0) for count in done.values()]


def kepware() -> tuple[str, Figures]:
    """A data logger with a column per tag in brackets and quality, twelve hours, newest last."""
    rows, seconds, good = [], [defaultdict[str, int](int), defaultdict[str, int](int)], [0, 0]
    counters = [100, 7_000]
    for i in range(150):
        cells = [f"{T0 + timedelta(seconds=20 * i):%m/%d/%Y %I:%M:%S %p}"]
        for k in range(2):
            runs = (i + 40 * k) % 50 < 38
            cells += ["1" if runs else "0", str(counters[k])]
            seconds[k]["running" if runs else "stopped"] += 20
            if i < 149:
                counters[k] += 2 * runs
                good[k] += 2 * runs
        rows.append(",".join(cells))
    head = "Timestamp,[Cell1]Robot1.Running,[Cell1]Robot1.PartCount,[Cell1]Robot2.Running,[Cell1]Robot2.PartCount"
    return head + "\n" + "\n".join(rows) + "\n", [(dict(seconds[k]), good[k], 0) for k in range(2)]


def batches(folder: Path) -> Sequence[Path]:
    """A workbook of batches over a midnight, with what else somebody put beside the table."""
    at, rows = T0.replace(hour=18), []
    for k in range(12):
        end = at + timedelta(minutes=60 + 7 * k)
        day = at.replace(hour=0, minute=0)
        rows.append([day, at.strftime("%H:%M"), end.strftime("%H:%M"), f"B{k}", 500 + k, "note" if k == 3 else ""])
        at = end
    head = ["Date", "Start Time", "End Time", "Batch", "Units Produced", "Remarks"]
    return [workbook(folder / "batches.xlsx", {"Line productivity": [head, *rows], "Products": [["Product", "Size"]]})]


def batch_figures(_: Sequence[Path]) -> Figures:
    return [({"running": 60 * sum(60 + 7 * k for k in range(12))}, sum(500 + k for k in range(12)), 0)]


FRENCH, ITALIAN, CYCLES, KEPWARE = french(), italian(), cycles(), kepware()
DOWNTIME, HISTORIAN, STATES = downtime_table(), historian(), machine_states()
SETUP = ("plant", '"3" = "stopped"', '"3" = "setup"')
CASES = [
    Case(
        "tablet press (sampled CSV)",
        None,
        example("tablet-press/3.csv.gz", "tablet-press/5.csv.gz"),
        by_hand("tablet-press"),
    ),
    Case("five stations (cycles)", None, example("five-stations/events.csv.gz"), by_hand("five-stations")),
    Case("Mazak (SHDR)", None, example("mazak/Mazak01-20190522.txt.gz"), by_hand("mazak", "mazak01.toml")),
    Case(
        "WinCC",
        None,
        example("exports/wincc/Data_log_10.csv"),
        by_hand("exports/wincc"),
        "Europe/Berlin",
        [("plant", '"3,00" = "stopped"', '"3,00" = "setup"')],
    ),
    Case("S7 data log", None, example("exports/siemens-s7/DataLog.csv"), by_hand("exports/siemens-s7"), "UTC", [SETUP]),
    Case(
        "Ignition", None, example("exports/ignition/tag_history.csv"), by_hand("exports/ignition"), "Europe/Ljubljana"
    ),
    Case(
        "AVEVA Historian",
        None,
        example("exports/aveva/ovens.csv"),
        by_hand("exports/aveva"),
        "Europe/Amsterdam",
        [SETUP],
    ),
    Case(
        "SAP PP",
        None,
        example("exports/sap-pp/rueckmeldungen_1.txt", "exports/sap-pp/rueckmeldungen_2.txt"),
        by_hand("exports/sap-pp"),
        "Europe/Berlin",
        [
            ("mapping", "[csv]", 'row = { column = "Rückmeldung" }\n\n[csv]'),
            ("mapping", 'state = "RUN"', 'state = "RUN"\notherwise = "IDLE"'),
            ("plant", '"RUN" = "running"', '"RUN" = "running"\n"IDLE" = "waiting"'),
        ],
    ),
    Case("SAP PM", None, example("exports/sap-pm/meldungen.txt"), by_hand("exports/sap-pm"), "Europe/Berlin"),
    Case(
        "Excel, shift book", None, example("exports/excel/Schichtbuch.xlsx"), by_hand("exports/excel"), "Europe/Vienna"
    ),
    Case("French stops", 0, made("arrets.csv", FRENCH[0], "cp1252"), known(*FRENCH[1]), "Europe/Paris"),
    Case("Italian panel", 1, made("linea.csv", ITALIAN[0]), known(*ITALIAN[1]), "Europe/Rome"),
    Case("test bench", 3, made("eol.csv", CYCLES[0]), known(*CYCLES[1])),
    Case(
        "Kepware data logger", "a new mapping", made("datalog.csv", KEPWARE[0]), known(*KEPWARE[1]), "America/Chicago"
    ),
    Case("Excel, batches", 0, batches, batch_figures, "Europe/London"),
    Case("Sepasoft, downtime table", 4, made("downtime.csv", DOWNTIME[0]), known(*DOWNTIME[1]), "America/New_York"),
    Case("GE Historian, ETL extract", "could not be read", made("tags.txt", HISTORIAN[0]), known(*HISTORIAN[1])),
    Case("German MDE, machine states", 6, made("mde.csv", STATES[0], "cp1252"), known(*STATES[1]), "Europe/Berlin"),
]


def drafted(case: Case, folder: Path) -> tuple[Figures, Figures, int]:
    """Figures of the edited draft, the right ones, and how many edits there were."""
    paths = [log.path for log in log_paths(case.files(folder))]
    plant, mapping = write_draft(suggest(paths, case.zone), folder / "draft")
    for name, before, behind in case.edits:
        path = plant if name == "plant" else mapping
        text = path.read_text()
        assert text.count(before) >= 1, f"{case.name}: there is no {before!r} in the draft:\n{text}"
        path.write_text(text.replace(before, behind, 1))
    model = plants.load(plant)
    return figures(paths, model, load_mapping(mapping, model)), case.right(paths), len(case.edits)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_after_so_many_edits_the_figures_are_right(case: Case, tmp_path: Path) -> None:
    found, right, edits = drafted(case, tmp_path)
    assert found == right
    assert edits <= 3


def table() -> list[str]:
    lines = ["| log | edits on first sight | edits | which |", "|---|---|---|---|"]
    for case in CASES:
        which = "; ".join(" ".join(behind.removeprefix(before).split()) or behind for _, before, behind in case.edits)
        shown = f"`{which}`" if which else ""
        first = "known before" if case.first is None else case.first
        lines.append(f"| {case.name} | {first} | {len(case.edits)} | {shown} |")
    return lines


def test_the_table_of_the_docs_is_this_one() -> None:
    text = (ROOT / "docs" / "sources.md").read_text()
    assert "\n".join(table()) in text, "docs/sources.md: put this table there:\n" + "\n".join(table())
