"""Two reactors, and a changeover that walks down six stations, live: late events and a kill -9 on the way."""

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from streams.kafka.topics import ensure
from streams.local.broker import LocalBroker
from tests.support.streams import over_a_kill, own_settings
from tests.unit.twin.line import test_station_orders as hand
from twin.audit.query import query
from twin.audit.recompute import recompute
from twin.audit.verify import verify

pytestmark = pytest.mark.kafka


def late(events: Sequence[hand.Row], chance: random.Random) -> list[hand.Row]:
    """A fifth of the events comes up to an hour late: it revises rows that are written."""
    arrives = [int(e["ts"]) + (chance.randrange(3_600) * hand.S if chance.random() < 0.2 else 0) for e in events]
    return [events[k] for k in sorted(range(len(events)), key=lambda k: (arrives[k], k))]


@pytest.mark.parametrize("which", ["reactors", "changeover"])
async def test_orders_of_stations(broker: LocalBroker, prefix: str, tmp_path: Path, which: str) -> None:
    stations, (events, right) = (2, (hand.REACTORS, hand.OF_REACTORS))
    if which == "changeover":
        stations, (events, right) = 6, hand.walking_changeover()
    (tmp_path / "own.toml").write_text(hand.text(stations))
    settings = replace(own_settings(broker, prefix, tmp_path), plant=str(tmp_path / "own.toml"), partitions=1)
    await ensure(settings)
    log = late(events, random.Random(11))  # noqa: S311  repeatable
    assert log != list(events)
    ends = [{"type": "heartbeat", "ts": hand.T0 + minute * hand.MIN * hand.S, "line": "L"} for minute in (300, 301)]
    half = len(log) // 2
    slow = replace(settings, poll_records=2, checkpoint_interval_s=0.2)
    values = [json.dumps(event).encode() for event in [*log, *ends]]
    await over_a_kill(slow, tmp_path, values[:half], values[half:])
    assert verify(settings.audit).differences == []
    assert recompute(settings.audit).differences == []
    columns = 'station, start, "end", "order", good, ideal_ns'
    found = query(settings.audit, f"SELECT {columns} FROM kpis WHERE \"window\" = 'order'")  # noqa: S608
    assert hand.told(found.to_pylist()) == right
