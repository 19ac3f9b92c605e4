"""A stock Faust agent that decodes JSON and updates a dict per event.

Usage: faust_agent.py BOOTSTRAP TOPIC EVENTS FORM, where FORM is codec (Faust's own JSON), json or msgspec.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import faust
import msgspec
from answer import tell

BOOTSTRAP, TOPIC, EVENTS, FORM = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
DECODERS: dict[str, Callable[[Any], Any]] = {
    "codec": lambda value: value,  # decoded before the agent sees the record
    "json": json.loads,
    "msgspec": msgspec.json.Decoder().decode,
}
app = faust.App(
    f"stock-{os.getpid()}",
    broker=f"kafka://{BOOTSTRAP}",
    store="memory://",
    datadir=tempfile.mkdtemp(prefix="stock-"),  # otherwise a folder in the current one for each run
    web_enabled=False,
    topic_disable_leader=True,
    consumer_auto_offset_reset="earliest",
)
if FORM == "codec":
    topic = app.topic(TOPIC, key_serializer="raw", value_serializer="json")
else:
    topic = app.topic(TOPIC, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")
totals: dict[tuple[str, str], list[int]] = {}


@app.agent(topic)
async def count(stream: "faust.StreamT[Any]") -> None:
    seen = 0
    begun = 0.0
    decode = DECODERS[FORM]
    async for value in stream:
        if not seen:
            begun = time.perf_counter()
        event = decode(value)
        mine = totals.setdefault((event["line"], event.get("station", "")), [0, 0])
        mine[0] += 1
        mine[1] += event.get("good", 0)
        seen += 1
        if seen >= EVENTS:
            tell(seen, time.perf_counter() - begun, totals)


if __name__ == "__main__":
    sys.argv = [sys.argv[0], "worker", "-l", "error", "--without-web"]
    app.main()
