"""A week of orders live: repeated, late, over a kill -9, one corrected by the command; against sums over the list."""

import asyncio
import json
import random
import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from streams import exits
from streams.kafka.topics import ensure
from streams.local.broker import LocalBroker, free_port
from streams.settings import Settings
from streams.tools.correct import correct
from tests.support.streams import Worker, has_committed, own_settings, send_values, settled, workers
from tests.unit.twin.line.test_orders_of_a_week import MONDAY, PLANT, Row, S, delayed, expected, repeated, sent
from twin.audit.query import query
from twin.audit.recompute import recompute
from twin.audit.verify import verify
from twin.plant import loads

pytestmark = pytest.mark.kafka


async def send(settings: Settings, events: Sequence[Row]) -> None:
    await send_values(
        settings, [json.dumps({**event, "ts": event["ts"] * S, "line": "L"}).encode() for event in events]
    )


async def test_a_week_of_orders(broker: LocalBroker, prefix: str, tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(PLANT)
    settings = replace(own_settings(broker, prefix, tmp_path), plant=str(tmp_path / "own.toml"), partitions=1)
    await ensure(settings)
    chance = random.Random(7)  # noqa: S311  repeatable
    plant = loads(PLANT, "own.toml")
    events, orders = sent(chance)
    start, end, name, product, _ = orders[-1]
    right = expected(events, [*orders[:-1], (start, end, name, product, 4_711)])
    log = repeated(delayed(events, chance), chance)
    half = len(log) // 2
    slow = replace(settings, poll_records=50, checkpoint_interval_s=0.2)
    with workers() as started:
        started.append(Worker(slow, tmp_path / "0.log", real=True))
        await asyncio.to_thread(started[0].wait_ready, 1, 300.0)
        await send(settings, log[:half])
        await has_committed(settings, 100)
        await asyncio.to_thread(started[0].end, signal.SIGKILL)
        await send(settings, log[half:])
        again = Worker(replace(slow, health_port=free_port()), tmp_path / "1.log", real=True)
        started.append(again)
        await settled(settings, limit_s=300.0)
        said: dict[str, Any] = {"line": "L", "corrects": str(start * S), "at": start * S, "order": name, "by": "op-7"}
        await correct(plant, settings, "order", {**said, "product": product, "quantity": 4_711}, now_ns=None, send=True)
        await send(settings, [{"type": "heartbeat", "ts": events[-1]["ts"] + 3600 * k} for k in (20, 21)])
        await settled(settings, limit_s=120.0)
        assert await asyncio.to_thread(again.end) == exits.OK, again.log()
    assert verify(settings.audit).differences == []
    assert recompute(settings.audit).differences == []
    columns = (
        'station, "window", epoch_ns(start) AS start_ns, epoch_ns("end") AS end_ns, "order", quantity, good, scrap'
    )
    found = query(settings.audit, f"SELECT {columns}, ideal_ns, running_ns FROM kpis WHERE station IS NOT NULL")  # noqa: S608
    rows = {(r["station"], r["window"], r["start_ns"] // S): r for r in found.to_pylist()}
    for key, wanted in right.items():
        if wanted["end"] <= events[-1]["ts"] and (key[1] == "order" or key[2] > MONDAY + 6 * 3600):
            row = rows[key]
            assert {column: row[column] for column in wanted if column != "end"} | {"end": row["end_ns"] // S} == wanted
    assert len([key for key in rows if key[1] == "order"]) == 3 * len(orders)
