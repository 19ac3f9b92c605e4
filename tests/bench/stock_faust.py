"""The peer: a stock Faust agent that decodes JSON and updates a dict per event. Prints one line of JSON at the end.

Usage: stock_faust.py BOOTSTRAP TOPIC EVENTS
"""

import json
import os
import sys
import time

import faust
import msgspec

BOOTSTRAP, TOPIC, EVENTS = sys.argv[1], sys.argv[2], int(sys.argv[3])
app = faust.App(
    f"stock-{os.getpid()}",
    broker=f"kafka://{BOOTSTRAP}",
    store="memory://",
    web_enabled=False,
    topic_disable_leader=True,
    consumer_auto_offset_reset="earliest",
)
topic = app.topic(TOPIC, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")
stations: dict[tuple[str, str], list[int]] = {}


@app.agent(topic)
async def count(stream: "faust.StreamT[bytes]") -> None:
    seen = 0
    begun = 0.0
    decode = msgspec.json.Decoder().decode
    async for value in stream:
        if not seen:
            begun = time.perf_counter()
        event = decode(value)
        totals = stations.setdefault((event["line"], event.get("station", "")), [0, 0])
        totals[0] += 1
        totals[1] += event.get("good", 0)
        seen += 1
        if seen >= EVENTS:
            seconds = time.perf_counter() - begun
            told = json.dumps({"events": seen, "seconds": seconds, "good": sum(t[1] for t in stations.values())})
            # Faust redirects sys.stdout into its log.
            os.write(1, f"\n{told}\n".encode())
            os._exit(0)


if __name__ == "__main__":
    sys.argv = [sys.argv[0], "worker", "-l", "error", "--without-web"]
    app.main()
