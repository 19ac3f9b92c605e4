"""What the output topics hold beside what the audit holds: every row at least once, and no row that is not in it."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from streams.kafka import topics
from streams.settings import Settings
from streams.worker.publish import TOPIC_OF, json_rows
from tests.support.streams import read_all
from twin.audit.read import open_set
from twin.results import IDENTITY, ORIGIN, SETS

# Where a row came from is the cut's, so it may differ between two sendings.
_OWN = {set_name: set(SETS[set_name].names) - set(ORIGIN) for set_name in TOPIC_OF}

Place = tuple[Any, ...]  # set, identity, revision, retracted


async def missing_or_strange(
    settings: Settings, apart: frozenset[str] = frozenset(), changed: frozenset[str] = frozenset()
) -> str:
    """Empty when the topics agree with the audit; else what does not.

    apart: columns that are not looked at. changed: lines of which the topics may hold rows that nobody has committed,
    and refusals for another reason (late, then of no line).
    """
    sent: dict[str, set[str]] = {}
    last: dict[Place, str] = {}
    for topic in sorted(set(TOPIC_OF.values())):
        for record in _values(await read_all(settings, topic)):
            _keep(sent, record.value, apart, last)
    counts: dict[Place, str] = {}
    audited = await asyncio.to_thread(_audited, Path(settings.audit), apart, counts)
    problems = [f"{len(rows)} rows under id {one}" for one, rows in sent.items() if len(rows) > 1]
    lost, strange = audited.keys() - sent.keys(), sent.keys() - audited.keys()
    strange = {one for one in strange if not {msgspec.json.decode(row)[1]["line"] for row in sent[one]} <= changed}
    if lost:
        problems.append(f"{len(lost)} rows of the audit are in no topic, such as {audited[min(lost)]}")
    if strange:
        problems.append(f"{len(strange)} rows in the topics are not in the audit, such as {sent[min(strange)]}")
    if other := [one for one in audited.keys() & sent.keys() if audited[one] != sent[one]]:
        problems.append(f"{len(other)} rows differ, such as {sent[other[0]]}, in the audit {audited[other[0]]}")
    if other := [place for place, one in counts.items() if last.get(place, one) != one]:
        problems.append(f"of {len(other)} rows another came last than the audit has, such as {other[0]}")
    told = {
        (int(head["source_partition"]), int(head["source_offset"]), head["reason"].decode())
        for record in _values(await read_all(settings, topics.REJECTED))
        if (head := dict(record.headers))
    }
    refused = await asyncio.to_thread(_refused, Path(settings.audit))
    if unsent := refused - told:
        problems.append(f"rejected: {len(unsent)} only in the audit, such as {min(unsent)}")
    other_words = await asyncio.to_thread(_of, Path(settings.audit), changed) if changed else set()
    if never := {one for one in told - refused if one[:2] not in other_words}:
        problems.append(f"rejected: {len(never)} only in the topic, such as {min(never)}")
    return "; ".join(problems[:3])


def _values(log: dict[int, list[Any]]) -> Iterable[Any]:
    return (record for records in log.values() for record in records)


def _keep(rows: dict[str, set[str]], value: bytes, apart: frozenset[str], last: dict[Place, str]) -> None:
    """last: the newest id under which a thing was said."""
    row = msgspec.json.decode(value)
    own = {name: row[name] for name in sorted(_OWN[row["set"]] - apart)}
    rows.setdefault(row["id"], set()).add(msgspec.json.encode([row["set"], own]).decode())
    place = (row["set"], *(row[name] for name in (*IDENTITY[row["set"]], "revision", "retracted")))
    last[place] = row["id"]


def _audited(root: Path, apart: frozenset[str], last: dict[Place, str]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    number: Counter[str] = Counter()
    for set_name in TOPIC_OF:
        # Also what waits for a file: a plan may kill a worker in its last checkpoint.
        table = open_set(root, set_name).to_table(columns=SETS[set_name].names)
        number[set_name] = table.num_rows
        for _, value in json_rows(set_name, table):
            _keep(found, value, apart, last)
    assert len(found) == len(last) == number.total(), f"{number.total()} rows have {len(found)} ids, {len(last)} places"
    return found


def _refused(root: Path) -> set[tuple[int, int, str]]:
    names = ["source_partition", "source_offset", "reason"]
    table = open_set(root, "rejected").to_table(columns=names)
    return set(zip(*(table.column(name).to_pylist() for name in names), strict=True))


def _of(root: Path, lines: frozenset[str]) -> set[tuple[int, int]]:
    """Partition and offset of records in which no other line is named, as the audit has them."""
    named: dict[tuple[int, int], set[str | None]] = {}
    for set_name in ("events", "rejected"):
        table = open_set(root, set_name).to_table(columns=["source_partition", "source_offset", "line"])
        for row in table.to_pylist():
            named.setdefault((row["source_partition"], row["source_offset"]), set()).add(row["line"])
    return {place for place, found in named.items() if found <= lines}
