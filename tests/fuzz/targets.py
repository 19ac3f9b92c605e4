"""What is fuzzed, and what must hold. A target takes one input per call and says what became of it."""

import json
import random
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
from aiokafka.consumer.fetcher import PartitionRecords
from aiokafka.errors import CorruptRecordException, UnsupportedCodecError
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c
from aiokafka.structs import TopicPartition

from streams.kafka.unpacking import Fetched, Unpacking
from streams.state import snapshot_files
from streams.worker import poison
from tests.fuzz.mutate import arrow_mutated, json_mutated, mutated
from tests.fuzz.shapes import shapes
from tests.fuzz.worlds import EXAMPLES, World, events, worlds
from tests.support.sources import PLANT
from twin.audit import AuditError
from twin.audit.writer import AuditWriter, Manifest, StagedFile
from twin.events.declare import WIRE
from twin.line import PartitionTwin
from twin.line import snapshot as line_snapshot
from twin.plant import PlantError, load, loads
from twin.sources import MappingError, SourceError, load_mapping, open_logs
from twin.sources.mapping import loads as mapping_loads
from twin.wire.decode import Decoder
from twin.wire.framing import CONTINUATION

Note = Callable[[bytes], None]  # told of every input before it is used: the last one is known after a crash
LINES_PER_TWIN = 1_000  # records until a new twin begins, so that memory that grows is not the log's


class Broken(AssertionError):  # noqa: N818  what a target found, not an error of its own
    """An input that broke a promise."""


def _must(holds: bool, what: str) -> None:
    if not holds:
        raise Broken(what)


class Records:
    """Decoding and folding: every event is counted or refused, and a batch gives what its records give alone."""

    name = "records"

    def __init__(self, world: World, chance: random.Random) -> None:
        self._world, self._chance = world, chance
        self._batch, self._alone = Decoder(world.plant), Decoder(world.plant)
        self._names = [*WIRE, "note", "Type", ""]
        self._begin()

    def _begin(self) -> None:
        self._twin = PartitionTwin(self._world.plant, 0)
        self._at = self._chance.randrange(len(self._world.records))
        self._folded = 0

    def _record(self, note: Note) -> bytes:
        chance, records = self._chance, self._world.records
        value = records[self._at % len(records)]
        self._at += 1
        draw = chance.random()
        if draw < 0.15:
            return value
        if draw < 0.25:
            value = msgspec.json.encode(next(events(chance)))
        if draw < 0.6:
            change = arrow_mutated if value.startswith(CONTINUATION) else json_mutated
            value = change(value, self._names, chance)
        if draw > 0.5:
            value = mutated(value, records, chance)
        note(value)
        return value

    def __call__(self, note: Note) -> Counter[str]:
        chance = self._chance
        values = [self._record(note) for _ in range(chance.choice((1, 1, 3, 8)))]
        kinds = [chance.choice((None, None, None, "application/vnd.apache.arrow.stream", "\x00")) for _ in values]
        offsets = [self._folded + i for i in range(len(values))]
        block, rejected = self._batch.decode(values, offsets, kinds)
        self._compare(values, offsets, kinds, block, rejected)
        before = self._pending()
        results = self._twin.fold(block)
        refused = results.tables.get("rejected")
        # What is refused only when its revision comes is no longer counted as what it was before.
        counted = results.events + results.duplicates + results.revising + (0 if refused is None else refused.num_rows)
        told = f"{len(block)} events and {before} pending gave {counted} counted and {self._pending()} pending"
        _must(len(block) + before == counted + self._pending(), told)
        self._folded += len(values)
        if chance.random() < 0.02:
            self._again()
        if self._folded > LINES_PER_TWIN:
            self._begin()
        found = Counter(one.reason for one in rejected)
        found.update(refused.column("reason").to_pylist() if refused is not None else ())
        found["events"] += len(block)
        return found

    def _compare(self, values: list[bytes], offsets: list[int], kinds: list[Any], block: Any, rejected: Any) -> None:
        number, refusals = 0, []
        for value, offset, kind in zip(values, offsets, kinds, strict=True):
            own, refused = self._alone.decode([value], [offset], [kind])
            number += len(own)
            refusals += [(one.reason, one.offset, one.value) for one in refused]
            _must_account(value, len(own), len(refused))
        _must(number == len(block), f"{number} events alone, {len(block)} together")
        together = [(one.reason, one.offset, one.value) for one in rejected]
        _must(sorted(refusals) == sorted(together), "refused alone and together differ")

    def _pending(self) -> int:
        return len(self._twin.waiting.rows()) + len(self._twin.admission.held)

    def _again(self) -> None:
        saved = self._twin.snapshot()
        self._twin = PartitionTwin.restore(self._world.plant, 0, saved)
        _must(self._twin.snapshot() == saved, "a restored twin is another one")
        msgspec.json.encode(self._twin.view())


def says_nothing(value: bytes) -> bool:
    """An empty array, or a sound Arrow stream without rows."""
    return _events_in(value) == 0


def _events_in(value: bytes) -> int:
    if value.startswith(CONTINUATION):
        return int(pa.ipc.open_stream(value).read_all().num_rows)
    found = json.loads(value)
    return len(found) if isinstance(found, list) else 1


def _must_account(value: bytes, events: int, refused: int) -> None:
    """Every event of a record is one of the two, or the record is refused as a whole."""
    if (events, refused) == (0, 1):
        return
    there = _events_in(value)
    _must(events + refused == there, f"{there} events, {events} taken and {refused} refused: {value[:200]!r}")


class Refusing:
    """A reader of bytes: it gives something, or raises one of its own errors."""

    def __init__(
        self, name: str, seeds: list[bytes], read: Callable[[bytes], object], errors: tuple[type[Exception], ...],
        chance: random.Random, change: Callable[[bytes], bytes] | None = None,
    ) -> None:  # fmt: skip
        self.name = name
        self._seeds, self._read, self._errors, self._chance = seeds, read, errors, chance
        self._change = change or (lambda value: mutated(value, seeds, chance))

    def __call__(self, note: Note) -> Counter[str]:
        value = self._change(self._chance.choice(self._seeds))
        note(value)
        try:
            self._read(value)
        except self._errors as error:
            _must(bool(str(error).strip()), "an error without a word")
            return Counter([type(error).__name__])
        return Counter(["read"])


def targets(chance: random.Random, folder: Path) -> list[tuple[float, Any]]:
    """(share of the inputs, target)."""
    found: list[tuple[float, Any]] = [(15.0, Records(world, chance)) for world in worlds()]
    texts = [*(world.plant_text.encode() for world in worlds()), (EXAMPLES / "demo" / "plant.toml").read_bytes()]
    found.append((3.0, Refusing("plant", texts, _plant, (PlantError,), chance)))
    found.append((4.0, _line_snapshots(chance)))
    found.append((2.0, _state_snapshots(chance)))
    found.append((2.0, _manifests(chance, folder)))
    found.append((3.0, _batches(chance)))
    notes = [poison.encode(poison.Note("t", 1, 5, 3, [poison.Suspect(3, 9, 1, "why")], (4, 5)))]
    found.append((1.0, Refusing("note", notes, poison.decode, (poison.NoteError,), chance)))
    return found + _sources(chance, folder)


def _plant(value: bytes) -> None:
    # As `load` reads a file: bytes that are no UTF-8 are its error too, tested there.
    loads(value.decode("utf-8", "replace"), "fuzz.toml")


def _sources(chance: random.Random, folder: Path) -> list[tuple[float, Any]]:
    found: list[tuple[float, Any]] = []

    def add(name: str, world: Any, seeds: list[bytes], suffix: str, mapping: Any = None) -> None:
        path = folder / f"{name}{suffix}"

        def read(value: bytes) -> None:
            path.write_bytes(value)
            logs = open_logs([path], getattr(world, "plant", world), mapping, rules=())
            events, refused = map(sum, zip((0, 0), *((len(block), len(no)) for block, no in logs), strict=True))
            told = logs.summary
            _must(events == told.n_events, f"{events} events given, {told.n_events} told of")
            rejected = sum(one.count for one in told.rejected.values())
            _must(refused == rejected, f"{refused} refusals given, {rejected} told of")
            rows = told.told + told.ignored + told.left_out + told.unusable
            _must(rows == told.rows, f"{told.rows} rows read, {rows} accounted for")

        found.append((2.0, Refusing(name, seeds, read, (SourceError, MappingError), chance)))

    five, tablet, mazak, *_ = worlds()
    import gzip

    for name, world, log, mapping in (
        ("csv", five, "events.csv.gz", "mapping.toml"),
        ("csv-sampled", tablet, "3.csv.gz", "mapping.toml"),
        ("shdr", mazak, "Hurco01-20170518.txt.gz", "hurco01.toml"),
    ):
        folder_of = EXAMPLES / (world.name)
        raw = gzip.decompress((folder_of / log).read_bytes())
        lines = raw.splitlines(keepends=True)
        seeds = [b"".join([lines[0], *lines[at : at + 40]]) for at in range(1, min(len(lines), 2000), 40)]
        rules = load_mapping(folder_of / mapping)
        add(name, world, seeds, ".txt", rules)
        add(f"{name}-gz", world, [gzip.compress(seed) for seed in seeds[:5]], ".txt.gz", rules)
    json_lines = [r for r in five.records if not r.startswith(CONTINUATION)]
    add("jsonl", five, [b"\n".join(json_lines[at : at + 20]) for at in range(0, 400, 20)], ".jsonl")
    add("parquet", five, [_parquet(five)], ".parquet")
    shaped = loads(PLANT.replace('lateness = "2s"', 'lateness = "2s"\nstaleness = "1h"'), "fuzz")
    for name, suffix, seeds, rules in shapes():
        add(name, shaped, seeds, suffix, mapping_loads(rules, "fuzz.toml"))
    for example in sorted((EXAMPLES / "exports").iterdir()):
        if not example.is_dir():
            continue
        files = sorted(path for path in example.iterdir() if path.suffix != ".toml")
        # The beginning is enough; a workbook is cut by nobody.
        seeds = [path.read_bytes() if path.suffix == ".xlsx" else _beginning(path.read_bytes()) for path in files]
        model = load(example / "plant.toml")
        add(f"export-{example.name}", model, seeds, files[0].suffix, load_mapping(example / "mapping.toml", model))
    return found


def _beginning(data: bytes) -> bytes:
    return data[: data.rfind(b"\n", 0, 6000) + 1 + data.startswith(b"\xff\xfe")]


def _parquet(world: World) -> bytes:
    from twin.audit.rows import events_with_origin
    from twin.wire.encode import events_table

    values = world.records[:50]
    block, _ = Decoder(world.plant).decode(values, range(len(values)))
    table = events_with_origin(events_table(block, world.plant), "t", 0, block.offset)
    with tempfile.TemporaryDirectory() as temporary:
        writer = AuditWriter(temporary, 0, topic="t", plant_hash="h", policies="p", code_version="c")
        writer.add("events", table)
        manifest = writer.stage(0, 50)
        return (Path(temporary) / manifest.files[0].staged).read_bytes()


def _line_snapshots(chance: random.Random) -> Refusing:
    """Half of them damaged as a file would be, half in what the compression hides, as only a fault of ours would."""
    world = worlds()[4]
    twin, seeds = PartitionTwin(world.plant, 0), []
    for at in range(0, 600, 100):
        twin.fold(Decoder(world.plant).decode(world.records[at : at + 100], range(100))[0])
        seeds.append(twin.snapshot())

    def change(value: bytes) -> bytes:
        if chance.random() < 0.5:
            return mutated(value, seeds, chance)
        raw: Any = pa.decompress(value[8:], int.from_bytes(value[:8], "big"), codec="zstd", asbytes=True)
        raw = mutated(raw, [raw], chance)
        return len(raw).to_bytes(8, "big") + bytes(pa.compress(raw, codec="zstd", asbytes=True))

    def read(value: bytes) -> None:
        PartitionTwin.restore(world.plant, 0, value)

    return Refusing("line snapshot", seeds, read, (line_snapshot.SnapshotError,), chance, change)


def _state_snapshots(chance: random.Random) -> Refusing:
    """Damaged files, and files whose checksum is right although their head is not."""
    file = StagedFile("events", "events/date=2026-01-01/x.parquet", ".staging/x", 3, 100, "a" * 64)
    head = snapshot_files.Head("t", 1, 7, "h", "c", (Manifest(1, 0, 7, "c", (file,)),))
    seeds = [snapshot_files.encode(snapshot_files.Snapshot(head, b"state"))]

    def change(value: bytes) -> bytes:
        if chance.random() < 0.4:
            return mutated(value, seeds, chance)
        return _resummed(mutated(value[:-32], seeds, chance))

    def read(value: bytes) -> None:
        snapshot_files.decode(value, "fuzz")

    return Refusing("state snapshot", seeds, read, (snapshot_files.SnapshotError,), chance, change)


def _batches(chance: random.Random) -> Refusing:
    """What a broker answers, most of it with a true checksum: what it hides is the kernel's to find."""
    values = worlds()[0].records[:40]
    seeds = []
    for codec in (0, 0, 1, 2, 3, 4):
        builder = DefaultRecordBatchBuilder(2, codec, codec == 2, 5, 0, 0, 1 << 20)
        for k, value in enumerate(values[: 5 + codec]):
            builder.append(k, 17, b"line-0" if k % 2 else None, value, [("content-type", b"x")] * (k % 3))
        seeds.append(bytes(builder.build()))

    def change(value: bytes) -> bytes:
        body = bytearray(mutated(value, seeds, chance))
        if chance.random() < 0.8 and len(body) > 61:
            body[8:12] = (len(body) - 12).to_bytes(4, "big")
            body[17:21] = calc_crc32c(bytes(body[21:])).to_bytes(4, "big")
        return seeds[0] + bytes(body) if chance.random() < 0.3 else bytes(body)

    def read(value: bytes) -> None:
        answer: Any = PartitionRecords(TopicPartition("t", 0), Fetched(value), [(5, 0)], 0, None, None, True, 1)
        last = -1
        for run in Unpacking(answer, 7).runs():
            offsets = [record.offset for record in run.records]
            _must(offsets == sorted(set(offsets)) and last < offsets[0] and run.offset == offsets[-1], "out of order")
            _must(list(run.records.values) == [record.value for record in run.records], "values differ")
            last = run.offset
            _must(answer.next_fetch_offset > last, "it would be read again")

    return Refusing("batches", seeds, read, (CorruptRecordException, UnsupportedCodecError), chance, change)


def _resummed(body: bytes) -> bytes:
    import hashlib

    return body + hashlib.sha256(body).digest()


def _manifests(chance: random.Random, folder: Path) -> Refusing:
    """A manifest that names what it should not must move nothing in or out of the root."""
    root, outside = folder / "root", folder / "outside"
    (root / ".staging").mkdir(parents=True)
    outside.mkdir()
    (outside / "file").write_bytes(b"x" * 100)
    names = ["../outside/file", "/etc/passwd", "events/../../outside/file", ".staging/p00000-x", "", "\x00"]
    file = StagedFile("events", "events/date=2026-01-01/x.parquet", ".staging/x", 3, 100, "a" * 64)
    seeds = [msgspec.json.encode(Manifest(1, 0, 7, "c", (file,)))]

    def change(value: bytes) -> bytes:
        found = json.loads(value)
        for key in ("path", "staged"):
            if chance.random() < 0.5:
                found["files"][0][key] = chance.choice(names)
        return mutated(json.dumps(found).encode(), seeds, chance)

    def read(value: bytes) -> None:
        manifest = msgspec.json.decode(value, type=Manifest)
        AuditWriter(root, 1, topic="t", plant_hash="h", policies="p", code_version="c").publish(manifest)

    def watched(value: bytes) -> None:
        try:
            read(value)
        finally:
            _must([path.name for path in outside.iterdir()] == ["file"], "a file left or entered the root")

    return Refusing("manifest", seeds, watched, (AuditError, msgspec.MsgspecError, UnicodeDecodeError), chance, change)
