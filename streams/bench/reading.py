"""Logs of every shape read into events, and nothing folded: rows a second of one core."""

import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from streams import clock
from streams.bench.declare import BenchError, Benchmark, Count, Repeat, Room, given
from twin.plant import loads
from twin.plant.model import Plant
from twin.sources import Mapping, SourceError, open_logs
from twin.sources.mapping import loads as mapping_of
from twin.sources.times import iso

BEGIN_S: Final = 1_772_431_200  # a Monday in March 2026
STATIONS: Final = 5
_PLANT: Final = 'site = "s"\n[[area]]\nid = "a"\n[[line]]\nid = "L"\narea = "a"\ntype = "cell"\nlateness = "1min"\n'
_STATES: Final = '[line.states]\nRUN = "running"\nSTOP = "stopped"\n'
_STATE: Final = '[[event]]\ntype = "state"\n'
_COUNT: Final = '[[event]]\ntype = "count"\n'

Rows = Iterator[tuple[int, int, str, int]]  # s since 1970, station, state, good so far


def rows(size: int) -> Rows:
    """A row a second and station: stops now and then, a counter that runs on."""
    for i in range(size):
        yield BEGIN_S + i // STATIONS, i % STATIONS, "STOP" if i // STATIONS % 60 < 7 else "RUN", i // STATIONS * 3


def plant() -> Plant:
    stations = "".join(
        f'[[line.station]]\nid = "m{k}"\n[[line.station.counter]]\nid = "good"\n' for k in range(STATIONS)
    )
    return loads(_PLANT + _STATES + stations, "bench.toml")


def plain(path: Path, size: int) -> str:
    with path.open("w") as file:
        file.write("ts,station,state,good\n")
        file.writelines(f"{ts},m{k},{state},{good}\n" for ts, k, state, good in rows(size))
    state, good = (
        f'{_STATE}state = {{ column = "state" }}\n',
        f'{_COUNT}counter = "good"\nvalue = {{ column = "good" }}\n',
    )
    return f'station = {{ column = "station" }}\n[time]\ncolumn = "ts"\nunit = "s"\n{state}{good}'


def wide(path: Path, size: int) -> str:
    """`size` rows, each with state and counter of all stations."""
    names = ",".join(f"m{k} state,m{k} good" for k in range(STATIONS))
    with path.open("w") as file:
        file.write(f"ts,{names}\n")
        for i in range(size):
            state = "STOP" if i % 60 < 7 else "RUN"
            file.write(f"{BEGIN_S + i}" + f",{state},{3 * i}" * STATIONS + "\n")
    state = f'{_STATE}state = {{ column = "{{station}} state" }}\n'
    good = f'{_COUNT}counter = "good"\nvalue = {{ column = "{{station}} good" }}\n'
    return f'[time]\ncolumn = "ts"\nunit = "s"\n{state}{good}'


def tags(path: Path, size: int) -> str:
    with path.open("w") as file:
        file.write("time,tag,value\n")
        for ts, k, word, made in rows(size):
            file.write(f"{ts},P/m{k}/State,{word}\n" if made % 2 else f"{ts},P/m{k}/Good,{made}\n")
    state = f'{_STATE}station = {{ column = "tag", pattern = "P/{{}}/State" }}\nstate = {{ column = "value" }}\n'
    good = f'{_COUNT}station = {{ column = "tag", pattern = "P/{{}}/Good" }}\ncounter = "good"\n'
    return f'[time]\ncolumn = "time"\nunit = "s"\n{state}{good}value = {{ column = "value" }}\n'


def columnar(path: Path, size: int) -> str:
    mapping = plain(path.with_suffix(".csv"), size)
    table = list(rows(size))
    columns = {name: [row[i] for row in table] for i, name in enumerate(("ts", "station", "state", "good"))}
    columns["station"] = [f"m{k}" for k in columns["station"]]
    pq.write_table(pa.table(columns), path)
    return mapping


def workbook(path: Path, size: int) -> str:
    mapping = plain(path.with_suffix(".csv"), size)
    kind = "http://schemas.openxmlformats.org"
    main, office = f"{kind}/spreadsheetml/2006/main", f"{kind}/officeDocument/2006/relationships"
    package = f"{kind}/package/2006"

    def text(word: str) -> str:
        return f'<c t="inlineStr"><is><t>{word}</t></is></c>'

    body = "".join(
        f"<row><c><v>{ts}</v></c>{text(f'm{k}')}{text(state)}<c><v>{good}</v></c></row>"
        for ts, k, state, good in rows(size)
    )
    head = "".join(map(text, ("ts", "station", "state", "good")))
    link = f'<Relationships xmlns="{package}/relationships"><Relationship Id="r" Type="{office}/%s" Target="%s"/>'
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as book:
        types = (
            f'<Types xmlns="{package}/content-types"><Default Extension="xml" ContentType="application/xml"/></Types>'
        )
        book.writestr("[Content_Types].xml", types)
        book.writestr("_rels/.rels", link % ("officeDocument", "xl/workbook.xml") + "</Relationships>")
        book.writestr("xl/_rels/workbook.xml.rels", link % ("worksheet", "worksheets/sheet1.xml") + "</Relationships>")
        sheets = '<sheets><sheet name="S" sheetId="1" r:id="r"/></sheets>'
        book.writestr("xl/workbook.xml", f'<workbook xmlns="{main}" xmlns:r="{office}">{sheets}</workbook>')
        sheet = f'<worksheet xmlns="{main}"><sheetData><row>{head}</row>{body}</sheetData></worksheet>'
        book.writestr("xl/worksheets/sheet1.xml", sheet)
    return mapping


def json_lines(path: Path, size: int) -> None:
    with path.open("w") as file:
        for ts, k, state, good in rows(size):
            what = (
                f'"type":"count","counter":"good","value":{good}' if good % 2 else f'"type":"state","state":"{state}"'
            )
            file.write(f'{{"ts":{ts}000000000,"line":"L","station":"m{k}",{what}}}\n')


def shdr(path: Path, size: int) -> str:
    with path.open("w") as file:
        for ts, _, state, good in rows(size):
            time = iso(ts * 10**9)
            file.write(f"{time}|execution|{state}\n" if good % 2 else f"{time}|PartCount|{good}\n")
    count = '[[count]]\nitem = "PartCount"\ncounter = "good"\n'
    return f'format = "shdr"\nstation = "m0"\n[state]\nitem = "execution"\n{count}'


def reading(
    suffix: str, make: Callable[[Path, int], str | None]
) -> Callable[[Room, int], AbstractContextManager[Repeat]]:
    def prepare(room: Room, size: int) -> AbstractContextManager[Repeat]:
        model, path = plant(), room.folder() / f"log{suffix}"
        rules = make(path, size)
        return given(_reading(model, path, mapping_of(f'line = "L"\n{rules}') if rules else None, size))

    return prepare


def _reading(model: Plant, path: Path, mapping: Mapping | None, size: int) -> Callable[[], float]:
    def once() -> float:
        begin = clock.monotonic_s()
        try:
            logs = open_logs([path], model, mapping, rules=())
        except SourceError as error:
            raise BenchError(str(error)) from None
        for _ in logs:
            pass
        seconds = clock.monotonic_s() - begin
        if logs.summary.rows != size or logs.summary.problems:
            raise BenchError(f"{path.name}: {logs.summary.report()}")
        return size / seconds

    once()
    return once


_WHY: Final = "from the file to blocks of events, numbered and ended, in one thread; nothing is folded"
_SHAPES: Final[tuple[tuple[str, str, Callable[[Path, int], str | None], str], ...]] = (
    ("csv", ".csv", plain, "CSV: time, station, state, counter; two rules"),
    ("csv-wide", ".csv", wide, f"CSV with {STATIONS} stations in a row, two rules each"),
    ("csv-long", ".csv", tags, "a table of tags: time, tag, value"),
    ("jsonl", ".jsonl", json_lines, "JSON lines of one event"),
    ("shdr", ".txt", shdr, "MTConnect SHDR, an observation a row"),
    ("parquet", ".parquet", columnar, "Parquet with the columns of the CSV"),
    ("xlsx", ".xlsx", workbook, "a workbook with the columns of the CSV (the extra `excel`)"),
)
BENCHMARKS: Final = tuple(
    Benchmark(
        f"read-{name}",
        "reading",
        "rows to events",
        f"{{size:,}} rows; {what}",
        (Count(_WHY, "rows/s"),),
        reading(suffix, make),
        (100_000, 1_000_000) if name != "xlsx" else (20_000, 200_000),
        (0, 5) if name == "xlsx" else (3, 5),  # in the short form nothing needs an extra
    )
    for name, suffix, make, what in _SHAPES
)
