"""Quix Streams: a StreamingDataFrame that counts per station, in a dict or in its state store.

Usage: quix.py BOOTSTRAP TOPIC EVENTS FORM STATE_FOLDER, where FORM is dict, state or changelog (the state with its
changelog topic). JSON is decoded by Quix's own deserializer (orjson).
"""

import os
import sys
import time
from typing import Any

from answer import tell
from quixstreams import Application, State

BOOTSTRAP, TOPIC, EVENTS, FORM, FOLDER = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4], sys.argv[5]
# By default its consumer, having emptied its queue of 100,000 records, waits up to a second for the next fetch.
QUEUE = {"queued.min.messages": 1_000_000, "fetch.queue.backoff.ms": 10}
totals: dict[tuple[str, str], list[int]] = {}
seen = 0
begun = 0.0


def count(event: dict[str, Any]) -> None:
    advance()
    mine = totals.setdefault((event["line"], event.get("station", "")), [0, 0])
    mine[0] += 1
    mine[1] += event.get("good", 0)
    end()


def count_in_state(event: dict[str, Any], state: State) -> None:
    """The state is Quix's own, divided by the record's key (the line); the dict only keeps what it said last."""
    advance()
    station = event.get("station", "")
    mine = state.get(station, [0, 0])
    mine = [mine[0] + 1, mine[1] + event.get("good", 0)]
    state.set(station, mine)
    totals[event["line"], station] = mine
    end()


def advance() -> None:
    global seen, begun
    if not seen:
        begun = time.perf_counter()
    seen += 1


def end() -> None:
    if seen >= EVENTS:
        tell(seen, time.perf_counter() - begun, totals)


def main() -> None:
    app = Application(
        BOOTSTRAP,
        consumer_group=f"quix-{os.getpid()}",
        auto_offset_reset="earliest",
        consumer_extra_config=QUEUE,
        state_dir=FOLDER,
        use_changelog_topics=FORM == "changelog",
        loglevel="ERROR",
    )
    frame = app.dataframe(app.topic(TOPIC, key_deserializer="bytes", value_deserializer="json"))
    if FORM == "dict":
        frame.update(count)
    else:
        frame.update(count_in_state, stateful=True)
    app.run()


if __name__ == "__main__":
    main()
