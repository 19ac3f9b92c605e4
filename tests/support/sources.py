"""What the tests of twin.sources share: a small plant, logs written to a folder, events as plain dictionaries."""

import gzip
import zipfile
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from kernels.codes import COUNT, COUNTER, CYCLE, END, EVENT_NAMES, ORDER
from twin.events.block import EventBlock, Rejected
from twin.plant import loads
from twin.plant.model import Plant
from twin.sources import Logs, Mapping, open_logs
from twin.sources.mapping import loads as mapping_loads
from twin.wire import entries
from twin.wire.measured import texts_of

S = 1_000_000_000
EPOCH = 1_767_225_600 * S  # 2026-01-01T00:00:00Z

PLANT = """
site = "test"
[[area]]
id = "a"
[[line]]
id = "L1"
area = "a"
type = "flow"
lateness = "2s"
minor_stop = "1min"
max_jump = "1h"
[[line.station]]
id = "A"
[[line.station.counter]]
id = "made"
modulus = 1000
[[line.station]]
id = "B"
minor_stop = "2min"
[[line.buffer]]
id = "AB"
after = "A"
before = "B"
capacity = 4
[line.states]
on = "running"
off = "stopped"
[[line]]
id = "L2"
area = "a"
type = "cell"
lateness = "0s"
[[line.station]]
id = "C"
"""

# A sampled log of station A: state, counter, order.
SAMPLED = """
line = "L1"
station = "A"
heartbeat_every = "1min"
[time]
column = "t"
unit = "s"
origin = "2026-01-01T00:00:00Z"
[sample]
hold = "10s"
tolerance = "5s"
[order]
id = { column = "batch" }
product = { column = "product" }
[[event]]
type = "state"
when = { column = "speed", above = 0 }
state = "on"
[[event]]
type = "state"
when = { column = "speed", equals = 0 }
state = "off"
[[event]]
type = "state"
when = { column = "speed", blank = true }
state = "unknown"
[[event]]
type = "count"
counter = "made"
value = { column = "made" }
"""


def plant(text: str = PLANT) -> Plant:
    return loads(text)


def mapping(text: str = SAMPLED) -> Mapping:
    return mapping_loads(text, "mapping.toml")


def write(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    data = text.encode() if isinstance(text, str) else text
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def run(logs: Logs) -> tuple[list[EventBlock], list[Rejected]]:
    """Every block, and everything refused."""
    blocks, refused = [], []
    for block, own in logs:
        blocks.append(block)
        refused += own
    return blocks, refused


def plain(blocks: list[EventBlock], model: Plant) -> list[dict[str, Any]]:
    """Events in their order, times in seconds after 2026 began (where whole), absent fields left out."""
    found = []
    for block in blocks:
        for i in range(len(block)):
            kind = int(block.type[i])
            station = int(block.station[i])
            event: dict[str, Any] = {
                "type": EVENT_NAMES[kind],
                "at": (int(block.ts[i]) - EPOCH) / S,
                "line": model.lines[block.line[i]].id,
                "station": model.stations[station].id if station >= 0 else None,
                "seq": int(block.seq[i]),
            }
            words = [block.words[n] if n >= 0 else None for n in (block.x[i], block.y[i], block.z[i])]
            names = {
                "state": ("state", "reason", "mode"),
                "count": ("counter", None, None),
                "cycle": ("unit", "product", None),
                "order": ("order", "product", None),
                "buffer": ("buffer", None, None),
                "product": (None, "product", None),
            }.get(event["type"], (None, None, None))
            event |= {name: word for name, word in zip(names, words, strict=True) if name and word is not None}
            if kind in (CYCLE, ORDER):
                event["phase"] = "end" if block.code[i] == END else "start"
            if kind == COUNT and block.code[i] == COUNTER:
                event["value"] = int(block.a[i])
            elif kind == COUNT:
                event["parts"] = (int(block.a[i]), int(block.b[i]), int(block.c[i]))
                event |= {"unit": event.pop("counter")} if "counter" in event else {}
            elif event["type"] == "measure":
                event |= {"measure": words[1], "value": texts_of(block, np.array([i]), model)[0]}
                event |= {name: word for name, word in (("unit", words[0]), ("order", words[2])) if word is not None}
                event |= {"n": int(block.b[i])} if block.b[i] >= 0 else {}
            elif event["type"] == "buffer":
                event["level"] = int(block.a[i])
            elif kind == ORDER and block.a[i] >= 0:
                event["quantity"] = int(block.a[i])
            if block.entry[i] >= 0:
                said = entries.read(block.words[block.entry[i]])
                event |= {name: value for name, value in said._asdict().items() if value is not None}
            found.append(event)
    return found


def read(path: Path, rules: str = SAMPLED, model: Plant | None = None, end: bool = False) -> tuple[list[Any], Logs]:
    """The events of one log (without the heartbeat at its end, unless `end`) and the logs' counts."""
    model = model or plant()
    logs = open_logs([path], model, mapping(rules))
    events = plain(run(logs)[0], model)
    if not end and events:
        assert events[-1]["type"] == "heartbeat"
        assert events[-1]["station"] is None
    return (events if end else [e for e in events if e["type"] != "heartbeat" or e["station"]]), logs


def short(events: list[dict[str, Any]], *names: str) -> list[tuple[Any, ...]]:
    """Only these fields of every event."""
    return [tuple(event.get(name) for name in names) for event in events]


def workbook(path: Path, sheets: dict[str, list[list[Any]]]) -> Path:
    """A small .xlsx: texts, numbers, booleans, and times (a datetime becomes the day number Excel keeps)."""
    kind = "http://schemas.openxmlformats.org"
    main, relations = f"{kind}/spreadsheetml/2006/main", f"{kind}/officeDocument/2006/relationships"
    names = "".join(f'<sheet name="{name}" sheetId="{i}" r:id="rId{i}"/>' for i, name in enumerate(sheets, 1))
    links = "".join(
        f'<Relationship Id="rId{i}" Type="{relations}/worksheet" Target="worksheets/sheet{i}.xml"/>'
        for i in range(1, len(sheets) + 1)
    )
    styles = f'<Relationship Id="rId99" Type="{relations}/styles" Target="styles.xml"/>'
    package = f"{kind}/package/2006"
    with zipfile.ZipFile(path, "w") as book:
        book.writestr(
            "[Content_Types].xml",
            f'<Types xmlns="{package}/content-types"><Default Extension="xml" ContentType="application/xml"/></Types>',
        )
        office = f'<Relationship Id="r" Type="{relations}/officeDocument" Target="xl/workbook.xml"/>'
        book.writestr("_rels/.rels", f'<Relationships xmlns="{package}/relationships">{office}</Relationships>')
        book.writestr(
            "xl/_rels/workbook.xml.rels",
            f'<Relationships xmlns="{package}/relationships">{links}{styles}</Relationships>',
        )
        book.writestr(
            "xl/workbook.xml", f'<workbook xmlns="{main}" xmlns:r="{relations}"><sheets>{names}</sheets></workbook>'
        )
        book.writestr(
            "xl/styles.xml",
            f'<styleSheet xmlns="{main}"><cellXfs><xf numFmtId="0"/><xf numFmtId="22"/><xf numFmtId="46"/></cellXfs>'
            "</styleSheet>",
        )
        for i, rows in enumerate(sheets.values(), 1):
            body = "".join(f"<row>{''.join(map(_cell, row))}</row>" for row in rows)
            sheet = f'<worksheet xmlns="{main}"><sheetData>{body}</sheetData></worksheet>'
            book.writestr(f"xl/worksheets/sheet{i}.xml", sheet)
    return path


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return f'<c t="b"><v>{int(value)}</v></c>'
    if isinstance(value, datetime):
        return f'<c s="1"><v>{(value - datetime(1899, 12, 30)) / timedelta(days=1)!r}</v></c>'  # noqa: DTZ001
    if isinstance(value, timedelta):  # as [h]:mm:ss
        return f'<c s="2"><v>{value / timedelta(days=1)!r}</v></c>'
    if isinstance(value, int | float):
        return f"<c><v>{value!r}</v></c>"
    return f'<c t="inlineStr"><is><t>{value}</t></is></c>' if value else "<c/>"
