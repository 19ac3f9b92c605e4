"""Events as JSON or Arrow, without the twin's package: pip install aiokafka pyarrow

python producer.py BOOTSTRAP TOPIC LINE json|arrow COUNT
"""

import asyncio
import json
import sys

import pyarrow as pa
from aiokafka import AIOKafkaProducer

BEGIN_NS = 1_772_431_200_000_000_000  # 2026-03-02T06:00:00Z
PER_RECORD = 100
ARROW = [("content-type", b"application/vnd.apache.arrow.stream")]
WORD = pa.dictionary(pa.int32(), pa.string())
SCHEMA = pa.schema(
    [
        ("type", WORD),
        ("ts", pa.timestamp("ns", tz="UTC")),
        ("line", WORD),
        ("station", WORD),
        ("good", pa.int64()),
        ("seq", pa.int64()),
    ]
)


def as_json(line: str, k: int) -> bytes:
    ts = f"2026-03-02T{6 + k // 3600:02d}:{k // 60 % 60:02d}:{k % 60:02d}Z"
    event = {"type": "count", "ts": ts, "line": line, "station": "st", "good": k % 5, "seq": k}
    return json.dumps(event).encode()


def as_arrow(line: str, ks: range) -> bytes:
    """One stream of one batch, closed."""
    columns = [
        pa.array(["count"] * len(ks)).dictionary_encode(),
        pa.array([BEGIN_NS + k * 1_000_000_000 for k in ks], SCHEMA.field("ts").type),
        pa.array([line] * len(ks)).dictionary_encode(),
        pa.array(["st"] * len(ks)).dictionary_encode(),
        pa.array([k % 5 for k in ks], pa.int64()),
        pa.array(ks, pa.int64()),
    ]
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, SCHEMA) as writer:
        writer.write_batch(pa.record_batch(columns, schema=SCHEMA))
    return sink.getvalue().to_pybytes()


async def main(bootstrap: str, topic: str, line: str, form: str, count: int) -> None:
    # The default partitioner is Kafka's: murmur2 of the key.
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True, linger_ms=20) as producer:
        sent = []
        if form == "arrow":
            for first in range(0, count, PER_RECORD):
                value = as_arrow(line, range(first, min(first + PER_RECORD, count)))
                sent.append(await producer.send(topic, value, key=line.encode(), headers=ARROW))
        else:
            sent += [await producer.send(topic, as_json(line, k), key=line.encode()) for k in range(count)]
        await asyncio.gather(*sent)


if __name__ == "__main__":
    _, bootstrap, topic, line, form, count = sys.argv
    asyncio.run(main(bootstrap, topic, line, form, int(count)))
