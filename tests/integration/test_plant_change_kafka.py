"""The plant file changes while events flow: a product and a station more, by a worker beside one with the old file."""

import asyncio
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from streams import exits
from streams.kafka.topics import EVENTS, ensure
from streams.local.broker import LocalBroker, free_port
from streams.settings import Settings
from tests.support.streams import LINES, PLANT, START_NS, Worker, event, own_settings, read_all, settled, workers
from twin.audit.recompute import recompute
from twin.audit.verify import verify
from twin.line import PartitionTwin
from twin.plant import loads
from twin.report.rows import dicts, select
from twin.wire.decode import Decoder

pytestmark = pytest.mark.kafka

OLD = "revision = 1\n" + PLANT.replace("lateness", 'publish_every = "10s"\nwindows = ["1min/10s"]\nlateness')
PRODUCT, STATION = LINES[0], LINES[1]
S = 1_000_000_000


def _new() -> str:
    head, first, second, rest = OLD.split("[[line]]\n", 3)
    first += '[[line.product]]\nid = "cola"\nideal_cycle = "500ms"\n'
    second += '[[line.station]]\nid = "added"\nideal_cycle = "1s"\n'
    return "[[line]]\n".join([head.replace("revision = 1", "revision = 2"), first, second, rest])


class Flow:
    """Events of all lines, second by second, until it is told to end."""

    def __init__(self, settings: Settings) -> None:
        self.seq = 0
        self.added_from = -1  # from here on the new station sends, too
        self.ending = asyncio.Event()
        self._settings = settings

    async def run(self) -> None:
        async with AIOKafkaProducer(bootstrap_servers=self._settings.bootstrap, linger_ms=5) as producer:

            async def send(line: str, value: bytes) -> None:
                await producer.send(self._settings.topic(EVENTS), value, key=line.encode())

            def said(line: str, kind: str, at: int, **more: Any) -> bytes:
                return json.dumps({"type": kind, "line": line, "ts": START_NS + at * S, **more}).encode()

            for line in LINES:
                product = {"product": "cola"} if line == PRODUCT else {}
                await send(line, said(line, "order", 0, action="start", order="o", **product))
            while not self.ending.is_set():
                for line in LINES:
                    await send(line, event(line, self.seq))
                if self.added_from >= 0:
                    await send(STATION, said(STATION, "count", self.seq, station="added", good=2))
                self.seq += 1
                await asyncio.sleep(0.01)
            for line in LINES:
                await send(line, said(line, "order", self.seq, action="end", order="o"))
                for more in (100, 101):
                    await send(line, said(line, "heartbeat", self.seq + more))
            await producer.flush()


@pytest.mark.slow
async def test_an_order_goes_on_while_the_plant_changes(broker: LocalBroker, prefix: str, tmp_path: Path) -> None:
    settings = replace(own_settings(broker, prefix, tmp_path), partitions=2)
    (tmp_path / "plant.toml").write_text(OLD)
    await ensure(settings)
    flow = Flow(settings)
    with workers() as started:
        old = Worker(settings, tmp_path / "old.log", real=True)
        started.append(old)
        flowing = asyncio.create_task(flow.run())
        await asyncio.to_thread(old.wait_ready, 2, 180.0)
        await settled_up_to(settings, flow.seq)
        (tmp_path / "plant.toml").write_text(_new())
        other = replace(settings, health_port=free_port())
        new = Worker(other, tmp_path / "new.log", real=True)
        started.append(new)
        # It is given one of the partitions, or both; the older one ends then, or at its next commit.
        assert await asyncio.to_thread(old.process.wait, 60) == exits.STATE, old.log()
        assert "this worker has the older file" in old.log()
        await asyncio.to_thread(new.wait_ready, 2, 60.0)
        changed, flow.added_from = flow.seq, flow.seq
        await settled_up_to(settings, changed + 30)
        flow.ending.set()
        await flowing
        await settled(settings)
        assert await asyncio.to_thread(new.end) == exits.OK, new.log()
    root = Path(settings.audit)
    every = [row for row in dicts(select(root, "kpis")) if row["window"] == "order" and row["station"] is not None]
    found = {(row["line"], row["station"]): row for row in every}
    assert len(found) == len(every) == len(LINES) + 1
    assert {row["good"] for (_, station), row in found.items() if station == "st"} == {flow.seq}
    assert found[STATION, "added"]["good"] == 2 * (flow.seq - changed)
    assert {row["start"] for row in every} == {START_NS}
    cola = found[PRODUCT, "st"]
    assert cola["product"] == "cola"
    assert 30 * S // 2 <= cola["ideal_ns"] < flow.seq * S // 2  # of the parts since its ideal cycle is known
    told = [row["line"] for row in dicts(select(root, "alerts")) if row["kind"] == "plant_changed"]
    assert sorted(told) == [PRODUCT, STATION]
    _as_without_a_change(root, [r.value for some in (await read_all(settings, EVENTS)).values() for r in some])
    report = recompute(root, every=True)
    assert report.differences == []
    assert report.checked["changes of the plant"] == 2
    assert verify(root).sound


async def settled_up_to(settings: Settings, seq: int) -> None:
    """Wait until a worker has committed the events up to this one, which may not be sent yet."""
    from tests.support.streams import committed

    for _ in range(600):
        at = await committed(settings)
        if sum(offset for offset, _ in at.values()) >= (seq + 2) * len(LINES):
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"committed {at}, waiting for {seq}")


def _as_without_a_change(root: Path, values: list[bytes]) -> None:
    """Lines that did not change have the rows of a twin that knows no other file."""
    plant = loads(OLD, "plant.toml")
    block, _ = Decoder(plant).decode(values, list(range(len(values))))
    there, made = Counter[str](), Counter[str]()
    tables = PartitionTwin(plant, 0).fold(block).tables
    for name in sorted({"states", "kpis", "bottlenecks"} & tables.keys()):
        for rows, where in ((dicts(select(root, name)), there), (dicts(tables[name]), made)):
            where.update(_text(name, row) for row in rows if row["line"] in LINES[2:])
    assert there == made


def _text(name: str, row: dict[str, Any]) -> str:
    return f"{name} {sorted((k, str(v)) for k, v in row.items() if k != 'model' and not k.startswith('source_'))}"
