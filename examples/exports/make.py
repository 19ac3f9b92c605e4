"""Make the logs of this folder anew: `python examples/exports/make.py`. What each format is, README.md says.

Nobody exported them: each is written after its vendor's own page, from a history drawn with a fixed seed.
"""

import random
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

HERE = Path(__file__).parent
BEGIN = datetime(2026, 3, 2, 6, 0, 0)  # noqa: DTZ001 # a Monday by the wall clock of the works


@dataclass
class Sample:
    time: datetime
    state: int  # 1 runs, 2 stands, 3 is set up
    good: int  # counters
    scrap: int


def history(seed: int, samples: int, step_s: int, per_step: int, good: int = 0) -> Iterator[Sample]:
    """A machine that runs most of the time."""
    chance = random.Random(seed)  # noqa: S311  repeatable
    state, scrap = 1, chance.randrange(50)
    for i in range(samples):
        if chance.random() < 0.06:
            state = chance.choice((1, 1, 2, 3))
        yield Sample(BEGIN + timedelta(seconds=i * step_s), state, good, scrap)
        if state == 1:
            bad = int(chance.random() < 0.1)
            good, scrap = good + per_step + chance.randrange(3) - bad, scrap + bad


def german(number: float, digits: int) -> str:
    return f"{number:,.{digits}f}".translate(str.maketrans(",.", ".,"))


def wincc() -> str:
    """Two presses, every minute for four hours; the connection to the second is lost for ten minutes."""
    lines = ['"VarName";"TimeString";"VarValue";"Validity";"Time_ms"']
    presses = [list(history(11, 240, 60, 14, 71_950)), list(history(12, 240, 60, 9, 1_200))]
    for i in range(240):
        for name, samples in zip(("Press1", "Press2"), presses, strict=True):
            one, valid = samples[i], not (name == "Press2" and 100 <= i < 110)
            days = (one.time - datetime(1899, 12, 30)) / timedelta(days=1) * 1e6  # noqa: DTZ001
            for tag, value in (("State", one.state), ("GoodCount", one.good), ("ScrapCount", one.scrap)):
                cells = f'"{name}_{tag}";"{one.time:%d.%m.%Y %H:%M:%S}";{value if valid else 0},00;{int(valid)}'
                number = f"{days:.2f}".replace(".", ",")
                lines.append(f"{cells};{number}")
    lines += [f'"$RT_OFF$";"{BEGIN + timedelta(hours=4):%d.%m.%Y %H:%M:%S}";0;2;46083416666,67', '"$RT_COUNT$";1441;;;']
    return "\r\n".join(lines) + "\r\n"


def ignition() -> str:
    """Tag history as `system.dataset.toCSV` writes it: a wide table, dates as Java writes them, over a spring night."""
    rows = ['"t_stamp","Filling/Filler/State","Filling/Filler/Good Count","Filling/Filler/Reject Count",'
            '"Filling/Capper/State","Filling/Capper/Good Count","Filling/Capper/Reject Count"']  # fmt: skip
    start = datetime(2026, 3, 28, 23, 0, 0)  # noqa: DTZ001 # UTC: at 1:00 the clocks of Ljubljana go on to summer
    two = zip(history(21, 300, 60, 40, 5_000), history(22, 300, 60, 39, 8_000), strict=True)
    for i, (filler, capper) in enumerate(two):
        at = start + timedelta(minutes=i)
        summer = at >= datetime(2026, 3, 29, 1, 0, 0)  # noqa: DTZ001
        local = at + timedelta(hours=2 if summer else 1)
        cells = [f"{local:%a %b %d %H:%M:%S} {'CEST' if summer else 'CET'} {local:%Y}"]
        for one in (filler, capper):
            cells += ["Running" if one.state == 1 else "Stopped" if one.state == 2 else "Changeover"]
            cells += [f"{one.good}", f"{one.scrap}"]
        rows.append(",".join(f'"{cell}"' for cell in cells))
    return "\n".join(rows) + "\n"


def aveva() -> str:
    """The file that the historian's importer takes: tags that changed, no header, a quality."""
    lines = ["ASCII", "|", "Administrator|1|Server Local|10|0"]
    last: dict[str, int] = {}
    for oven in zip(history(31, 360, 30, 2), history(32, 360, 30, 3), strict=True):
        for name, one in zip(("Oven1", "Oven2"), oven, strict=True):
            for tag, value in (("Mode", one.state), ("Trays", one.good), ("Waste", one.scrap)):
                if last.get(name + tag) != value:
                    last[name + tag] = value
                    lines.append(f"{name}.{tag}|0|{one.time:%Y/%m/%d}|{one.time:%H:%M:%S}.000|0|{value}|192")
        if oven[0].time.minute == 30 and not oven[0].time.second:
            lines.append(f"Oven1.Trays|0|{oven[0].time:%Y/%m/%d}|{oven[0].time:%H:%M:%S}.500|0|0|0")
    return "\r\n".join(lines) + "\r\n"


def siemens() -> str:
    """A data log that an S7-1200 writes itself: a ring of 400 records, the newest in the place of the oldest."""
    records = []
    for i, one in enumerate(history(41, 460, 30, 5, 250), 1):
        cells = f"{i:>8},{one.time:%m/%d/%Y},{one.time.hour:>2}:{one.time:%M:%S},{one.state:>6},{one.good:>11},"
        records.append(f"{cells}{one.scrap:>11}")
    ring = records[400:] + records[60:400]
    return "\r\n".join(["Record,Date,UTC Time,State,Good,Scrap", *ring]) + "\r\n"


@dataclass
class Confirmation:
    number: int
    order: int
    product: str
    place: str
    begin: datetime
    end: datetime
    good: int
    scrap: int
    reversed: bool = False


def confirmations() -> list[Confirmation]:
    chance = random.Random(51)  # noqa: S311  repeatable
    found: list[Confirmation] = []
    for place, rate in (("DREH01", 20), ("FRAES02", 45)):
        at, order = BEGIN, 1_000_100 if place == "DREH01" else 1_000_200
        for k in range(14):
            if k % 4 == 3:
                order += 1
                at += timedelta(minutes=chance.choice((10, 15, 25)))  # set up between orders
            minutes = chance.randrange(20, 75)
            good, scrap = minutes * rate + chance.randrange(9), chance.randrange(4)
            one = Confirmation(0, order, f"MAT-{order % 7}", place, at, at + timedelta(minutes=minutes), good, scrap)
            found.append(one)
            if k == 5:  # entered twice, one of them taken back
                found.append(Confirmation(0, order, one.product, place, one.begin, one.end, good, scrap, True))
            at = one.end + timedelta(minutes=chance.choice((0, 0, 3)))
    found.sort(key=lambda one: (one.end, one.place))
    for i, one in enumerate(found):
        one.number = 77_001 + i
    return found


def sap_pp(rows: list[Confirmation]) -> str:
    """Confirmations from the list of a transaction, saved unconverted: rules of dashes, a bar between cells, pages."""
    head = (
        "|Rückmeldung|Zähler|Auftrag|Material|ArbPlatz|Beginn    |BegZeit |Ende      |EndeZeit|Gutmenge    |Ausschuß|ME"
    )
    head += "|S|"
    rule = "-" * len(head)
    lines = ["02.03.2026                     Dynamische Listenausgabe                     1", "", rule, head, rule]
    for i, one in enumerate(rows):
        cells = f"|{one.number:<11}|{1:<6}|{one.order}|{one.product:<8}|{one.place:<8}"
        times = f"|{one.begin:%d.%m.%Y}|{one.begin:%H:%M:%S}|{one.end:%d.%m.%Y}|{one.end:%H:%M:%S}"
        lines.append(
            f"{cells}{times}|{german(one.good, 3):>12}|{german(one.scrap, 0):>8}|ST|{'X' if one.reversed else ' '}|"
        )
        if i % 12 == 11:
            lines += [rule, "", rule, head, rule]
    return "\r\n".join([*lines, rule]) + "\r\n"


def sap_pm() -> str:
    """Malfunction reports of two machines, tabs between cells; some lie within others, one is still open."""
    chance = random.Random(61)  # noqa: S311  repeatable
    lines = ["Meldung\tEquipment\tStörbeginn\tStörb.Zeit\tStörende\tStöre.Zeit\tAusfall\tBeschreibung"]
    rows = []
    for k in range(24):
        begin = BEGIN + timedelta(minutes=20 * k + chance.randrange(15))
        end = begin + timedelta(minutes=chance.choice((5, 8, 12, 45)))
        equipment = chance.choice((10_004_711, 10_004_712))
        rows.append((begin, end, equipment, chance.choice(("Sensor verschmutzt", "Riemen gerissen", "Greifer klemmt"))))
    for k, (begin, end, equipment, text) in enumerate(rows):
        until = f"{end:%d.%m.%Y}\t{end:%H:%M:%S}" if k < 23 else "\t"
        lines.append(f"{20_000_300 + k}\t{equipment}\t{begin:%d.%m.%Y}\t{begin:%H:%M:%S}\t{until}\tX\t{text}")
    lines.append(f"20000399\t10004711\t{BEGIN:%d.%m.%Y}\t{BEGIN:%H:%M:%S}\t\t\t\tWunsch: Leiter anschaffen")
    return "\r\n".join(lines) + "\r\n"


def excel() -> dict[str, list[list[object]]]:
    """A shift book: a sheet for each machine, dates and times apart, nights that end on the next day, a sum below."""
    sheets: dict[str, list[list[object]]] = {}
    for name, seed in (("Presse 1", 71), ("Presse 2", 72)):
        chance = random.Random(seed)  # noqa: S311  repeatable
        rows: list[list[object]] = [
            [f"Schichtbuch {name}"],
            [],
            ["Datum", "von", "bis", "Auftrag", "Gut", "Ausschuss", "Bemerkung"],
        ]
        good = scrap = 0
        for k in range(15):
            day = BEGIN.replace(hour=0) + timedelta(days=k // 3)
            begin, end = ((6, 14), (14, 22), (22, 6))[k % 3]
            made, bad = 800 + chance.randrange(400), chance.randrange(20)
            good, scrap = good + made, scrap + bad
            times: list[object] = [timedelta(hours=begin, minutes=5), timedelta(hours=end, minutes=-10)]
            note = chance.choice(("", "", "Werkzeug gewechselt", "Störung Zuführung"))
            rows.append([day, *times, f"A{600 + k // 4}", made, bad, note])
        rows.append(["Summe", "", "", "", good, scrap])
        sheets[name] = rows
    return sheets | {"Notizen": [["Schlüssel beim Pförtner"]]}


def workbook(path: Path, sheets: dict[str, list[list[object]]]) -> None:
    """An .xlsx of texts, numbers, days and times of day."""
    kind = "http://schemas.openxmlformats.org"
    main, relations, package = (
        f"{kind}/spreadsheetml/2006/main",
        f"{kind}/officeDocument/2006/relationships",
        f"{kind}/package/2006",
    )
    names = "".join(f'<sheet name="{name}" sheetId="{i}" r:id="rId{i}"/>' for i, name in enumerate(sheets, 1))
    links = (
        "".join(
            f'<Relationship Id="rId{i}" Type="{relations}/worksheet" Target="worksheets/sheet{i}.xml"/>'
            for i in range(1, len(sheets) + 1)
        )
        + f'<Relationship Id="rId99" Type="{relations}/styles" Target="styles.xml"/>'
    )
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types">'
        '<Default Extension="xml" ContentType="application/xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships">'
        f'<Relationship Id="r" Type="{relations}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships">{links}</Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{relations}"><sheets>{names}</sheets></workbook>',
        "xl/styles.xml": f'<styleSheet xmlns="{main}"><cellXfs>'
        '<xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="20"/></cellXfs></styleSheet>',
    }
    for i, rows in enumerate(sheets.values(), 1):
        body = "".join(f"<row>{''.join(map(_cell, row))}</row>" for row in rows)
        parts[f"xl/worksheets/sheet{i}.xml"] = f'<worksheet xmlns="{main}"><sheetData>{body}</sheetData></worksheet>'
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as book:
        for name, text in parts.items():
            book.writestr(zipfile.ZipInfo(name, (2026, 3, 2, 6, 0, 0)), text, zipfile.ZIP_DEFLATED)


def _cell(value: object) -> str:
    if isinstance(value, datetime):
        return f'<c s="1"><v>{(value - datetime(1899, 12, 30)).days}</v></c>'  # noqa: DTZ001
    if isinstance(value, timedelta):
        return f'<c s="2"><v>{value / timedelta(days=1)!r}</v></c>'
    if isinstance(value, int):
        return f"<c><v>{value}</v></c>"
    return f'<c t="inlineStr"><is><t>{value}</t></is></c>' if value else "<c/>"


def main(folder: Path) -> None:
    found = confirmations()
    texts = {
        "wincc/Data_log_10.csv": (wincc(), "utf-8-sig"),
        "ignition/tag_history.csv": (ignition(), "utf-8"),
        "aveva/ovens.csv": (aveva(), "ascii"),
        "siemens-s7/DataLog.csv": (siemens(), "ascii"),
        "sap-pp/rueckmeldungen_1.txt": (sap_pp(found[:18]), "cp1252"),
        "sap-pp/rueckmeldungen_2.txt": (sap_pp(found[13:]), "cp1252"),
        "sap-pm/meldungen.txt": (sap_pm(), "utf-16"),
    }
    for name, (text, encoding) in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode(encoding))
    (folder / "excel").mkdir(exist_ok=True)
    workbook(folder / "excel" / "Schichtbuch.xlsx", excel())


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
