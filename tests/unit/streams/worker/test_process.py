"""One run of records into a state: what is due, what is refused, where rows come from."""

import json
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
from faust.types import TP
from hypothesis import example, given
from hypothesis import strategies as st

from streams.kafka.partitioner import choose
from streams.kafka.records import Records
from streams.state.partition import COLUMN_BYTES, FEW_EVENTS, PartitionState
from streams.worker import processor as processing
from streams.worker.processor import Processor, RunKind, kind_of
from tests.support.streams import LINES, PLANT, FakeTwin, event
from twin.audit.rows import check_rows
from twin.plant import loads
from twin.wire.decode import Decoder
from twin.wire.encode import arrow_record

PLANT_MODEL = loads(PLANT, "plant.toml")
TOPIC = "twin.events"


def record(offset: int, value: bytes | None, key: bytes | None = None, headers: Any = ()) -> Any:
    return SimpleNamespace(offset=offset, key=key, value=value, headers=headers)


def fresh(due: int = 0) -> PartitionState:
    twin = FakeTwin(PLANT_MODEL, 2)
    return PartitionState(TP(TOPIC, 2), twin, None, due, due, (due, ""), (due, ""))  # type: ignore[arg-type]  # no audit here


@pytest.mark.parametrize(
    ("first", "last", "base", "due", "expected"),
    [
        (5, 9, 5, 5, RunKind.DUE),
        (3, 9, 3, 5, RunKind.DUE),  # begins before: a seek went back further than needed
        (3, 4, 3, 5, RunKind.OLD),
        (7, 9, 5, 5, RunKind.HOLE),  # the fetch began where it was due, so the log holds nothing at 5 and 6
        (7, 9, 4, 5, RunKind.HOLE),
        (7, 9, 6, 5, RunKind.LOST),  # 5 was fetched, and did not come here
        (7, 9, None, 5, RunKind.LOST),
    ],
)
def test_place(first: int, last: int, base: int | None, due: int, expected: RunKind) -> None:
    assert kind_of(first, last, base, due) is expected


@given(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9), st.integers(0, 9))
def test_nothing_that_may_be_in_the_log_is_skipped(base: int, hole: int, length: int, due: int) -> None:
    first = base + hole
    kind = kind_of(first, first + length, base, due)
    if kind is RunKind.DUE:
        assert first <= due <= first + length
    if kind is RunKind.HOLE:
        assert base <= due < first  # everything from due to first was asked for, and is not there


def test_only_what_is_due_is_folded() -> None:
    state = fresh(due=2)
    run = [record(offset, event("line-1", offset)) for offset in range(5)]
    folded = Processor(PLANT_MODEL, TOPIC).fold(state, Records.of(run))
    assert (folded.records, folded.events, state.next) == (3, 3, 5)
    assert 0 < state.bytes < sum(COLUMN_BYTES * table.num_columns for _, table in state.rows)  # three of them: few
    assert state.bytes == sum(table.nbytes + COLUMN_BYTES * table.num_columns for _, table in state.rows)
    assert state.twin.lines["line-1"][0] == 3  # type: ignore[attr-defined]  # FakeTwin


@given(st.lists(st.integers(1, 80), min_size=1, max_size=12))
@example([1, 64, 65, 1, 2])
def test_rows_are_the_same_in_any_cut(sizes: list[int]) -> None:
    """Those of few events are made later, together with others."""
    run = [record(n, event(LINES[n % 8], n)) for n in range(sum(sizes))]
    whole, cut = fresh(), fresh()
    processor = Processor(PLANT_MODEL, TOPIC)
    processor.fold(whole, Records.of(run))
    for size in sizes:
        processor.fold(cut, Records.of(run[cut.next : cut.next + size]))
    assert all(len(one.values.T) <= FEW_EVENTS for one in cut.few)

    def rows(state: PartitionState) -> list[dict[str, object]]:
        return [row for name, table in state.taken_rows() if name == "events" for row in table.to_pylist()]

    expected = rows(whole)
    assert len(expected) == len(run)
    assert rows(cut) == expected
    assert (cut.bytes, cut.rows) == (0, [])


def test_rows_say_where_they_come_from() -> None:
    state = fresh()
    run = [record(10 + i, event(LINES[i % 8], i)) for i in range(1600)] + [record(2900, b"not json", b"line-1")]
    state.next = 10
    folded = Processor(PLANT_MODEL, TOPIC).fold(state, Records.of(run))
    assert state.next == 2901
    rows = dict(state.rows)
    for name, table in rows.items():
        check_rows(name, table)
    assert rows["events"]["source_offset"].to_pylist() == list(range(10, 1610))
    assert set(rows["events"]["source_topic"].to_pylist()) == {TOPIC}
    assert set(rows["events"]["source_partition"].to_pylist()) == {2}
    assert rows["alerts"]["source_offset"].to_pylist() == [2900] * 16  # a conclusion has the last offset folded
    assert rows["rejected"].to_pylist()[0]["source_offset"] == 2900
    assert [one.reason for one in folded.rejected] == ["not_json"]


def test_a_key_that_names_another_line_is_refused() -> None:
    state = fresh()
    block, _ = Decoder(PLANT_MODEL).decode([event("line-3", i) for i in range(4)], [0] * 4)
    run = [
        record(0, event("line-1", 0), b"line-1"),
        record(1, event("line-1", 1), b"line-2"),
        record(2, event("line-1", 2), b"a gateway's own key"),
        record(3, event("line-1", 3)),
        record(4, arrow_record(block, PLANT_MODEL), b"line-2"),
        record(5, arrow_record(block, PLANT_MODEL), b"line-3"),
    ]
    folded = Processor(PLANT_MODEL, TOPIC).fold(state, Records.of(run))
    assert [(one.reason, one.offset, one.line) for one in folded.rejected] == [
        ("wrong_line_key", 1, "line-1"),
        *[("wrong_line_key", 4, "line-3")] * 4,
    ]
    assert folded.rejected[0].value == event("line-1", 1)
    assert {line: entry[0] for line, entry in state.twin.lines.items()} == {"line-1": 3, "line-3": 4}  # type: ignore[attr-defined]  # FakeTwin
    assert state.next == 6


@pytest.mark.parametrize("arrow", [False, True])
def test_a_record_of_many_misplaced_events_is_not_kept_once_per_event(arrow: bool) -> None:
    values = [event("line-1", seq) for seq in range(1_024)]
    block, _ = Decoder(PLANT_MODEL).decode(values, [0] * len(values))
    whole = arrow_record(block, PLANT_MODEL) if arrow else b"[" + b",".join(values) + b"]"
    state = fresh()
    folded = Processor(PLANT_MODEL, TOPIC).fold(state, Records.of([record(0, whole, b"line-0")]))
    assert [json.loads(one.value)["seq"] for one in folded.rejected] == list(range(1_024))
    assert {(one.reason, one.line, one.offset) for one in folded.rejected} == {("wrong_line_key", "line-1", 0)}
    assert sum(len(one.value) for one in folded.rejected) < 2 * sum(map(len, values))  # each its own, never the record
    assert not state.twin.lines  # type: ignore[attr-defined]  # FakeTwin


def order(line: str, seq: int) -> bytes:
    ts = 1_767_254_400_000_000_000 + seq
    return b'{"type":"order","ts":%d,"line":"%s","action":"start","order":"O-%d","seq":%d}' % (
        ts,
        line.encode(),
        seq,
        seq,
    )


def test_orders_of_large_lines_are_folded_a_few_records_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """An order that ends is a row of each station: a run of orders would be as many rows as orders times stations."""
    monkeypatch.setattr(processing, "MOST_ORDER_ROWS", 20)  # ten orders of these small lines
    state, processor = fresh(), Processor(PLANT_MODEL, TOPIC)
    both = [order("line-1", 1), order("line-2", 2), event("line-3", 3)]
    many = b"[" + b",".join(order("line-1", seq) for seq in range(50)) + b"]"
    values = [*both * 6, b"not json", many, b"not json", order("line-1", 60)]
    goes, refused, events = [], [], 0
    while state.next < len(values):
        folded = processor.fold(state, Records.of(record(k, value) for k, value in enumerate(values)))
        goes.append(folded.records)
        events += folded.events
        refused += [one.offset for one in folded.rejected]
    assert goes == [15, 4, 1, 2]  # ten orders; two and what is refused; a record of fifty is whole; the rest
    assert (events, refused) == (18 + 50 + 1, [18, 20])


def test_content_type_and_tombstones() -> None:
    state = fresh()
    run = [
        record(0, event("line-1", 0), headers=(("Content-Type", b"application/json"),)),
        record(1, b"no arrow", headers=(("content-type", b"application/vnd.apache.arrow.stream"),)),
        record(2, None),
    ]
    folded = Processor(PLANT_MODEL, TOPIC).fold(state, Records.of(run))
    assert folded.events == 1
    assert [(one.reason, one.offset) for one in folded.rejected] == [("not_arrow", 1), ("not_json", 2)]
    assert state.next == 3


@pytest.mark.parametrize(
    ("before", "records", "rows", "expected"),
    [
        (64, 64, 100, 128),  # few rows: twice as many
        (64, 64, processing.MOST_RESULT_ROWS // 2 + 1, 64),
        (64, 64, processing.MOST_RESULT_ROWS, 64),
        (64, 64, 4 * processing.MOST_RESULT_ROWS, 16),
        (64, 1, 4 * processing.MOST_RESULT_ROWS, 1),  # never none
        (64, 63, 100, 64),  # there were no more: nothing is known of more
    ],
)
def test_records_in_one_go_follow_their_rows(before: int, records: int, rows: int, expected: int) -> None:
    table = pa.table({"a": range(rows)})
    folded = processing.Folded(
        records, records, 0, 0, [("kpis", table[: rows // 2]), ("states", table[rows // 2 :])], []
    )
    assert processing.records_at_once(before, folded) == expected


CRC = {line.id: choose("crc32", line.id.encode(), 4) for line in PLANT_MODEL.lines}
MURMUR = {line.id: choose("murmur2", line.id.encode(), 4) for line in PLANT_MODEL.lines}
# A line for which the two do not agree.
TORN = next(line for line in CRC if CRC[line] != MURMUR[line])


def checked(partition: int, name: str = "murmur2", partitions: int = 4) -> PartitionState:
    twin = FakeTwin(PLANT_MODEL, partition)
    return PartitionState(
        TP(TOPIC, partition), twin, None, 0, 0, (0, ""), (0, ""), partitions=partitions, partitioner=name
    )  # type: ignore[arg-type]  # no audit here


@pytest.mark.parametrize("name", ["murmur2", "crc32", "fnv1a"])
def test_every_line_is_taken_in_its_partition_and_in_no_other(name: str) -> None:
    run = [record(k, event(line.id, k), line.id.encode()) for k, line in enumerate(PLANT_MODEL.lines)]
    taken = []
    for partition in range(4):
        folded = Processor(PLANT_MODEL, TOPIC).fold(checked(partition, name), Records.of(run))
        assert {one.reason for one in folded.rejected} <= {"wrong_line_key"}
        assert folded.events + len(folded.rejected) == len(run)
        taken += [line.id for line in PLANT_MODEL.lines if line.id not in {one.line for one in folded.rejected}]
    assert sorted(taken) == sorted(line.id for line in PLANT_MODEL.lines)


@pytest.mark.parametrize(
    ("key", "words"), [(None, "without a key"), (b"s0", "keyed 's0'"), (b"\xff" * 99, "keyed"), (b"", "keyed ''")]
)
def test_a_key_that_is_not_the_line_is_refused(key: bytes | None, words: str) -> None:
    state = checked(MURMUR[TORN])
    run = [record(0, event(TORN, 0), key), record(1, event(TORN, 1), TORN.encode())]
    folded = Processor(PLANT_MODEL, TOPIC).fold(state, Records.of(run))
    (refused,) = folded.rejected
    assert (folded.events, refused.reason, refused.offset, refused.line) == (1, "wrong_line_key", 0, TORN)
    assert words in refused.detail
    assert "key each record by its line" in refused.detail


def test_the_refusal_names_the_setting_to_change() -> None:
    run = [record(0, event(TORN, 0), TORN.encode())]
    (refused,) = Processor(PLANT_MODEL, TOPIC).fold(checked(CRC[TORN]), Records.of(run)).rejected
    assert f"partition {CRC[TORN]} of 4, murmur2 of the key chooses {MURMUR[TORN]}" in refused.detail
    assert "set the producer's partitioner to murmur2" in refused.detail
    assert "TAKTWIN_PARTITIONER=crc32" in refused.detail


@pytest.mark.parametrize(("name", "partitions"), [("any", 4), ("", 4), ("murmur2", 1)])
def test_without_a_partitioner_or_with_one_partition_keys_may_be_absent(name: str, partitions: int) -> None:
    run = [record(0, event(TORN, 0)), record(1, event(TORN, 1), b"s0"), record(2, event(TORN, 2), TORN.encode())]
    folded = Processor(PLANT_MODEL, TOPIC).fold(checked(0, name, partitions), Records.of(run))
    assert (folded.events, folded.rejected) == (3, [])
    other = next(line.id for line in PLANT_MODEL.lines if line.id != TORN)
    (refused,) = (
        Processor(PLANT_MODEL, TOPIC)
        .fold(checked(0, name, partitions), Records.of([record(0, event(TORN, 0), other.encode())]))
        .rejected
    )
    assert refused.reason == "wrong_line_key"


def test_an_array_is_refused_event_by_event() -> None:
    """Of a record of several lines the events of the key's line are taken, in its partition."""
    other = next(line.id for line in PLANT_MODEL.lines if line.id != TORN and MURMUR[line.id] == MURMUR[TORN])
    value = b"[" + event(TORN, 0) + b"," + event(other, 1) + b"]"
    folded = Processor(PLANT_MODEL, TOPIC).fold(checked(MURMUR[TORN]), Records.of([record(0, value, TORN.encode())]))
    assert (folded.events, [one.line for one in folded.rejected]) == (1, [other])
