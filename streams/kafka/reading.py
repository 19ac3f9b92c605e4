"""Topics read to where they end now."""

from collections.abc import AsyncIterator
from typing import Any

from aiokafka import AIOKafkaConsumer

_POLL_MS = 200


async def to_the_end(consumer: AIOKafkaConsumer) -> AsyncIterator[Any]:
    """Each record of what is assigned to the consumer, from where it stands to where the partitions end now.

    Raises KafkaError.
    """
    ends = await consumer.end_offsets(consumer.assignment())
    while any([await consumer.position(place) < end for place, end in ends.items()]):
        for records in (await consumer.getmany(timeout_ms=_POLL_MS)).values():
            for record in records:
                yield record
