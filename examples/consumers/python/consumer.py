"""Lines, key figures and alerts of the twin, without the twin's package: pip install aiokafka

    python consumer.py BOOTSTRAP [PREFIX] [IDLE_SECONDS]

Reads from the beginning, prints one line per record, leaves repeats out by their id, and ends after IDLE_SECONDS
without another record (0, the default: never).
"""

import asyncio
import json
import sys
from collections import OrderedDict

from aiokafka import AIOKafkaConsumer, TopicPartition

MOST_IDS = 100_000  # a repeat comes within seconds of the first: docs/client.md


class Seen:
    """The ids of the last records."""

    def __init__(self) -> None:
        self._ids: OrderedDict[str, None] = OrderedDict()

    def is_news(self, identity: str) -> bool:
        if identity in self._ids:
            return False
        self._ids[identity] = None
        if len(self._ids) > MOST_IDS:
            self._ids.popitem(last=False)
        return True


def told(row: dict) -> str:
    """One line of text. `set` is absent in a view of `lines`, which is provisional and has no id."""
    if "set" not in row:
        return f"lines\t{row['line']}\t{row['state']}\t{row.get('newest', '')}"
    if row["set"] == "alerts":
        return (
            f"alerts\t{row['line']}\t{row['station'] or '-'}\t{row['kind']} {row['action']}\t{row['ts']}\t{row['id']}"
        )
    return f"{row['set']}\t{row['line']}\t{row['station'] or '-'}\t{row['window']}\t{row['end']}\t{row['id']}"


async def main(bootstrap: str, prefix: str = "twin", idle_s: float = 0.0) -> None:
    # No group: nothing is committed, so any number of these can run beside each other. To go on after a restart, keep
    # the offsets beside what you made of the records.
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="earliest")
    await consumer.start()
    try:
        places = []
        for name in ("lines", "kpis", "alerts"):
            topic = f"{prefix}.{name}"
            places += [TopicPartition(topic, p) for p in await consumer._client._wait_on_metadata(topic)]
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        seen: dict[TopicPartition, Seen] = {place: Seen() for place in places}
        clock = asyncio.get_running_loop().time
        last_s: float | None = None
        while not idle_s or last_s is None or clock() - last_s < idle_s:
            for place, records in (await consumer.getmany(timeout_ms=500)).items():
                for record in records:
                    row = json.loads(record.value)
                    if "id" not in row or seen[place].is_news(row["id"]):
                        print(told(row))
                last_s = clock()
            sys.stdout.flush()
    finally:
        await consumer.stop()


if __name__ == "__main__":
    _, bootstrap, *more = sys.argv
    asyncio.run(main(bootstrap, *more[:1], *map(float, more[1:2])))
