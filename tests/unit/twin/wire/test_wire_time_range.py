"""Times that can be no event's: refused with the unit they look like, in every format, and where the bound is set."""

import json
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.wire import PLANT as ANY_TIME
from tests.support.wire import TS, events_of
from twin.events.declare import YEAR_2000_NS, YEAR_2200_NS
from twin.plant import PlantError, loads
from twin.time.rfc3339 import out_of_range
from twin.wire.decode import Decoder
from twin.wire.encode import arrow_record, events_table

PLANT = replace(ANY_TIME, earliest_ns=None)
MARCH = 1_772_438_400  # 2026-03-02T08:00:00Z
MINIMAL = """
site = "s"
EARLIEST
[[area]]
id = "a"
[[line]]
id = "L"
area = "a"
type = "cell"
[[line.station]]
id = "m"
"""


@pytest.mark.parametrize(
    ("ts", "words"),
    [
        (MARCH, "seconds (2026-03-02T08:00:00Z)"),
        (MARCH * 10**3, "milliseconds (2026-03-02T08:00:00Z)"),
        (MARCH * 10**6, "microseconds (2026-03-02T08:00:00Z)"),
        (MARCH * 10**7, "ticks of 100 ns since 1970"),
        (MARCH * 10**12, "picoseconds"),
        (MARCH // 60, "minutes"),
        (46_083, "days since 1900"),
        (134_169_120_000_000_000, "FILETIME) (2026-03-02"),
        (639_080_352_000_000_000, ".NET) (2026-03-02"),
        (0, "set the source's clock"),
        (YEAR_2000_NS - 1, "1999-12-31T23:59:59Z"),
        (-1, "before 2000-01-01T00:00:00Z"),
        (YEAR_2200_NS, "in 2200 or later"),
        (10**40, "over 25 digits"),
    ],
)
def test_the_sentence_names_the_unit_it_looks_like(ts: int, words: str) -> None:
    event: dict[str, Any] = {"type": "heartbeat", "ts": ts, "line": "L1"}
    block, (refused,) = Decoder(PLANT).decode([json.dumps(event).encode()], [3])
    assert (len(block), refused.reason, refused.line, refused.ts) == (0, "bad_time", "L1", None)
    assert words in refused.detail


@pytest.mark.parametrize("ts", [YEAR_2000_NS, YEAR_2200_NS - 1, "2000-01-01T00:00:00Z", "2000-01-01T01:00:00+01:00"])
def test_the_bounds_are_times(ts: int | str) -> None:
    block, refused = Decoder(PLANT).decode([json.dumps({"type": "heartbeat", "ts": ts, "line": "L1"}).encode()], [3])
    assert (len(block), refused) == (1, [])


times = st.integers(0, YEAR_2200_NS - 1) | st.sampled_from([YEAR_2000_NS - 1, YEAR_2000_NS, MARCH, MARCH * 10**6])


@given(st.lists(times, min_size=1, max_size=20))
def test_every_way_in_refuses_the_same(all_ts: list[int]) -> None:
    """JSON one by one and as an array, Arrow by the general reader and by the kernel, and rows of an audit."""
    events = [{"type": "heartbeat", "ts": ts, "line": "L1"} for ts in all_ts]
    sound = [ts for ts in all_ts if out_of_range(ts, YEAR_2000_NS) is None]
    assert sound == [ts for ts in all_ts if ts >= YEAR_2000_NS]
    whole, _ = Decoder(ANY_TIME).decode([json.dumps(events).encode()], [0])
    decoder = Decoder(PLANT)
    record = arrow_record(whole, ANY_TIME)
    for values in ([json.dumps(event).encode() for event in events], [json.dumps(events).encode()], [record], [record]):
        block, refused = decoder.decode(values, range(len(values)))
        assert (block.ts.tolist(), len(refused)) == (sound, len(all_ts) - len(sound))
        assert {one.reason for one in refused} <= {"bad_time"}
    rows = events_table(whole, ANY_TIME)
    again, refused = decoder.decode_rows(rows, whole.offset)
    assert (again.ts.tolist(), len(refused)) == (sound, len(all_ts) - len(sound))


@pytest.mark.parametrize("unit", ["s", "ms", "us"])
def test_an_arrow_column_of_the_wrong_unit(unit: str) -> None:
    """Milliseconds in a column that says seconds, and the other way round."""
    texts = {"type": ["heartbeat"], "line": ["L1"]}
    for value in (MARCH * 10**3 * {"s": 1, "ms": 10**3, "us": 10**6}[unit], MARCH // 10**3):
        table = pa.table({"ts": pa.array([value], pa.int64()).cast(pa.timestamp(unit, "UTC")), **texts})
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        block, (refused,) = Decoder(PLANT).decode([sink.getvalue().to_pybytes()], [0])
        assert (len(block), refused.reason) == (0, "bad_time")


@pytest.mark.parametrize(
    ("line", "earliest"),
    [
        ("", None),
        ('earliest = "1995-01-01"', 788_918_400 * 10**9),
        ("earliest = 1995-01-01", 788_918_400 * 10**9),
        ('earliest = "1970-01-01"', 0),
        ('earliest = "1995-01-01T01:00:00+01:00"', 788_918_400 * 10**9),
        ("earliest = 2020-01-01T00:00:00Z", 1_577_836_800 * 10**9),
    ],
)
def test_the_bound_is_a_setting_of_the_plant(line: str, earliest: int | None) -> None:
    plant = loads(MINIMAL.replace("EARLIEST", line), "plant.toml")
    assert plant.earliest_ns == earliest
    assert (plant.hash == loads(MINIMAL.replace("EARLIEST", ""), "plant.toml").hash) == (earliest is None)
    first = YEAR_2000_NS if earliest is None else earliest
    for ts, taken in ((first, 1), (first - 1, 0)):
        value = json.dumps({"type": "heartbeat", "ts": ts, "line": "L"}).encode()
        block, _ = Decoder(plant).decode([value], [0])
        assert len(block) == taken


@pytest.mark.parametrize("line", ["earliest = 1995", 'earliest = "long ago"', "earliest = 1995-01-01T08:00:00",
                                  'earliest = "1969-12-31"', 'earliest = "2200-01-01"', "earliest = true"])  # fmt: skip
def test_a_bound_that_is_no_date_is_refused(line: str) -> None:
    with pytest.raises(PlantError, match=r"plant\.toml:3: earliest"):
        loads(MINIMAL.replace("EARLIEST", line), "plant.toml")


def test_what_is_refused_is_the_same_event_once_the_bound_is_lower() -> None:
    value = json.dumps({"type": "heartbeat", "ts": TS - 10**18, "line": "L1"}).encode()
    assert len(Decoder(PLANT).decode([value], [0])[0]) == 0
    assert len(events_of(Decoder(ANY_TIME).decode([value], [0])[0])) == 1
