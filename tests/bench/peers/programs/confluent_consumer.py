"""A bare confluent-kafka (librdkafka) consumer: the ceiling of what Python can do behind that client.

Usage: confluent_consumer.py BOOTSTRAP TOPIC EVENTS FORM, where FORM is receive or count (msgspec and a dict per event).
"""

import os
import sys
import time

import msgspec
from answer import tell
from confluent_kafka import Consumer

BOOTSTRAP, TOPIC, EVENTS, FORM = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
RECORDS = 1000
# By default a consumer that has emptied its queue of 100,000 records waits up to a second for the next fetch.
QUEUE = {"queued.min.messages": 1_000_000, "fetch.queue.backoff.ms": 10}


def main() -> None:
    consumer = Consumer(
        {"bootstrap.servers": BOOTSTRAP, "group.id": f"bare-{os.getpid()}", "auto.offset.reset": "earliest", **QUEUE}
    )
    consumer.subscribe([TOPIC])
    decode = msgspec.json.Decoder().decode
    totals: dict[tuple[str, str], list[int]] = {}
    seen = 0
    begun = 0.0
    while seen < EVENTS:
        # A short wait: with a long one the first call would collect a whole batch before the clock starts.
        records = consumer.consume(RECORDS, timeout=0.01)
        if not records:
            continue
        begun = begun or time.perf_counter()
        for record in records:
            if record.error():
                raise RuntimeError(f"{TOPIC}: {record.error()}")
        seen += len(records)
        if FORM == "count":
            for record in records:
                event = decode(record.value())
                mine = totals.setdefault((event["line"], event.get("station", "")), [0, 0])
                mine[0] += 1
                mine[1] += event.get("good", 0)
    tell(seen, time.perf_counter() - begun, totals if FORM == "count" else None)


if __name__ == "__main__":
    main()
