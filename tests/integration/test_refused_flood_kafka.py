"""Refused records of every kind among good ones: each kept with its reason, the good ones all counted."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pytest
from aiokafka import AIOKafkaProducer

from streams import exits
from streams.kafka.topics import ensure
from streams.local.broker import LocalBroker
from streams.tools.feed import ARROW_HEADERS, BATCH_BYTES, Batches
from tests.support.generated import START_NS
from tests.support.streams import Worker, own_settings, read_all, settled, workers
from twin.audit.digest import digest
from twin.plant import load

pytestmark = pytest.mark.kafka

LINES, STATIONS = 8, 5
STEP_NS = 1_000_000
PLANT = 'site = "flood"\n[[area]]\nid = "a"\n' + "".join(
    f'[[line]]\nid = "line-{line}"\narea = "a"\ntype = "flow"\nlateness = "0s"\n'
    + "".join(
        f'[[line.station]]\nid = "s{s}"\n[[line.station.counter]]\nid = "parts"\nquality = "good"\nmodulus = 1000\n'
        for s in range(STATIONS)
    )
    + '[[line.buffer]]\nid = "b"\nafter = ["s0"]\nbefore = ["s1"]\ncapacity = 10\n'
    for line in range(LINES)
)
HEAD = b'"ts":%d,"line":"line-0","station":"s0"' % START_NS


def _arrow() -> bytes:
    sink = pa.BufferOutputStream()
    columns = {"type": ["heartbeat"], "ts": [START_NS], "line": ["line-0"]}
    table = pa.table(columns)
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def _json(rest: bytes, head: bytes = HEAD) -> bytes:
    return b"{" + head + b"," + rest + b"}"


ARROW = _arrow()
KINDS: list[tuple[bytes, str]] = [
    (_json(b'"type":"count","good":1')[:-7], "not_json"),  # cut off
    (b"", "not_json"),
    (b"{}}", "not_json"),
    (_json(b'"type":"count","good":NaN'), "not_json"),
    (_json(b'"type":"count","good":-Infinity'), "not_json"),
    (_json(b'"type":"count","good":1,"note":"\xff\xfe"'), "bad_utf8"),
    (b"\xc3\x28", "bad_utf8"),
    (_json(b'"type":"count","good":"1"'), "wrong_type"),
    (_json(b'"type":"count","good":1.5'), "wrong_type"),
    (_json(b'"type":"count","good":1e400'), "wrong_type"),
    (_json(b'"type":"count","good":[[[[1]]]]'), "wrong_type"),
    (b"17", "wrong_type"),
    (_json(b'"type":"count","good":' + b"9" * 400), "impossible_value"),
    (_json(b'"type":"count","good":-1'), "impossible_value"),
    (_json(b'"type":"count","counter":"parts","value":1000'), "impossible_value"),
    (_json(b'"type":"buffer","buffer":"b","level":11'), "impossible_value"),
    (_json(b'"type":"count","good":1', b'"ts":' + b"9" * 30 + b',"line":"line-0","station":"s0"'), "bad_time"),
    (_json(b'"type":"count"'), "missing_field"),
    (_json(b'"type":"count","good":1', b'"line":"line-0","station":"s0"'), "missing_field"),
    (_json(b'"type":"cycle","phase":"pause"'), "unknown_field_value"),
    (_json(b'"type":"count","good":1', b'"ts":%d,"line":"nowhere","station":"s0"' % START_NS), "unknown_line"),
    (_json(b'"type":"count","good":1', b'"ts":%d,"line":"line-0","station":"s9"' % START_NS), "unknown_station"),
    (_json(b'"type":"dance"'), "unknown_type"),
    (_json(b'"type":"state","state":"dancing"'), "unknown_state"),
    (_json(b'"type":"count","counter":"volts","value":1'), "unknown_counter"),
    (_json(b'"type":"buffer","buffer":"b9","level":1'), "unknown_buffer"),
    (_json(b'"type":"count","good":1', b'"ts":"yesterday","line":"line-0","station":"s0"'), "bad_time"),
    (_json(b'"type":"count","good":1,"x":' + b"[" * 5000), "too_large"),
    (_json(b'"type":"count","good":1', b'"ts":%d,"line":"line-1","station":"s0"' % START_NS), "wrong_line_key"),
    (ARROW[: len(ARROW) // 2], "not_arrow"),
    (ARROW[:20], "not_arrow"),
    (ARROW[:60] + b"\xff" * 40 + ARROW[100:], "not_arrow"),
]


def mixed(good: int, bad: int) -> Iterator[tuple[int, bytes, bool]]:
    """(line, record, refused); the refused ones, every kind in turn, at places drawn by chance."""
    chance = random.Random(3)  # noqa: S311  repeatable
    at = Counter(chance.randrange(good) for _ in range(bad))
    number = 0
    for index in range(good):
        for _ in range(at[index]):
            yield 0, KINDS[number % len(KINDS)][0], True
            number += 1
        line, station = index % LINES, index // LINES % STATIONS
        seq = index // (LINES * STATIONS)
        ts = START_NS + index * STEP_NS
        yield (
            line,
            b'{"type":"count","ts":%d,"line":"line-%d","station":"s%d","good":1,"seq":%d}'
            % (
                ts,
                line,
                station,
                seq,
            ),
            False,
        )


@pytest.mark.parametrize(("good", "bad"), [(100_000, 1_000), pytest.param(1_000_000, 10_000, marks=pytest.mark.slow)])
async def test_refused_among_good(broker: LocalBroker, prefix: str, tmp_path: Path, good: int, bad: int) -> None:
    # Lines are spread by their number here, as no partitioner does.
    own = replace(own_settings(broker, prefix, tmp_path), partitioner="any")
    (tmp_path / "plant.toml").write_text(PLANT)
    load(tmp_path / "plant.toml")
    await ensure(own)
    with workers() as started:
        worker = Worker(own, tmp_path / "w.log", real=True)
        started.append(worker)
        await asyncio.to_thread(worker.wait_ready, 4, 60.0)
        begun = time.monotonic()
        async with AIOKafkaProducer(
            bootstrap_servers=own.bootstrap, enable_idempotence=True, max_batch_size=BATCH_BYTES
        ) as producer:
            batches = Batches(producer, own.topic("events"), range(4))
            for line, value, refused in mixed(good, bad):
                headers = ARROW_HEADERS if refused and value.startswith(ARROW[:8]) else None
                await batches.append(line % 4, [b"line-%d" % line], [value], headers)
            await batches.flush()
        log = await settled(own, limit_s=120.0)
        print(f"{good:,} good and {bad:,} refused sent, folded and committed in {time.monotonic() - begun:.1f} s")  # noqa: T201  the slow one's figure
        assert await asyncio.to_thread(worker.end) == exits.OK, worker.log()
    assert sum(map(len, log.values())) == good + bad
    expected = Counter((KINDS[i % len(KINDS)][1], KINDS[i % len(KINDS)][0]) for i in range(bad))
    root = Path(own.audit)
    kept = ds.dataset(root / "rejected", partitioning="hive").to_table(columns=["reason", "value", "source_offset"])
    found = Counter(zip(kept["reason"].to_pylist(), kept["value"].to_pylist(), strict=True))
    assert found == expected
    assert len(set(kept["source_offset"].to_pylist())) == bad  # one row each: all of line-0's partition
    told = [r for records in (await read_all(own, "events.rejected")).values() for r in records]
    assert Counter((dict(r.headers)["reason"].decode(), r.value) for r in told) == expected
    events = ds.dataset(root / "events", partitioning="hive").to_table(columns=["good"])
    assert events.num_rows == good
    kpis = ds.dataset(root / "kpis", partitioning="hive").to_table()
    assert kpis.num_rows > 0
    assert pc.sum(events["good"]).as_py() == good
    assert digest(root)["rejected"].rows == bad
