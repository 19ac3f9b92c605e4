"""A meter live, late and over a kill -9: the sums that a replay gives, and those worked out by hand."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from streams.client import Client, Measured, Sample
from streams.kafka.topics import ensure
from streams.local.broker import LocalBroker
from tests.support.streams import over_a_kill, own_settings
from tests.unit.twin.line.test_line_stops import T0, S
from tests.unit.twin.line.test_station_orders import text
from twin.audit.query import query
from twin.audit.recompute import recompute
from twin.audit.verify import verify
from twin.plant import loads
from twin.replay import replay
from twin.sources import open_logs

pytestmark = pytest.mark.kafka

PLANT = (
    text(1)
    + """
[[line.station.measure]]
id = "electricity"
kind = "meter"
quantity = "energy"
unit = "kWh"
decimals = 1
modulus = "1000"
[[line.station.measure]]
id = "weight"
kind = "characteristic"
unit = "g"
decimals = 1
[line.station.measure.chart]
type = "i_mr"
limits = { version = "study", center = 2.2, sigma = 0.2 }
"""
)
MIN = 60 * S


def reading(minute: int, value: str) -> dict[str, object]:
    head = {"type": "measure", "ts": T0 + minute * MIN, "line": "L", "station": "s0"}
    return head | {"measure": "electricity", "value": value}


def weight(minute: int, value: str) -> dict[str, object]:
    return reading(minute, value) | {"measure": "weight"}


async def test_a_meter_and_a_chart(broker: LocalBroker, prefix: str, tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(PLANT)
    settings = replace(own_settings(broker, prefix, tmp_path), plant=str(tmp_path / "own.toml"), partitions=1)
    await ensure(settings)
    run = {"type": "state", "ts": T0, "line": "L", "station": "s0", "state": "run"}
    beats = [{"type": "heartbeat", "ts": T0 + minute * MIN, "line": "L"} for minute in (25, 300, 301)]
    # Through its modulus between the first and the second; that of minute 15 comes when its rows are written.
    log = [run, reading(2, "999.5"), reading(8, "0.5"), reading(22, "4.0"), beats[0], reading(15, "2.5"), *beats[1:]]
    # And the third of five weights.
    log[4:4] = [weight(1, "2.0"), weight(3, "2.2"), weight(9, "2.4"), weight(23, "3.0")]
    log[-2:-2] = [weight(5, "2.1")]
    values = [json.dumps(event).encode() for event in log]
    slow = replace(settings, poll_records=1, checkpoint_interval_s=0.2)
    await over_a_kill(slow, tmp_path, values[:9], values[9:])
    assert verify(settings.audit).differences == []
    assert recompute(settings.audit).differences == []
    asked = "SELECT start, during, n, amount FROM measures WHERE measure = 'electricity' ORDER BY start, during"
    found = query(settings.audit, asked).to_pylist()
    # In tenths of a kWh, by ten minutes; of a first reading nothing is known.
    told = [(row["during"], row["n"], row["amount"]) for row in found]
    assert told == [("running", 2, 10), ("running", 1, 20), ("running", 1, 15)]
    # What the topic says, with the repeats of the kill left out and the newest revision of each row: the same.
    newest: dict[tuple[int, str | None], Measured] = {}
    async with Client(settings) as client, asyncio.timeout(60):
        async for row in client.measures("L", start="beginning", latest=True):
            if row.measure != "electricity":
                continue
            newest[row.start_ns, row.during] = row
            stand = [one for _, one in sorted(newest.items()) if not one.retracted]
            if [(one.during, one.n, one.amount) for one in stand] == told:
                break
    assert (stand[0].measure, stand[0].unit, stand[0].decimals, stand[0].station) == ("electricity", "kWh", 1, "s0")
    (tmp_path / "log.jsonl").write_bytes(b"".join(value + b"\n" for value in values))
    plant = loads(PLANT, "own.toml")
    replay(plant, open_logs([tmp_path / "log.jsonl"], plant), tmp_path / "replayed")
    replayed = query(str(tmp_path / "replayed"), asked).to_pylist()
    assert replayed[: len(found)] == found
    charted = "SELECT chart, point, figure, signals FROM samples ORDER BY chart, point"
    points = query(settings.audit, charted).to_pylist()
    assert points == query(str(tmp_path / "replayed"), charted).to_pylist()
    shown = {chart: [row["figure"] for row in points if row["chart"] == chart] for chart in ("i", "mr")}
    assert shown == {"i": [2.0, 2.2, 2.1, 2.4, 3.0], "mr": [0.2, 0.1, 0.3, 0.6]}
    assert [row["signals"] for row in points] == [None] * 4 + ["beyond"] + [None] * 4
    on_topic: dict[tuple[str, int, int], Sample] = {}
    async with Client(settings) as client, asyncio.timeout(60):
        async for one in client.samples("L", start="beginning", latest=True):
            on_topic[one.chart, one.point, one.end_ns] = one
            stand_now = [row for _, row in sorted(on_topic.items()) if not row.retracted]
            if [(row.chart, row.point, row.figure, row.signals) for row in stand_now] == [
                tuple(row[name] for name in ("chart", "point", "figure", "signals")) for row in points
            ]:
                break
    told_of = "SELECT subject, detail FROM alerts WHERE kind = 'chart'"
    assert [row["subject"] for row in query(settings.audit, told_of).to_pylist()] == ["weight i 4"]
