"""Records of results: deterministic ids, times as text; and a producer's trouble is never lost."""

import asyncio
import datetime
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from aiokafka.errors import KafkaTimeoutError
from aiokafka.producer.message_accumulator import BatchBuilder
from hypothesis import given
from hypothesis import strategies as st

from streams.settings import Settings
from streams.worker.publish import (
    MOST_BATCH_BYTES,
    MOST_PENDING_BYTES,
    MOST_REJECTED_BYTES,
    TOPIC_OF,
    Publisher,
    PublishError,
    _values,
    json_rows,
    record_id,
)
from tests.support.client import rows
from twin.audit.claims import Claim
from twin.events.block import Rejected
from twin.results import ALERTS, ORIGIN, SETS, SINCE

NS = 1_700_000_000_123_456_789
ROW = {"line": "l1", "kind": "down", "action": "raised", "ts": NS, "model": "m", "source_topic": "t"}
PLACE = {"source_partition": 1, "source_offset": 7}


def alerts(*rows: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist([{**ROW, **PLACE, **row} for row in rows], schema=ALERTS)


def test_rows_as_json() -> None:
    ((line, value),) = json_rows("alerts", alerts({"station": "s", "value": 0.5}))
    found = msgspec.json.decode(value)
    assert line == "l1"
    assert found["ts"] == "2023-11-14T22:13:20.123456789Z"
    assert found["since"] is None
    assert (found["set"], found["station"], found["value"], found["source_offset"]) == ("alerts", "s", 0.5, 7)
    assert list(found)[:2] == ["id", "set"]


def ids(set_name: str, table: pa.Table) -> list[str]:
    return [msgspec.json.decode(value)["id"] for _, value in json_rows(set_name, table)]


@pytest.mark.parametrize("set_name", sorted(TOPIC_OF))
def test_an_id_is_what_the_row_says_and_not_the_deliverys(set_name: str) -> None:
    blank = rows(set_name, {})[1]
    nulls = {field.name: None for field in SETS[set_name] if field.nullable}
    other = {field.name: _other(field.type, blank.column(field.name)) for field in SETS[set_name]}
    found = {name: ids(*rows(set_name, {name: value}))[0] for name, value in other.items()}
    sent = {name for name, one in found.items() if one == ids(set_name, blank)[0]}
    assert sent == {*ORIGIN, "model"} & {*other}
    assert len(set(found.values())) == len(other) - len(sent) + 1
    # A column that an earlier version did not have.
    (sparse,) = ids(*rows(set_name, nulls))
    later = [name for name in SINCE.get(set_name, ()) if name in nulls]
    assert ids(set_name, rows(set_name, nulls)[1].drop_columns(later)) == [sparse]


def _other(kind: pa.DataType, column: Any) -> Any:
    if pa.types.is_timestamp(kind):
        return column.cast(pa.int64())[0].as_py() + 1
    value = column[0].as_py()
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 1
        case str():
            return f"{value}'"
    return value + datetime.timedelta(days=1)


def test_a_row_that_is_taken_back_and_stands_again_in_one_revision_has_two_ids() -> None:
    taken_back, stands = ({"revision": 3, "retracted": retracted} for retracted in (True, False))
    ids = [msgspec.json.decode(value)["id"] for _, value in json_rows("alerts", alerts(taken_back, stands, stands))]
    assert ids[0] != ids[1] == ids[2]


def test_parts_of_an_id_do_not_run_into_each_other() -> None:
    assert record_id("ab", "c") != record_id("a", "bc")
    assert record_id(None) == record_id("")
    assert len(record_id("x")) == 16
    record_id("\ud800")  # half a surrogate pair from refused input


class Producer:
    """Batches sent, and futures to answer them with."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, int, int]] = []
        self.answers: list[asyncio.Future[Any]] = []
        self.automatic = True

    def create_batch(self) -> BatchBuilder:
        return BatchBuilder(2000, 0)

    async def send_batch(self, batch: Any, topic: str, *, partition: int) -> "asyncio.Future[Any]":
        self.sent.append((topic, partition, batch.record_count()))
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.answers.append(answer)
        if self.automatic:
            answer.set_result(None)
        return answer

    async def stop(self) -> None:
        pass


@pytest.fixture
async def made() -> Any:
    publisher, producer = Publisher(Settings()), Producer()
    publisher._producer = producer  # type: ignore[assignment]  # stands in for aiokafka's
    publisher._partitions = {f"twin.{name}": [0] for name in ("alerts", "kpis", "lines", "events.rejected", "chain")}
    sender = asyncio.create_task(publisher._send_ready())
    yield publisher, producer
    sender.cancel()


async def test_flush_sends_what_is_packed_and_waits_for_it(made: tuple[Publisher, Producer]) -> None:
    publisher, producer = made
    publisher.results([("alerts", alerts({}, {"station": "s"})), ("states", alerts({}))])
    assert producer.sent == []
    assert await publisher.flush(1)
    assert producer.sent == [("twin.alerts", 0, 2)]
    producer.automatic = False
    publisher.view("l1", b"{}")
    assert not await publisher.flush(0.01)
    producer.answers[-1].set_result(None)
    assert await publisher.flush(1)


async def test_a_slow_broker_is_waited_for_as_long_as_it_takes_something(made: tuple[Publisher, Producer]) -> None:
    """What is on its way took longer than the limit, and at the next checkpoint as much was: nothing was committed."""
    publisher, producer = made
    producer.automatic = False
    for _ in range(3):
        publisher.view("l1", b"x" * 1_800)
    waiting = asyncio.create_task(publisher.flush(0.2, patient=True))
    for number in range(3):
        await asyncio.sleep(0.12)
        publisher.view("l1", b"x" * 1_800)  # and more comes meanwhile
        producer.answers[number].set_result(None)
    assert await waiting
    assert not await publisher.flush(0.05, patient=True)  # one that takes nothing has its limit


async def test_a_claim_goes_where_it_is_kept_and_nowhere_else(made: tuple[Publisher, Producer]) -> None:
    publisher, producer = made
    claim = Claim(
        group="g", root="r", topic="t", topic_id="", partition=3, next_offset=7, files_to=7, sha256="a", waiting=None
    )
    publisher.claim(claim)
    assert await publisher.flush(1)
    assert producer.sent == [("twin.chain", 0, 1)]
    del publisher._partitions["twin.chain"]  # topics of an earlier version
    publisher.claim(claim)
    assert await publisher.flush(1)
    assert len(producer.sent) == 1


async def test_full_batches_leave_in_order(made: tuple[Publisher, Producer]) -> None:
    publisher, producer = made
    for _ in range(5):
        publisher.view("l1", b"x" * 900)
    assert await publisher.flush(1)
    assert [count for _, _, count in producer.sent] == [2, 2, 1]


async def test_a_batch_that_is_lost_is_raised_before_a_commit(made: tuple[Publisher, Producer]) -> None:
    publisher, producer = made
    producer.automatic = False
    publisher.view("l1", b"{}")
    waiting = asyncio.create_task(publisher.flush(5))
    await asyncio.sleep(0.01)
    producer.answers[-1].set_exception(KafkaTimeoutError())
    with pytest.raises(PublishError, match="not taken"):
        await waiting


async def test_a_batch_that_is_given_up_is_not_acknowledged(made: tuple[Publisher, Producer]) -> None:
    publisher, producer = made
    producer.automatic = False
    publisher.view("l1", b"{}")
    waiting = asyncio.create_task(publisher.flush(5))
    await asyncio.sleep(0.01)
    producer.answers[-1].cancel()
    with pytest.raises(PublishError, match="gave the batch up"):
        await waiting


async def test_a_producer_that_has_ended_is_said_and_not_taken_for_a_broker_that_is_away(
    made: tuple[Publisher, Producer],
) -> None:
    publisher, producer = made

    async def ended(*_: Any, **__: Any) -> Any:
        raise RuntimeError("the sender of the producer has ended")

    producer.send_batch = ended  # type: ignore[method-assign]  # as aiokafka's after a fault of its own
    publisher.view("l1", b"{}")
    with pytest.raises(PublishError, match="has ended"):
        await publisher.flush(5)


async def test_too_much_on_its_way_holds_back(made: tuple[Publisher, Producer]) -> None:
    publisher, producer = made
    producer.automatic = False
    for _ in range(1 + MOST_PENDING_BYTES // (MOST_BATCH_BYTES // 2)):
        publisher.view("l1", b"x" * (MOST_BATCH_BYTES // 2))
    assert publisher.behind
    waiting = asyncio.create_task(publisher.room())
    await asyncio.sleep(0.01)
    assert not waiting.done()
    for answer in producer.answers:
        answer.set_result(None)
    await asyncio.wait_for(waiting, 1)


async def test_refused_records_say_why_and_from_where(made: tuple[Publisher, Producer]) -> None:
    publisher, _ = made
    batches: list[Any] = []
    publisher._append = lambda *arguments: batches.append(arguments)  # type: ignore[method-assign]  # looks at it
    long = b"x" * (MOST_REJECTED_BYTES + 5)
    refused = [Rejected("not_json", "d", 4, b"{", None), Rejected("late", "d\ud800", 5, long, "l\ud800", NS)]
    publisher.rejected(refused, "t", 3)
    ((topic, _), key, value, headers), (_, second_key, second_value, second_headers) = batches
    found = dict(headers)
    assert (topic, key, value) == ("twin.events.rejected", None, b"{")
    assert (found["reason"], found["source_topic"]) == (b"not_json", b"t")
    assert (found["source_partition"], found["source_offset"]) == (b"3", b"4")
    assert len(second_value) == MOST_REJECTED_BYTES
    assert second_key == b"l?"
    assert dict(second_headers)["truncated_from_bytes"] == str(len(long)).encode()
    assert dict(second_headers)["id"] != found["id"]


async def test_a_refusal_has_its_own_id_and_keeps_it_however_runs_are_cut(made: tuple[Publisher, Producer]) -> None:
    publisher, _ = made
    ids: list[str] = []
    publisher._append = lambda *arguments: ids.append(dict(arguments[3])["id"])  # type: ignore[method-assign]  # as above
    late = [Rejected("late", "d", offset, value, "l1", NS) for offset, value in ((4, b"a"), (4, b"b"), (6, b"a"))]
    publisher.rejected(late, "t", 3)
    publisher.rejected(late[:2], "t", 3)
    publisher.rejected(late[2:], "t", 3)
    assert ids[:3] == ids[3:]
    publisher.rejected([late[0], late[0]], "t", 3)  # an array record may hold one event twice
    assert len({*ids}) == 4


async def test_without_the_topic_of_measures_the_rest_is_sent_and_it_is_said_once(
    made: tuple[Publisher, Producer], caplog: pytest.LogCaptureFixture
) -> None:
    publisher, producer = made
    for _ in range(2):
        publisher.results([rows("measures", {"line": "l1"}), ("alerts", alerts({}))])
    assert await publisher.flush(1)
    assert producer.sent == [("twin.alerts", 0, 2)]
    assert [record.message.split(";")[0] for record in caplog.records] == [
        "there is no topic twin.measures: its rows go into the audit alone"
    ]


def text_of_ns(ns: int) -> str:
    whole = datetime.datetime.fromtimestamp(ns // 10**9, datetime.UTC).replace(tzinfo=None)
    return f"{whole.isoformat()}.{ns % 10**9:09d}Z"


VALUES: dict[pa.DataType, tuple[st.SearchStrategy[Any], Any]] = {
    pa.timestamp("ns", "UTC"): (st.integers(0, 4 * 10**18), text_of_ns),
    pa.date32(): (st.dates(), datetime.date.isoformat),
    pa.dictionary(pa.int32(), pa.string()): (st.sampled_from(["", "a", "ü"]), str),
    pa.int64(): (st.integers(-(2**63), 2**63 - 1), int),
    pa.float64(): (st.floats(allow_nan=False), float),
    pa.bool_(): (st.booleans(), bool),
}


@given(st.sampled_from(sorted(VALUES, key=str)), st.data())
def test_a_columns_values_are_its_cells_one_by_one(of_type: pa.DataType, data: st.DataObject) -> None:
    cells, shown = VALUES[of_type]
    put = data.draw(st.lists(data.draw(st.sampled_from([cells, st.none(), cells | st.none()])), max_size=8))
    column = pa.chunked_array([pa.array(put[:3], of_type), pa.array(put[3:], of_type)])
    assert _values(column) == [None if cell is None else shown(cell) for cell in put]
