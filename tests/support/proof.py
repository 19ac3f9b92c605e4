"""An audit root as workers leave it: partitions, intervals, snapshots, models; and forgers of its files."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from faust.types import TP

from streams.kafka.records import Record as Kafkas
from streams.kafka.records import Records
from streams.kafka.transport import Assigned
from streams.state.anchors import anchors
from streams.state.partition import PartitionState
from streams.state.snapshot_files import SnapshotStore
from streams.state.store import PartitionStore
from streams.worker.processor import Processor
from tests.support.generated import plant_text, values
from twin.audit import filelist, layout, left_out, replayed
from twin.audit.filelist import Entry
from twin.audit.intervals import intervals
from twin.audit.layout import PublishedFile
from twin.audit.left_out import absent
from twin.audit.read import footer, listed_as
from twin.audit.report import Report
from twin.audit.verify import verify
from twin.line import PartitionTwin
from twin.plant import loads
from twin.plant.model import Plant
from twin.results import SCHEMA_VERSION, SETS

TOPIC = "twin.events"
Record = tuple[bytes | None, bytes]  # key, value


def live(
    root: Path,
    plant: Plant,
    logs: dict[int, Sequence[Record]],
    *,
    each: int = 400,
    begin: int = 0,
    stop: bool = True,
    waits: bool = False,
) -> dict[int, PartitionState]:
    """Fold each partition's records as a worker does, with a checkpoint every `each` records.

    `stop`: the last checkpoint is published; without it, it is staged and its snapshot written, as at a kill -9 before
    the commit. `waits`: no row becomes a file.
    """
    store = PartitionStore(
        plant=plant,
        twin=PartitionTwin,
        snapshots=SnapshotStore(root / "_state" / "g"),
        audit=root,
        keep=3,
        code_version="0.1.0",
        publish_after_s=1e9 if waits else 0.0,
    )
    processor = Processor(plant, TOPIC)
    states = {}
    for partition, log in logs.items():
        newest = store.snapshots.ids(partition)
        assigned = Assigned(begin or None, newest[-1] if newest and begin else "", 0, 1 << 40)
        state = store.load(TP(TOPIC, partition), assigned)
        for at in range(0, len(log), each):
            run = Records.of(
                Kafkas(begin + at + k, key, value, []) for k, (key, value) in enumerate(log[at : at + each])
            )
            processor.fold(state, run)
            cut = state.cut()
            assert cut is not None
            made, identity = store.stage(cut, cut.frozen.encode())
            state.staged(made, identity)
            if stop or at + each < len(log):
                manifests, state.manifests = state.manifests, ()
                store.publish(state, manifests, (cut.rows.next, identity))
        states[partition] = state
    return states


def by_partition(values: Iterable[tuple[str, bytes]], lines: Sequence[str]) -> dict[int, list[Record]]:
    """Every line in the partition of its place among `lines`, modulo 2."""
    logs: dict[int, list[Record]] = {0: [], 1: []}
    for line, value in values:
        logs[lines.index(line) % 2].append((line.encode(), value))
    return logs


def check(root: Path, **options: Any) -> Report:
    """`verify` with the snapshots that lie in the root, as the command does."""
    found, damaged = anchors(root / "_state")
    report = verify(root, anchors=found, **options)
    report.differences += damaged
    return report


def chain(root: Path, partition: int) -> list[PublishedFile]:
    """The partition's files in the order of their chain."""
    return [file for interval in intervals(root)[partition] for file in interval.files]


def name(root: Path, file: PublishedFile) -> str:
    return file.path.relative_to(root).as_posix()


def rewrite(path: Path, change: Callable[[pa.Table], pa.Table], **keys: str) -> None:
    """The file with other rows, as sound a Parquet file as before: only its hash tells."""
    with pq.ParquetFile(path) as parquet:
        table, old = parquet.read(), footer(parquet)
    _write(path, change(table), {**old, **keys})


def forge(root: Path, partition: int) -> str:
    """Write the chain and the list anew over whatever the files now hold, as somebody would who knows how.

    Returns the end of the chain.
    """
    previous = ""
    for file in chain(root, partition):
        with pq.ParquetFile(file.path) as parquet:
            table, keys = parquet.read(), footer(parquet)
        without = {*absent(table), *left_out.of_file(file.set, SCHEMA_VERSION, table.column_names)}
        said = ",".join(name for name in SETS.get(file.set, table.schema).names if name in without)
        _write(file.path, table, {**keys, "previous_sha256": previous, "absent": said})
        previous = layout.sha256_of(file.path)
    for entry in filelist.entries(root, partition).get(partition, []):
        files = [
            listed_as(root, layout.published_file(root, one.path)) for one in entry.files if (root / one.path).exists()
        ]
        (root / entry.name).unlink()
        filelist.put(root, Entry(entry.format, partition, entry.first_offset, entry.next_offset, tuple(files)))
    for record in replayed.done(root):
        if record.share == partition:
            replayed.finish(root, msgspec.structs.replace(record, chain=previous))
    return previous


def _write(path: Path, table: pa.Table, keys: dict[str, str]) -> None:
    with pq.ParquetWriter(path, table.schema, compression="zstd", write_page_checksum=True) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({f"taktwin.{key}": value for key, value in keys.items()})


def with_cell(table: pa.Table, column: str, row: int, value: Any) -> pa.Table:
    """The table with one cell changed."""
    at = table.schema.get_field_index(column)
    field = table.schema.field(at)
    plain = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    values = table.column(column).cast(plain).to_pylist()
    values[row] = value
    return table.set_column(at, field, pa.array(values, plain).cast(field.type))


def without(table: pa.Table, row: int) -> pa.Table:
    return pa.concat_tables([table.slice(0, row), table.slice(row + 1)])


_JUNK = (
    (b"line-0", b"{"),
    (b"line-0", b'{"type":"count","line":"line-9","station":"s0","ts":1,"good":1}'),
    (b"line-2", b'{"type":"count","line":"line-0","station":"s0","ts":1767225660000000000,"good":1}'),  # another's key
    (b"line-0", b'{"type":"count","line":"line-0","station":"s0","ts":1767225600000000001,"good":1}'),  # late
    (b"line-0", b"\xff\xff\xff\xff no arrow"),
    (b"line-0", b""),
)


def _with_readings(records: Iterable[Record], line: str) -> Iterator[Record]:
    """With a reading of the line's meter and a value of its chart behind every tenth of its records."""
    mine = 0
    for key, value in records:
        yield key, value
        mine += key == line.encode()
        if key == line.encode() and mine % 10 == 0:
            ts = json.loads(value)["ts"]
            reading = {"type": "measure", "line": line, "ts": ts, "measure": "kwh", "value": ts // 10**9 - 10**9}
            yield key, json.dumps(reading).encode()
            # Every seventh value is far from the others. None at the end: the last interval is to have many sets.
            load = {"type": "measure", "line": line, "ts": ts, "measure": "load", "value": 99 if mine % 70 else 160}
            if mine <= 400:
                yield key, json.dumps(load).encode()


def example(root: Path) -> Plant:
    """Two partitions of two lines each, some five intervals, all kinds of refusals, a meter, a chart, no record."""
    meter = '[[line.measure]]\nid = "kwh"\nkind = "meter"\nunit = "kWh"\n'
    meter += '[[line.measure]]\nid = "load"\nkind = "gauge"\nunit = "kN"\nchart = { type = "i_mr", baseline = 3 }\n'
    plant = loads(plant_text(4, 3).replace("[[line.station]]", f"{meter}[[line.station]]", 1), "plant.toml")
    logs = by_partition(values(4, 3, 300), [line.id for line in plant.lines])
    logs[0] = list(_with_readings(logs[0], plant.lines[0].id))
    logs[0][900:900] = _JUNK
    logs[1].append((b"line-1", b"[]"))
    live(root, plant, logs)
    return plant
