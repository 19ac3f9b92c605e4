"""The client's types: the fields of the audited sets, nothing lost of a time, bounded memory for repeats."""

import dataclasses
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from aiokafka import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from streams.client import Client, ClientError, _news
from streams.client.recent import Recent
from streams.client.records import Alert, Bottleneck, Kpi, Line, Measured, Sample, decoder, parse_time
from streams.worker.publish import json_rows
from tests.support.client import START_NS, Sent, rows
from twin.line.view import LineView
from twin.results import IDENTITY, SETS

TYPES = {"kpis": Kpi, "bottlenecks": Bottleneck, "alerts": Alert, "measures": Measured, "samples": Sample}


def python_type(field: "pa.Field[Any]") -> str:
    kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    name = {pa.string(): "str", pa.bool_(): "bool", pa.float64(): "float", pa.date32(): "date"}.get(kind, "int")
    return f"{'time' if pa.types.is_timestamp(kind) else name}{' or none' if field.nullable else ''}"


def declared(kind: Any) -> dict[str, str]:
    """Name in JSON -> type, in the words of `python_type`."""
    found = {}
    for field in msgspec.inspect.type_info(kind).fields:  # type: ignore[union-attr]  # a struct has fields
        members = field.type.types if isinstance(field.type, msgspec.inspect.UnionType) else (field.type,)
        names = {type(member).__name__ for member in members}
        inner = next(
            word
            for name, word in (
                ("CustomType", "time"),
                ("DateType", "date"),
                ("StrType", "str"),
                ("BoolType", "bool"),
                ("FloatType", "float"),
                ("IntType", "int"),
            )
            if name in names
        )
        found[field.encode_name] = inner + (" or none" if "NoneType" in names else "")
    return found


@pytest.mark.parametrize("set_name", TYPES)
def test_a_type_has_the_fields_of_its_set(set_name: str) -> None:
    expected = {field.name: python_type(field) for field in SETS[set_name]} | {"id": "str"}
    assert declared(TYPES[set_name]) == expected


def test_a_line_has_the_fields_of_the_view() -> None:
    expected = {field.name: field.type for field in dataclasses.fields(LineView)}
    assert {f.name: f.type for f in msgspec.structs.fields(Line)} == expected


@pytest.mark.parametrize("set_name", TYPES)
def test_what_the_publisher_writes_is_read_back(set_name: str) -> None:
    nulls = {field.name: None for field in SETS[set_name] if field.nullable}
    (_, full), (_, sparse) = json_rows(*rows(set_name, {"line": "l1"}, {"line": "l2", **nulls}))
    decode = decoder(TYPES[set_name]).decode
    one = decode(full)
    time_field = "ts_ns" if set_name == "alerts" else "end_ns"
    assert (one.line, getattr(one, time_field), one.revised_ns) == ("l1", START_NS, START_NS)
    assert decode(sparse).revised_ns is None
    with_more = full[:-1] + b',"of_a_newer_version":1}'
    assert decode(with_more) == one
    for damaged in (full[:-9], full.replace(b"T", b" "), b"", b"[]", b"{}"):
        with pytest.raises(msgspec.MsgspecError):
            decode(damaged)


@given(st.integers(-(2**63) + 1, 2**63 - 1))
def test_every_nanosecond_survives(ns: int) -> None:
    times = pa.array([ns], pa.timestamp("ns", "UTC"))
    assert parse_time(pc.strftime(times, format="%Y-%m-%dT%H:%M:%SZ")[0].as_py()) == ns


@pytest.mark.parametrize("text", ["", "2024-05-06", "2024-13-06T07:08:09Z", "2024-05-06T07:08:09+01:00", "now"])
def test_what_is_not_a_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"time|month"):
        parse_time(text)


def test_repeats_are_known_over_the_window_and_memory_is_bounded() -> None:
    recent = Recent(100)
    assert all(recent.is_news(key) for key in range(1000))
    assert len(recent) <= 200
    assert not any(recent.is_news(key) for key in range(900, 1000))
    assert recent.is_news(5)  # long forgotten
    assert not recent.is_news(5)
    for key in range(2000, 5000):  # what keeps coming stays known
        assert not recent.is_news(5)
        assert recent.is_news(key)


def test_a_higher_revision_is_news_a_lower_one_is_not() -> None:
    recent = Recent(3)
    assert [recent.is_news(1, revision) for revision in (1, 1, 0, 2)] == [True, False, False, True]
    recent.is_news(2), recent.is_news(3), recent.is_news(4)  # a generation on
    assert not recent.is_news(1, 1)
    assert not recent.is_news(1, 2)


def test_of_one_rank_another_number_is_news() -> None:
    recent = Recent(3)
    told = ((5, 7), (5, 7), (5, 2), (5, 2), (4, 9), (5, 2), (6, 2), (5, 7))
    assert [recent.is_news(1, *one) for one in told] == [True, False, True, False, False, False, True, False]
    assert recent.is_news(2, 0, 2**64 - 1)
    assert not recent.is_news(2, 0, 2**64 - 1)


@pytest.fixture
def revised() -> Iterator[list[Any]]:
    """Revision 0 of two rows, revision 2 and then 1 of the first, a bottleneck, another line, and rubbish."""
    written = list(
        json_rows(
            *rows(
                "kpis",
                {"line": "l1", "window": "1h"},
                {"line": "l1", "window": "1m"},
                {"line": "l1", "window": "1h", "revision": 2},
                {"line": "l1", "window": "1h", "revision": 1},
                {"line": "l2", "window": "1h"},
            )
        )
    )
    written += [*json_rows(*rows("bottlenecks", {"line": "l1"})), ("l1", b"rubbish")]
    yield [Sent(n, line, value) for n, (line, value) in enumerate(written)]


def test_all_revisions_once_or_the_latest_only(revised: list[Any], caplog: pytest.LogCaptureFixture) -> None:
    def offsets(recent: Recent, latest: bool, line: str | None = "l1") -> list[int]:
        return [record.offset for record in _news(recent, revised, "kpis", line, latest)]

    every, latest = Recent(100), Recent(100)
    with caplog.at_level(logging.WARNING):
        assert offsets(every, False) == [0, 1, 2, 3]
    assert "not a record of the twin" in caplog.text
    assert offsets(every, False) == []
    assert offsets(every, False, None) == [4]
    assert offsets(latest, True) == [1, 2]
    assert offsets(latest, True) == []


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_of_equal_revisions_the_row_that_stands_counts(order: tuple[int, int]) -> None:
    """A row may be retracted and made again by one revision."""
    written = list(
        json_rows(
            *rows("kpis", {"line": "l1", "revision": 3, "retracted": True}, {"line": "l1", "revision": 3, "good": 7})
        )
    )
    records: list[Any] = [Sent(k, *written[k]) for k in order]
    recent, one_by_one = Recent(100), Recent(100)
    assert [record.offset for record in _news(recent, records, "kpis", "l1", True)] == [1]
    assert _news(recent, records, "kpis", "l1", True) == []
    given = [record.offset for one in records for record in _news(one_by_one, [one], "kpis", "l1", True)]
    assert given == ([0, 1] if order == (0, 1) else [1])


_HEADERS = tuple(
    (name, b"1") for name in ("id", "reason", "detail", "source_topic", "source_partition", "source_offset")
)


@pytest.mark.parametrize(
    ("iterator", "value", "headers"),
    [
        ("kpis", b"", ()),
        ("kpis", b'{"id":"kpi-1"', ()),
        ("kpis", b'{"x":' + b"[" * 100_000, ()),
        ("refused", b"x", ()),
        ("refused", b"x", (("id", None), *_HEADERS[1:])),
        ("refused", b"x", (("id", b"not-hex"), *_HEADERS[1:])),
        ("refused", b"x", (*_HEADERS, ("truncated_from_bytes", None))),
        ("refused", b"x", (*_HEADERS[:-1], ("source_offset", b"one"))),
    ],
)
@pytest.mark.parametrize("latest", [False, True])
async def test_a_foreign_record_is_left_out_with_a_warning(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    iterator: str,
    value: bytes,
    headers: tuple[Any, ...],
    latest: bool,
) -> None:
    ((line, row),) = json_rows(*rows("kpis", {"line": "l1"}))
    rest = row[row.index(b",") :]
    sound = Sent(1, line, row, _HEADERS)
    foreign = Sent(0, line, value + rest if value.endswith(b'"kpi-1"') else value, headers)

    async def read(*_: Any, **__: Any) -> AsyncIterator[tuple[Any, list[Any]]]:
        yield TopicPartition("t", 0), [foreign, sound]

    monkeypatch.setattr(Client, "_read", read)
    client = Client(bootstrap="127.0.0.1:1")
    given: AsyncIterator[Any] = client.refused() if iterator == "refused" else client.kpis(latest=latest)
    assert len([one async for one in given]) == 1
    assert "t/0 at 0 is not a record of the twin" in caplog.text


def test_the_identity_of_a_row_is_in_the_head_that_is_decoded_first() -> None:
    from streams.client.records import Head

    for set_name in TYPES:
        assert set(IDENTITY[set_name]) <= {field.name for field in msgspec.structs.fields(Head)}


async def test_misuse_is_said() -> None:
    with pytest.raises(ClientError, match="async with"):
        await anext(Client(bootstrap="127.0.0.1:1").kpis())
    with pytest.raises(ClientError, match="window"):
        Client(window=0)
