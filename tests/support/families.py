"""Events with values through a partition, and the rows of families that stand at the end."""

import json
from collections import Counter
from typing import Any, Final

from twin.line import PartitionTwin
from twin.plant.model import Plant
from twin.results import IDENTITY
from twin.wire.decode import Decoder

SETS: Final = ("measures", "samples", "alerts")
Row = dict[str, Any]


def block_of(plant: Plant, events: list[Row], offset: int) -> Any:
    block, refused = Decoder(plant).decode(
        [json.dumps(e).encode() for e in events], range(offset, offset + len(events))
    )
    assert not refused
    return block


def fold(twin: PartitionTwin, plant: Plant, events: list[Row], offset: int = 0) -> list[tuple[str, Row]]:
    tables = twin.fold(block_of(plant, events, offset)).tables
    return [(name, row) for name in SETS if name in tables for row in tables[name].to_pylist()]


def counting(rows: list[tuple[str, Row]]) -> Counter[Any]:
    """What stands at the end, without the numbers of revisions."""
    newest: dict[Any, Row] = {}
    for name, row in rows:
        key = name, *(row[column] for column in IDENTITY[name])
        before = newest.get(key)
        assert before is None or row["revision"] > before["revision"] or before["retracted"], key
        newest[key] = row
    apart = ("revision", "revised", "retracted", "source_offset")
    return Counter(
        (key[0], *(str(value) for column, value in row.items() if column not in apart))
        for key, row in newest.items()
        if not row["retracted"] and row.get("kind") != "data_quality"
    )


def check_kills(plant: Plant, events: list[Row], every: int) -> None:
    """A twin that is saved and read again after so many events gives the rows and the bytes of one that is not."""
    whole = PartitionTwin(plant, 0)
    wanted, got = fold(whole, plant, events), []
    twin = PartitionTwin(plant, 0)
    for begin in range(0, len(events), every):
        got += fold(twin, plant, events[begin : begin + every], begin)
        saved = twin.snapshot()
        twin = PartitionTwin.restore(plant, 0, saved)
        assert twin.snapshot() == saved
    assert counting(got) == counting(wanted)
    assert twin.snapshot() == whole.snapshot()
