"""Fetched bytes become the records that aiokafka's own parser finds in them, whatever they were packed as."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import READ_COMMITTED, PartitionRecords
from aiokafka.errors import CorruptRecordException, UnsupportedCodecError
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c
from aiokafka.structs import TopicPartition
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.read import kafka_batches as kb
from streams.kafka import unpacking
from streams.kafka.records import Keys, Record, Records
from streams.kafka.unpacking import Fetched, Run

TP0 = TopicPartition("events", 0)
NONE, GZIP, SNAPPY, LZ4, ZSTD = range(5)
HEADERS = [("content-type", b"x"), ("empty", b""), ("none", None)]
UNPACK = PartitionRecords._unpack_records
Given = tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]


@pytest.fixture(autouse=True)
def as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What `install` replaces is aiokafka's for the tests that follow."""
    monkeypatch.setattr(fetcher, "MemoryRecords", MemoryRecords)
    monkeypatch.setattr(PartitionRecords, "_unpack_records", PartitionRecords._unpack_records)
    yield


def batch(
    first: int,
    records: list[Given],
    codec: int = NONE,
    producer: int = -1,
    transactional: bool = False,
    control: bool = False,
    skip: int = 0,
) -> bytes:
    """Records with offsets first, first + 1 + skip, ..."""
    builder = DefaultRecordBatchBuilder(2, codec, transactional, producer, 0, 0, 1 << 24)
    for k, (key, value, headers) in enumerate(records):
        builder.append(k * (1 + skip), 17 + k, key, value, headers)
    built = bytearray(builder.build())
    built[:8] = first.to_bytes(8, "big")
    if control:
        built[22] |= kb.CONTROL
        built[17:21] = calc_crc32c(bytes(built[21:])).to_bytes(4, "big")
    return bytes(built)


def marker(offset: int, producer: int, commit: bool) -> bytes:
    key = (0).to_bytes(2, "big") + int(commit).to_bytes(2, "big")
    return batch(offset, [(key, b"\0" * 6, [])], producer=producer, transactional=True, control=True)


def partition(data: bytes, records: type[Any], fetch_offset: int = 0, aborted: Any = None) -> PartitionRecords:
    return PartitionRecords(TP0, records(data), aborted, fetch_offset, None, None, True, READ_COMMITTED)


def theirs(data: bytes, *given: Any) -> tuple[list[Record], int]:
    PartitionRecords._unpack_records = UNPACK
    found = partition(data, MemoryRecords, *given)
    return [Record(r.offset, r.key, r.value or b"", list(r.headers)) for r in found], found.next_fetch_offset


def ours(data: bytes, *given: Any, most: int = 10_000) -> tuple[list[Record], int, list[int]]:
    unpacking.install(most)
    unpacked = partition(data, Fetched, *given)
    runs: list[Run] = list(unpacked)
    for run in runs:
        assert (run.first, run.offset) == (run.records[0].offset, run.records[-1].offset)
        assert list(run.records.values) == [r.value for r in run.records]
        ends = run.records.rows[kb.VALUE_END]
        assert not run.records.data[ends].any()  # what the decoder of plain JSON relies on
    return [r for run in runs for r in run.records], unpacked.next_fetch_offset, [len(run.records) for run in runs]


def many(number: int, headers: Any = ()) -> list[Given]:
    return [(b"line-%d" % (k % 3), b'{"seq":%d}' % k, list(headers)) for k in range(number)]


@pytest.mark.parametrize("codec", [NONE, GZIP, SNAPPY, LZ4, ZSTD])
def test_all_codecs_headers_and_holes(codec: int) -> None:
    records: list[Given] = [*many(5), (None, None, HEADERS), (b"", b"", []), *many(3, HEADERS * 40)]
    data = batch(0, records, codec) + batch(30, many(4), codec, skip=2) + batch(50, many(1), NONE, producer=7)
    found, behind = theirs(data)
    assert len(found) == 15
    assert ours(data) == (found, behind, [15])


def test_a_run_ends_with_the_batch_that_fills_it() -> None:
    data = b"".join(batch(10 * k, many(10), codec) for k, codec in enumerate([NONE, NONE, LZ4, NONE, NONE]))
    expected, behind = theirs(data)
    assert ours(data, most=20) == (expected, behind, [20, 20, 10])
    assert ours(data, most=5) == (expected, behind, [10] * 5)  # a batch is not divided
    assert ours(data, most=15)[2] == [20, 20, 10]


def test_a_run_of_compressed_batches_is_bounded_by_what_they_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "MOST_BYTES", 1_000)
    data = b"".join(batch(k, [(None, b"x" * 800, [])], ZSTD) for k in range(5))
    assert ours(data)[2] == [2, 2, 1]


def test_what_was_read_before_is_left_out() -> None:
    data = batch(0, many(10)) + batch(10, many(10), LZ4) + batch(20, many(10))
    for fetch_offset in (0, 3, 9):  # a broker's answer begins with the batch that was asked for
        expected, behind = theirs(data, fetch_offset)
        assert ours(data, fetch_offset)[:2] == (expected, behind)
        assert len(expected) == 30 - fetch_offset


def test_transactions() -> None:
    """7 is aborted, then commits; 8 commits; 9 is not transactional though its number is that of an aborted one."""
    data = (
        batch(0, many(2), producer=7, transactional=True)
        + batch(2, many(2), producer=8, transactional=True)
        + batch(4, many(2), producer=7)
        + marker(6, 7, commit=False)
        + marker(7, 8, commit=True)
        + batch(8, many(2), LZ4, producer=7, transactional=True)
        + marker(10, 7, commit=True)
    )
    expected, behind = theirs(data, 0, [(7, 0)])
    assert [r.offset for r in expected] == [2, 3, 4, 5, 8, 9]
    assert ours(data, 0, [(7, 0)])[:2] == (expected, behind) == (expected, 11)


def test_an_aborted_batch_is_not_unpacked() -> None:
    data = bytearray(batch(0, many(2), producer=7, transactional=True))
    data[22] |= 5  # a codec nobody knows
    whole = with_checksum(data) + marker(2, 7, commit=False) + batch(3, many(1))
    found, behind, _ = ours(whole, 0, [(7, 0)])
    assert ([r.offset for r in found], behind) == ([3], 4)


def test_only_markers_move_the_position() -> None:
    data = marker(6, 7, commit=True) + marker(7, 8, commit=True)
    assert ours(data, 6) == ([], 8, [])


@pytest.mark.parametrize("magic", [0, 1])
def test_old_formats(magic: int) -> None:
    builder = LegacyRecordBatchBuilder(magic, 0, 1 << 20)
    for k in range(3):
        builder.append(k, 5, b"key", b"value")
    data = bytes(builder.build())
    expected, behind = theirs(data)
    assert ours(data)[:2] == (expected, behind) == (expected, 3)
    # aiokafka itself reads beyond the old one here.
    assert ours(data + batch(3, many(2)))[:2] == (expected + theirs(batch(3, many(2)))[0], 5)


def test_the_end_that_the_broker_cut_off_is_left() -> None:
    whole, next_one = batch(0, many(3)), batch(3, many(3))
    for cut in (1, 11, 12, 16, 17, 40, 61, len(next_one) - 1):
        assert ours(whole + next_one[:cut])[:2] == theirs(whole)
    assert not Fetched(whole[:20]).has_next()
    assert Fetched(whole[:20]).size_in_bytes() == 20


@pytest.mark.parametrize("codec", [NONE, LZ4])
def test_what_comes_before_a_damaged_batch_is_given(codec: int) -> None:
    bad = bytearray(batch(3, many(3), codec))
    bad[-1] ^= 1
    unpacking.install(10_000)
    unpacked = partition(batch(0, many(3)) + bytes(bad), Fetched)
    assert next(unpacked).offset == 2
    assert unpacked.next_fetch_offset == 3
    with pytest.raises(CorruptRecordException, match=r"events/0: the batch at or behind offset 3 is damaged"):
        next(unpacked)


def test_a_length_below_nothing_is_damage_not_the_end() -> None:
    unpacking.install(10)
    bad = bytearray(batch(3, many(3)))
    bad[8:12] = b"\xff\xff\xff\xff"
    with pytest.raises(CorruptRecordException):
        next(partition(bytes(bad), Fetched))


def with_checksum(data: bytearray) -> bytes:
    data[17:21] = calc_crc32c(bytes(data[21:])).to_bytes(4, "big")
    return bytes(data)


def test_a_codec_nobody_knows() -> None:
    data = bytearray(batch(0, many(1)))
    data[22] |= 5
    unpacking.install(10)
    with pytest.raises(UnsupportedCodecError):
        next(partition(with_checksum(data), Fetched))


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_damage_behind_a_true_checksum(data: st.DataObject) -> None:
    """Whatever the bytes are: the same records as aiokafka, or refused."""
    codec = data.draw(st.sampled_from([NONE, NONE, NONE, GZIP]))
    raw = bytearray(batch(5, many(3, HEADERS), codec))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(57, len(raw) - 1))] = data.draw(st.integers(0, 255))
    sound = batch(100, many(2))
    whole = with_checksum(raw) + sound
    try:
        expected = theirs(whole)[0]
    except Exception:  # of many kinds; also for a name that is no UTF-8, which is as good as another here
        expected = None
    try:
        found = ours(whole)[0]
    except CorruptRecordException:
        found = None
    if expected is None:
        return
    ascend = all(a.offset < b.offset for a, b in pairwise([Record(4, None, b"", []), *expected]))
    if len(expected) == 5 and ascend and expected[2].offset <= 7:
        assert found == expected
    else:
        assert found is None  # aiokafka leaves out what does not ascend, and reads again what is beyond the batch


@given(st.binary(max_size=200), st.integers(0, 50))
def test_crc(data: bytes, begin: int) -> None:
    array = np.frombuffer(bytearray(data or b"\0"), np.uint8)
    end = len(data)
    begin = min(begin, end)
    assert kb.crc32c(array, begin, end) == calc_crc32c(data[begin:])


@given(
    st.lists(
        st.tuples(
            st.none() | st.binary(max_size=200),
            st.none() | st.binary(max_size=300),
            st.lists(st.tuples(st.text(max_size=5), st.none() | st.binary(max_size=5)), max_size=70),
        ),
        min_size=1,
        max_size=20,
    ),
    st.integers(0, 1 << 62),
    st.sampled_from([NONE, LZ4]),
)
@settings(deadline=None)
def test_any_records(records: list[Given], first: int, codec: int) -> None:
    data = batch(first, records, codec)
    expected = theirs(data, first)
    assert ours(data, first)[:2] == expected
    again = Records.of(expected[0])
    assert list(again) == expected[0]
    assert list(Records.joined([again[:1], again[1:]])) == expected[0]


@given(st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=40, unique=True), st.data())
def test_keys(names: list[str], data: st.DataObject) -> None:
    keys = data.draw(st.lists(st.none() | st.sampled_from(names).map(str.encode) | st.binary(max_size=6), max_size=30))
    records = Records.of(Record(k, key, b"v", []) for k, key in enumerate(keys))
    numbers = {name.encode(): number for number, name in enumerate(names)}
    assert Keys(names).of(records).tolist() == [-1 if key is None else numbers.get(key, -1) for key in keys]


def test_no_names_and_no_records() -> None:
    assert Keys([]).of(Records.of([Record(0, b"a", b"", [])])).tolist() == [-1]
    assert Keys(["a"]).of(Records.of([])).tolist() == []
    assert (len(Records.of([])), list(Records.of([]))) == (0, [])
