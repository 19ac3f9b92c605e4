"""Rows as a worker publishes them, for the tests of what reads them."""

import datetime
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from streams.settings import Settings
from streams.worker.publish import Publisher
from twin.results import SETS

START_NS = 1_700_000_000_123_456_789
_BLANK = {pa.date32(): datetime.date(2023, 11, 14), pa.bool_(): False, pa.int32(): 0, pa.int64(): 0, pa.float64(): 0.25}


def rows(set_name: str, *changed: dict[str, Any]) -> tuple[str, pa.Table]:
    """A table of a set: every column filled, `changed` on top. Times are START_NS."""
    schema = SETS[set_name]
    blank = {
        field.name: START_NS if pa.types.is_timestamp(field.type) else _BLANK.get(field.type, field.name)
        for field in schema
    }
    return set_name, pa.Table.from_pylist([blank | change for change in changed], schema=schema)


class Sent:
    """What the client looks at."""

    topic, partition = "t", 0

    def __init__(self, offset: int, key: str, value: bytes, headers: tuple[tuple[str, bytes | None], ...] = ()) -> None:
        self.offset, self.key, self.value, self.headers = offset, key.encode(), value, headers


async def publish(settings: Settings, *tables: tuple[str, pa.Table], views: Sequence[tuple[str, bytes]] = ()) -> None:
    """Send rows and views with the worker's own publisher."""
    publisher = Publisher(settings)
    await publisher.start()
    try:
        publisher.results(tables)
        for line, value in views:
            publisher.view(line, value)
        assert await publisher.flush(30)
    finally:
        await publisher.stop()
