"""A bare aiokafka consumer: the ceiling of what Python can do behind that client.

Usage: aiokafka_consumer.py BOOTSTRAP TOPIC EVENTS FORM, where FORM is receive or count (msgspec and a dict per event).
"""

import asyncio
import os
import sys
import time

import msgspec
from aiokafka import AIOKafkaConsumer
from answer import tell

BOOTSTRAP, TOPIC, EVENTS, FORM = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
RECORDS = 2000


async def main() -> None:
    consumer = AIOKafkaConsumer(
        TOPIC, bootstrap_servers=BOOTSTRAP, group_id=f"bare-{os.getpid()}", auto_offset_reset="earliest"
    )
    await consumer.start()
    decode = msgspec.json.Decoder().decode
    totals: dict[tuple[str, str], list[int]] = {}
    seen = 0
    begun = 0.0
    while seen < EVENTS:
        for records in (await consumer.getmany(timeout_ms=1000, max_records=RECORDS)).values():
            begun = begun or time.perf_counter()
            seen += len(records)
            if FORM == "count":
                for record in records:
                    event = decode(record.value)
                    mine = totals.setdefault((event["line"], event.get("station", "")), [0, 0])
                    mine[0] += 1
                    mine[1] += event.get("good", 0)
    tell(seen, time.perf_counter() - begun, totals if FORM == "count" else None)


if __name__ == "__main__":
    asyncio.run(main())
