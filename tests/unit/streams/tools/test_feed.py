"""What is packed and when it is sent; a stand-in takes the place of the producer."""

import asyncio
from typing import Any

import numpy as np
import pytest

from kernels.codes import COUNT, NONE, ORDER
from streams.cli.feed import speed
from streams.settings import Settings
from streams.tools import feed as feeding
from streams.tools.feed import ARROW_HEADERS, Feeder, Pace, by_line, send_paced
from twin.events.block import DTYPES, EventBlock, Rejected
from twin.events.declare import MAX_ORDERS_PER_RECORD
from twin.plant.model import Line, Plant, Station
from twin.wire.decode import Decoder

PLANT = Plant("site", tuple(Line(f"l{i}", "area", "flow", (Station("s"),)) for i in range(5)), "hash", earliest_ns=0)
PARTITIONS = {0, 1, 2}
S = 1_000_000_000


def counts(lines: list[int], ts: list[int]) -> EventBlock:
    n = len(lines)
    columns: dict[str, Any] = {name: np.zeros(n, dtype) for name, dtype in DTYPES.items()}
    for name in ("x", "y", "z", "entry"):
        columns[name][:] = NONE
    columns |= {
        "line": np.array(lines, np.int32),
        "station": np.array(lines, np.int32),  # one station per line
        "type": np.full(n, COUNT, np.int8),
        "ts": np.array(ts, np.int64),
        "seq": np.arange(n),
        "a": np.arange(n),
    }
    return EventBlock(**columns)


def test_a_log_of_orders_makes_records_that_the_worker_takes() -> None:
    most = MAX_ORDERS_PER_RECORD
    block = counts([1] * 2_000 + [2] * 2_000, list(range(4_000)))
    block.type[1_000 : 1_001 + most] = ORDER
    assert [(line, len(part)) for line, part in by_line(block, 1_024)] == [
        *[(1, most)] * 7, (1, 2_000 - 7 * most), (2, 1_024), (2, 976)
    ]  # fmt: skip


class Builder:
    """Takes `most` records, as a batch of so many bytes would."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.records: list[tuple[bytes, bytes, list[Any]]] = []

    def append(self, *, timestamp: None, key: bytes, value: bytes, headers: list[Any]) -> object | None:
        if len(self.records) == self.most:
            return None
        self.records.append((key, value, headers))
        return object()

    def record_count(self) -> int:
        return len(self.records)

    def close(self) -> None: ...


class Producer:
    """Keeps what it was given, by partition, and the time of every batch."""

    def __init__(self, most: int = 3) -> None:
        self.most = most
        self.sent: dict[int, list[tuple[bytes, bytes, list[Any]]]] = {}
        self.times: list[float] = []
        self.error: Exception | None = None

    def create_batch(self) -> Builder:
        return Builder(self.most)

    async def send_batch(self, builder: Builder, topic: str, *, partition: int) -> asyncio.Future[None]:
        self.sent.setdefault(partition, []).extend(builder.records)
        future = asyncio.get_running_loop().create_future()
        self.times.append(asyncio.get_running_loop().time())
        if self.error:
            future.set_exception(self.error)
        else:
            future.set_result(None)
        return future


def feeder(producer: Producer, *, arrow: bool = False) -> Feeder:
    return Feeder(producer, "twin.events", PARTITIONS, PLANT, arrow)


def read_back(producer: Producer) -> dict[str, list[int]]:
    """Event times by line, in the order of the partitions."""
    found: dict[str, list[int]] = {}
    for records in producer.sent.values():
        values = [value for _key, value, _headers in records]
        block, rejected = Decoder(PLANT).decode(values, range(len(values)))
        assert not rejected
        for line, ts in zip(block.line.tolist(), block.ts.tolist(), strict=True):
            found.setdefault(PLANT.lines[line].id, []).append(ts)
    return found


LINES = [0, 1, 0, 2, 3, 4, 0, 0, 1, 4, 2, 2, 3, 0]
TIMES = [1_000 + n for n in range(len(LINES))]
EXPECTED = {f"l{line}": [t for n, t in zip(LINES, TIMES, strict=True) if n == line] for line in sorted(set(LINES))}


@pytest.mark.parametrize("arrow", [False, True])
async def test_every_event_arrives_once_and_in_the_order_of_its_line(arrow: bool) -> None:
    producer = Producer()
    one = feeder(producer, arrow=arrow)
    await one.send(counts(LINES[:9], TIMES[:9]))
    await one.send(counts(LINES[9:], TIMES[9:]))
    await one.flush()
    assert read_back(producer) == EXPECTED
    assert one.summary.events == len(LINES)
    assert one.summary.records == sum(map(len, producer.sent.values()))


@pytest.mark.parametrize("arrow", [False, True])
async def test_a_line_has_one_partition_and_its_own_key(arrow: bool) -> None:
    producer = Producer()
    one = feeder(producer, arrow=arrow)
    await one.send(counts(LINES, TIMES))
    await one.flush()
    places = {(key, partition) for partition, records in producer.sent.items() for key, _, _ in records}
    assert len(places) == len({key for key, _ in places}) == len(PLANT.lines)
    headers = {tuple(map(tuple, headers)) for records in producer.sent.values() for _, _, headers in records}
    assert headers == ({tuple(ARROW_HEADERS)} if arrow else {()})


def test_arrow_records_hold_one_line_and_a_bounded_number() -> None:
    parts = list(by_line(counts([0, 1, 0, 0, 1], [1, 2, 3, 4, 5]), 2))
    assert [(line, part.ts.tolist()) for line, part in parts] == [(0, [1, 3]), (0, [4]), (1, [2, 5])]


async def test_what_the_broker_refuses_is_raised() -> None:
    producer = Producer()
    producer.error = RuntimeError("refused")
    one = feeder(producer)
    await one.send(counts([0], [1]))
    with pytest.raises(RuntimeError, match="refused"):
        await one.flush()


async def test_input_that_a_log_refused_is_sent_as_it_came() -> None:
    producer = Producer()
    one = feeder(producer)
    await one.send_refused([Rejected("not_json", "", 0, b'{"line": "l1"', "l1"), Rejected("not_json", "", 1, b"\xff")])
    await one.flush()
    values = {value: key for records in producer.sent.values() for key, value, _ in records}
    assert values[b'{"line": "l1"'] == b"l1"
    assert b"\xff" in values


async def test_a_speed_spreads_events_over_time() -> None:
    producer = Producer(1000)
    one = feeder(producer)
    begun = asyncio.get_running_loop().time()
    # Ten seconds of event time, one of them going back, at 50 times.
    await send_paced(one, counts([0, 0, 0], [0, 10 * S, 5 * S]), Pace(50.0, begun))
    assert [ts for times in read_back(producer).values() for ts in times] == [0, 10 * S, 5 * S]
    assert producer.times[-1] - begun >= 0.2 > producer.times[0] - begun


def test_the_pace_goes_on_over_blocks_and_skips_long_gaps() -> None:
    pace = Pace(2.0, 100.0)
    assert pace.due_s(np.array([7 * S, 9 * S, 8 * S])).tolist() == [100.0, 101.0, 101.0]
    assert pace.due_s(np.array([8 * S, 11 * S])).tolist() == [101.0, 102.0]
    year = 365 * 86_400 * S
    assert pace.due_s(np.array([year, year + 4 * S])).tolist() == [102.0, 104.0]


async def test_feeding_sends_what_the_logs_hold_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    producer = Producer(1000)

    class Connected:
        def __init__(self, **_options: object) -> None: ...

        async def __aenter__(self) -> Producer:
            return producer

        async def __aexit__(self, *_error: object) -> None: ...

    class Metadata:
        async def fetch_all_metadata(self) -> "Metadata":
            return self

        def partitions_for_topic(self, _topic: str) -> set[int]:
            return PARTITIONS

    monkeypatch.setattr(producer, "client", Metadata(), raising=False)
    monkeypatch.setattr(feeding, "AIOKafkaProducer", Connected)
    monkeypatch.setattr(feeding, "check_access", lambda _settings: asyncio.sleep(0))
    seen: list[int] = []
    log = [(counts(LINES[:9], TIMES[:9]), [Rejected("not_json", "", 0, b"{")]), (counts(LINES[9:], TIMES[9:]), [])]
    sent = await feeding.feed(log, PLANT, settings=Settings(), on_block=lambda s: seen.append(s.events))
    assert (sent.events, sent.records, seen) == (len(LINES), len(LINES) + 1, [9, len(LINES)])


def test_speed_is_a_number_or_max() -> None:
    assert speed("max") is None
    assert speed("60") == 60.0
    for text in ("0", "-1", "fast", "nan", "inf"):
        with pytest.raises(Exception, match="neither"):
            speed(text)
